//! Chunk lists of artifacts that are whole. They are not stored: reading the artifact gives its list, and shows at the
//! same time whether the disk still has what the name says.

use super::limits::MAX_LISTS;
use super::store::{self, Store};
use shared::{Artifact, ChunkList, Digest};
use smol::unblock;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An artifact that is whole, ready to be served.
pub(super) struct Whole {
    pub(super) artifact: Artifact,
    pub(super) list: Arc<ChunkList>,
    pub(super) file: Arc<File>,
}

/// What became of a look at an artifact.
pub(super) enum Look {
    /// Here.
    Whole(Whole),
    /// Not here.
    Absent,
    /// It was not what its name says, and has been set aside under this path.
    Torn(PathBuf),
}

/// The lists that were needed last.
pub(super) struct Lists {
    store: Arc<Store>,
    /// Newest last.
    known: Mutex<VecDeque<(Artifact, Arc<ChunkList>)>>,
    /// Held while an artifact is read: one at a time is enough for a disk, and nobody reads the same twice.
    reading: smol::lock::Mutex<()>,
}

impl Lists {
    pub(super) fn new(store: Arc<Store>) -> Lists {
        Lists { store, known: Mutex::default(), reading: smol::lock::Mutex::new(()) }
    }

    /// Remembers the list of an artifact.
    pub(super) fn remember(&self, artifact: Artifact, list: Arc<ChunkList>) {
        let mut known = self.lock();
        known.retain(|(other, _)| other.digest != artifact.digest);
        known.push_back((artifact, list));
        if known.len() > MAX_LISTS {
            known.pop_front();
        }
    }

    /// Forgets it: the artifact is gone, or not what it was.
    pub(super) fn forget(&self, digest: &Digest) {
        self.lock().retain(|(artifact, _)| artifact.digest != *digest);
    }

    /// Opens an artifact.
    pub(super) async fn open(self: &Arc<Self>, digest: Digest) -> io::Result<Look> {
        let this = Arc::clone(self);
        let Some(file) = unblock(move || this.store.open_whole(&digest)).await? else { return Ok(Look::Absent) };
        if let Some((artifact, list)) = self.find(&digest) {
            return Ok(Look::Whole(Whole { artifact, list, file: Arc::new(file) }));
        }
        let _reading = self.reading.lock().await;
        let this = Arc::clone(self);
        // Remembered within, so that the work is not lost when the one who asked has gone meanwhile.
        unblock(move || this.read(digest, file)).await
    }

    fn read(&self, digest: Digest, file: File) -> io::Result<Look> {
        let (artifact, list) = match self.find(&digest) {
            Some(known) => known,
            None => {
                let (artifact, list) = store::pin(&file)?;
                if artifact.digest != digest {
                    return self.store.set_aside(&digest).map(Look::Torn);
                }
                let list = Arc::new(list);
                self.remember(artifact, Arc::clone(&list));
                (artifact, list)
            }
        };
        Ok(Look::Whole(Whole { artifact, list, file: Arc::new(file) }))
    }

    fn find(&self, digest: &Digest) -> Option<(Artifact, Arc<ChunkList>)> {
        let mut known = self.lock();
        let at = known.iter().position(|(artifact, _)| artifact.digest == *digest)?;
        let found = known.remove(at)?;
        known.push_back(found.clone());
        Some(found)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Artifact, Arc<ChunkList>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
