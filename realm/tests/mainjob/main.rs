//! The main job with real processes: agents on loopback, an operator, and what each of them does to the other. The agent's
//! binary has to be built before (`cargo build --workspace --bins`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

#[allow(dead_code, reason = "tests on other hosts share it")]
mod child;
mod command_line;
mod entry;
mod first_use;
mod hostile;
mod http;
#[cfg(target_os = "linux")]
mod isolation;
mod life;
mod load;
mod operator;
mod outcomes;
#[cfg(target_os = "linux")]
mod output;
mod process;
mod restart;
mod rollout;
#[allow(dead_code, reason = "tests on other hosts share it")]
mod shell;
mod slow_clients;
mod store;
mod support;
mod thousand;
mod watch;
