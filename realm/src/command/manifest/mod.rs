//! The verbs of the manifest: `plan`, `apply`, `rollback`, `history` and `export`.

mod apply;
mod current;
mod export;
mod history;
mod load;
mod rollout;
mod stock;
mod told;
mod version;

pub(super) use apply::{apply, plan, rollback};
pub(super) use current::declared;
pub(super) use export::run as export;
pub(super) use history::run as history;
