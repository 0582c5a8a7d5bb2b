//! A large component to three agents on this machine, beside plain TCP to as many receivers in the same run.
//! Once with everything in memory, where the code is what bounds it, and once on the disk, which has to keep every copy.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::samples::Samples;
use super::stored::{self, Times};
use super::{AGENTS, Figures, raw, verdict};
use crate::Failure;
use crate::cluster::Cluster;
use crate::payload;
use crate::workspace::Programs;

/// The size that is spoken of: as large as a component in an interpreted language gets.
const SIZE: u64 = 50_000_000;
/// An odd number, so that one run is the median; each takes about a second.
const RUNS: u64 = 5;
/// The part of the plain rate that a transfer should reach.
const TARGET: f64 = 0.40;
/// Files in memory, on Linux.
const IN_MEMORY: &str = "/dev/shm";

/// Times in one folder.
struct Runs {
    place: &'static str,
    plain: Samples,
    pushed: Samples,
    transferred: Samples,
    durable: Samples,
}

/// Measures in memory and on the disk.
pub(super) fn measure(programs: &Programs) -> Result<Figures, Failure> {
    println!("{RUNS} pushes of {} MB to {AGENTS} agents on loopback, in memory and on the disk", SIZE / 1_000_000);
    let mut all = Vec::new();
    let in_memory = PathBuf::from(IN_MEMORY);
    if in_memory.is_dir() {
        all.push(runs(programs, "in memory", &in_memory)?);
    }
    all.push(runs(programs, "on the disk", &env::temp_dir())?);
    let text = all.iter().map(table).collect();
    let json = all.iter().map(json).collect::<Vec<_>>().join(",");
    Ok(Figures { text, json: format!("\"transfer\":[{json}]") })
}

fn runs(programs: &Programs, place: &'static str, parent: &Path) -> Result<Runs, Failure> {
    let cluster = Cluster::formed_of(AGENTS, programs, parent)?;
    let empty = Samples::default;
    let mut runs = Runs { place, plain: empty(), pushed: empty(), transferred: empty(), durable: empty() };
    for seed in 1..=RUNS {
        let payload = payload::write(&cluster.folder, SIZE, seed)?;
        let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", payload.file.display());
        let bytes = fs::read(&payload.file).map_err(failed)?;
        runs.plain.add(raw::tcp(&bytes, AGENTS)?);
        runs.durable.add(durable(&cluster.folder, &bytes)?);
        drop(bytes);
        let times: Times = stored::push(&cluster, &payload, &[])?;
        runs.pushed.add(times.stored);
        runs.transferred.add(times.transfer());
        fs::remove_file(&payload.file).map_err(failed)?;
    }
    cluster.stop()?;
    Ok(runs)
}

/// What the disk needs for the copies of all agents, one after the other.
fn durable(folder: &Path, bytes: &[u8]) -> Result<Duration, Failure> {
    let file = folder.join("copy");
    let failed = |error: std::io::Error| format!("cannot write `{}`: {error}", file.display());
    let started = Instant::now();
    for _ in 0..AGENTS {
        let mut copy = File::create(&file).map_err(failed)?;
        copy.write_all(bytes).and_then(|()| copy.sync_all()).map_err(failed)?;
    }
    let took = started.elapsed();
    fs::remove_file(&file).map_err(failed)?;
    Ok(took)
}

/// Megabytes per second for each receiver.
fn rate(ms: f64) -> f64 {
    SIZE as f64 / 1e6 / (ms / 1e3)
}

impl Runs {
    fn rows(&self) -> [(&'static str, &Samples); 4] {
        [
            ("baseline: plain TCP, SHA-256", &self.plain),
            ("baseline: write and fsync", &self.durable),
            ("push, from its start", &self.pushed),
            ("push, from the first chunk", &self.transferred),
        ]
    }

    /// A median beside that of plain TCP, as rates.
    fn ratio(&self, samples: &Samples) -> f64 {
        let ((plain, ..), (ours, ..)) = (self.plain.summary_ms(), samples.summary_ms());
        plain / ours.max(f64::MIN_POSITIVE)
    }
}

fn table(runs: &Runs) -> String {
    let title = format!("{} MB to {AGENTS}, {}", SIZE / 1_000_000, runs.place);
    let mut text = format!("\n{title:32} {:>9} {:>9} {:>9} {:>9}\n", "p50 ms", "min", "max", "MB/s each");
    for (name, samples) in runs.rows() {
        let (p50, min, max) = samples.summary_ms();
        text.push_str(&format!("{name:32} {p50:>9.1} {min:>9.1} {max:>9.1} {:>9.0}\n", rate(p50)));
    }
    for (name, samples) in &runs.rows()[2..] {
        let ratio = runs.ratio(samples);
        let (name, met) = (format!("{name}: of plain TCP"), verdict(ratio >= TARGET));
        text.push_str(&format!("{name:42} {ratio:>9.2}   target {TARGET:.2}, {met}\n"));
    }
    text
}

fn json(runs: &Runs) -> String {
    let member = |(name, samples): (&str, &Samples)| {
        let (p50, min, max) = samples.summary_ms();
        let ratio = runs.ratio(samples);
        let times = format!("\"p50_ms\":{p50:.2},\"min_ms\":{min:.2},\"max_ms\":{max:.2}");
        format!("{{\"name\":\"{name}\",{times},\"mb_per_s\":{:.1},\"of_plain_tcp\":{ratio:.3}}}", rate(p50))
    };
    let rows: Vec<String> = runs.rows().into_iter().map(member).collect();
    format!("{{\"place\":\"{}\",\"bytes\":{SIZE},\"agents\":{AGENTS},\"rows\":[{}]}}", runs.place, rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_as_fast_is_half_the_rate() {
        let samples = |ms| {
            let mut samples = Samples::default();
            samples.add(Duration::from_millis(ms));
            samples
        };
        let (plain, durable) = (samples(100), samples(1));
        let runs = Runs { place: "here", plain, durable, pushed: samples(500), transferred: samples(200) };
        assert!((runs.ratio(&runs.transferred) - 0.5).abs() < 1e-9);
        let text = table(&runs);
        assert!(text.contains("MISSED") && text.contains("met") && text.contains("       500\n"), "{text}");
    }
}
