//! The runner with real components: it is spoken to over its socket, as control does.
#![allow(clippy::unwrap_used)]

mod compiling;
mod floods;
mod guests;
mod lifecycle;
mod limits;
mod outcomes;
mod processes;
mod support;
mod usage;
