//! What an agent costs when nothing happens, alone and with peers: memory of its processes, their CPU, what they write.
//! Read from /proc, hence on Linux only. PSS, because processes of one binary share pages.

use std::time::{Duration, Instant};

use super::{Figures, verdict};
use crate::Failure;
use crate::cluster::Cluster;
use crate::command::Echo;
use crate::proc::{computed_ns, family, kind, pss_kib, written};
use crate::workspace::Programs;

/// Peers of the agent that is watched; the promise is about two.
const PEERS: [usize; 3] = [0, 2, 8];
const PROMISED_PEERS: usize = 2;
/// How long agents are left alone first: dials, comparisons and heartbeats have become rare by then.
const SETTLE_FOR: Duration = Duration::from_secs(20);
/// Two of the longest pauses between comparisons fit in; 0.05 % of it are 45 ms.
const WATCH_FOR: Duration = Duration::from_secs(90);
const TARGET_MIB: f64 = 12.0;
const TARGET_CPU_PERCENT: f64 = 0.05;

/// One agent: guard and all that it started.
pub(super) struct Usage {
    /// Per process: what it is, and its PSS.
    pub(super) processes: Vec<(String, u64)>,
    /// Per process: what it is, and how much of one core it took over the time watched.
    cpu_percent: Vec<(String, f64)>,
    written: u64,
}

impl Usage {
    /// What an agent uses now, over no time.
    pub(super) fn now(guard: u32) -> Result<Usage, Failure> {
        let processes = family(guard).into_iter().map(|pid| Ok((kind(pid), pss_kib(pid)?)));
        Ok(Usage::of(processes.collect::<Result<_, Failure>>()?))
    }

    /// Processes and their PSS.
    pub(super) fn of(processes: Vec<(String, u64)>) -> Usage {
        Usage { processes, cpu_percent: Vec::new(), written: 0 }
    }

    /// Of all processes together.
    pub(super) fn pss_mib(&self) -> f64 {
        self.processes.iter().map(|(_, kib)| *kib as f64 / 1024.0).sum()
    }

