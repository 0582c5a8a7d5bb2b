//! The bounds of the HTTP edge, each with its reason. The server behind the front has none of its own.

use std::time::Duration;

/// Connections at once. A scraper, an operator and a health check need three; the rest is patience with slow ones.
pub(super) const MAX_CLIENTS: usize = 128;

/// The longest request head. Browsers send two; nothing here needs a header.
pub(super) const MAX_HEAD_BYTES: usize = 8 * 1024;

/// The longest request target: a path and a query with a name of 63 characters.
pub(super) const MAX_TARGET_BYTES: usize = 1024;

/// Within this time a client has sent its head.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Threads that wait for the loop's answer, and write it. One of them serves `/healthz` and `/readyz` alone, so that three clients
/// that read their answer slowly do not make the node look dead.
pub(super) const WORKERS: usize = 4;

/// Within this time the loop answers; it is dead or drowning otherwise, and the client is told so.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Within this time an answer begins: a worker is free, and the loop has answered or is given up.
pub(super) const BEGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Within this time a client takes the rest of its answer; log lines may be some megabytes, over a slow line.
pub(super) const COPY_TIMEOUT: Duration = Duration::from_secs(15);

/// What is read and thrown away after the answer, so that a client that sent a body reads the answer and not a reset.
pub(super) const MAX_LINGER_BYTES: u64 = 64 * 1024;

/// How long that may take.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause after the system refused a connection: it is out of descriptors, and would refuse the next one at once.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Lines that `/logs` gives when the query does not say.
pub(super) const DEFAULT_TAIL: usize = 100;

/// The longest path of a Unix socket that every system takes (104 bytes on macOS, 108 on Linux).
pub(super) const MAX_SOCKET_PATH: usize = 100;
