//! What small components cost that do nothing: one of them beside no component at all, and a hundred more.

use std::thread;
use std::time::Duration;

use super::idle::{Usage, formed_with_own_copy};
use super::{AGENTS, Figures, verdict};
use crate::Failure;
use crate::cluster::Cluster;
use crate::command::Echo;
use crate::payload;
use crate::proc::{family, guests_kib, kind};
use crate::workspace::Programs;

/// Instances that are added.
const MORE: usize = 100;
/// How long agents are left alone before they are measured: what a push has needed is given back by then.
const SETTLE_FOR: Duration = Duration::from_secs(15);
/// An agent with one component, in MiB.
const ONE_TARGET_MIB: f64 = 25.0;
/// Of each more, beyond the memory that it uses itself, in KiB.
const EACH_TARGET_KIB: f64 = 100.0;

/// Of one agent with two peers.
struct Found {
    none: Usage,
    one: Usage,
    /// The same agent beside its peers on one machine, as in the part `idle`.
    one_beside: Usage,
    more: Usage,
    /// Memory of the guests themselves, before and after there are more.
    guests_kib: (u64, u64),
}

impl Found {
    /// What each more takes beyond its own memory, and this, in KiB.
    fn each(&self) -> (f64, f64) {
        let own = self.guests_kib.1.saturating_sub(self.guests_kib.0) as f64 / MORE as f64;
        ((self.more.pss_mib() - self.one.pss_mib()) * 1024.0 / MORE as f64 - own, own)
    }
}

/// Pushes and asks the system, which is possible on Linux.
pub(super) fn measure(programs: &Programs) -> Result<Figures, Failure> {
    println!("{MORE} idle components on each of {AGENTS} agents");
    let cluster = formed_with_own_copy(AGENTS, programs)?;
    let found = found(&cluster);
    cluster.stop()?;
    Ok(match found {
        Ok(found) => Figures { text: table(&found), json: json(&found) },
        Err(why) => Figures { text: format!("\ncomponents: SKIPPED: {why}\n"), json: "\"components\":null".into() },
    })
}

fn found(cluster: &Cluster) -> Result<Found, Failure> {
    let guards: Vec<u32> = cluster.agents.iter().map(|agent| agent.pid).collect();
    let [guard, beside, ..] = guards[..] else { return Err("fewer than two agents".into()) };
    thread::sleep(SETTLE_FOR);
    let none = Usage::now(guard)?;
    push(cluster, "sleeper", 1)?;
    thread::sleep(SETTLE_FOR);
    let (one, one_beside, first) = (Usage::now(guard)?, Usage::now(beside)?, guests(guard)?);
    push(cluster, "sleepers", MORE)?;
    thread::sleep(SETTLE_FOR);
    Ok(Found { none, one, one_beside, more: Usage::now(guard)?, guests_kib: (first, guests(guard)?) })
}

fn push(cluster: &Cluster, name: &str, replicas: usize) -> Result<(), Failure> {
    let (file, replicas) = (payload::guest("sleep")?, replicas.to_string());
    let file = file.to_string_lossy();
    let words = ["push", "--name", name, "--file", &file, "--tag", "dev", "--memory-max-mb", "8"];
    cluster.expect(&[&words[..], &["--replicas", &replicas]].concat(), 0, Echo::Quiet).map(drop)
}

fn guests(guard: u32) -> Result<u64, Failure> {
    family(guard).into_iter().filter(|pid| kind(*pid) == "runner").map(guests_kib).sum()
}

fn table(found: &Found) -> String {
    let mut text = format!("\n{:32} {:>9}\n", "agent with small components", "PSS MiB");
    let rows = [
        ("none, alone".to_owned(), &found.none),
        ("1, alone".to_owned(), &found.one),
        ("1, beside its peers".to_owned(), &found.one_beside),
        (format!("{}, alone", MORE + 1), &found.more),
    ];
    for (name, usage) in rows {
        text.push_str(&format!("{name:32} {:>9.2}   {}\n", usage.pss_mib(), usage.parts()));
    }
    let met = verdict(found.one_beside.pss_mib() <= ONE_TARGET_MIB);
    text.push_str(&format!("{:32} target with one {ONE_TARGET_MIB:.0}, {met}\n", ""));
    let (each, own) = found.each();
    let met = verdict(each <= EACH_TARGET_KIB);
    text.push_str(&format!(
        "{:32} {each:>9.1}   and {own:.1} of its own; target {EACH_TARGET_KIB:.0}, {met}\n",
        "KiB for each"
    ));
    text
}

fn json(found: &Found) -> String {
    let (each, own) = found.each();
    let mib = |usage: &Usage| format!("{:.2}", usage.pss_mib());
    let members = [
        ("none_pss_mib", mib(&found.none)),
        ("one_pss_mib", mib(&found.one)),
        ("one_beside_pss_mib", mib(&found.one_beside)),
        ("more_pss_mib", mib(&found.more)),
        ("each_kib", format!("{each:.1}")),
        ("each_own_kib", format!("{own:.1}")),
    ];
    let members = members.map(|(name, value)| format!("\"{name}\":{value}"));
    format!("\"components\":{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_the_guests_is_their_own() {
        let usage = |mib: u64| Usage::of(vec![("runner".into(), mib * 1024)]);
        let found = |more| Found {
            none: usage(5),
            one: usage(10),
            one_beside: usage(10),
            more: usage(more),
            guests_kib: (100, 100 + 200 * MORE as u64),
        };
        let (each, own) = found(10 + 25).each();
        assert!((each - 56.0).abs() < 1e-9 && (own - 200.0).abs() < 1e-9, "{each} {own}");
        assert!(!table(&found(35)).contains("MISSED"));
        assert!(table(&found(60)).contains("MISSED"));
    }
}
