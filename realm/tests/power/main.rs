//! An apply that is cut off at each of its writes to the disk: a process is killed with -9, or the power fails. What is there
//! after that is the old manifest or the new one. The agent's binary has to be built before (`cargo build --workspace --bins`).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]
#![allow(clippy::print_stdout, reason = "how many moments were tried, and how they ended, is there to be read")]

#[path = "../mainjob/child.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod child;
mod cut;
mod image;
mod kill;
mod moments;
#[path = "../mainjob/shell.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod shell;
mod site;
#[path = "../hosts/skip.rs"]
mod skip;
#[path = "../mainjob/support.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod support;
mod tally;
