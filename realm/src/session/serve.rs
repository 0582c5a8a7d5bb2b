//! Serving artifacts: nodes open streams to us and pull what they lack.

use super::Event;
use super::handover::within;
use crate::artifact::{Component, Source};
use shared::mesh::{MeshError, MeshStream};
use shared::{Artifact, BlobReply, BlobRequest, ChunkList};
use smol::channel::Sender;
use smol::lock::{Mutex, Semaphore};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Chunks in memory at once: 16 of 256 KiB keep every link busy, and a realm that pulls all at once makes us hold 4 MiB.
const MAX_CHUNKS: usize = 16;

/// Within this time a peer takes a chunk, or loses its turn to others: 256 KiB at 70 kbit/s.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);

/// A peer that asks for nothing for so long is let go; it can come again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Everything that is served: what one command has to send, so that it is as large as the operator's manifest at the most.
#[derive(Clone)]
pub(super) struct Shelf {
    artifacts: BTreeMap<Artifact, Arc<Served>>,
    /// Of all artifacts together.
    turns: Arc<Semaphore>,
}

impl Default for Shelf {
    fn default() -> Shelf {
        Shelf { artifacts: BTreeMap::new(), turns: Arc::new(Semaphore::new(MAX_CHUNKS)) }
    }
}

/// An artifact that is served.
struct Served {
    artifact: Artifact,
    chunks: ChunkList,
    source: Source,
    sent: Mutex<Sent>,
}

struct Sent {
    chunks: Vec<bool>,
    left: usize,
}

impl Served {
    fn new(component: Component) -> Served {
        let count = component.artifact.chunk_count() as usize;
        Served {
            artifact: component.artifact,
            chunks: component.chunks,
            source: component.source,
            sent: Mutex::new(Sent { chunks: vec![false; count], left: count }),
        }
    }

    /// The chunk; `None` when the file does not have it any more.
    async fn read(self: &Arc<Served>, index: u32) -> Option<Vec<u8>> {
        let (served, size) = (Arc::clone(self), self.artifact.chunk_size(index));
        let chunk = smol::unblock(move || served.source.read_chunk(index, size)).await.ok()?;
        self.chunks.verify(index, &chunk).then_some(chunk)
    }

    /// Notes that a chunk was sent; gives whether this was the last one.
    async fn note(&self, index: u32) -> bool {
        let mut sent = self.sent.lock().await;
        let is_last = sent.left == 1;
        match sent.chunks.get_mut(index as usize) {
            Some(done) if !*done => *done = true,
            _ => return false,
        }
        sent.left -= 1;
        is_last
    }
}

impl super::Session {
    /// Offers an artifact from here on.
    pub(crate) fn offer(&mut self, component: Component) {
        let shelf = Arc::make_mut(&mut self.shelf);
        shelf.artifacts.insert(component.artifact, Arc::new(Served::new(component)));
    }
}

/// Answers one stream until its opener ends it.
pub(super) async fn serve(shelf: Arc<Shelf>, mut stream: MeshStream, outbox: Sender<Event>) {
    // A peer that breaks off has lost its own stream and nobody else's; it comes again when it still lacks something.
    let _ = answer(&shelf, &mut stream, &outbox).await;
}

async fn answer(shelf: &Shelf, stream: &mut MeshStream, outbox: &Sender<Event>) -> Result<(), MeshError> {
    let mut opened: Option<&Arc<Served>> = None;
    loop {
        let request = within(IDLE_TIMEOUT, stream.read_frame::<BlobRequest>(BlobReply::MAX_FRAME)).await?;
        let reply = match (request, opened) {
            (BlobRequest::Open(artifact), _) => {
                opened = shelf.artifacts.get(&artifact);
                if opened.is_some() { all_of(&artifact) } else { BlobReply::Unknown }
            }
            (BlobRequest::List, Some(served)) => BlobReply::List(served.chunks.to_bytes()),
            (BlobRequest::Chunk(index), Some(served)) if index < served.artifact.chunk_count() => {
                let _turn = shelf.turns.acquire().await;
                match served.read(index).await {
                    Some(chunk) => {
                        within(CHUNK_TIMEOUT, stream.write_frame(&BlobReply::Chunk(chunk), BlobReply::MAX_FRAME))
                            .await?;
                        if served.note(index).await {
                            let _ = outbox.send(Event::AllServed).await;
                        }
                        continue;
                    }
                    None => {
                        let _ = outbox.send(Event::FileChanged).await;
                        BlobReply::Missing
                    }
                }
            }
            (BlobRequest::List | BlobRequest::Chunk(_), _) => BlobReply::Missing,
        };
        within(CHUNK_TIMEOUT, stream.write_frame(&reply, BlobReply::MAX_FRAME)).await?;
    }
}

/// One bit for each chunk.
fn all_of(artifact: &Artifact) -> BlobReply {
    let count = artifact.chunk_count() as usize;
    let mut have = vec![0xff; count.div_ceil(8)];
    if let (Some(last), bits @ 1..) = (have.last_mut(), count % 8) {
        *last = (1 << bits) - 1;
    }
    BlobReply::Have { complete: true, have }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{CHUNK_BYTES, Hasher};

    fn served(bytes: &[u8], pinned: &[u8]) -> Arc<Served> {
        let mut hasher = Hasher::default();
        hasher.update(pinned);
        let (artifact, chunks) = hasher.finish();
        Arc::new(Served::new(Component { artifact, chunks, source: Source::Memory(bytes.into()) }))
    }

    #[test]
    fn the_bitfield_has_a_bit_for_each_chunk() {
        for (chunks, expected) in [(1, vec![1]), (8, vec![0xff]), (9, vec![0xff, 1])] {
            let artifact = served(&[], &vec![0; CHUNK_BYTES * chunks]).artifact;
            assert!(matches!(all_of(&artifact), BlobReply::Have { complete: true, have } if have == expected));
        }
    }

    #[test]
    fn a_file_that_changed_is_not_served() {
        let pinned = vec![7; CHUNK_BYTES + 1];
        let mut changed = pinned.clone();
        changed[3] = 8;
        smol::block_on(async {
            let same = served(&pinned, &pinned);
            assert_eq!(same.read(1).await, Some(vec![7]));
            let other = served(&changed, &pinned);
            assert_eq!((other.read(0).await, other.read(1).await), (None, Some(vec![7])));
            assert_eq!(served(&pinned[..9], &pinned).read(0).await, None);
        });
    }

    #[test]
    fn all_is_served_once_each_chunk_was() {
        let pinned = vec![7; CHUNK_BYTES + 1];
        let served = served(&pinned, &pinned);
        smol::block_on(async {
            assert!(!served.note(1).await);
            assert!(!served.note(1).await);
            assert!(served.note(0).await);
            assert!(!served.note(0).await, "told once");
        });
    }
}
