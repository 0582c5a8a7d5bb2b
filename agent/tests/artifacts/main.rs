//! The artifact edge between real meshes on loopback, seen through its public interface only. Peers that lie, stall or
//! leave are written here, frame by frame.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

mod fetch;
mod peers;
mod serve;
mod support;
