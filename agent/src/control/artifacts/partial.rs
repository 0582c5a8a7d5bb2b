//! An artifact that is being fetched: shared by the fetch, its sources, and the streams to peers that wait for it too.

use super::limits::RECENT_CHUNKS;
use super::slots::{Ask, Slots};
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
    /// Chunks that have just come and been verified: what others ask for is mostly among them.
    recent: Mutex<VecDeque<(u32, Arc<Vec<u8>>)>>,
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
    /// Dropped when a chunk comes, which wakes those who watch for it.
    watchers: Vec<Sender<()>>,
    /// Dropped when a source that was asked for chunks does not give them, which wakes the others.
    losers: Vec<Sender<()>>,
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
    pub(super) fn new(artifact: Artifact, store: Arc<Store>, me: NodeId) -> Arc<Partial> {
        let slots = Slots::new(artifact, me, (random() >> 32) as u32);
        let state = Mutex::new(State { slots, body: None, over: false, watchers: Vec::new(), losers: Vec::new() });
        let recent = Mutex::default();
        let (adopting, given_up) = (smol::lock::Mutex::new(()), Mutex::new(false));
        Arc::new(Partial { artifact, store, state, recent, adopting, given_up })
    }

    /// Reads something.
    pub(super) fn look<T>(&self, read: impl FnOnce(&Slots) -> T) -> T {
        read(&self.lock().slots)
    }

    /// Changes what nobody waits for.
    pub(super) fn change_slots<T>(&self, change: impl FnOnce(&mut Slots) -> T) -> T {
        change(&mut self.lock().slots)
    }

    /// Changes something that lets other sources be asked for more.
    pub(super) fn lose(&self, change: impl FnOnce(&mut Slots)) {
        let mut state = self.lock();
        change(&mut state.slots);
        state.losers.clear();
    }

    /// A source has answered for a chunk. When nothing is on its way any more, the others may be asked for more.
    pub(super) fn release(&self, index: u32) {
        let mut state = self.lock();
        if state.slots.release(index, Instant::now()) {
            state.losers.clear();
        }
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
        watch(&mut self.lock().watchers)
    }

    /// Ends when a source has ended, or did not have what it was asked for. To be called before one looks.
    pub(super) fn watch_losses(&self) -> Receiver<()> {
        watch(&mut self.lock().losers)
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
    pub(super) fn claim(&self, peer: NodeId, asked: &VecDeque<u32>) -> Option<u32> {
        self.lock().slots.claim(&Ask { peer, asked, now: Instant::now() })
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
            this.remember(index, Arc::new(bytes));
            this.change(|state| state.slots.came(index, Instant::now()));
            Ok(())
        })
        .await
    }

    fn remember(&self, index: u32, bytes: Arc<Vec<u8>>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= RECENT_CHUNKS {
            recent.pop_front();
        }
        recent.push_back((index, bytes));
    }

    /// A chunk that has just come, as it was verified.
    pub(super) fn recent(&self, index: u32) -> Option<Arc<Vec<u8>>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().find(|(other, _)| *other == index).map(|(_, bytes)| Arc::clone(bytes))
    }

    /// Makes a whole of the chunks, each of which was verified, and with them the digest of all: synced, named, durable.
    pub(super) async fn finish(self: &Arc<Self>) -> Result<Arc<ChunkList>, Unfinished> {
        let this = Arc::clone(self);
        unblock(move || {
            let Some(body) = this.body() else { return Err(Unfinished::GivenUp) };
            body.file.sync_all()?;
            let given_up = this.given_up.lock().unwrap_or_else(PoisonError::into_inner);
            if *given_up {
                return Err(Unfinished::GivenUp);
            }
            this.store.commit(&this.artifact.digest)?;
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

fn watch(watchers: &mut Vec<Sender<()>>) -> Receiver<()> {
    let (sender, receiver) = bounded(1);
    watchers.retain(|watcher| !watcher.is_closed());
    watchers.push(sender);
    receiver
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

/// Chance, for spreading load; the standard library seeds it from the system.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
