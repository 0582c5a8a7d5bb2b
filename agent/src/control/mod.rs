//! The daemon: keys, mesh, policy and state. [`node`] decides, the edges around it act, and [`daemon`] alone knows
//! both.

pub mod artifacts;
pub mod daemon;
pub mod disk;
pub mod host;
pub mod http;
pub mod logs;
pub mod node;
pub mod store;
mod timeout;

pub use daemon::main;
