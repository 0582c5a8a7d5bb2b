//! One peer that an artifact is fetched from: asks what it has, and keeps a few requests in flight until there is nothing
//! more to ask it for.

use super::limits::{NEWS_EVERY, PIPELINE, REPLY_MOST, REPLY_TIMEOUT, USELESS_FOR};
use super::partial::{NotStored, Partial};
use super::slots::Slots;
use shared::mesh::{Mesh, MeshError, MeshStream};
use shared::protocol::Protocol;
use shared::{BlobReply, BlobRequest, ChunkList, ChunkListError, NodeId};
use smol::Timer;
use smol::channel::{Receiver, Sender};
use smol::future::or;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Said of a source that has stalled.
pub(super) const LATE: &str = "nothing in time";

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
    /// The intent pins what cannot be had from anybody.
    Mistaken(ChunkListError),
    /// The disk refused what came.
    Disk(io::Error),
}

/// Fetches from `peer` what there is to fetch, and tells how it ended.
pub(super) async fn run(mesh: Mesh, peer: NodeId, is_node: bool, partial: Arc<Partial>, notes: Sender<Note>) {
    let (useful, end) = match mesh.open(peer, Protocol::Blob).await {
        Ok(stream) => {
            let (notes, asked) = (notes.clone(), VecDeque::new());
            let (news_since, useful, now) = (None, false, Instant::now());
            let (opened_at, offered_at) = (now, now);
            let mut source =
                Source { peer, is_node, partial, stream, notes, asked, news_since, opened_at, offered_at, useful };
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
    is_node: bool,
    partial: Arc<Partial>,
    stream: MeshStream,
    notes: Sender<Note>,
    /// Chunks that it is asked for, in the order of the replies.
    asked: VecDeque<u32>,
    /// When it was asked what else it has, while it has not answered.
    news_since: Option<Instant>,
    /// When it was asked last what it has.
    opened_at: Instant,
    /// When it last offered something that was missing.
    offered_at: Instant,
    useful: bool,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.partial.lose(|slots| {
            let now = Instant::now();
            self.asked.drain(..).for_each(|index| _ = slots.release(index, now));
            slots.withdraw(&self.peer);
        });
    }
}

impl Source {
    async fn work(&mut self) -> Result<(), End> {
        self.begin().await?;
        loop {
            let lost = self.partial.watch_losses();
            self.ask_for_more().await?;
            if let Some(since) = self.news_since {
                self.await_news(since, &lost).await?;
            } else if !self.asked.is_empty() {
                self.take().await?;
            } else if self.partial.look(Slots::is_complete) {
                return Ok(());
            } else if self.partial.look(|slots| slots.has_refused(&self.peer)) {
                // What it had has been taken, and it said of the rest that it is missing.
                return Err(End::Nothing);
            } else if self.partial.look(|slots| slots.has_all(&self.peer)) {
                if self.idle(&lost, Duration::MAX).await {
                    // It was asked for nothing: the stream has ended.
                    return Err(End::Nothing);
                }
            } else {
                // It is fetching too, and answers when it has more than before.
                Timer::at(self.opened_at + NEWS_EVERY).await;
                self.opened_at = Instant::now();
                self.write(&BlobRequest::Open(self.partial.artifact)).await?;
                self.news_since = Some(self.opened_at);
            }
        }
    }

    /// Waits for the answer to what else there is, or for a reason to ask for something else.
    async fn await_news(&mut self, since: Instant, lost: &Receiver<()>) -> Result<(), End> {
        let left = REPLY_TIMEOUT.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(End::Misbehaved(LATE));
        }
        // With another request behind it, the answer comes at once.
        if self.asked.is_empty() && !self.idle(lost, left).await {
            return Ok(());
        }
        self.news_since = None;
        if self.read_offer().await? || !self.asked.is_empty() {
            self.offered_at = Instant::now();
        }
        // It waits for the same as we do, or for us: others shall have its place meanwhile.
        if self.offered_at.elapsed() < USELESS_FOR { Ok(()) } else { Err(End::Nothing) }
    }

    /// Waits until another source has lost a chunk, or until one may be asked for here that another is asked for, or that
    /// falls to another. Gives whether the peer says something.
    async fn idle(&mut self, lost: &Receiver<()>, most: Duration) -> bool {
        let pause = self.partial.look(Slots::patience).min(most);
        let said = async {
            // What is wrong with the stream is found when it is read.
            let _ = self.stream.incoming().await;
            true
        };
        let lost = async {
            // Nothing is ever sent: it is closed.
            let _ = lost.recv().await;
            false
        };
        let late = async {
            Timer::after(pause).await;
            false
        };
        or(said, or(lost, late)).await
    }

    /// Asks what the peer has, and in the same breath for the list, when nobody has given it yet.
    async fn begin(&mut self) -> Result<(), End> {
        let wants_list = self.partial.body().is_none();
        self.write(&BlobRequest::Open(self.partial.artifact)).await?;
        if wants_list {
            self.write(&BlobRequest::List).await?;
        }
        // It may have to read all of a large artifact before it knows what it has: that is no fault.
        self.read_offer().await.map_err(|end| if matches!(end, End::Misbehaved(LATE)) { End::Nothing } else { end })?;
        if !wants_list {
            return Ok(());
        }
        let list = match self.read().await? {
            BlobReply::List(bytes) => ChunkList::check(&self.partial.artifact, &bytes),
            BlobReply::Missing => return Err(End::Nothing),
            _ => return Err(End::Misbehaved("something else than a list")),
        };
        let list = list.map_err(|error| match error {
            ChunkListError::NotPinned => End::Misbehaved("a wrong list of chunks"),
            ChunkListError::OtherWhole => End::Mistaken(error),
        })?;
        self.partial.adopt(list).await.map_err(End::Disk)?;
        self.offered_at = Instant::now();
        self.note_stored().await;
        Ok(())
    }

    /// Gives whether it has something that is missing here.
    async fn read_offer(&mut self) -> Result<bool, End> {
        match self.read().await? {
            BlobReply::Have { complete: false, have }
                if have.len() != self.partial.artifact.chunk_count().div_ceil(8) as usize =>
            {
                Err(End::Misbehaved("a list of what it has that is none"))
            }
            BlobReply::Have { complete, have } => {
                Ok(self.partial.change_slots(|slots| slots.offer(self.peer, self.is_node, complete, have)))
            }
            BlobReply::Unknown => Err(End::Nothing),
            _ => Err(End::Misbehaved("something else than what it has")),
        }
    }

    async fn ask_for_more(&mut self) -> Result<(), End> {
        while self.asked.len() < PIPELINE {
            let Some(index) = self.partial.claim(self.peer, &self.asked) else { break };
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
                self.offered_at = Instant::now();
            }
            BlobReply::Missing => self.partial.lose(|slots| slots.refused(self.peer, index)),
            _ => return Err(End::Misbehaved("something else than a chunk")),
        }
        self.asked.pop_front();
        self.partial.release(index);
        self.note_stored().await;
        Ok(())
    }

    async fn note_stored(&mut self) {
        // The fetch may be gone; then this task is about to be dropped.
        let _ = self.notes.send(Note::Stored).await;
    }

    async fn write(&mut self, request: &BlobRequest) -> Result<(), End> {
        self.stream.write_frame_steadily(request, BlobReply::MAX_FRAME, REPLY_TIMEOUT).await.map_err(fault)
    }

    async fn read(&mut self) -> Result<BlobReply, End> {
        let reading =
            async { self.stream.read_frame_steadily(BlobReply::MAX_FRAME, REPLY_TIMEOUT).await.map_err(fault) };
        let late = async {
            Timer::after(REPLY_MOST).await;
            Err(End::Misbehaved(LATE))
        };
        or(reading, late).await
    }
}

/// Whose fault it is that a step of the conversation failed.
fn fault(error: MeshError) -> End {
    match error {
        MeshError::Frame(_) => End::Misbehaved("a frame that is none"),
        MeshError::TimedOut => End::Misbehaved(LATE),
        // Closed or broken: a peer may go.
        _ => End::Nothing,
    }
}
