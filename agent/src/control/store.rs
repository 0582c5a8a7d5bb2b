//! What a node must not forget, on disk: key, trust, accepted intents, how runs ended, who is known. One thread
//! writes: intents in the order in which they come, each durably before its answer, and records whenever it can.

mod load;
mod paths;

pub use load::{Loaded, StoreError, load, set_aside};
pub use paths::{StorePaths, endpoint_file};

use crate::control::disk::{MemberFile, RunRecord};
use shared::files::{self, TrustFile, replace};
use shared::{ComponentName, IntentKey, OwnerId};
use smol::channel::Sender;
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Orders that may wait for the disk. A full queue is answered at once: the intent counts as not stored.
const MAX_ORDERS: usize = 512;

/// What the disk has refused is tried again after this time, and with each further order.
const RETRY: Duration = Duration::from_secs(10);

/// What the thread is told.
enum StoreOrder {
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
    /// Something is owed to the disk.
    Owed,
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
    owed: Arc<Mutex<Owed>>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(paths: StorePaths, events: Sender<StoreEvent>) -> io::Result<Store> {
        let (orders, queue) = sync_channel(MAX_ORDERS);
        let owed = Arc::<Mutex<Owed>>::default();
        let to_write = Arc::clone(&owed);
        let thread =
            thread::Builder::new().name("store".into()).spawn(move || write(&paths, &queue, &to_write, &events))?;
        Ok(Store { orders: Some(orders), owed, thread: Some(thread) })
    }

    /// Writes an intent, and answers with the ticket. With `claim`, the owner is bound first.
    ///
    /// # Errors
    /// When the queue is full, or the thread is gone.
    pub fn persist(&self, ticket: u64, key: IntentKey, bytes: Arc<[u8]>, claim: Option<OwnerId>) -> Result<(), Busy> {
        self.order(StoreOrder::Persist { ticket, key, bytes, claim })
    }

    /// Writes how the runs of a component ended; none: removes that. There is always room for it.
    pub fn save_run(&self, name: ComponentName, run: Option<RunRecord>) {
        lock(&self.owed).runs.insert(name, run);
        // When there is no room for this order, another one comes first, and what is owed is written after each.
        let _ = self.order(StoreOrder::Owed);
    }

    /// Writes who is known. There is always room for it.
    pub fn save_members(&self, members: MemberFile) {
        lock(&self.owed).members = Some(members);
        let _ = self.order(StoreOrder::Owed);
    }

    fn order(&self, order: StoreOrder) -> Result<(), Busy> {
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

/// What is to be written and has no answer, apart from the queue, so that it is never refused for want of room. What the disk
/// refuses stays here until it has some: without the record of its end, a component that has completed would be run again
/// after a restart.
#[derive(Default)]
struct Owed {
    /// The newest of each component, `None` to remove it: as many as there are entries in the state map at the most.
    runs: BTreeMap<ComponentName, Option<RunRecord>>,
    members: Option<MemberFile>,
}

/// Nobody panics while it is held. It is never held while the disk is waited for: the daemon's loop takes it too.
fn lock(owed: &Mutex<Owed>) -> MutexGuard<'_, Owed> {
    owed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owed {
    fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.members.is_none()
    }
}

/// Writes as much of what is owed as the disk takes.
fn write_owed(paths: &StorePaths, owed: &Mutex<Owed>) -> Result<(), (&'static str, io::Error)> {
    loop {
        let Some((name, run)) = lock(owed).runs.first_key_value().map(|(name, run)| (name.clone(), run.clone())) else {
            break;
        };
        let path = paths.run(&name);
        match &run {
            Some(run) => write_cbor(&path, run).map_err(|error| ("how a component ended", error))?,
            None => remove(&path).map_err(|error| ("that a component was removed", error))?,
        }
        let mut owed = lock(owed);
        if owed.runs.get(&name) == Some(&run) {
            // Nothing newer has come meanwhile.
            owed.runs.remove(&name);
        }
    }
    let Some(members) = lock(owed).members.take() else { return Ok(()) };
    write_cbor(&paths.peers(), &members).map_err(|error| {
        lock(owed).members.get_or_insert(members);
        ("who is known", error)
    })
}

fn write(paths: &StorePaths, queue: &Receiver<StoreOrder>, owed: &Mutex<Owed>, events: &Sender<StoreEvent>) {
    // The last attempt was refused, which is told once: a full disk stays so for a while.
    let mut refused = false;
    loop {
        let is_empty = lock(owed).is_empty();
        let order = match is_empty {
            true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => queue.recv_timeout(RETRY),
        };
        let ended = matches!(order, Err(RecvTimeoutError::Disconnected));
        let answer = match order {
            Ok(StoreOrder::Persist { ticket, key, bytes, claim }) => {
                let result = persist(paths, &key, &bytes, claim);
                Some(StoreEvent::Persisted { ticket, result })
            }
            Ok(StoreOrder::Owed) | Err(_) => None,
        };
        let failed = write_owed(paths, owed).err();
        let told = std::mem::replace(&mut refused, failed.is_some());
        let failed = failed.filter(|_| !told).map(|(what, error)| StoreEvent::Failed {
            reason: format!("could not write {what}: {}; it is tried again", files::fault(&error)),
        });
        // After the loop has ended nobody wants the answer, but the rest is still written.
        for event in answer.into_iter().chain(failed) {
            let _ = events.send_blocking(event);
        }
        if ended {
            return;
        }
    }
}

/// Not synchronised: a record that comes back belongs to an intent that is not held any more, and means nothing.
fn remove(path: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The owner is bound before the intent: a crash between the two leaves a node that obeys its owner and lacks one
/// intent, never one that holds an intent and obeys anybody. A claim whose intent was refused by the disk is undone, for
/// the node tells so; one that is there stays.
fn persist(paths: &StorePaths, key: &IntentKey, bytes: &[u8], claim: Option<OwnerId>) -> Result<(), String> {
    let trust = paths.trust();
    let mut binds = false;
    if let Some(owner) = claim {
        let text = TrustFile { owner }.to_text();
        match std::fs::read(&trust) {
            Ok(there) if there == text.as_bytes() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                replace(&trust, text.as_bytes(), 0o600).map_err(|error| files::fault(&error))?;
                binds = true;
            }
            // An operator has configured it while the agent runs. Who that is counts once it is started again.
            Ok(_) => return Err(format!("`{}` names another owner; the agent has to be restarted", trust.display())),
            Err(error) => return Err(files::fault(&error)),
        }
    }
    replace(&paths.intent(key), bytes, 0o600).map_err(|error| {
        if binds {
            // If it stays, it binds the node to who was first, when it is started again.
            let _ = files::remove(&trust);
        }
        files::fault(&error)
    })
}

/// The largest of these files; ten thousand members with their reports stay below it.
const MAX_CBOR_FILE: usize = 64 * 1024 * 1024;

fn write_cbor<T: serde::Serialize>(path: &std::path::Path, value: &T) -> io::Result<()> {
    let bytes = shared::frame::to_bytes(value, MAX_CBOR_FILE).map_err(io::Error::other)?;
    replace(path, &bytes, 0o600)
}
