//! `/realm/blob/1`: artifacts, named by their SHA-256 and moved in chunks that are verified one by one.
//! An intent pins the digest of the whole and of the list that chunks are verified by, so its size does not grow.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};

/// Bytes of each chunk but the last: large enough to keep a link busy, small enough to be held in memory on a board.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// The largest artifact: its list of 4,096 digests is half a chunk.
pub const MAX_ARTIFACT_BYTES: u64 = 1 << 30;

/// An artifact, pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// SHA-256 of all its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// SHA-256 of its [`ChunkList`](crate::ChunkList), 32 bytes per chunk.
    pub chunks: Digest,
}

impl Artifact {
    /// How many chunks it has; an empty artifact has none.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        u32::try_from(self.size.div_ceil(CHUNK_BYTES as u64)).unwrap_or(u32::MAX)
    }

    /// How many bytes chunk `index` has.
    #[must_use]
    pub fn chunk_size(&self, index: u32) -> usize {
        let start = u64::from(index) * CHUNK_BYTES as u64;
        usize::try_from(self.size.saturating_sub(start).min(CHUNK_BYTES as u64)).unwrap_or(CHUNK_BYTES)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.size > MAX_ARTIFACT_BYTES {
            return Err(format!("the artifact has {} bytes, at most {MAX_ARTIFACT_BYTES} are allowed", self.size));
        }
        Ok(())
    }
}

/// What is asked. A stream begins with `Open` and is about one artifact from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlobRequest {
    /// Do you have chunks of this? Answered by `Have` or `Unknown`.
    Open(Artifact),
    /// Give me the chunk list. Answered by `List` or `Missing`.
    List,
    /// Give me this chunk. Answered by `Chunk` or `Missing`; a peer that is fetching it itself answers once it has it.
    Chunk(u32),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlobReply {
    /// Neither have it nor am fetching it.
    Unknown,
    /// Have all of it (`complete`), or am fetching it.
    Have {
        /// Whether every chunk is here.
        complete: bool,
        /// One bit per chunk that is here, lowest first.
        #[serde(with = "serde_bytes")]
        have: Vec<u8>,
    },
    /// The chunk list, 32 bytes per chunk.
    List(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The chunk.
    Chunk(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Not here, and not to be had from me.
    Missing,
}

impl BlobReply {
    /// The largest frame of this protocol: one chunk, or the longest list, and a head.
    pub const MAX_FRAME: usize = CHUNK_BYTES + 1024;
}
