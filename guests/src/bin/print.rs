//! Prints N numbered lines (first argument, default 1000) on standard output, every tenth on standard error.
//! Shows whether output is kept in order, bounded, and told apart by stream.

use std::io::{self, Write};

const DEFAULT_LINES: u64 = 1000;

fn main() -> io::Result<()> {
    let wanted = std::env::args().find_map(|arg| arg.parse().ok());
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    for line in 1..=wanted.unwrap_or(DEFAULT_LINES) {
        if line % 10 == 0 {
            writeln!(err, "stderr line {line}")?;
        } else {
            writeln!(out, "stdout line {line}")?;
        }
    }
    out.flush()
}
