//! The main job on several hosts: each is a network namespace, joined by bridges, so that links can be cut, lose packets
//! and change their addresses. The agent's binary has to be built before (`cargo build --workspace --bins`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]
#![allow(clippy::print_stdout, reason = "how long the mesh took to heal is there to be read")]

#[path = "../mainjob/child.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod child;
mod declared;
mod fleet;
mod harness;
mod mdns;
mod network;
mod outage;
#[path = "../mainjob/shell.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod shell;
mod skip;
mod spread;
#[path = "../mainjob/support.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod support;
