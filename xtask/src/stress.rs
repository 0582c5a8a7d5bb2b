//! Keeps every core busy with something else, as on a machine that does more than run our tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::Failure;

/// Threads that compute nothing, one for each core, until this is dropped.
pub(crate) struct Stress {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Stress {
    /// Begins.
    pub(crate) fn start() -> Result<Stress, Failure> {
        let cores = thread::available_parallelism().map_err(|error| format!("how many cores are there? {error}"))?;
        let mut stress = Stress { ended: Arc::default(), threads: Vec::new() };
        for _ in 0..cores.get() {
            let ended = Arc::clone(&stress.ended);
            stress.threads.push(thread::spawn(move || while !ended.load(Ordering::Relaxed) {}));
        }
        Ok(stress)
    }
}

impl Drop for Stress {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic, and there is nothing left to do if it did.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_core_is_kept_busy_until_the_end() {
        let stress = Stress::start().unwrap();
        let cores = thread::available_parallelism().unwrap().get();
        let ended = Arc::clone(&stress.ended);
        assert!(stress.threads.len() == cores && stress.threads.iter().all(|thread| !thread.is_finished()));
        drop(stress);
        assert_eq!(Arc::strong_count(&ended), 1, "all threads are gone");
    }
}
