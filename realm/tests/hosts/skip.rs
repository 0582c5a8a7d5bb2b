//! What becomes of a test on a machine that lends it no network: it passes, and says aloud that it has shown nothing.

use std::fs::OpenOptions;
use std::io::Write;
use std::thread;

/// Names a file that gets a line for each test that was skipped; `cargo xtask test` counts them.
const FILE: &str = "REALM_SKIPPED";

/// Tells that this test is skipped, for want of something that can be installed or allowed.
pub(crate) fn skipped(why: &str) {
    told("SKIPPED", why);
}

/// Tells that this test shows nothing here, for want of something that the machine's kernel does not have.
#[allow(dead_code, reason = "tests with disks of their own use it")]
pub(crate) fn unsupported(why: &str) {
    told("UNSUPPORTED", why);
}

fn told(word: &str, why: &str) {
    let thread = thread::current();
    let line = format!("{word}: {}: {}\n", thread.name().unwrap_or("a test"), why.trim_end().replace('\n', "; "));
    // Not by a macro: the words of those are kept back when a test passes.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(path) = std::env::var_os(FILE) {
        // In one piece, because other tests write to it at the same time.
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
    }
}