    /// By process.
    pub(super) fn parts(&self) -> String {
        let parts = self.processes.iter().map(|(kind, kib)| format!("{kind} {:.1}", *kib as f64 / 1024.0));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// Of one core by all processes together.
    fn cpu_percent(&self) -> f64 {
        self.cpu_percent.iter().map(|(_, percent)| percent).sum()
    }

    /// By process.
    fn cpu_parts(&self) -> String {
        let parts = self.cpu_percent.iter().map(|(kind, percent)| format!("{kind} {percent:.3}"));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// With one number of peers.
struct Row {
    peers: usize,
    /// The only agent with this very file for a program, as on a machine of its own.
    alone: Usage,
    /// One that shares its program's pages with its peers on this machine; there is none without peers.
    beside: Option<Usage>,
}

/// Watches agents with each number of peers.
pub(super) fn measure(programs: &Programs) -> Result<Figures, Failure> {
    let mut rows = Vec::new();
    for peers in PEERS {
        println!("watching idle agents with {peers} peers for {} s", WATCH_FOR.as_secs());
        let cluster = formed_with_own_copy(peers + 1, programs)?;
        std::thread::sleep(SETTLE_FOR);
        let usages = watch(cluster.agents.iter().take(2).map(|agent| agent.pid), WATCH_FOR);
        cluster.stop()?;
        let mut usages = match usages {
            Ok(usages) => usages.into_iter(),
            Err(why) => {
                return Ok(Figures { text: format!("\nidle agents: SKIPPED: {why}\n"), json: "\"idle\":null".into() });
            }
        };
        let alone = usages.next().ok_or("nothing was watched")?;
        rows.push(Row { peers, alone, beside: usages.next() });
    }
    Ok(Figures { text: table(&rows), json: json(&rows) })
}

/// So many agents that know one another, of which the first runs a copy of the program that nobody else runs.
pub(super) fn formed_with_own_copy(agents: usize, programs: &Programs) -> Result<Cluster, Failure> {
    let mut cluster = Cluster::new(programs.clone())?;
    let owner = cluster.init(Echo::Quiet)?;
    cluster.run_own_copy()?;
    for _ in 0..agents {
        cluster.add(&owner, Echo::Quiet)?;
        cluster.run_agent(programs.agent.clone());
    }
    cluster.formed()?;
    Ok(cluster)
}

/// Watches the agents with these guards for a while.
fn watch(guards: impl Iterator<Item = u32>, time: Duration) -> Result<Vec<Usage>, Failure> {
    let agents: Vec<Vec<u32>> = guards.map(family).collect();
    let computed = |pids: &[u32]| pids.iter().map(|pid| computed_ns(&[*pid])).collect::<Result<Vec<u64>, Failure>>();
    let so_far = |pids: &Vec<u32>| Ok((computed(pids)?, written(pids)?));
    let before: Vec<(Vec<u64>, u64)> = agents.iter().map(so_far).collect::<Result<_, Failure>>()?;
    let started = Instant::now();
    // Nothing to wait for: the passing of time is what is measured.
    std::thread::sleep(time);
    let seconds = started.elapsed().as_secs_f64();
    let mut all = Vec::new();
    for (pids, (ns_before, bytes_before)) in agents.iter().zip(before) {
        let (ns, bytes) = so_far(pids)?;
        let percent = |(now, before): (&u64, &u64)| 100.0 * now.saturating_sub(*before) as f64 / 1e9 / seconds;
        let cpu_percent = pids.iter().map(|pid| kind(*pid)).zip(ns.iter().zip(&ns_before).map(percent)).collect();
        let guard = pids.first().copied().unwrap_or_default();
        all.push(Usage { cpu_percent, written: bytes.saturating_sub(bytes_before), ..Usage::now(guard)? });
    }
    Ok(all)
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("\n{:32} {:>9} {:>9} {:>9}\n", "idle agent", "PSS MiB", "CPU %", "written B");
    for row in rows {
        let beside = row.beside.as_ref().map(|usage| ("beside its peers", usage));
        for (place, usage) in [("alone", &row.alone)].into_iter().chain(beside) {
            let name = format!("{} peers, {place}", row.peers);
            let (mib, cpu, written) = (usage.pss_mib(), usage.cpu_percent(), usage.written);
            let parts = format!("PSS {}; CPU {}", usage.parts(), usage.cpu_parts());
            text.push_str(&format!("{name:32} {mib:>9.2} {cpu:>9.3} {written:>9}   {parts}\n"));
        }
        if row.peers == PROMISED_PEERS {
            text.push_str(&verdicts(row));
        }
    }
    text
}

fn verdicts(row: &Row) -> String {
    let usage = row.beside.as_ref().unwrap_or(&row.alone);
    let memory = verdict(usage.pss_mib() <= TARGET_MIB);
    let cpu = verdict(usage.cpu_percent() <= TARGET_CPU_PERCENT);
    let writes = verdict(usage.written == 0);
    let targets = format!("PSS {TARGET_MIB:.0}, {memory}; CPU {TARGET_CPU_PERCENT}, {cpu}; written 0, {writes}");
    format!("{:32} target {targets}\n", "")
}

fn json(rows: &[Row]) -> String {
    let usage = |usage: &Usage| {
        let process = |(kind, kib): &(String, u64)| format!("\"{kind}\":{kib}");
        let processes: Vec<String> = usage.processes.iter().map(process).collect();
        let computed: Vec<String> =
            usage.cpu_percent.iter().map(|(kind, percent)| format!("\"{kind}\":{percent:.4}")).collect();
        let (mib, cpu, written) = (usage.pss_mib(), usage.cpu_percent(), usage.written);
        let head = format!("{{\"pss_mib\":{mib:.2},\"cpu_percent\":{cpu:.4},\"written_bytes\":{written}");
        format!("{head},\"pss_kib\":{{{}}},\"cpu_percent_of\":{{{}}}}}", processes.join(","), computed.join(","))
    };
    let row = |row: &Row| {
        let beside = row.beside.as_ref().map_or("null".to_owned(), usage);
        format!("{{\"peers\":{},\"alone\":{},\"beside\":{beside}}}", row.peers, usage(&row.alone))
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("\"idle\":{{\"seconds\":{},\"agents\":[{}]}}", WATCH_FOR.as_secs(), rows.join(","))
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
        assert!(usages[0].pss_mib() > 0.01 && usages[0].cpu_percent() < 5.0);
        assert_eq!((usages[0].processes[0].0.as_str(), usages[0].written), ("guard", 0));
        assert!(watch([child.id()].into_iter(), Duration::ZERO).is_err());
    }

    #[test]
    fn a_missed_promise_is_said() {
        let usage = |kib, cpu, written| Usage {
            processes: vec![("control".into(), kib)],
            cpu_percent: vec![("guard".into(), cpu / 4.0), ("control".into(), cpu * 0.75)],
            written,
        };
        let row = |beside| Row { peers: 2, alone: usage(20_000, 0.02, 0), beside: Some(beside) };
        assert_eq!(table(&[row(usage(9_000, 0.02, 0))]).matches("MISSED").count(), 0);
        assert_eq!(table(&[row(usage(90_000, 0.2, 4096))]).matches("MISSED").count(), 3);
        assert!(json(&[row(usage(9_000, 0.02, 0))]).contains("\"pss_kib\":{\"control\":9000}"));
        assert!(table(&[row(usage(9_000, 0.02, 0))]).contains("CPU guard 0.005, control 0.015"));
    }
}
