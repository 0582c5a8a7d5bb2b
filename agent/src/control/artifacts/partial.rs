//! An artifact that is being fetched: shared by the fetch, its sources, and the streams to peers that wait for it too.

use super::slots::{Ask, Offer, Slots};
use super::store::{self, Store};
use shared::{Artifact, ChunkList, NodeId};
use smol::channel::{Receiver, Sender, bounded};
use smol::unblock;
use std::collections::VecDeque;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Chunks on their way into a `.part`.
pub(super) struct Partial {
    pub(super) artifact: Artifact,
    store: Arc<Store>,
    state: Mutex<State>,
    /// Held while a `.part` of an earlier run is looked through.
    adopting: smol::lock::Mutex<()>,
    /// Whether it was given up; held while the `.part` gets its name, so that nothing appears after it was removed.
    given_up: Mutex<bool>,
}

struct State {
    slots: Slots,
    body: Option<Body>,
    /// The fetch has ended, with success or without.
    over: bool,
    /// Dropped at the next change, which wakes those who watch.
    watchers: Vec<Sender<()>>,
}

/// What there is once the list of chunks is known.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) list: Arc<ChunkList>,
    pub(super) file: Arc<File>,
}

/// Why a chunk was not stored.
pub(super) enum NotStored {
    /// It is not the chunk.
    Wrong,
    /// The disk refused it.
    Disk(io::Error),
}

/// Why a fetch that has every chunk did not end well.
pub(super) enum Unfinished {
    /// The whole is not what the intent pins.
    Wrong,
    /// The disk failed.
    Disk(io::Error),
    /// It was given up meanwhile.
    GivenUp,
}

impl From<io::Error> for Unfinished {
    fn from(error: io::Error) -> Unfinished {
        Unfinished::Disk(error)
    }
}

impl Partial {
    pub(super) fn new(artifact: Artifact, store: Arc<Store>) -> Arc<Partial> {
        let state = State { slots: Slots::new(artifact), body: None, over: false, watchers: Vec::new() };
        let (adopting, given_up) = (smol::lock::Mutex::new(()), Mutex::new(false));
        Arc::new(Partial { artifact, store, state: Mutex::new(state), adopting, given_up })
    }

    /// Reads something.
    pub(super) fn look<T>(&self, read: impl FnOnce(&Slots) -> T) -> T {
        read(&self.lock().slots)
    }

    /// Changes something, and wakes those who watch.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.watchers.clear();
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends with the next change. To be called before one looks, or a change may be missed.
    pub(super) fn watch(&self) -> Receiver<()> {
        let (sender, receiver) = bounded(1);
        let mut state = self.lock();
        state.watchers.retain(|watcher| !watcher.is_closed());
        state.watchers.push(sender);
        receiver
    }

