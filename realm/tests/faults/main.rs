//! What a machine and its people do to an agent: disks that are full or read-only, files that are torn, keys and
//! addresses that are wrong. The agent's binary has to be built before (`cargo build --workspace --bins`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

#[path = "../mainjob/child.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod child;
mod clock;
mod component;
mod damage;
mod disk;
mod full;
#[path = "../declared/manifest.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod manifest;
mod node_key;
#[path = "../mainjob/operator.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod operator;
mod settings;
#[path = "../mainjob/shell.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod shell;
#[path = "../hosts/skip.rs"]
mod skip;
#[path = "../mainjob/support.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod support;
