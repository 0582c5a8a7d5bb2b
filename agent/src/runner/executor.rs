//! The guests' executor: a queue and a few threads, for guests only. It is our own because a guest that is computing
//! must know whether another one waits, and the usual executors do not tell the length of their queue.

use super::lock;
use super::pace::Pace;
use async_task::{Runnable, Task};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// The most threads. Guests beyond that many share them; a board has four cores, and each thread costs the stack it
/// has touched.
const MAX_THREADS: usize = 4;

/// Runs tasks until it is dropped. Dropping it does not wait: each thread ends after the poll it is in, and the tasks
/// that waited are dropped.
pub(super) struct Executor {
    queue: Queue,
}

/// Where tasks wait for a thread; each is in it at most once, so that it is as long as there are tasks.
#[derive(Clone)]
pub(super) struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    ready: Condvar,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<(Runnable, Arc<Pace>)>,
    closed: bool,
}

impl Executor {
    /// Starts as many threads as there are cores, at most [`MAX_THREADS`].
    pub(super) fn start() -> io::Result<Executor> {
        let shared = Shared { state: Mutex::default(), ready: Condvar::new(), waiting: AtomicUsize::new(0) };
        let executor = Executor { queue: Queue { shared: Arc::new(shared) } };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for at in 0..cores.min(MAX_THREADS) {
            let queue = executor.queue.clone();
            thread::Builder::new().name(format!("guests-{at}")).spawn(move || queue.work())?;
        }
        Ok(executor)
    }

    /// Takes a task in. Dropping what is returned ends it.
    pub(super) fn spawn(&self, pace: Arc<Pace>, future: impl Future<Output = ()> + Send + 'static) -> Task<()> {
        self.queue.spawn(pace, future)
    }

    /// The queue, to ask for its length.
    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let mut state = lock(&self.queue.shared.state);
        state.closed = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        self.queue.shared.ready.notify_all();
        // Outside the lock: what a task holds may wake another one, which comes back to the queue.
        drop(tasks);
    }
}

impl Queue {
    /// Whether a task waits for a thread.
    pub(super) fn someone_waits(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) > 0
    }

    fn spawn(&self, pace: Arc<Pace>, future: impl Future<Output = ()> + Send + 'static) -> Task<()> {
        let queue = self.clone();
        let (runnable, task) = async_task::spawn(future, move |runnable| queue.push(runnable, pace.clone()));
        runnable.schedule();
        task
    }

    fn push(&self, runnable: Runnable, pace: Arc<Pace>) {
        let mut state = lock(&self.shared.state);
        if state.closed {
            drop(state);
            return drop(runnable);
        }
        state.tasks.push_back((runnable, pace));
        self.shared.waiting.store(state.tasks.len(), Ordering::Relaxed);
        drop(state);
        self.shared.ready.notify_one();
    }

    fn work(&self) {
        while let Some(runnable) = self.next() {
            runnable.run();
        }
    }

    fn next(&self) -> Option<Runnable> {
        let mut state = lock(&self.shared.state);
        loop {
            if state.closed {
                return None;
            }
            // A run that only has to end goes first: its deadline does not wait for a round of those that compute, and it is
            // in nobody's way again.
            let due = state.tasks.iter().position(|(_, pace)| pace.is_due());
            if let Some((runnable, _)) = state.tasks.remove(due.unwrap_or(0)) {
                self.shared.waiting.store(state.tasks.len(), Ordering::Relaxed);
                return Some(runnable);
            }
            state = self.shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn pace() -> Arc<Pace> {
        Arc::new(Pace::new(100))
    }

    #[test]
    fn a_run_that_is_due_does_not_wait_for_its_turn() {
        let shared = Shared { state: Mutex::default(), ready: Condvar::new(), waiting: AtomicUsize::new(0) };
        let queue = Queue { shared: Arc::new(shared) };
        let (ran, order) = mpsc::channel();
        let paces: Vec<_> = (0..4).map(|_| pace()).collect();
        let run = |at: usize| {
            let ran = ran.clone();
            queue.spawn(paces[at].clone(), async move { ran.send(at).unwrap() })
        };
        let _tasks: Vec<_> = (0..4).map(run).collect();
        paces[2].set_deadline(Some(0));
        paces[3].stop();
        for _ in 0..4 {
            queue.next().unwrap().run();
        }
        assert_eq!(order.try_iter().collect::<Vec<_>>(), [2, 3, 0, 1]);
    }

    #[test]
    fn the_queue_tells_that_someone_waits() {
        let executor = Executor::start().unwrap();
        let (entered, inside) = mpsc::channel();
        let (release, released) = smol::channel::bounded::<()>(1);
        let blockers = MAX_THREADS + 1;
        let tasks: Vec<_> = (0..blockers)
            .map(|_| {
                let (entered, released) = (entered.clone(), released.clone());
                executor.spawn(pace(), async move {
                    entered.send(()).unwrap();
                    // Blocks the thread, as a guest does that computes.
                    released.recv_blocking().unwrap_err();
                })
            })
            .collect();
        inside.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(executor.queue().someone_waits());
        drop(release);
        for task in tasks {
            smol::block_on(task);
        }
        assert!(!executor.queue().someone_waits());
    }

    #[test]
    fn dropping_the_executor_drops_what_it_holds() {
        let (kept, dropped) = smol::channel::bounded::<()>(1);
        let executor = Executor::start().unwrap();
        let (started, running) = smol::channel::bounded::<()>(1);
        let task = executor.spawn(pace(), async move {
            started.send(()).await.unwrap();
            let _kept = kept;
            std::future::pending::<()>().await;
        });
        running.recv_blocking().unwrap();
        drop(executor);
        drop(task);
        dropped.recv_blocking().unwrap_err();
    }
}
