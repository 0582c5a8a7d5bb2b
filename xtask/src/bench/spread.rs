//! A large component to eight agents, each behind a link of 100 Mbit/s, beside the bound for any protocol.
//! The agents and the operator have hosts of their own: network namespaces on one bridge.

use std::env;
use std::time::Duration;

use super::samples::Samples;
use super::{Figures, stored, verdict};
use crate::Failure;
use crate::cluster::Cluster;
use crate::command::Echo;
use crate::network::Network;
use crate::payload::{self, Payload};
use crate::workspace::Programs;

/// As many as the operator's uplink would take half a minute for, one by one.
const AGENTS: usize = 8;
/// An ordinary wired link, or a good wireless one.
const LINK_MBIT: u32 = 100;
/// As on loopback.
const SIZE: u64 = 50_000_000;
/// Each takes about ten seconds.
const RUNS: u64 = 3;
/// Pieces in which an artifact travels; see docs/protocol.md.
const CHUNK_BYTES: u64 = 256 * 1024;
/// How many times the bound a push may take.
const TARGET_TIME: f64 = 1.5;
/// How many copies the operator may have to send.
const TARGET_COPIES: f64 = 1.3;

/// What one push came to.
struct Run {
    took: Duration,
    /// Copies that the operator sent.
    operator: f64,
    /// Copies that each agent sent and received.
    sent: Vec<f64>,
    received: Vec<f64>,
}

/// Measures, where this machine lends networks.
pub(super) fn measure(programs: &Programs) -> Result<Figures, Failure> {
    println!("{RUNS} pushes of {} MB to {AGENTS} agents at {LINK_MBIT} Mbit/s", SIZE / 1_000_000);
    match Network::of(AGENTS + 1, LINK_MBIT) {
        Ok(network) => {
            let runs = runs(programs, &network)?;
            Ok(Figures { text: table(&runs), json: json(&runs) })
        }
        Err(why) => {
            let text = format!("\n{} MB to {AGENTS} at {LINK_MBIT} Mbit/s: SKIPPED: {why}\n", SIZE / 1_000_000);
            Ok(Figures { text, json: "\"spread\":null".to_owned() })
        }
    }
}

fn runs(programs: &Programs, network: &Network) -> Result<Vec<Run>, Failure> {
    let (desk, nodes) = network.hosts.split_first().ok_or("a network without hosts")?;
    let mut cluster = Cluster::at(programs.clone(), &env::temp_dir(), desk.clone())?;
    network.namespaces().try_for_each(|name| cluster.sweep_namespace(name))?;
    let owner = cluster.init(Echo::Quiet)?;
    for node in nodes {
        cluster.add_at(node, &owner, Echo::Quiet)?;
    }
    cluster.formed()?;
    let mut all = Vec::new();
    for seed in 1..=RUNS {
        let payload = payload::write(&cluster.folder, SIZE, seed)?;
        all.push(run(&cluster, network, &payload)?);
    }
    cluster.stop()?;
    Ok(all)
}

fn run(cluster: &Cluster, network: &Network, payload: &Payload) -> Result<Run, Failure> {
    let via = cluster.agents.first().ok_or("no agent")?.address.clone();
    let counts = || network.hosts.iter().map(|host| host.traffic()).collect::<Result<Vec<_>, Failure>>();
    let before = counts()?;
    let times = stored::push(cluster, payload, &["--via", &via])?;
    let copies = |bytes: u64| bytes as f64 / payload.size as f64;
    let after = counts()?;
    let pairs = before.iter().zip(&after);
    let mut sent = pairs.clone().map(|(before, after)| copies(after.sent - before.sent));
    let operator = sent.next().unwrap_or_default();
    let received = pairs.skip(1).map(|(before, after)| copies(after.received - before.received)).collect();
    Ok(Run { took: times.stored, operator, sent: sent.collect(), received })
}

/// No protocol is faster with `count` pieces to `AGENTS` equal nodes: each round doubles the nodes that have a piece.
fn bound() -> Duration {
    let (count, rounds) = (SIZE.div_ceil(CHUNK_BYTES), AGENTS.ilog2());
    let seconds = SIZE as f64 * 8.0 / (f64::from(LINK_MBIT) * 1e6);
    Duration::from_secs_f64((1.0 + f64::from(rounds) / count as f64) * seconds)
}

/// The median time as a multiple of the bound, and the most copies of the operator.
fn summary(runs: &[Run]) -> (Samples, f64, f64) {
    let mut samples = Samples::default();
    runs.iter().for_each(|run| samples.add(run.took));
    let (p50, ..) = samples.summary_ms();
    let copies = runs.iter().map(|run| run.operator).fold(0.0, f64::max);
    (samples, p50 / 1e3 / bound().as_secs_f64(), copies)
}

fn table(runs: &[Run]) -> String {
    let (samples, ratio, copies) = summary(runs);
    let (p50, min, max) = samples.summary_ms();
    let title = format!("{} MB to {AGENTS} at {LINK_MBIT} Mbit/s", SIZE / 1_000_000);
    let bound = bound().as_secs_f64() * 1e3;
    let (time_met, copies_met) = (verdict(ratio <= TARGET_TIME), verdict(copies <= TARGET_COPIES));
    let mut text = format!("\n{title:32} {:>9} {:>9} {:>9}\n", "p50 ms", "min", "max");
    text.push_str(&format!("{:32} {bound:>9.0}\n", "bound: any protocol"));
    text.push_str(&format!("{:32} {p50:>9.0} {min:>9.0} {max:>9.0}\n", "push, from its start"));
    text.push_str(&format!("{:32} {ratio:>9.2}   target {TARGET_TIME:.1}, {time_met}\n", "times the bound"));
    text.push_str(&format!(
        "{:32} {copies:>9.2}   target {TARGET_COPIES:.1}, {copies_met}\n",
        "copies that the operator sends"
    ));
    for run in runs {
        let list = |copies: &[f64]| copies.iter().map(|copies| format!("{copies:.2}")).collect::<Vec<_>>().join(" ");
        text.push_str(&format!("  agents: sent {}; received {}\n", list(&run.sent), list(&run.received)));
    }
    text
}

fn json(runs: &[Run]) -> String {
    let (samples, ratio, copies) = summary(runs);
    let (p50, min, max) = samples.summary_ms();
    let bound = bound().as_secs_f64() * 1e3;
    let times = format!("\"p50_ms\":{p50:.1},\"min_ms\":{min:.1},\"max_ms\":{max:.1},\"bound_ms\":{bound:.1}");
    let what = format!("\"bytes\":{SIZE},\"agents\":{AGENTS},\"link_mbit\":{LINK_MBIT}");
    format!("\"spread\":{{{what},{times},\"times_bound\":{ratio:.3},\"operator_copies\":{copies:.3}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_a_little_more_than_one_copy_over_one_link() {
        assert!(bound() > Duration::from_secs(4) && bound() < Duration::from_millis(4_100));
    }

    #[test]
    fn what_is_missed_is_said() {
        let run = |seconds, operator| Run {
            took: Duration::from_secs(seconds),
            operator,
            sent: vec![0.5],
            received: vec![1.0],
        };
        let text = table(&[run(5, 1.1), run(20, 1.4), run(5, 1.0)]);
        assert!(text.contains("target 1.5, met") && text.contains("target 1.3, MISSED"), "{text}");
        assert!(json(&[run(5, 1.1)]).contains("\"operator_copies\":1.100"));
    }
}
