//! One peer that an artifact is fetched from: asks what it has, and keeps a few requests in flight until there is nothing
//! more to ask it for.

use super::limits::{HEDGE_AFTER, MAX_MISSES, PIPELINE, REFRESH_CHUNKS, REPLY_TIMEOUT};
use super::partial::{CompleteSource, NotStored, Partial};
use super::slots::Offer;
use shared::mesh::{Mesh, MeshError, MeshStream};
use shared::protocol::Protocol;
use shared::{BlobReply, BlobRequest, ChunkList, NodeId};
use smol::Timer;
use smol::channel::{Receiver, Sender};
use smol::future::or;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// What a source tells the fetch.
pub(super) enum Note {
    /// A chunk is stored, or the list is known, which may have shown that chunks were here.
    Stored,
    /// It has ended.
    Ended {
        /// Who.
        peer: NodeId,
        /// Whether it gave something.
        useful: bool,
        /// Why.
        end: End,
    },
}

/// Why a source has ended.
pub(super) enum End {
    /// Everything is here.
    Complete,
    /// It has nothing, or nothing more, or cannot be reached.
    Nothing,
    /// It broke the rules; the text says how.
    Misbehaved(&'static str),
    /// The disk refused what came.
    Disk(io::Error),
}

/// Fetches from `peer` what there is to fetch, and tells how it ended.
pub(super) async fn run(mesh: Mesh, peer: NodeId, partial: Arc<Partial>, notes: Sender<Note>) {
    let (useful, end) = match mesh.open(peer, Protocol::Blob).await {
        Ok(stream) => {
            let (offer, asked) = (Offer::default(), VecDeque::new());
            let (notes, complete) = (notes.clone(), None);
            let mut source = Source { peer, partial, stream, notes, offer, asked, complete, misses: 0, useful: false };
            let end = source.work().await.err().unwrap_or(End::Complete);
            // Dropped here: what it was asked for is free for others before they hear of its end.
            (source.useful, end)
        }
        Err(_) => (false, End::Nothing),
    };
    // The fetch may be gone.
    let _ = notes.send(Note::Ended { peer, useful, end }).await;
}

struct Source {
    peer: NodeId,
    partial: Arc<Partial>,
    stream: MeshStream,
    notes: Sender<Note>,
    offer: Offer,
    /// Chunks that it is asked for, in the order of the replies.
    asked: VecDeque<u32>,
    complete: Option<CompleteSource>,
    /// Chunks in a row that it did not have, though it was waited for.
    misses: usize,
    useful: bool,
}

impl Drop for Source {
    fn drop(&mut self) {
        for index in self.asked.drain(..) {
            self.partial.release(index);
        }
    }
}

impl Source {
    async fn work(&mut self) -> Result<(), End> {
        self.begin().await?;
        let mut seen = self.partial.look(|slots| slots.count());
        loop {
            let changed = self.partial.watch();
            self.ask_for_more().await?;
            if !self.asked.is_empty() {
                self.take().await?;
            } else if self.partial.look(|slots| slots.is_complete()) {
                return Ok(());
            } else if !self.offer.refused.is_empty() {
                // What it had has been taken, and it said of the rest that it is missing.
                return Err(End::Nothing);
            } else if self.partial.look(|slots| slots.count()) >= seen + REFRESH_CHUNKS && !self.offer.complete {
                self.write(&BlobRequest::Open(self.partial.artifact)).await?;
                self.read_offer().await?;
                seen = self.partial.look(|slots| slots.count());
            } else {
                idle(&changed).await;
            }
        }
    }

    /// Asks what the peer has, and in the same breath for the list, when nobody has given it yet.
    async fn begin(&mut self) -> Result<(), End> {
        let wants_list = self.partial.body().is_none();
        self.write(&BlobRequest::Open(self.partial.artifact)).await?;
        if wants_list {
            self.write(&BlobRequest::List).await?;
        }
        self.read_offer().await?;
        if !wants_list {
            return Ok(());
        }
        let list = match self.read().await? {
            BlobReply::List(bytes) => ChunkList::check(&self.partial.artifact, &bytes),
            BlobReply::Missing => return Err(End::Nothing),
            _ => return Err(End::Misbehaved("something else than a list")),
        };
        let list = list.map_err(|_| End::Misbehaved("a wrong list of chunks"))?;
        self.partial.adopt(list).await.map_err(End::Disk)?;
        self.note_stored().await;
        Ok(())
    }

    async fn read_offer(&mut self) -> Result<(), End> {
        let (complete, have) = match self.read().await? {
            BlobReply::Have { complete, have } => (complete, have),
            BlobReply::Unknown => return Err(End::Nothing),
            _ => return Err(End::Misbehaved("something else than what it has")),
        };
        self.offer.complete = complete;
        self.offer.have = have;
        if complete && self.complete.is_none() {
            self.complete = Some(self.partial.count_complete());
        }
        Ok(())
    }

    async fn ask_for_more(&mut self) -> Result<(), End> {
        while self.asked.len() < PIPELINE {
            let Some(index) = self.partial.claim(self.peer, &self.offer, &self.asked) else { break };
            self.asked.push_back(index);
            self.write(&BlobRequest::Chunk(index)).await?;
        }
        Ok(())
    }

    /// Takes the reply to the oldest request.
    async fn take(&mut self) -> Result<(), End> {
        let reply = self.read().await?;
        let Some(index) = self.asked.front().copied() else { return Ok(()) };
        match reply {
            BlobReply::Chunk(bytes) => {
                self.partial.put(index, bytes).await.map_err(|error| match error {
                    NotStored::Wrong => End::Misbehaved("a wrong chunk"),
                    NotStored::Disk(error) => End::Disk(error),
                })?;
                self.useful = true;
                self.misses = 0;
            }
            BlobReply::Missing => {
                self.offer.refused.insert(index);
                self.misses += 1;
            }
            _ => return Err(End::Misbehaved("something else than a chunk")),
        }
        self.asked.pop_front();
        self.partial.release(index);
        self.note_stored().await;
        if self.misses >= MAX_MISSES && !self.offer.complete {
            // It waits for the same as we do: others shall have our place meanwhile.
            return Err(End::Nothing);
        }
        Ok(())
    }

    async fn note_stored(&mut self) {
        // The fetch may be gone; then this task is about to be dropped.
        let _ = self.notes.send(Note::Stored).await;
    }

    async fn write(&mut self, request: &BlobRequest) -> Result<(), End> {
        in_time(self.stream.write_frame(request, BlobReply::MAX_FRAME)).await
    }

    async fn read(&mut self) -> Result<BlobReply, End> {
        in_time(self.stream.read_frame(BlobReply::MAX_FRAME)).await
    }
}

/// Bounds one step of the conversation, and says whose fault its failure is.
async fn in_time<T>(step: impl Future<Output = Result<T, MeshError>>) -> Result<T, End> {
    let step = async {
        step.await.map_err(|error| match error {
            MeshError::Frame(_) => End::Misbehaved("a frame that is none"),
            // Closed or broken: a peer may go.
            _ => End::Nothing,
        })
    };
    let late = async {
        Timer::after(REPLY_TIMEOUT).await;
        Err(End::Misbehaved("nothing in time"))
    };
    or(step, late).await
}

/// Waits for a change, or until a chunk that another is asked for may be asked for here as well.
async fn idle(changed: &Receiver<()>) {
    let changed = async {
        // Nothing is ever sent: it is closed.
        let _ = changed.recv().await;
    };
    let late = async {
        Timer::after(HEDGE_AFTER).await;
    };
    or(changed, late).await;
}
