//! What agents hold: processes, descriptors, threads, files and memory, before and after. What there is more of without a
//! reason is a leak. Read from /proc, hence on Linux only.

use super::files::{self, Explained, Found};
use crate::Failure;
use crate::cluster::Cluster;
use crate::proc::{descriptors, family, is_zombie, kind, pss_kib, running, threads};

/// What memory of a process may grow by, in KiB: what is freed is given back in pages, never all of it, and each of two dozen
/// threads may keep pages of its own. Six thousand commands in a row were seen to take 5 MiB, and another two thousand nothing.
const PSS_MORE_KIB: u64 = 6 * 1024;
/// Threads for what blocks come when there is something to do, and end some time after.
const THREADS_MORE: u64 = 4;
/// A runner keeps so many components at hand when none of their instances runs, each with a descriptor for what its memory
/// begins with, and their code.
const LOADED: u64 = 16;
const LOADED_KIB: u64 = 512;

/// A process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Process {
    kind: String,
    descriptors: usize,
    threads: usize,
    pss_kib: u64,
}

/// What an agent holds.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Holding {
    processes: Vec<Process>,
    files: Found,
}

/// What all of them hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Census {
    agents: Vec<Holding>,
    /// Processes of the agents' program that belong to none of them, or have ended and were not waited for.
    strays: usize,
}

impl Census {
    /// Counts.
    pub(super) fn take(cluster: &Cluster, explained: &Explained) -> Result<Census, Failure> {
        let mut known = Vec::new();
        let mut agents = Vec::new();
        for agent in &cluster.agents {
            let pids = family(agent.pid);
            let mut processes = Vec::new();
            for pid in pids.iter().filter(|pid| !is_zombie(**pid)) {
                // One that ends while we look was none.
                let counts = (descriptors(*pid), threads(*pid), pss_kib(*pid));
                let (Ok(descriptors), Ok(threads), Ok(pss_kib)) = counts else { continue };
                processes.push(Process { kind: kind(*pid), descriptors, threads, pss_kib });
            }
            processes.sort();
            known.extend(pids);
            agents.push(Holding { processes, files: files::look(&agent.data_dir, explained)? });
        }
        let program = cluster.program();
        let lost = running(program).into_iter().filter(|pid| !known.contains(pid)).count();
        Ok(Census { agents, strays: lost + known.iter().filter(|pid| is_zombie(**pid)).count() })
    }

    /// Files that nothing explains, agent by agent.
    pub(super) fn unexplained(&self) -> Vec<String> {
        let of = |(number, agent): (usize, &Holding)| {
            agent.files.unexplained.iter().map(move |file| format!("agent {}: {file}", number + 1)).collect::<Vec<_>>()
        };
        self.agents.iter().enumerate().flat_map(of).collect()
    }
}

/// One line of the table.
#[derive(PartialEq, Eq, Debug)]
struct Row {
    what: String,
    before: u64,
    after: u64,
    /// The most that is no leak.
    most: u64,
}

fn rows(before: &Census, after: &Census) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |what: String, before: u64, after: u64, most: u64| rows.push(Row { what, before, after, most });
    for (number, (before, after)) in before.agents.iter().zip(&after.agents).enumerate() {
        let agent = format!("agent {}", number + 1);
        let counts = (before.processes.len() as u64, after.processes.len() as u64);
        row(format!("{agent}: processes"), counts.0, counts.1, counts.0);
        for kind in ["guard", "control", "runner"] {
            let sum = |holding: &Holding, of: fn(&Process) -> u64| {
                holding.processes.iter().filter(|it| it.kind == kind).map(of).sum::<u64>()
            };
            let mut both = |what: &str, of, more| {
                let before = sum(before, of);
                row(format!("{agent}: {kind}: {what}"), before, sum(after, of), before + more);
            };
            let loaded = if kind == "runner" { LOADED } else { 0 };
            both("descriptors", |it| it.descriptors as u64, loaded);
            both("threads", |it| it.threads as u64, THREADS_MORE);
            both("PSS, KiB", |it| it.pss_kib, PSS_MORE_KIB + loaded * LOADED_KIB);
        }
        let unexplained = |holding: &Holding| holding.files.unexplained.len() as u64;
        let (files, left) = (after.files.count as u64, unexplained(after));
        row(format!("{agent}: files"), before.files.count as u64, files, files - left);
        row(format!("{agent}: files without a reason"), unexplained(before), left, 0);
    }
    row("processes of no agent, or not waited for".into(), before.strays as u64, after.strays as u64, 0);
    rows
}

/// Whether there is more of nothing.
pub(super) fn is_level(before: &Census, after: &Census) -> bool {
    rows(before, after).iter().all(|row| row.after <= row.most)
}

/// The table for people, with a verdict in each line.
pub(super) fn table(before: &Census, after: &Census) -> String {
    let mut text = format!("{:44} {:>9} {:>9} {:>9}\n", "", "before", "after", "at most");
    for Row { what, before, after, most } in rows(before, after) {
        let verdict = if after <= most { "ok" } else { "LEAK" };
        text.push_str(&format!("{what:44} {before:>9} {after:>9} {most:>9}   {verdict}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(strays: usize, files: usize, pss_kib: u64, descriptors: usize) -> Census {
        let process = Process { kind: "control".into(), descriptors, threads: 4, pss_kib };
        let files = Found { count: 9, bytes: 0, unexplained: vec!["x".into(); files] };
        Census { agents: vec![Holding { processes: vec![process], files }], strays }
    }

    #[test]
    fn more_than_before_is_a_leak() {
        let before = census(0, 0, 10_000, 20);
        assert!(is_level(&before, &before) && !table(&before, &before).contains("LEAK"));
        assert!(is_level(&before, &census(0, 0, 9_000, 19)), "less is none");
        assert!(is_level(&before, &census(0, 0, 10_000 + PSS_MORE_KIB, 20)));
        for more in [census(1, 0, 10_000, 20), census(0, 0, 20_000, 20), census(0, 0, 10_000, 21)] {
            assert!(!is_level(&before, &more), "{more:?}");
            assert_eq!(table(&before, &more).matches("LEAK").count(), 1);
        }
    }

    #[test]
    fn a_process_more_is_a_leak() {
        let (before, mut after) = (census(0, 0, 10_000, 20), census(0, 0, 10_000, 20));
        after.agents[0].processes.push(Process { kind: "compile".into(), descriptors: 0, threads: 0, pss_kib: 0 });
        assert!(!is_level(&before, &after));
    }
}
