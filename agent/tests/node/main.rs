//! Rules of one node of the pure core, each by the orders that it gives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod accept;
mod back;
mod bench;
mod claim;
mod declared;
mod declared_sim;
mod dial;
mod fault;
mod order;
mod pinned;
mod places;
mod quota;
mod remove;
mod replace;
mod report;
mod restart;
mod rolling;
mod room;
mod roster;
mod scale;
mod sync;
mod work;
