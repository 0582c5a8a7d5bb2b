//! The file that is pushed: pinned and checked in one reading, then served in chunks.

mod check;
mod refusal;
mod source;

pub use check::{Checked, check};
pub use refusal::Refusal;
pub use source::{Source, of_file, open};

use shared::{Artifact, ChunkList};

/// A component that can be pushed.
#[derive(Debug)]
pub struct Component {
    /// What the intent pins.
    pub artifact: Artifact,
    /// The digests of its chunks.
    pub chunks: ChunkList,
    /// Where its bytes are.
    pub source: Source,
}
