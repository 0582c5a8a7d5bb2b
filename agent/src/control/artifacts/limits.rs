//! The bounds of the artifact store and its transfers, each with its reason.

use std::time::Duration;

/// Orders that wait for the edge: a burst of a peer each for all connections of a large realm.
pub(super) const QUEUE: usize = 256;

/// Artifacts that are wanted at once. A node that has nothing runs more components than it has room for with less.
pub(super) const MAX_WANTED: usize = 256;

/// Artifacts that are being transferred at once; the others wait. Those without a source take no place.
pub(super) const MAX_FETCHES: usize = 4;

/// Peers that one artifact is fetched from at once, when one of them has all of it.
pub(super) const MAX_SOURCES: usize = 4;

/// Peers that are asked at once while none of them has all of it: some of them may wait for one another.
pub(super) const MAX_PROBES: usize = 8;

/// Requests in flight to one source: enough to hide a round trip, and less than a stream's window of 1 MiB.
pub(super) const PIPELINE: usize = 3;

/// A source that takes longer for one reply has stalled: that is 26 kB/s.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// A chunk that is asked for and not here yet is waited for so long, less than [`REPLY_TIMEOUT`]: the answer that it is
/// missing must not look like a stall.
pub(super) const CHUNK_WAIT: Duration = Duration::from_secs(8);

/// A chunk that was asked for so long ago is asked for elsewhere as well, when a source has nothing else to do.
pub(super) const HEDGE_AFTER: Duration = Duration::from_secs(2);

/// A source that has a part only is asked again what it has after so many further chunks have come from others: often
/// enough to take part of the load, and no more than one small frame in 2 MiB.
pub(super) const REFRESH_CHUNKS: u32 = 8;

/// A source that has a part only, and did not get so many chunks in a row in time, is let go for a while.
pub(super) const MAX_MISSES: usize = PIPELINE;

/// How long a peer that sent something wrong, or stalled, is not asked for the same artifact.
pub(super) const DISTRUST: Duration = Duration::from_secs(60);

/// Pause before peers that had nothing are asked again: the first, doubling up to the most.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(250);

/// See [`RETRY_FIRST`]; a peer that comes back is asked at once, whatever the pause.
pub(super) const RETRY_MOST: Duration = Duration::from_secs(30);

/// Progress is told so often at the most.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Peers that are remembered as likely sources of one artifact.
pub(super) const MAX_HINTS: usize = 16;

/// Connected peers that are remembered; the mesh has a lower bound of its own.
pub(super) const MAX_PEERS: usize = 1024;

/// Streams that are served at once. With an uplink of 10 Mbit/s shared by all of them, each still gets a chunk within
/// [`REPLY_TIMEOUT`]; who is turned away finds the chunks at those who were not.
pub(super) const MAX_SERVED: usize = 32;

/// Streams that are served to one peer: one for each artifact that it fetches, twice because a broken connection is
/// noticed late.
pub(super) const MAX_SERVED_PER_PEER: usize = 2 * MAX_FETCHES;

/// A stream that asks for nothing so long is closed.
pub(super) const SERVE_IDLE: Duration = Duration::from_secs(30);

/// Chunks that are held in memory to be sent, of all streams together: 2 MiB, and as much again in frames.
pub(super) const MAX_SENDING: usize = 8;

/// A peer that takes longer to receive one reply is let go: it holds one of those places.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Chunk lists of whole artifacts that are kept in memory: 1 MiB at the worst. Another one costs reading the artifact.
pub(super) const MAX_LISTS: usize = 8;
