//! The HTTP edge over real sockets: what is served, what is refused, and that nobody can hold up the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

mod answers;
mod crowd;
mod follow;
mod support;
