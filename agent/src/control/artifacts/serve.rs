//! The other side: answers peers that fetch from us, from artifacts that are whole and from those that are being fetched.

use super::Context;
use super::limits::{
    CHUNK_WAIT, MAX_SENDING, MAX_SENDING_PER_PEER, NEWS_EVERY, NEWS_WAIT, SEND_MOST, SEND_TIMEOUT, SENDING_WAIT,
    SERVE_IDLE,
};
use super::lists::{Look, Whole};
use super::partial::Partial;
use super::readers::Reading;
use super::store;
use crate::control::timeout::within;
use shared::mesh::MeshStream;
use shared::{Artifact, BlobReply, BlobRequest, NodeId};
use smol::Timer;
use smol::future::{or, yield_now};
use smol::lock::Semaphore;
use smol::unblock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Bounds what all streams together hold in memory, and what one peer may have of that.
pub(super) struct Sending {
    all: Semaphore,
    /// Of peers that are being served.
    of_peer: Mutex<BTreeMap<NodeId, Weak<Semaphore>>>,
}

impl Sending {
    pub(super) fn new() -> Sending {
        Sending { all: Semaphore::new(MAX_SENDING), of_peer: Mutex::default() }
    }

    /// The places of one peer, as long as somebody holds them.
    fn of(&self, peer: NodeId) -> Arc<Semaphore> {
        let mut of_peer = self.of_peer.lock().unwrap_or_else(PoisonError::into_inner);
        of_peer.retain(|_, places| places.strong_count() > 0);
        if let Some(places) = of_peer.get(&peer).and_then(Weak::upgrade) {
            return places;
        }
        let places = Arc::new(Semaphore::new(MAX_SENDING_PER_PEER));
        of_peer.insert(peer, Arc::downgrade(&places));
        places
    }
}

/// What a stream is about, and what was said of it last.
struct Opened {
    artifact: Artifact,
    supply: Supply,
    /// It is not removed meanwhile.
    reading: Reading,
    told: u32,
    told_at: Instant,
}

/// Answers until the peer is done, is silent for too long, or breaks the rules.
pub(super) async fn run(context: Arc<Context>, peer: NodeId, mut stream: MeshStream) {
    let own = context.sending.of(peer);
    let mut opened: Option<Opened> = None;
    while let Some(Ok(request)) = within(SERVE_IDLE, stream.read_frame(BlobReply::MAX_FRAME)).await {
        let sent = match (request, &opened) {
            (BlobRequest::Open(artifact), before) => {
                if before.as_ref().is_some_and(|before| before.artifact != artifact) {
                    // A stream is about one artifact.
                    return;
                }
                if let Some(before) = before {
                    // Who asks for something else in the meantime has waited long enough.
                    or(before.news(), async { _ = stream.incoming().await }).await;
                }
                // Who reads it already may go on, though it is to be removed.
                let reading = opened.as_ref().map(|opened| Arc::clone(&opened.reading));
                opened = open(&context, artifact, reading).await;
                let reply = opened.as_ref().map_or(BlobReply::Unknown, |opened| opened.supply.have(&artifact));
                send(&mut stream, &reply).await
            }
            (BlobRequest::List, Some(opened)) => send(&mut stream, &opened.supply.list().await).await,
            (BlobRequest::Chunk(index), Some(opened)) => {
                opened.supply.wait_for(index).await;
                let sent = {
                    let places = async { (own.acquire().await, context.sending.all.acquire().await) };
                    let places = within(SENDING_WAIT, places).await;
                    let reply = match places {
                        Some(_) => opened.supply.chunk(&context, index).await,
                        None => BlobReply::Missing,
                    };
                    send(&mut stream, &reply).await
                };
                // Whoever waits for a place has been woken, and would find it taken again by the next request here.
                yield_now().await;
                sent
            }
            // Nothing was opened, or it is not here.
            (_, None) => return,
        };
        if !sent {
            return;
        }
    }
}

async fn open(context: &Arc<Context>, artifact: Artifact, reading: Option<Reading>) -> Option<Opened> {
    let reading = reading.or_else(|| context.readers.read(artifact.digest))?;
    let supply = look_up(context, &artifact).await?;
    // Counted before it is told: what comes in between is news.
    let told = supply.count();
    Some(Opened { artifact, supply, reading, told, told_at: Instant::now() })
}

async fn send(stream: &mut MeshStream, reply: &BlobReply) -> bool {
    let sending = stream.write_frame_steadily(reply, BlobReply::MAX_FRAME, SEND_TIMEOUT);
    matches!(within(SEND_MOST, sending).await, Some(Ok(())))
}

impl Opened {
    /// Waits until there is something to tell that was not told, for [`NEWS_WAIT`] at the most.
    async fn news(&self) {
        let Supply::Partial(partial) = &self.supply else { return };
        let is_news = |partial: &Partial| partial.look(|slots| slots.count() > self.told || slots.is_complete());
        wait(partial, NEWS_WAIT, is_news).await;
        // Several chunks that come in a row are one piece of news.
        Timer::at(self.told_at + NEWS_EVERY).await;
    }
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
            context.tell_torn(artifact.digest, &path).await;
            None
        }
        // A disk that fails while reading has nothing for anybody.
        Err(_) => None,
    }
}

impl Supply {
    /// How many chunks are here.
    fn count(&self) -> u32 {
        match self {
            Supply::Whole(whole) => whole.artifact.chunk_count(),
            Supply::Partial(partial) => partial.look(|slots| slots.count()),
        }
    }

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
                wait(partial, CHUNK_WAIT, |partial| partial.body().is_some()).await;
                partial.body().map_or(BlobReply::Missing, |body| BlobReply::List(body.list.to_bytes()))
            }
        }
    }

    /// Waits for a chunk that is on its way here.
    async fn wait_for(&self, index: u32) {
        let Supply::Partial(partial) = self else { return };
        if index >= partial.artifact.chunk_count() || partial.look(|slots| slots.is_here(index)) {
            return;
        }
        wait(partial, CHUNK_WAIT, |partial| partial.look(|slots| slots.is_here(index))).await;
    }

    /// A chunk as it was verified when it came, just now, or as it is on the disk, verified once more.
    async fn chunk(&self, context: &Context, index: u32) -> BlobReply {
        let (artifact, list, file) = match self {
            Supply::Whole(whole) => (whole.artifact, Arc::clone(&whole.list), Arc::clone(&whole.file)),
            Supply::Partial(partial) => match (partial.recent(index), partial.body()) {
                (Some(bytes), _) => return BlobReply::Chunk(bytes.to_vec()),
                (None, Some(body)) if partial.look(|slots| slots.is_here(index)) => {
                    (partial.artifact, body.list, body.file)
                }
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

/// Waits until `done`, the fetch has ended, or the time is over.
async fn wait(partial: &Partial, time: Duration, done: impl Fn(&Partial) -> bool) {
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
    within(time, waiting).await;
}

fn all_bits(count: u32) -> Vec<u8> {
    let mut bits = vec![0xFF; count.div_ceil(8) as usize];
    if let Some(last) = bits.last_mut().filter(|_| !count.is_multiple_of(8)) {
        *last = (1 << (count % 8)) - 1;
    }
    bits
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
