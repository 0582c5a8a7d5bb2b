//! The edge to the guests, with the test in the place of the guard and of its runners.
#![allow(clippy::unwrap_used)]

mod bench;
mod code;
mod runners;
