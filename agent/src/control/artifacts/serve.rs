//! The other side: answers peers that fetch from us, from artifacts that are whole and from those that are being fetched.

use super::limits::{CHUNK_WAIT, MAX_SENDING, SEND_TIMEOUT, SERVE_IDLE};
use super::lists::{Look, Whole};
use super::partial::Partial;
use super::store;
use super::{ArtifactEvent, Context};
use shared::mesh::MeshStream;
use shared::{Artifact, BlobReply, BlobRequest, NodeId};
use smol::Timer;
use smol::future::or;
use smol::lock::Semaphore;
use smol::unblock;
use std::sync::Arc;
use std::time::Duration;

/// Bounds what all streams together hold in memory.
pub(super) fn sending() -> Semaphore {
    Semaphore::new(MAX_SENDING)
}

/// Answers until the peer is done, is silent for too long, or breaks the rules.
pub(super) async fn run(context: Arc<Context>, peer: NodeId, mut stream: MeshStream) {
    let mut opened: Option<(Artifact, Supply)> = None;
    while let Some(Ok(request)) = within(SERVE_IDLE, stream.read_frame(BlobReply::MAX_FRAME)).await {
        let sent = match (request, &opened) {
            (BlobRequest::Open(artifact), _) => {
                if opened.as_ref().is_some_and(|(other, _)| *other != artifact) {
                    // A stream is about one artifact.
                    return;
                }
                let supply = look_up(&context, &artifact).await;
                let reply = supply.as_ref().map_or(BlobReply::Unknown, |supply| supply.have(&artifact));
                opened = supply.map(|supply| (artifact, supply));
                send(&mut stream, &reply).await
            }
            (BlobRequest::List, Some((_, supply))) => send(&mut stream, &supply.list().await).await,
            (BlobRequest::Chunk(index), Some((_, supply))) => {
                supply.wait_for(index, peer).await;
                let _place = context.sending.acquire().await;
                let reply = supply.chunk(&context, index).await;
                send(&mut stream, &reply).await
            }
            // Nothing was opened, or it is not here.
            (_, None) => return,
        };
        if !sent {
            return;
        }
    }
}

async fn send(stream: &mut MeshStream, reply: &BlobReply) -> bool {
    matches!(within(SEND_TIMEOUT, stream.write_frame(reply, BlobReply::MAX_FRAME)).await, Some(Ok(())))
}

/// Where chunks come from.
enum Supply {
    Whole(Whole),
    Partial(Arc<Partial>),
}

/// Only what the peer means by its digest: of another size or list, it is unknown.
async fn look_up(context: &Arc<Context>, artifact: &Artifact) -> Option<Supply> {
    if let Some(partial) = context.fetching(&artifact.digest) {
        return (partial.artifact == *artifact).then_some(Supply::Partial(partial));
    }
    match context.lists.open(artifact.digest).await {
        Ok(Look::Whole(whole)) => (whole.artifact == *artifact).then_some(Supply::Whole(whole)),
        Ok(Look::Absent) => None,
        Ok(Look::Torn(path)) => {
            let reason = format!("it is not what its name says: set aside as `{}`", path.display());
            context.tell(ArtifactEvent::Torn { digest: artifact.digest, reason }).await;
            None
        }
        // A disk that fails while reading has nothing for anybody.
        Err(_) => None,
    }
}

impl Supply {
    fn have(&self, artifact: &Artifact) -> BlobReply {
        match self {
            Supply::Whole(_) => BlobReply::Have { complete: true, have: all_bits(artifact.chunk_count()) },
            Supply::Partial(partial) => {
                let (complete, have) = partial.look(|slots| (slots.is_complete(), slots.bits()));
                BlobReply::Have { complete, have }
            }
        }
    }

    async fn list(&self) -> BlobReply {
        match self {
            Supply::Whole(whole) => BlobReply::List(whole.list.to_bytes()),
            Supply::Partial(partial) => {
                wait(partial, |partial| partial.body().is_some()).await;
                partial.body().map_or(BlobReply::Missing, |body| BlobReply::List(body.list.to_bytes()))
            }
        }
    }

    /// Waits for a chunk that is on its way here.
    async fn wait_for(&self, index: u32, peer: NodeId) {
        let Supply::Partial(partial) = self else { return };
        if index >= partial.artifact.chunk_count() || partial.look(|slots| slots.is_here(index)) {
            return;
        }
        let _wanted = partial.want(index, peer);
        wait(partial, |partial| partial.look(|slots| slots.is_here(index))).await;
    }

    /// A chunk as it is now on the disk, checked once more.
    async fn chunk(&self, context: &Context, index: u32) -> BlobReply {
        let (artifact, list, file) = match self {
            Supply::Whole(whole) => (whole.artifact, Arc::clone(&whole.list), Arc::clone(&whole.file)),
            Supply::Partial(partial) => match partial.body() {
                Some(body) if partial.look(|slots| slots.is_here(index)) => (partial.artifact, body.list, body.file),
                _ => return BlobReply::Missing,
            },
        };
        let read = unblock(move || store::read_chunk(&file, &artifact, &list, index)).await;
        match read {
            Ok(Some(bytes)) => BlobReply::Chunk(bytes),
            Ok(None) | Err(_) => {
                // The disk has changed it: the next look reads the whole and finds out.
                context.lists.forget(&artifact.digest);
                BlobReply::Missing
            }
        }
    }
}

/// Waits until `done`, the fetch has ended, or [`CHUNK_WAIT`] is over.
async fn wait(partial: &Partial, done: impl Fn(&Partial) -> bool) {
    let waiting = async {
        loop {
            let changed = partial.watch();
            if done(partial) || partial.is_over() {
                return;
            }
            // Nothing is ever sent: it is closed.
            let _ = changed.recv().await;
        }
    };
    within(CHUNK_WAIT, waiting).await;
}

fn all_bits(count: u32) -> Vec<u8> {
    let mut bits = vec![0xFF; count.div_ceil(8) as usize];
    if let Some(last) = bits.last_mut().filter(|_| !count.is_multiple_of(8)) {
        *last = (1 << (count % 8)) - 1;
    }
    bits
}

/// `None` when it takes longer.
async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let work = async { Some(work.await) };
    let late = async {
        Timer::after(time).await;
        None
    };
    or(work, late).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_beyond_the_end_are_not_set() {
        assert_eq!(all_bits(0), Vec::<u8>::new());
        assert_eq!(all_bits(8), [0xFF]);
        assert_eq!(all_bits(11), [0xFF, 0b111]);
    }
}
