//! Descriptors of control, and a word when there are few.

use super::journal::log;
use crate::control::node::Level;

/// Below this a busy node may run out of them.
const ENOUGH: u64 = 1024;

/// Raises the limit of this process.
pub(super) fn raise_limit() {
    let allowed = crate::descriptors::raise_limit();
    if allowed < ENOUGH {
        let text = format!(
            "this process may have {allowed} files and connections open, and a busy node needs {ENOUGH}: raise `ulimit -n` \
             or systemd's `LimitNOFILE`"
        );
        log(Level::Warn, &text);
    }
}
