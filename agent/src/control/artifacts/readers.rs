//! Who reads which artifact: what is being served is removed when the last one has done with it, so that a slow peer gets it
//! whole, and what counts as gone from the disk is gone.

use shared::Digest;
use smol::channel::{Receiver, Sender, bounded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Somebody reads an artifact, as long as this is there.
pub(super) type Reading = Arc<Open>;

/// All who read an artifact.
pub(super) struct Open {
    /// Dropped with the last one who reads, which ends the wait of those who wait for that.
    _open: Sender<()>,
    closed: Receiver<()>,
}

/// See the module. Bounded by the streams that are served, and by what is to be removed.
#[derive(Default)]
pub(super) struct Readers(Mutex<State>);

#[derive(Default)]
struct State {
    open: BTreeMap<Digest, Weak<Open>>,
    /// Nobody begins to read these any more.
    leaving: BTreeSet<Digest>,
}

impl Readers {
    /// Begins to read; `None` when it is to be removed.
    pub(super) fn read(&self, digest: Digest) -> Option<Reading> {
        self.change(|state| {
            state.open.retain(|_, open| open.strong_count() > 0);
            if state.leaving.contains(&digest) {
                return None;
            }
            if let Some(open) = state.open.get(&digest).and_then(Weak::upgrade) {
                return Some(open);
            }
            // Nothing is ever sent.
            let (sender, closed) = bounded(1);
            let open = Arc::new(Open { _open: sender, closed });
            state.open.insert(digest, Arc::downgrade(&open));
            Some(open)
        })
    }

    /// It is to be removed. Gives what is closed once nobody reads it any more, if somebody does.
    pub(super) fn leave(&self, digest: Digest) -> Option<Receiver<()>> {
        self.change(|state| {
            state.leaving.insert(digest);
            let open = state.open.get(&digest).and_then(Weak::upgrade)?;
            Some(open.closed.clone())
        })
    }

    /// It is removed, or wanted again. Gives whether it was to be removed.
    pub(super) fn stay(&self, digest: &Digest) -> bool {
        self.change(|state| state.leaving.remove(digest))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
