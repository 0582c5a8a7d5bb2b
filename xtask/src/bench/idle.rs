//! What an agent costs when nothing happens: memory of all of its processes, and their CPU.
//! Read from /proc, hence on Linux only. PSS, because processes of one binary share pages.

use std::fs;
use std::time::{Duration, Instant};

use crate::Failure;

/// Ticks per second in /proc/PID/stat: fixed in Linux' interface to programs, whatever the kernel itself uses.
const TICKS_PER_SECOND: f64 = 100.0;

/// One agent: guard and all that it started.
pub(super) struct Usage {
    /// Per process: what it is, and its PSS.
    pub(super) processes: Vec<(String, u64)>,
    /// Of one core, over the time watched.
    pub(super) cpu_percent: f64,
}

impl Usage {
    /// Of all processes together.
    pub(super) fn pss_kib(&self) -> u64 {
        self.processes.iter().map(|(_, kib)| kib).sum()
    }
}

/// Watches the agents with these guards for a while.
pub(super) fn watch(guards: impl Iterator<Item = u32>, time: Duration) -> Result<Vec<Usage>, Failure> {
    let agents: Vec<Vec<u32>> = guards.map(|guard| family(guard, &parents())).collect();
    let before: Vec<u64> = agents.iter().map(|pids| ticks(pids)).collect::<Result<_, _>>()?;
    let started = Instant::now();
    // Nothing to wait for: the passing of time is what is measured.
    std::thread::sleep(time);
    let seconds = started.elapsed().as_secs_f64();
    let mut all = Vec::new();
    for (pids, before) in agents.iter().zip(before) {
        let used = ticks(pids)?.saturating_sub(before) as f64 / TICKS_PER_SECOND;
        let processes = pids.iter().map(|pid| Ok((kind(*pid), pss_kib(*pid)?))).collect::<Result<_, Failure>>()?;
        all.push(Usage { processes, cpu_percent: 100.0 * used / seconds });
    }
    Ok(all)
}

/// One line per agent.
pub(super) fn table(agents: &[Usage]) -> String {
    let mut text = format!("\n{:32} {:>9} {:>9}\n", "idle agent", "PSS MiB", "CPU %");
    for (index, agent) in agents.iter().enumerate() {
        let name = |(kind, kib): &(String, u64)| format!("{kind} {:.1}", *kib as f64 / 1024.0);
        let parts: Vec<String> = agent.processes.iter().map(name).collect();
        let (mib, cpu) = (agent.pss_kib() as f64 / 1024.0, agent.cpu_percent);
        text.push_str(&format!("{:32} {mib:>9.1} {cpu:>9.2}   {}\n", format!("node {}", index + 1), parts.join(", ")));
    }
    text
}

/// A process and all that descend from it, by `(pid, parent)` pairs.
fn family(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&member) = members.get(next) {
        members.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(pid, _)| *pid));
        next += 1;
    }
    members
}

fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter_map(|pid| Some((pid, u32::try_from(*stat(pid).ok()?.get(1)?).ok()?))).collect()
}

fn ticks(pids: &[u32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for pid in pids {
        let fields = stat(*pid)?;
        // Fields 14 and 15 of proc(5), counted from 3, the first after the name.
        sum += fields.get(11).copied().unwrap_or_default() + fields.get(12).copied().unwrap_or_default();
    }
    Ok(sum)
}

/// The fields after the name, as numbers (0 where they are none); the first is the state.
fn stat(pid: u32) -> Result<Vec<u64>, Failure> {
    let text = read(pid, "stat")?;
    // The name is in parentheses and may hold anything, a parenthesis too.
    let (_, fields) = text.rsplit_once(')').ok_or("a process without a name in /proc")?;
    Ok(fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

fn pss_kib(pid: u32) -> Result<u64, Failure> {
    let text = read(pid, "smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("no `Pss:` in /proc/{pid}/smaps_rollup"))
}

/// `guard`, or the verb that a child was started with.
fn kind(pid: u32) -> String {
    let line = read(pid, "cmdline").unwrap_or_default();
    let verb = line.split('\0').nth(1).filter(|word| !word.is_empty() && !word.starts_with('-'));
    verb.unwrap_or("guard").to_owned()
}

fn read(pid: u32, file: &str) -> Result<String, Failure> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_family_holds_grandchildren_and_no_stranger() {
        let parents = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (13, 10)];
        let mut members = family(10, &parents);
        members.sort_unstable();
        assert_eq!(members, [10, 11, 12, 13]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_a_parent_and_used_time() {
        let own = std::process::id();
        assert!(pss_kib(own).unwrap() > 100);
        assert!(parents().iter().any(|(pid, parent)| *pid == own && *parent > 0));
        let before = ticks(&[own]).unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(100) {
            std::hint::black_box(before);
        }
        assert!(ticks(&[own]).unwrap() > before);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_waits_is_idle_and_named_by_its_verb() {
        let mut waiting = Command::new("sh");
        waiting.args(["-c", "echo up; read _"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = waiting.spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 3]).unwrap();
        let usages = watch([child.id()].into_iter(), Duration::from_millis(200));
        drop(child.stdin.take());
        child.wait().unwrap();
        let usages = usages.unwrap();
        assert!(usages[0].pss_kib() > 10 && usages[0].cpu_percent < 50.0);
        assert_eq!(usages[0].processes[0].0, "guard");
        assert!(watch([child.id()].into_iter(), Duration::ZERO).is_err());
    }
}
