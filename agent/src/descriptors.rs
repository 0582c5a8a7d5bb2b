//! How many descriptors a process may have: as many as its bounds add up to, and not what happens to be usual.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Control: connections of the mesh over TCP (256), its handshakes and dials under way (192), artifacts that are read for
/// its streams (256), HTTP clients (128) and what serves them, runners (two for each of 65), logs, threads and sockets of the
/// agent itself: some 1,030 at the very worst. A runner: one for each core module with memory of a loaded component, of which there are 1,024 at the most.
/// The usual soft limit of 1,024 is too near, and lower where somebody has saved.
const WANTED: u64 = 4096;

/// Raises the soft limit as far as the hard one lets it, and tells what it is then.
pub(crate) fn raise_limit() -> u64 {
    let found = getrlimit(Resource::Nofile);
    let most = found.maximum.unwrap_or(u64::MAX).min(WANTED);
    match found.current {
        Some(current) if current < most => {
            let raised = Rlimit { current: Some(most), ..found };
            // Where it is not granted, it stays as it is.
            if setrlimit(Resource::Nofile, raised).is_ok() { most } else { current }
        }
        current => current.unwrap_or(u64::MAX),
    }
}
