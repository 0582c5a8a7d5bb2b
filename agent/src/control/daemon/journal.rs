//! The agent's own log: a line on stderr each, with the time.

use crate::control::node::Level;
use shared::time::utc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes a line. A reader that has gone away is no reason to stop.
pub(super) fn log(level: Level, text: &str) {
    use std::io::Write;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let level = match level {
        Level::Info => "info",
        Level::Warn => "WARN",
    };
    let _ = writeln!(std::io::stderr(), "{} {level} {text}", utc(seconds));
}
