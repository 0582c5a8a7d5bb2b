//! What a node must not forget, on disk: key, trust, accepted intents, how runs ended, who is known. One thread
//! writes: intents in the order in which they come, each durably before its answer, and records whenever it can.

mod batch;
mod load;
mod paths;

pub use load::{Loaded, StoreError, load, set_aside};
pub use paths::{StorePaths, endpoint_file};

use crate::control::disk::{ManifestFile, MemberFile, RunRecord};
use batch::{Queue, Wait, Write, write_all};
use shared::files::{self, TrustFile, replace};
use shared::{ComponentName, IntentId, IntentKey, OwnerId};
use smol::channel::Sender;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Orders that may wait for the disk. A full queue is answered at once: the intent counts as not stored.
const MAX_ORDERS: usize = 512;

/// What the disk has refused is tried again after this time, and with each further order.
const RETRY: Duration = Duration::from_secs(10);

/// A file that is replaced costs two: its bytes and its name.
const SYNCS_OF_A_FILE: u64 = 2;

/// The owner, and the first intent.
const SYNCS_OF_A_CLAIM: u64 = 2 * SYNCS_OF_A_FILE;

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
    /// What comes into force; answered.
    Manifest {
        /// The intent that it is about; comes back in the answer.
        id: IntentId,
        /// What is in force from then on.
        file: Box<ManifestFile>,
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
    /// The write of a manifest has ended.
    ManifestSaved {
        /// The intent that pins it.
        id: IntentId,
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
    syncs: Arc<AtomicU64>,
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
        let syncs = Arc::<AtomicU64>::default();
        let (to_write, counted) = (Arc::clone(&owed), Arc::clone(&syncs));
        let queue = Queue::new(queue);
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || write(&paths, queue, &to_write, &counted, &events))?;
        Ok(Store { orders: Some(orders), owed, syncs, thread: Some(thread) })
    }

    /// Writes an intent, and answers with the ticket. With `claim`, the owner is bound first.
    ///
    /// # Errors
    /// When the queue is full, or the thread is gone.
    pub fn persist(&self, ticket: u64, key: IntentKey, bytes: Arc<[u8]>, claim: Option<OwnerId>) -> Result<(), Busy> {
        self.order(StoreOrder::Persist { ticket, key, bytes, claim })
    }

    /// How often intents and what is in force made the disk sync since start.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Writes the manifest that comes into force in place of the one before it, and answers.
    ///
    /// # Errors
    /// When the queue is full, or the thread is gone.
    pub fn save_manifest(&self, id: IntentId, file: ManifestFile) -> Result<(), Busy> {
        self.order(StoreOrder::Manifest { id, file: Box::new(file) })
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

/// What the disk has refused in this round through what is owed: the rest is not kept back by it.
#[derive(Default)]
struct Refused {
    runs: BTreeSet<ComponentName>,
    members: bool,
}

impl Refused {
    fn is_empty(&self) -> bool {
        self.runs.is_empty() && !self.members
    }
}

/// Writes one thing of what is owed and was not refused; `None` when there is no such thing.
fn write_next(
    paths: &StorePaths,
    owed: &Mutex<Owed>,
    refused: &mut Refused,
) -> Option<Result<(), (&'static str, io::Error)>> {
    let next = lock(owed)
        .runs
        .iter()
        .find(|(name, _)| !refused.runs.contains(*name))
        .map(|(name, run)| (name.clone(), run.clone()));
    if let Some((name, run)) = next {
        let path = paths.run(&name);
        let written = match &run {
            Some(run) => write_cbor(&path, run).map_err(|error| ("how a component ended", error)),
            None => remove(&path).map_err(|error| ("that a component was removed", error)),
        };
        let mut owed = lock(owed);
        if written.is_err() {
            refused.runs.insert(name);
        } else if owed.runs.get(&name) == Some(&run) {
            // Nothing newer has come meanwhile.
            owed.runs.remove(&name);
        }
        return Some(written);
    }
    if refused.members {
        return None;
    }
    let members = lock(owed).members.take()?;
    Some(write_cbor(&paths.peers(), &members).map_err(|error| {
        lock(owed).members.get_or_insert(members);
        refused.members = true;
        ("who is known", error)
    }))
}

fn write(paths: &StorePaths, mut queue: Queue, owed: &Mutex<Owed>, syncs: &AtomicU64, events: &Sender<StoreEvent>) {
    let mut refused = Refused::default();
    // A refusal is told once: a full disk stays so for a while.
    let mut is_told = false;
    // Everything owed has been written or refused.
    let mut idle = true;
    loop {
        // An intent is waited for, so that each has its turn before the next thing that has no answer.
        let order = queue.take(match idle {
            false => Wait::No,
            true if refused.is_empty() => Wait::Forever,
            true => Wait::For(RETRY),
        });
        let ended = matches!(order, Err(true));
        match order {
            Ok(StoreOrder::Persist { ticket, key, bytes, claim: Some(owner) }) => {
                syncs.fetch_add(SYNCS_OF_A_CLAIM, Ordering::Relaxed);
                let result = claim(paths, &key, &bytes, owner);
                let _ = events.send_blocking(StoreEvent::Persisted { ticket, result });
            }
            Ok(StoreOrder::Persist { ticket, key, bytes, claim: None }) => {
                let batch = queue.batch(Write { ticket, key, bytes });
                let results = write_all(paths, &batch, syncs);
                for (Write { ticket, .. }, result) in batch.iter().zip(results) {
                    let _ = events.send_blocking(StoreEvent::Persisted { ticket: *ticket, result });
                }
            }
            Ok(StoreOrder::Manifest { id, file }) => {
                syncs.fetch_add(SYNCS_OF_A_FILE, Ordering::Relaxed);
                let result = write_cbor(&paths.manifest(), &*file).map_err(|error| files::fault(&error));
                let _ = events.send_blocking(StoreEvent::ManifestSaved { id, result });
            }
            Ok(StoreOrder::Owed) | Err(_) => {}
        }
        if idle || ended {
            refused = Refused::default();
        }
        if ended {
            // Nobody wants to hear of it any more.
            while write_next(paths, owed, &mut refused).is_some() {}
            return;
        }
        let written = write_next(paths, owed, &mut refused);
        idle = written.is_none();
        match written {
            Some(Err((what, error))) if !is_told => {
                is_told = true;
                let reason = format!("could not write {what}: {}; it is tried again", files::fault(&error));
                let _ = events.send_blocking(StoreEvent::Failed { reason });
            }
            None if refused.is_empty() => is_told = false,
            _ => {}
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
fn claim(paths: &StorePaths, key: &IntentKey, bytes: &[u8], owner: OwnerId) -> Result<(), String> {
    let trust = paths.trust();
    let mut binds = false;
    let wanted = TrustFile { owner };
    match std::fs::read(&trust) {
        Ok(there) if TrustFile::parse(&String::from_utf8_lossy(&there)).as_ref() == Ok(&wanted) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            replace(&trust, wanted.to_text().as_bytes(), 0o600).map_err(|error| files::fault(&error))?;
            binds = true;
        }
        // An operator has configured it while the agent runs. Who that is counts once it is started again. Whoever
        // hears this may be a stranger, who need not know where it is.
        Ok(_) => return Err("its `trust.toml` names another owner; the agent has to be restarted".into()),
        Err(error) => return Err(files::fault(&error)),
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
