//! What a node must not forget, on disk: key, trust, accepted intents, how runs ended, who is known. One thread
//! writes, in the order of the orders, each file replaced whole and durably before the answer.

mod files;
mod load;

pub use files::{StorePaths, endpoint_file};
pub use load::{Loaded, StoreError, load, set_aside};

use crate::control::disk::{MemberFile, RunRecord};
use shared::files::{TrustFile, replace};
use shared::{ComponentName, IntentKey, OwnerId};
use smol::channel::Sender;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Orders that may wait for the disk. A full queue is answered at once: the intent counts as not stored.
const MAX_ORDERS: usize = 512;

/// Something to write.
pub enum StoreOrder {
    /// An intent; answered. With `claim`, the owner is bound first.
    Persist {
        /// Comes back in the answer.
        ticket: u64,
        /// The entry of the state map.
        key: IntentKey,
        /// The sealed bytes.
        bytes: Arc<[u8]>,
        /// The owner that this intent binds.
        claim: Option<OwnerId>,
    },
    /// How the runs of a component ended.
    SaveRun {
        /// Which component.
        name: ComponentName,
        /// How.
        run: RunRecord,
    },
    /// Remove how the runs of a component ended.
    ForgetRun(ComponentName),
    /// Who is known.
    SaveMembers(MemberFile),
}

/// What came of an order.
pub enum StoreEvent {
    /// A `Persist` has ended.
    Persisted {
        /// Its ticket.
        ticket: u64,
        /// On the disk, or why not.
        result: Result<(), String>,
    },
    /// Something of less weight could not be written.
    Failed {
        /// What, and why.
        reason: String,
    },
}

/// The queue is full.
#[derive(Debug)]
pub struct Busy;

/// The writing thread. Dropping it writes what is queued and waits for that.
pub struct Store {
    orders: Option<SyncSender<StoreOrder>>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(paths: StorePaths, events: Sender<StoreEvent>) -> io::Result<Store> {
        let (orders, queue) = sync_channel(MAX_ORDERS);
        let thread = thread::Builder::new().name("store".into()).spawn(move || write(&paths, &queue, &events))?;
        Ok(Store { orders: Some(orders), thread: Some(thread) })
    }

    /// Queues an order.
    ///
    /// # Errors
    /// When the queue is full, or the thread is gone.
    pub fn order(&self, order: StoreOrder) -> Result<(), Busy> {
        match self.orders.as_ref().map(|orders| orders.try_send(order)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => Err(Busy),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing the queue first ends the thread once it is empty.
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(paths: &StorePaths, queue: &Receiver<StoreOrder>, events: &Sender<StoreEvent>) {
    for order in queue {
        let event = match order {
            StoreOrder::Persist { ticket, key, bytes, claim } => {
                let result = persist(paths, &key, &bytes, claim).map_err(|error| error.to_string());
                Some(StoreEvent::Persisted { ticket, result })
            }
            StoreOrder::SaveRun { name, run } => failed("how a component ended", write_cbor(&paths.run(&name), &run)),
            StoreOrder::ForgetRun(name) => failed("that a component was removed", remove(&paths.run(&name))),
            StoreOrder::SaveMembers(members) => failed("who is known", write_cbor(&paths.peers(), &members)),
        };
        // After the loop has ended nobody wants the answer, but the rest is still written.
        if let Some(event) = event {
            let _ = events.send_blocking(event);
        }
    }
}

fn failed(what: &str, result: io::Result<()>) -> Option<StoreEvent> {
    result.err().map(|error| StoreEvent::Failed { reason: format!("could not write {what}: {error}") })
}

/// Not synchronised: a record that comes back belongs to an intent that is not held any more, and means nothing.
fn remove(path: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The owner is bound before the intent: a crash between the two leaves a node that obeys its owner and lacks one
/// intent, never one that holds an intent and obeys anybody.
fn persist(paths: &StorePaths, key: &IntentKey, bytes: &[u8], claim: Option<OwnerId>) -> io::Result<()> {
    if let Some(owner) = claim {
        replace(&paths.trust(), TrustFile { owner }.to_text().as_bytes(), 0o600)?;
    }
    replace(&paths.intent(key), bytes, 0o600)
}

/// The largest of these files; ten thousand members with their reports stay below it.
const MAX_CBOR_FILE: usize = 64 * 1024 * 1024;

fn write_cbor<T: serde::Serialize>(path: &std::path::Path, value: &T) -> io::Result<()> {
    let bytes = shared::frame::to_bytes(value, MAX_CBOR_FILE).map_err(io::Error::other)?;
    replace(path, &bytes, 0o600)
}
