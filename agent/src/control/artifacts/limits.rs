//! The bounds of the artifact store and its transfers, each with its reason.

use std::time::Duration;

/// Orders that wait for the edge: a burst of a peer each for all connections of a large realm.
pub(super) const QUEUE: usize = 256;

/// Artifacts that are wanted at once. A node that has nothing runs more components than it has room for with less.
pub(super) const MAX_WANTED: usize = 256;

/// Artifacts that are being transferred at once; the others wait. Those without a source take no place.
pub(super) const MAX_FETCHES: usize = 4;

/// Peers that one artifact is fetched from at once: as many as make it likely that what one lacks another has. With the
/// requests in flight to each, 12 MiB may be on their way at the worst; links and windows allow for less.
pub(super) const MAX_SOURCES: usize = 8;

/// Requests in flight to one source: 1.5 MiB, as much as a stream's window, which fill 100 Mbit/s though a reply waits for
/// 100 ms in the queue of a busy link.
pub(super) const PIPELINE: usize = 6;

/// How long nothing may be on its way to us while there are chunks that another node should fetch for all of us, before we
/// fetch them: several round trips in a building, and the time for a chunk at 20 Mbit/s.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// Patience below this is none: others have proved to be of no help.
pub(super) const NO_PATIENCE: Duration = Duration::from_millis(5);

/// A chunk that another node has fetched and passed on gives so much of the patience back, that taken ones have cost.
pub(super) const PATIENCE_STEPS: u32 = 8;

/// How fast chunks come is told by the time that so many took: enough to even out one that was late.
pub(super) const PACE_CHUNKS: usize = 8;

/// Chunks that come so many times slower than they did at best are not waited for any more while a source that has them has
/// nothing to do: one node behind a bad link would hold up all that wait for its part.
pub(super) const SLOW_FACTOR: u32 = 4;

/// That many chunks in this time are never slow.
pub(super) const SLOW_LEAST: Duration = Duration::from_millis(500);

/// Whether chunks come slowly is looked at so often.
pub(super) const SLOW_LOOK: Duration = Duration::from_millis(250);

/// A source of which not one byte has come for so long while it owes a reply has stalled. A whole chunk may take longer: ten
/// nodes that share an uplink of 1 Mbit/s get one each in 20 s.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole reply may take so long, a chunk at 35 kbit/s: one byte now and then would keep us waiting for ever.
pub(super) const REPLY_MOST: Duration = Duration::from_secs(60);

/// A chunk that is asked for and not here yet is waited for so long, less than [`REPLY_TIMEOUT`]: the answer that it is
/// missing must not look like a stall.
pub(super) const CHUNK_WAIT: Duration = Duration::from_secs(8);

/// A chunk that was asked for so long ago is asked for elsewhere as well, when a source has nothing else to do.
pub(super) const HEDGE_AFTER: Duration = Duration::from_secs(2);

/// Who is fetching it too and has nothing to tell answers after this time. Until then nothing can be asked for on that
/// stream, so it is no longer than [`HEDGE_AFTER`].
pub(super) const NEWS_WAIT: Duration = Duration::from_secs(2);

/// Who is fetching it too tells so often at the most what it has: a chunk comes in this time at 100 Mbit/s, and a small frame
/// for each chunk costs too much when they come faster.
pub(super) const NEWS_EVERY: Duration = Duration::from_millis(20);

/// A source that offers nothing that is missing here for so long is let go for a while: the place may be worth more with
/// another. It is four times the wait for news.
pub(super) const USELESS_FOR: Duration = Duration::from_secs(8);

/// Chunks that are kept in memory when they have come, 2 MiB: other nodes ask for them in the next moments.
pub(super) const RECENT_CHUNKS: usize = 8;

/// How long a peer that has stalled is not asked for the same artifact.
pub(super) const STALLED: Duration = Duration::from_secs(5);

/// How long a peer that sent something wrong is not asked for the same artifact.
pub(super) const DISTRUST: Duration = Duration::from_secs(60);

/// Pause before peers that had nothing are asked again: the first, doubling up to the most.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(250);

/// While chunks come, peers that had nothing are asked again this often.
pub(super) const RETRY_BESIDE: Duration = Duration::from_secs(4);

/// See [`RETRY_FIRST`]; a peer that comes back is asked at once, whatever the pause.
pub(super) const RETRY_MOST: Duration = Duration::from_secs(30);

/// Progress is told so often at the most.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Peers that are remembered as likely sources of one artifact.
pub(super) const MAX_HINTS: usize = 16;

/// Connected peers that are remembered; the mesh has a lower bound of its own.
pub(super) const MAX_PEERS: usize = 1024;

/// Streams that are served at once: each holds a chunk or two that are on their way; who is turned away finds the chunks
/// at those who were not.
pub(super) const MAX_SERVED: usize = 32;

/// Streams that are served to one peer: one for each artifact that it fetches, twice because a broken connection is
/// noticed late.
pub(super) const MAX_SERVED_PER_PEER: usize = 2 * MAX_FETCHES;

/// A stream that asks for nothing so long is closed.
pub(super) const SERVE_IDLE: Duration = Duration::from_secs(30);

/// Chunks that are held in memory to be sent, of all streams together: 2 MiB, and as much again in frames.
pub(super) const MAX_SENDING: usize = 8;

/// So many of them for one peer, which may take them slowly, or mean to.
pub(super) const MAX_SENDING_PER_PEER: usize = 2;

/// Who waits longer for a place among them is told that the chunk is missing, and asks elsewhere.
pub(super) const SENDING_WAIT: Duration = Duration::from_secs(8);

/// A peer that takes not one byte of a reply for so long is let go: it holds one of those places.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole reply may take so long, a chunk at 35 kbit/s: one byte now and then would hold that place for ever.
pub(super) const SEND_MOST: Duration = Duration::from_secs(60);

/// Chunk lists of whole artifacts that are kept in memory: 1 MiB at the worst. Another one costs reading the artifact.
pub(super) const MAX_LISTS: usize = 8;

/// What is to be removed waits so long for those who read it: 64 MiB at 150 kbit/s. After that its file loses its name, and who
/// still has it open gets the rest of it all the same.
pub(super) const READ_MOST: Duration = Duration::from_secs(60 * 60);
