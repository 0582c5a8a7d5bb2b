//! The bounds of the HTTP edge, each with its reason. The server behind the front has none of its own.

use std::time::Duration;

/// Connections at once. A scraper, an operator and a health check need three; the rest is patience with slow ones. Beyond it
/// one that is slow gives way to each new one.
pub(super) const MAX_CLIENTS: usize = 128;

/// Connections that wait for the system to hand them over. A burst that is longer than this waits for a second, because TCP
/// asks again only then; the front takes so many in some 30 ms.
pub(super) const BACKLOG: i32 = 1024;

/// The longest request head. Browsers send two; nothing here needs a header.
pub(super) const MAX_HEAD_BYTES: usize = 8 * 1024;

/// The longest request target: a path and a query with a name of 63 characters.
pub(super) const MAX_TARGET_BYTES: usize = 1024;

/// Within this time a client has sent its head.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Threads that wait for the loop's answer: one for `/healthz` and `/readyz`, one for figures, two for logs, so that none
/// of these waits for another.
pub(super) const WORKERS: usize = HEALTH_WORKERS + FIGURES_WORKERS + LOGS_WORKERS;
pub(super) const HEALTH_WORKERS: usize = 1;
pub(super) const FIGURES_WORKERS: usize = 1;
pub(super) const LOGS_WORKERS: usize = 2;

/// Clients whose answers are held until they have taken them: a word, a megabyte where there are a thousand components, and
/// up to five megabytes of lines. That is 40 MiB at the very worst; the next client waits until one is done.
pub(super) const HEALTH_READERS: usize = 32;
pub(super) const FIGURES_READERS: usize = 16;
pub(super) const LOGS_READERS: usize = 4;

/// Within this time the loop answers; it is dead or drowning otherwise, and the client is told so.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Within this time an answer begins: a worker is free, and the loop has answered or is given up.
pub(super) const BEGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Within this time a client takes the rest of its answer; log lines may be some megabytes, over a slow line.
pub(super) const COPY_TIMEOUT: Duration = Duration::from_secs(15);

/// What is read and thrown away after the answer, so that a client that sent a body reads the answer and not a reset. A body
/// that is announced to be larger is refused. Of a client that follows, it is what it may say meanwhile.
pub(super) const MAX_LINGER_BYTES: u64 = 64 * 1024;

/// How long that may take.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Clients that follow at once: half of those that the logs have room for, so that as many operators can read along.
pub(super) const MAX_FOLLOWERS: usize = 8;

/// Within this time a client that follows takes something of what waits for it. Lines that come meanwhile wait in the logs, whose
/// bound is 1 MiB for each.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes on their way to a client that follows: much more would hide for long that it does not read any more. Linux doubles
/// it, and counts what it needs itself.
pub(super) const FOLLOW_BUFFER_BYTES: usize = 128 * 1024;

/// A client that follows and whose machine says nothing for so long is asked whether it is there, so often, and given up after
/// as many questions: it has lost its power or its network, and would hold its place for ever.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(10);
pub(super) const PROBE_EACH: Duration = Duration::from_secs(5);
pub(super) const PROBES: u32 = 3;

/// When whoever is refused for lack of room may ask again: a slow client is given up in that time.
pub(super) const RETRY_AFTER: Duration = HEAD_TIMEOUT;

/// Descriptors that serving a request takes beside the client's own: both ends of a connection to tiny_http, and its copy of one.
/// So many clients give way when there are none left.
pub(super) const REQUEST_DESCRIPTORS: usize = 3;

/// Pause after the system refused a connection when nobody could give way: it would refuse the next one at once.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Lines that `/logs` gives when the query does not say.
pub(super) const DEFAULT_TAIL: usize = 100;

/// The longest path of a Unix socket that every system takes (104 bytes on macOS, 108 on Linux).
pub(super) const MAX_SOCKET_PATH: usize = 100;
