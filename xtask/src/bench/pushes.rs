//! How long a push of a small component takes, to one agent and to more.
//! Beside each time stands what bounds it here (starting a process, making a file durable), measured in the same run.

use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::samples::Samples;
use super::{Figures, verdict};
use crate::Failure;
use crate::cluster::Cluster;
use crate::command::Echo;
use crate::guests::sha256;
use crate::payload;
use crate::workspace::Programs;

/// So many agents, and what is promised of the median in milliseconds: compiled anew, and compiled before.
const AGENTS: [(usize, [Option<f64>; 2]); 3] = [(1, [None, None]), (3, [Some(600.0), Some(150.0)]), (8, [None, None])];

/// One row of the table, times in milliseconds.
struct Row {
    name: String,
    samples: Samples,
    /// What the median should be at most, where somebody promised something.
    target_ms: Option<f64>,
}

/// Pushes `runs` times each way to each number of agents.
pub(super) fn measure(programs: &Programs, runs: usize) -> Result<Figures, Failure> {
    let mut rows = Vec::new();
    for (agents, targets) in AGENTS {
        let cluster = Cluster::formed_of(agents, programs, &env::temp_dir())?;
        rows.extend(pushes(&cluster, runs, targets)?);
        if rows.len() == 2 {
            rows.splice(..0, baselines(&cluster, runs)?);
        }
        cluster.stop()?;
    }
    Ok(Figures { text: table(&rows), json: json(&rows) })
}

fn pushes(cluster: &Cluster, runs: usize, [anew, before]: [Option<f64>; 2]) -> Result<[Row; 2], Failure> {
    let component = payload::hello()?;
    let agents = cluster.agents.len();
    println!("{runs} pushes to {agents} that have to be compiled, then {runs} that have not");
    let (mut first, mut warm) = (Samples::default(), Samples::default());
    let changed = |run: usize| payload::with_section(&component, format!("bench run {run}").as_bytes());
    for run in 0..runs {
        first.add(push(cluster, &changed(run))?);
    }
    for _ in 0..runs {
        warm.add(push(cluster, &changed(0))?);
    }
    Ok([
        Row { name: format!("push to {agents}, compiled anew"), samples: first, target_ms: anew },
        Row { name: format!("push to {agents}, compiled before"), samples: warm, target_ms: before },
    ])
}

fn baselines(cluster: &Cluster, runs: usize) -> Result<[Row; 2], Failure> {
    let (mut version, mut durable) = (Samples::default(), Samples::default());
    for _ in 0..runs {
        let started = Instant::now();
        cluster.expect(&["--version"], 0, Echo::Quiet)?;
        version.add(started.elapsed());
        durable.add(replace_durably(&cluster.folder)?);
    }
    Ok([
        Row { name: "baseline: `realm --version`".into(), samples: version, target_ms: None },
        Row { name: "baseline: fsync, rename, fsync".into(), samples: durable, target_ms: None },
    ])
}

/// From the start of `realm push` to its end.
fn push(cluster: &Cluster, component: &[u8]) -> Result<Duration, Failure> {
    let file = cluster.folder.join("bench.wasm");
    fs::write(&file, component).map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
    let name = file.to_string_lossy();
    let started = Instant::now();
    cluster.expect(&["push", "--name", "bench", "--file", &*name, "--tag", "dev"], 0, Echo::Quiet)?;
    let took = started.elapsed();
    everywhere(cluster, &sha256(component))?;
    Ok(took)
}

/// A push that ended with 0 has to be found on every node: otherwise its time says nothing.
fn everywhere(cluster: &Cluster, digest: &str) -> Result<(), Failure> {
    let agents = cluster.agents.len();
    let done = format!("\"digest\":\"sha256:{digest}\"");
    let on_all = |status: &str| {
        status.matches(&done).count() == agents && status.matches("\"last_outcome\":\"completed\"").count() == agents
    };
    cluster.await_status(&format!("the push completed on {agents} nodes"), on_all).map(drop)
}

/// What an agent has to do before it may acknowledge an intent: write, fsync, rename, fsync the folder.
fn replace_durably(folder: &Path) -> Result<Duration, Failure> {
    let failed = |error: std::io::Error| format!("cannot replace a file durably: {error}");
    let (part, whole) = (folder.join("durable.part"), folder.join("durable"));
    let started = Instant::now();
    fs::write(&part, [0; 512]).map_err(failed)?;
    fs::File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&part, &whole).map_err(failed)?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(started.elapsed())
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("\n{:32} {:>9} {:>9} {:>9}   target p50\n", "ms", "p50", "min", "max");
    for row in rows {
        let (p50, min, max) = row.samples.summary_ms();
        let target = row.target_ms.map_or(String::new(), |target| format!("{target:.0}, {}", verdict(p50 <= target)));
        text.push_str(&format!("{:32} {p50:>9.1} {min:>9.1} {max:>9.1}   {target}\n", row.name));
    }
    text
}

fn json(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let (p50, min, max) = row.samples.summary_ms();
        let head = format!("{{\"name\":\"{}\",\"p50_ms\":{p50:.2},\"min_ms\":{min:.2},\"max_ms\":{max:.2}", row.name);
        format!("{head},\"runs\":{}}}", row.samples.count())
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("\"times\":[{}]", rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_said() {
        let mut samples = Samples::default();
        samples.add(Duration::from_millis(300));
        let slow = Row { name: "slow".into(), samples: samples.clone(), target_ms: Some(250.0) };
        let fine = Row { name: "fine".into(), samples, target_ms: Some(301.0) };
        assert!(table(&[slow]).contains("MISSED"));
        assert!(table(&[fine]).contains("met"));
    }
}
