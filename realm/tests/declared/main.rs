//! The manifest with real agents: applied, changed, undone, and what each node makes of it when it was away. The agent's binary
//! has to be built before (`cargo build --workspace --bins`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

#[path = "../mainjob/child.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod child;
#[path = "../common/mod.rs"]
mod common;
mod crowded;
mod failing;
mod fetched;
mod life;
mod manifest;
mod pushed;
mod rollout;
#[path = "../mainjob/shell.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod shell;
#[path = "../mainjob/support.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod support;
mod versions;
