//! `realm-agent`: runs WebAssembly components under hard limits, as a peer of a mesh.
//!
//! One binary, four kinds of process: [`guard`] starts and restarts the others, [`control`] holds keys, mesh and
//! policy, [`runner`] hosts the guests, and its compile child turns components into machine code. [`adhoc`] takes the
//! place of the first two for one run without a realm.

pub mod adhoc;
pub mod args;
mod children;
pub mod control;
mod descriptors;
pub mod guard;
pub mod ipc;
mod lock;
mod machine;
pub mod runner;
mod signals;
