//! Meshes of two and three over real QUIC and TCP on loopback, seen only through the public interface.
#![cfg(feature = "mesh")]
// A test that cannot go on says so by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod end;
mod gate;
mod links;
mod talk;
