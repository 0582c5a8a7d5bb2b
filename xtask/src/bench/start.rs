//! How long an agent takes to be ready, and until it runs again what it ran before: its components compiled and at hand.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::samples::Samples;
use super::{Figures, verdict};
use crate::Failure;
use crate::cluster::{Agent, Cluster};
use crate::command::{self, Echo};
use crate::payload;
use crate::workspace::Programs;

/// Starts with each number of components.
const RUNS: usize = 9;
/// So many components are there, and what is promised until the last one runs, in milliseconds.
const COMPONENTS: [(usize, Option<f64>); 3] = [(1, Some(150.0)), (50, None), (500, Some(1_000.0))];
const READY_TARGET_MS: f64 = 100.0;
/// Pause between two looks at an agent, which cost it a fraction of this.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const RUNNING_WITHIN: Duration = Duration::from_secs(60);

struct Row {
    name: String,
    samples: Samples,
    target_ms: Option<f64>,
}

/// Starts one agent again and again, with more and more to do.
pub(super) fn measure(programs: &Programs) -> Result<Figures, Failure> {
    let mut cluster = Cluster::new(programs.clone())?;
    let owner = cluster.init(Echo::Quiet)?;
    cluster.add(&owner, Echo::Quiet)?;
    cluster.formed()?;
    println!("{RUNS} starts of an agent with each number of components");
    let mut rows = vec![Row { name: "baseline: `--version`".into(), samples: versions(programs)?, target_ms: None }];
    let (ready, _) = starts(&mut cluster, &owner, 0)?;
    rows.push(Row { name: "start to ready".into(), samples: ready, target_ms: Some(READY_TARGET_MS) });
    let mut there = 0;
    for (count, target_ms) in COMPONENTS {
        for number in there..count {
            push(&cluster, number)?;
        }
        there = count;
        await_running(cluster.agents.first().ok_or("no agent")?, count)?;
        let (_, running) = starts(&mut cluster, &owner, count)?;
        let plural = if count == 1 { "component runs" } else { "components run" };
        rows.push(Row { name: format!("start until {count} {plural}"), samples: running, target_ms });
    }
    cluster.stop()?;
    Ok(Figures { text: table(&rows), json: json(&rows) })
}

fn versions(programs: &Programs) -> Result<Samples, Failure> {
    let mut samples = Samples::default();
    for _ in 0..RUNS {
        let started = Instant::now();
        command::output(Command::new(&programs.agent).arg("--version"))?;
        samples.add(started.elapsed());
    }
    Ok(samples)
}

/// Compiled once, by the digest: the components differ in their names. Nobody waits until the operator calls each of them healthy.
fn push(cluster: &Cluster, number: usize) -> Result<(), Failure> {
    let file = payload::guest("sleep")?;
    let (name, file) = (format!("sleeper-{number}"), file.to_string_lossy());
    let words = ["push", "--name", &name, "--file", &file, "--tag", "dev", "--memory-max-mb", "8", "--detach"];
    cluster.expect(&words, 0, Echo::Quiet).map(drop)
}

/// Until ready, and until so many components run; both from the start of the program on.
fn starts(cluster: &mut Cluster, owner: &str, running: usize) -> Result<(Samples, Samples), Failure> {
    let (mut until_ready, mut until_running) = (Samples::default(), Samples::default());
    for _ in 0..RUNS {
        cluster.stop_last()?;
        let started = Instant::now();
        cluster.add(owner, Echo::Quiet)?;
        until_ready.add(started.elapsed());
        await_running(cluster.agents.first().ok_or("no agent")?, running)?;
        until_running.add(started.elapsed());
    }
    Ok((until_ready, until_running))
}

fn await_running(agent: &Agent, count: usize) -> Result<(), Failure> {
    let started = Instant::now();
    while running(&agent.get("/metrics")?) < count {
        if started.elapsed() > RUNNING_WITHIN {
            return Err(format!("not {count} components run within {} s", RUNNING_WITHIN.as_secs()));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Components that run, by the metrics.
fn running(metrics: &str) -> usize {
    let line = metrics.lines().find_map(|line| line.strip_prefix("realm_components{phase=\"running\"} "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("\n{:32} {:>9} {:>9} {:>9}   target p50\n", "ms", "p50", "min", "max");
    for Row { name, samples, target_ms } in rows {
        let (p50, min, max) = samples.summary_ms();
        let target = target_ms.map_or(String::new(), |target| format!("{target:.0}, {}", verdict(p50 <= target)));
        text.push_str(&format!("{name:32} {p50:>9.1} {min:>9.1} {max:>9.1}   {target}\n"));
    }
    text
}

fn json(rows: &[Row]) -> String {
    let row = |Row { name, samples, .. }: &Row| {
        let (p50, min, max) = samples.summary_ms();
        format!("{{\"name\":\"{name}\",\"p50_ms\":{p50:.2},\"min_ms\":{min:.2},\"max_ms\":{max:.2}}}")
    };
    format!("\"starts\":[{}]", rows.iter().map(row).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_components_are_counted_by_the_metrics() {
        let metrics = "# HELP x\nrealm_components{phase=\"failed\"} 3\nrealm_components{phase=\"running\"} 42\n";
        assert_eq!((running(metrics), running("")), (42, 0));
    }

    #[test]
    fn a_missed_target_is_said() {
        let row = |ms| {
            let mut samples = Samples::default();
            samples.add(Duration::from_millis(ms));
            Row { name: "start to ready".into(), samples, target_ms: Some(100.0) }
        };
        assert!(table(&[row(99)]).contains("met") && table(&[row(101)]).contains("MISSED"));
    }
}
