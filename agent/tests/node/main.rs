//! Rules of one node of the pure core, each by the orders that it gives.

mod accept;
mod bench;
mod claim;
mod dial;
mod order;
mod replace;
mod report;
mod restart;
mod roster;
mod sync;
mod work;
