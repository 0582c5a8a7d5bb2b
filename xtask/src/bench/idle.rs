//! What an agent costs when nothing happens: memory of all of its processes, and their CPU.
//! Read from /proc, hence on Linux only. PSS, because processes of one binary share pages.

use std::time::{Duration, Instant};

use super::proc::{TICKS_PER_SECOND, family, kind, pss_kib, ticks};
use crate::Failure;

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
    let agents: Vec<Vec<u32>> = guards.map(family).collect();
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

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
