//! Tasks of the daemon, owned: when the crew is dropped, all of them end.

use smol::{Executor, Task};
use std::future::Future;
use std::sync::Arc;

/// Tasks at once: streams, which the mesh bounds too, and questions to neighbours. Beyond it a request is dropped,
/// and whoever made it asks again.
const MAX_TASKS: usize = 1024;

pub(super) struct Crew {
    executor: Arc<Executor<'static>>,
    tasks: Vec<Task<()>>,
}

impl Crew {
    pub(super) fn new(executor: Arc<Executor<'static>>) -> Crew {
        Crew { executor, tasks: Vec::new() }
    }

    /// Starts a task; gives whether there was room.
    pub(super) fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        self.tasks.retain(|task| !task.is_finished());
        let room = self.tasks.len() < MAX_TASKS;
        if room {
            self.tasks.push(self.executor.spawn(work));
        }
        room
    }
}
