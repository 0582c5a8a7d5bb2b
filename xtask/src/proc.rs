//! What Linux tells of processes in /proc: who started whom, the memory they have and had, the time they have used.

use std::fs;
use std::path::Path;

use crate::Failure;

/// A process and all that descend from it.
pub(crate) fn family(root: u32) -> Vec<u32> {
    descent(root, &parents())
}

/// The same by `(pid, parent)` pairs.
fn descent(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&member) = members.get(next) {
        members.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(pid, _)| *pid));
        next += 1;
    }
    members
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
}

fn parents() -> Vec<(u32, u32)> {
    pids().filter_map(|pid| Some((pid, u32::try_from(*stat(pid).ok()?.get(1)?).ok()?))).collect()
}

/// Nanoseconds that all threads of these processes have computed so far. The clock of /proc/PID/stat has ticks of 10 ms, which
/// is what an idle agent needs in half a minute. A thread that ends takes its time with it; idle agents start none.
pub(crate) fn computed_ns(pids: &[u32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/task");
        for task in fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?.flatten() {
            let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            sum += stat.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    Ok(sum)
}

/// Bytes that these processes have had written to a disk so far.
pub(crate) fn written(pids: &[u32]) -> Result<u64, Failure> {
    pids.iter().map(|pid| number(*pid, "io", "write_bytes:")).sum()
}

/// Memory of the guests of a runner, in KiB: what is in use of the linear memories, which lie before some gigabytes of address
/// space that nobody may touch.
pub(crate) fn guests_kib(pid: u32) -> Result<u64, Failure> {
    Ok(linear_kib(&read(pid, "smaps")?))
}

fn linear_kib(smaps: &str) -> u64 {
    const RESERVED: u64 = 1 << 30;
    let (mut sum, mut run, mut run_end, mut usable) = (0, 0, 0, false);
    for line in smaps.lines() {
        let range = line.split_once(' ').and_then(|(range, rest)| Some((range.split_once('-')?, rest)));
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        if let Some(((start, end), rest)) = range
            && let (Some(start), Some(end)) = (hex(start), hex(end))
        {
            usable = rest.starts_with("rw-p");
            if start != run_end {
                run = 0;
            }
            run_end = end;
            if rest.starts_with("---p") {
                sum += if end - start >= RESERVED { run } else { 0 };
                run = 0;
            }
        } else if let Some(pss) = line.strip_prefix("Pss:").filter(|_| usable) {
            run += pss.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    sum
}

/// The fields after the name, as numbers (0 where they are none); the first is the state.
fn stat(pid: u32) -> Result<Vec<u64>, Failure> {
    let text = read(pid, "stat")?;
    // The name is in parentheses and may hold anything, a parenthesis too.
    let (_, fields) = text.rsplit_once(')').ok_or("a process without a name in /proc")?;
    Ok(fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

/// Memory of a process, with its share of what it shares.
pub(crate) fn pss_kib(pid: u32) -> Result<u64, Failure> {
    number(pid, "smaps_rollup", "Pss:")
}

/// Memory of a process that is not swapped out, what it shares included.
pub(crate) fn resident_kib(pid: u32) -> Result<u64, Failure> {
    number(pid, "status", "VmRSS:")
}

/// The most that [`resident_kib`] has ever been since [`forget_peak`]: the system keeps it, so no peak is missed.
pub(crate) fn peak_kib(pid: u32) -> Result<u64, Failure> {
    number(pid, "status", "VmHWM:")
}

/// Begins [`peak_kib`] anew.
pub(crate) fn forget_peak(pid: u32) -> Result<(), Failure> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").map_err(|error| format!("{path}: {error}"))
}

fn number(pid: u32, file: &str, key: &str) -> Result<u64, Failure> {
    let text = read(pid, file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("no `{key}` in /proc/{pid}/{file}"))
}

/// Descriptors that a process has open.
pub(crate) fn descriptors(pid: u32) -> Result<usize, Failure> {
    entries(pid, "fd")
}

/// Threads of a process.
pub(crate) fn threads(pid: u32) -> Result<usize, Failure> {
    entries(pid, "task")
}

fn entries(pid: u32, folder: &str) -> Result<usize, Failure> {
    let path = format!("/proc/{pid}/{folder}");
    fs::read_dir(&path).map(Iterator::count).map_err(|error| format!("{path}: {error}"))
}

/// Every process that runs this program file, whoever started it. One that has ended and was not waited for runs none.
pub(crate) fn running(program: &Path) -> Vec<u32> {
    let program = fs::canonicalize(program).unwrap_or_default();
    let runs = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
    pids().filter(runs).collect()
}

/// Whether it has ended, and nobody has waited for it.
pub(crate) fn is_zombie(pid: u32) -> bool {
    read(pid, "stat").is_ok_and(|stat| tells_of_zombie(&stat))
}

fn tells_of_zombie(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('Z'))
}

/// `guard`, or the verb that a child was started with.
pub(crate) fn kind(pid: u32) -> String {
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
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_family_holds_grandchildren_and_no_stranger() {
        let parents = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (13, 10)];
        let mut members = descent(10, &parents);
        members.sort_unstable();
        assert_eq!(members, [10, 11, 12, 13]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_a_parent_and_used_time() {
        let own = std::process::id();
        assert!(pss_kib(own).unwrap() > 100);
        forget_peak(own).unwrap();
        assert!(peak_kib(own).unwrap() >= resident_kib(own).unwrap() / 2);
        assert!(parents().iter().any(|(pid, parent)| *pid == own && *parent > 0));
        let before = computed_ns(&[own]).unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(100) {
            std::hint::black_box(before);
        }
        assert!(computed_ns(&[own]).unwrap() > before);
        assert!(written(&[own]).is_ok());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_threads_and_descriptors_and_runs_its_program() {
        let own = std::process::id();
        assert!(threads(own).unwrap() > 0 && descriptors(own).unwrap() > 2);
        assert!(running(&std::env::current_exe().unwrap()).contains(&own));
        assert!(!running(Path::new("/bin/sh")).contains(&own));
    }

    #[test]
    fn a_zombie_is_told_by_its_state() {
        assert!(tells_of_zombie("7 (realm-agent) Z 1 7 7 0"));
        assert!(tells_of_zombie("7 (odd) name) Z 1 7 7 0"));
        assert!(!tells_of_zombie("7 (Z) S 1 7 7 0") && !tells_of_zombie(""));
    }

    #[test]
    fn only_what_lies_before_reserved_space_is_a_guests() {
        let part = |range: &str, rights: &str, pss: u64| format!("{range} {rights} 00000000 00:00 0\nPss: {pss} kB\n");
        let (image, heap) =
            (part("7f0000000000-7f0000010000", "rw-p", 40), part("7f0000010000-7f0000020000", "rw-p", 24));
        let reserved = part("7f0000020000-7f0120000000", "---p", 0);
        assert_eq!(linear_kib(&format!("{image}{heap}{reserved}")), 64);
        let guard = part("7f0000020000-7f0000030000", "---p", 0);
        assert_eq!(linear_kib(&format!("{image}{heap}{guard}")), 0, "a thread's stack");
        let apart = part("7e0000000000-7e0000010000", "rw-p", 9);
        assert_eq!(linear_kib(&format!("{apart}{image}{heap}{reserved}")), 64);
    }
}
