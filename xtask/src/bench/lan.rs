//! Five agents and an operator on one LAN, none of whom was told an address: how long it takes from nothing to a component that
//! has run on all of them. Each has a host of its own: a network namespace on one bridge.

use std::env;
use std::time::{Duration, Instant};

use super::samples::Samples;
use super::{Figures, verdict};
use crate::Failure;
use crate::cluster::{Cluster, Meet};
use crate::command::Echo;
use crate::network::Network;
use crate::payload;
use crate::workspace::Programs;

/// A developer's machine and the boards on the shelf.
const AGENTS: usize = 5;
/// A wired LAN, which is no matter for a component of 100 KB.
const LINK_MBIT: u32 = 1000;
/// Each begins with a network that nobody has heard of.
const RUNS: usize = 3;
/// From the start of the first agent to the end of the push.
const TARGET_MS: f64 = 2_000.0;

/// One way from nothing.
struct Run {
    /// From the start of the first agent until each knows all others.
    formed: Duration,
    /// From the start of `realm push` to its end.
    pushed: Duration,
    whole: Duration,
}

/// Measures, where this machine lends networks.
pub(super) fn measure(programs: &Programs) -> Result<Figures, Failure> {
    println!("{RUNS} times {AGENTS} agents and an operator on one LAN, without an address");
    let mut rows = [
        ("agents, from start to a realm", Samples::default()),
        ("push, from its start to its end", Samples::default()),
        ("from nothing to exit", Samples::default()),
    ];
    for _ in 0..RUNS {
        let network = match Network::of(AGENTS + 1, LINK_MBIT) {
            Ok(network) => network,
            Err(why) => {
                let text = format!("\n{AGENTS} agents on one LAN: SKIPPED: {why}\n");
                return Ok(Figures { text, json: "\"lan\":null".to_owned() });
            }
        };
        let run = run(programs, &network)?;
        for ((_, samples), took) in rows.iter_mut().zip([run.formed, run.pushed, run.whole]) {
            samples.add(took);
        }
    }
    Ok(Figures { text: table(&rows), json: json(&rows) })
}

fn run(programs: &Programs, network: &Network) -> Result<Run, Failure> {
    let (desk, nodes) = network.hosts.split_first().ok_or("a network without hosts")?;
    let mut cluster = Cluster::at(programs.clone(), &env::temp_dir(), desk.clone())?;
    network.namespaces().try_for_each(|name| cluster.sweep_namespace(name))?;
    cluster.meet = Meet::OnTheLan;
    let owner = cluster.init(Echo::Quiet)?;
    let component = cluster.folder.join("hello.wasm");
    std::fs::write(&component, payload::hello()?).map_err(|error| format!("cannot write a component: {error}"))?;
    let started = Instant::now();
    for node in nodes {
        cluster.add_at(node, &owner, Echo::Quiet)?;
    }
    // Each is asked by itself, for what one knows another may not.
    let addresses: Vec<String> = cluster.agents.iter().map(|agent| agent.address.clone()).collect();
    addresses.iter().try_for_each(|address| cluster.formed_at(address))?;
    let formed = started.elapsed();
    let file = component.to_string_lossy();
    let pushed = cluster.expect(&["push", "--name", "hello", "--file", &*file, "--tag", "dev"], 0, Echo::Quiet)?;
    let whole = started.elapsed();
    if !pushed.stderr.contains(&format!("completed on {AGENTS} nodes")) {
        return Err(format!("the push has not reached all {AGENTS} agents:\n{}", pushed.stderr));
    }
    cluster.stop()?;
    Ok(Run { formed, pushed: whole - formed, whole })
}

fn table(rows: &[(&str, Samples); 3]) -> String {
    let title = format!("{AGENTS} agents on one LAN, no address");
    let mut text = format!("\n{title:32} {:>9} {:>9} {:>9}\n", "p50 ms", "min", "max");
    for (index, (name, samples)) in rows.iter().enumerate() {
        let (p50, min, max) = samples.summary_ms();
        let target = match index {
            2 => format!("   target {TARGET_MS:.0}, {}", verdict(p50 <= TARGET_MS)),
            _ => String::new(),
        };
        text.push_str(&format!("{name:32} {p50:>9.0} {min:>9.0} {max:>9.0}{target}\n"));
    }
    text
}

fn json(rows: &[(&str, Samples); 3]) -> String {
    let row = |(name, samples): &(&str, Samples)| {
        let (p50, min, max) = samples.summary_ms();
        format!("{{\"name\":\"{name}\",\"p50_ms\":{p50:.1},\"min_ms\":{min:.1},\"max_ms\":{max:.1}}}")
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("\"lan\":{{\"agents\":{AGENTS},\"rows\":[{}]}}", rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_way_has_the_target() {
        let samples = |ms| {
            let mut samples = Samples::default();
            samples.add(Duration::from_millis(ms));
            samples
        };
        let slow = table(&[("a", samples(5_000)), ("b", samples(1)), ("c", samples(1_999))]);
        assert!(slow.contains("target 2000, met") && !slow.contains("MISSED"), "{slow}");
        assert!(table(&[("a", samples(1)), ("b", samples(1)), ("c", samples(2_001))]).contains("MISSED"));
    }
}
