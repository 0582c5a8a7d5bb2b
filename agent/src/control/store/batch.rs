//! Intents that come together are made durable together: each alone costs two syncs, all of them at once two as well. A
//! node that comes back after a month pulls hundreds, and an SD card takes tens of milliseconds for each sync.

use super::StoreOrder;
use super::paths::StorePaths;
use shared::IntentKey;
use shared::files::{self, Staged};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// So many are written at once at the most: whoever waits for the first waits for all.
const MAX_BATCH: usize = 64;

/// An intent to be written.
pub(super) struct Write {
    pub(super) ticket: u64,
    pub(super) key: IntentKey,
    pub(super) bytes: Arc<[u8]>,
}

/// The queue of orders, from which several can be taken at once.
pub(super) struct Queue {
    orders: Receiver<StoreOrder>,
    /// Taken from the queue, and not to be written with the others.
    next: Option<StoreOrder>,
}

impl Queue {
    pub(super) fn new(orders: Receiver<StoreOrder>) -> Queue {
        Queue { orders, next: None }
    }

    /// The next order; an error when there is none, which says whether there never will be. `wait` for ever, so long, or not at
    /// all.
    pub(super) fn take(&mut self, wait: Wait) -> Result<StoreOrder, bool> {
        if let Some(next) = self.next.take() {
            return Ok(next);
        }
        match wait {
            Wait::No => self.orders.try_recv().map_err(|error| error == TryRecvError::Disconnected),
            Wait::Forever => self.orders.recv().map_err(|_| true),
            Wait::For(time) => self.orders.recv_timeout(time).map_err(|error| error == RecvTimeoutError::Disconnected),
        }
    }

    /// Those that can be written together with the first one: under other keys, and without a claim.
    pub(super) fn batch(&mut self, first: Write) -> Vec<Write> {
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH {
            match self.orders.try_recv() {
                Ok(StoreOrder::Persist { ticket, key, bytes, claim: None })
                    if batch.iter().all(|other| other.key != key) =>
                {
                    batch.push(Write { ticket, key, bytes });
                }
                Ok(other) => {
                    self.next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        batch
    }
}

/// How long to wait for an order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    No,
    For(Duration),
    Forever,
}

/// Writes all of them, and gives what came of each. Counts the syncs.
pub(super) fn write_all(paths: &StorePaths, batch: &[Write], syncs: &AtomicU64) -> Vec<Result<(), String>> {
    let staged = batch.iter().map(|write| files::stage(&paths.intent(&write.key), &write.bytes, 0o600));
    let staged: Vec<io::Result<Staged>> = staged.collect();
    let dir = paths.intents();
    let synced = sync_all(&dir, &staged, syncs);
    let renamed: Vec<io::Result<()>> = staged
        .into_iter()
        .map(|staged| match &synced {
            Ok(()) => staged.and_then(Staged::rename),
            Err(error) => staged.and(Err(io::Error::new(error.kind(), error.to_string()))),
        })
        .collect();
    syncs.fetch_add(1, Ordering::Relaxed);
    let named = files::sync_dir(&dir);
    let outcome = |renamed: io::Result<()>| match (renamed, &named) {
        (Err(error), _) => Err(files::fault(&error)),
        (Ok(()), Err(error)) => Err(files::fault(error)),
        (Ok(()), Ok(())) => Ok(()),
    };
    renamed.into_iter().map(outcome).collect()
}

/// One sync for one file; for several, one of the file system.
fn sync_all(dir: &std::path::Path, staged: &[io::Result<Staged>], syncs: &AtomicU64) -> io::Result<()> {
    let mut there = staged.iter().flatten();
    match (there.next(), there.next()) {
        (None, _) => Ok(()),
        (Some(only), None) => {
            syncs.fetch_add(1, Ordering::Relaxed);
            only.sync()
        }
        #[cfg(target_os = "linux")]
        _ => {
            syncs.fetch_add(1, Ordering::Relaxed);
            rustix::fs::syncfs(File::open(dir)?).map_err(io::Error::from)
        }
        #[cfg(not(target_os = "linux"))]
        _ => staged.iter().flatten().try_for_each(|staged| {
            syncs.fetch_add(1, Ordering::Relaxed);
            staged.sync()
        }),
    }
}
