//! Ownership: the swarm task and the tasks of its connections, which end when this is dropped.

use super::limits::SHUTDOWN_TIMEOUT;
use async_compat::Compat;
use futures::future;
use smol::channel::Sender;
use smol::{Executor, Task, Timer};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The running mesh. Dropping it ends everything at once; [`MeshTask::shutdown`] says goodbye first.
#[must_use = "the mesh ends when this is dropped"]
#[derive(Debug)]
pub struct MeshTask {
    // Dropped in this order: the swarm lets go of its connections before their tasks are cancelled.
    task: Task<()>,
    stop: Sender<()>,
    connections: Connections,
}

impl MeshTask {
    pub(super) fn new(task: Task<()>, stop: Sender<()>, connections: Connections) -> MeshTask {
        MeshTask { task, stop, connections }
    }

    /// Closes every connection, so that peers know at once that we are gone. Takes at most 1 s.
    pub async fn shutdown(self) {
        let MeshTask { task, stop, connections } = self;
        stop.close();
        future::select(task, Timer::after(SHUTDOWN_TIMEOUT)).await;
        drop(connections);
    }
}

/// The tasks that libp2p spawns, one per connection or handshake, hence bounded by their numbers.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    /// Weak, because the executor owns the swarm task, which owns this.
    executor: Weak<Executor<'static>>,
    tasks: Arc<Mutex<Vec<Task<()>>>>,
}

impl Connections {
    pub(super) fn new(executor: &Arc<Executor<'static>>) -> Connections {
        Connections { executor: Arc::downgrade(executor), tasks: Arc::default() }
    }

    pub(super) fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let Some(executor) = self.executor.upgrade() else { return };
        let task = executor.spawn(Compat::new(future));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}