    pub(super) fn body(&self) -> Option<Body> {
        self.lock().body.clone()
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// The fetch has ended: who waits here waits in vain.
    pub(super) fn end(&self) {
        self.change(|state| state.over = true);
    }

    /// Takes the list of chunks, which has been checked, and keeps what an earlier run left of them.
    pub(super) async fn adopt(self: &Arc<Self>, list: ChunkList) -> io::Result<()> {
        let _adopting = self.adopting.lock().await;
        if self.body().is_some() {
            return Ok(());
        }
        let this = Arc::clone(self);
        unblock(move || {
            let file = this.store.open_part(&this.artifact)?;
            let here = chunks_here(&file, &this.artifact, &list)?;
            let body = Body { list: Arc::new(list), file: Arc::new(file) };
            this.change(|state| {
                here.into_iter().for_each(|index| state.slots.put(index));
                state.body = Some(body);
            });
            Ok(())
        })
        .await
    }

    /// Chooses the next chunk to ask a source for.
    pub(super) fn claim(&self, peer: NodeId, offer: &Offer, asked: &VecDeque<u32>) -> Option<u32> {
        let start = (random() >> 32) as u32;
        self.lock().slots.claim(&Ask { peer, offer, asked, now: Instant::now(), start })
    }

    /// A source is no longer asked for a chunk.
    pub(super) fn release(&self, index: u32) {
        self.change(|state| state.slots.release(index));
    }

    /// Checks a chunk and stores it.
    pub(super) async fn put(self: &Arc<Self>, index: u32, bytes: Vec<u8>) -> Result<(), NotStored> {
        let Some(body) = self.body() else { return Err(NotStored::Wrong) };
        if self.look(|slots| slots.is_here(index)) {
            // Asked for twice; the other was faster.
            return Ok(());
        }
        let this = Arc::clone(self);
        unblock(move || {
            if !body.list.verify(index, &bytes) {
                return Err(NotStored::Wrong);
            }
            body.file.write_all_at(&bytes, store::offset(index)).map_err(NotStored::Disk)?;
            this.change(|state| state.slots.put(index));
            Ok(())
        })
        .await
    }

    /// Says that a peer waits for a chunk, until the guard is dropped.
    pub(super) fn want(self: &Arc<Self>, index: u32, peer: NodeId) -> Wanted {
        self.change(|state| state.slots.want(index, peer));
        Wanted { partial: Arc::clone(self), index, peer }
    }

    /// Counts a source that has everything, until the guard is dropped.
    pub(super) fn count_complete(self: &Arc<Self>) -> CompleteSource {
        self.change(|state| state.slots.complete_source_came());
        CompleteSource(Arc::clone(self))
    }

    /// Makes a whole of the chunks: synced, read back and checked, named, durable.
    pub(super) async fn finish(self: &Arc<Self>) -> Result<Arc<ChunkList>, Unfinished> {
        let this = Arc::clone(self);
        unblock(move || {
            let Some(body) = this.body() else { return Err(Unfinished::Wrong) };
            body.file.sync_all()?;
            // Both the whole and, once more, each chunk: this is the last look before it is used.
            let (artifact, _) = store::pin(&body.file)?;
            let given_up = this.given_up.lock().unwrap_or_else(PoisonError::into_inner);
            if *given_up {
                return Err(Unfinished::GivenUp);
            }
            if artifact != this.artifact {
                this.store.remove_part(&this.artifact.digest)?;
                return Err(Unfinished::Wrong);
            }
            this.store.commit(&artifact.digest)?;
            Ok(body.list)
        })
        .await
    }

    /// Nobody wants it any more: it gets no name after this.
    pub(super) async fn give_up(self: &Arc<Self>) {
        self.end();
        let this = Arc::clone(self);
        // The lock may be held while a directory is synced.
        unblock(move || *this.given_up.lock().unwrap_or_else(PoisonError::into_inner) = true).await;
    }
}

/// Looks through a `.part`. Holes read as zeros and are not hashed: a chunk of zeros is simply fetched again.
fn chunks_here(file: &File, artifact: &Artifact, list: &ChunkList) -> io::Result<Vec<u32>> {
    let size = file.metadata()?.len();
    let written = (0..artifact.chunk_count()).take_while(|index| store::offset(*index) < size);
    let mut here = Vec::new();
    for index in written {
        let mut bytes = vec![0; artifact.chunk_size(index)];
        match file.read_exact_at(&mut bytes, store::offset(index)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            read => read?,
        }
        if bytes.iter().any(|byte| *byte != 0) && list.verify(index, &bytes) {
            here.push(index);
        }
    }
    Ok(here)
}

/// See [`Partial::want`].
pub(super) struct Wanted {
    partial: Arc<Partial>,
    index: u32,
    peer: NodeId,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.partial.lock().slots.unwant(self.index, self.peer);
    }
}

/// See [`Partial::count_complete`].
pub(super) struct CompleteSource(Arc<Partial>);

impl Drop for CompleteSource {
    fn drop(&mut self) {
        self.0.change(|state| state.slots.complete_source_went());
    }
}

/// Chance, for spreading load; the standard library seeds it from the system.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
