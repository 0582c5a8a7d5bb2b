//! When each agent has an artifact: looked for in the file where it is kept, which gets its name once everything is checked
//! and durable. A status would be asked of the very processes that are being measured.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::cluster::Cluster;
use crate::command::Echo;
use crate::payload::Payload;

/// Pause between two looks: a fraction of what is measured, and a few system calls.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Longer than any transfer that is measured here.
const STORED_WITHIN: Duration = Duration::from_secs(300);

/// Of one push, from the start of `realm push` on.
#[derive(Clone, Copy, Default)]
pub(super) struct Times {
    /// The first agent knows which chunks there are, and makes the file for them: from here on, chunks travel.
    pub(super) begun: Duration,
    /// The last agent has everything, verified and durable.
    pub(super) stored: Duration,
}

impl Times {
    /// The transfer without what comes before: starting a program, pinning a file, finding nodes, handing over an intent.
    pub(super) fn transfer(&self) -> Duration {
        self.stored.saturating_sub(self.begun)
    }
}

/// Pushes with these words added, and looks meanwhile. The push has to end well.
pub(super) fn push(cluster: &Cluster, payload: &Payload, words: &[&str]) -> Result<Times, Failure> {
    let file = payload.file.to_string_lossy();
    let words = [&["push", "--name", "bench", "--file", &*file, "--tag", "dev", "--no-start"], words].concat();
    let files = cluster.agents.iter().map(|agent| agent.artifact(&payload.digest)).collect();
    let failed = AtomicBool::new(false);
    let started = Instant::now();
    thread::scope(|scope| {
        let looking = scope.spawn(|| look(files, started, &failed));
        let pushed = cluster.expect(&words, 0, Echo::Quiet);
        failed.store(pushed.is_err(), Ordering::Relaxed);
        let times = looking.join().map_err(|_| "the looking thread panicked".to_owned())?;
        pushed?;
        times.ok_or_else(|| format!("not on every agent within {} s", STORED_WITHIN.as_secs()))
    })
}

/// `None` when it does not come.
fn look(mut missing: Vec<PathBuf>, started: Instant, failed: &AtomicBool) -> Option<Times> {
    let parts: Vec<PathBuf> = missing.iter().map(|file| file.with_extension("part")).collect();
    let mut times = Times::default();
    while !missing.is_empty() {
        if failed.load(Ordering::Relaxed) || started.elapsed() > STORED_WITHIN {
            return None;
        }
        if times.begun.is_zero() && parts.iter().any(|part| part.exists()) {
            times.begun = started.elapsed();
        }
        missing.retain(|file| !file.exists());
        times.stored = started.elapsed();
        thread::sleep(LOOK_EVERY);
    }
    Some(times)
}
