//! The signals that end an agent, as something that is heard. Apart from guard and adhoc, which are both started from a
//! terminal or by a supervisor.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::{io, thread};

/// Calls `heard` with the number of each of them, until it says that nobody listens any more.
///
/// # Errors
/// When the system has no thread or no pipe for it.
pub(crate) fn watch(mut heard: impl FnMut(i32) -> bool + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    // Lives as long as the process: there is nothing to join it for.
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if !heard(signal) {
                return;
            }
        }
    })?;
    Ok(())
}
