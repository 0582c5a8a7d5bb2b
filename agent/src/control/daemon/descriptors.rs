//! How many descriptors control may have: as many as the bounds of its edges add up to, and not what happens to be usual.

use super::journal::log;
use crate::control::node::Level;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections of the mesh over TCP (256), its handshakes and dials under way (192), artifacts that are read for its streams
/// (256), HTTP clients (128) and what serves them, logs, threads and sockets of the agent itself: some 900 at the very worst.
/// The usual soft limit of 1,024 is too near, and lower where somebody has saved.
const WANTED: u64 = 4096;

/// Below this a busy node may run out of them.
const ENOUGH: u64 = 1024;

/// Raises the soft limit as far as the hard one lets it.
pub(super) fn raise_limit() {
    let found = getrlimit(Resource::Nofile);
    let most = found.maximum.unwrap_or(u64::MAX).min(WANTED);
    let allowed = match found.current {
        Some(current) if current < most => {
            let raised = Rlimit { current: Some(most), ..found };
            // Where it is not granted, it stays as it is.
            if setrlimit(Resource::Nofile, raised).is_ok() { most } else { current }
        }
        current => current.unwrap_or(u64::MAX),
    };
    if allowed < ENOUGH {
        let text = format!(
            "this process may have {allowed} files and connections open, and a busy node needs {ENOUGH}: raise `ulimit -n` \
             or systemd's `LimitNOFILE`"
        );
        log(Level::Warn, &text);
    }
}
