//! `/realm/blob/1`: artifacts, named by their SHA-256 and moved in chunks that are verified one by one.
//! An intent pins the digest of the whole and of the list of chunk digests, so its size does not grow with the artifact.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

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
    /// SHA-256 of its [`ChunkList`], 32 bytes per chunk.
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

/// Why bytes are not the chunk list of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkListError;

impl fmt::Display for ChunkListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the list of chunks that the intent pins")
    }
}

impl std::error::Error for ChunkListError {}

/// The digests of an artifact's chunks, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkList(Vec<Digest>);

impl ChunkList {
    /// Checks `bytes` (32 per chunk) against what the artifact pins.
    ///
    /// # Errors
    /// When they are not its list.
    pub fn check(artifact: &Artifact, bytes: &[u8]) -> Result<ChunkList, ChunkListError> {
        let wanted = artifact.chunk_count() as usize * 32;
        if bytes.len() != wanted || Digest::of(bytes) != artifact.chunks {
            return Err(ChunkListError);
        }
        let (digests, _) = bytes.as_chunks::<32>();
        Ok(ChunkList(digests.iter().map(|digest| Digest::from_bytes(*digest)).collect()))
    }

    /// 32 bytes per chunk.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|digest| *digest.as_bytes()).collect()
    }

    /// Whether `bytes` are chunk `index`.
    #[must_use]
    pub fn verify(&self, index: u32, bytes: &[u8]) -> bool {
        self.0.get(index as usize).is_some_and(|digest| *digest == Digest::of(bytes))
    }
}

/// Pins an artifact from its bytes, as they are read.
#[derive(Default)]
pub struct Hasher {
    whole: Sha256,
    chunk: Sha256,
    in_chunk: usize,
    size: u64,
    chunks: Vec<Digest>,
}

impl Hasher {
    /// Takes further bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.in_chunk));
            self.chunk.update(now);
            self.in_chunk += now.len();
            if self.in_chunk == CHUNK_BYTES {
                self.end_chunk();
            }
            bytes = rest;
        }
    }

    fn end_chunk(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        self.chunks.push(Digest::from_bytes(chunk.finalize().into()));
        self.in_chunk = 0;
    }

    /// The artifact and its list.
    #[must_use]
    pub fn finish(mut self) -> (Artifact, ChunkList) {
        if self.in_chunk > 0 {
            self.end_chunk();
        }
        let list = ChunkList(self.chunks);
        let digest = Digest::from_bytes(self.whole.finalize().into());
        (Artifact { digest, size: self.size, chunks: Digest::of(&list.to_bytes()) }, list)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_verified_one_by_one() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 5).map(|at| (at % 251) as u8).collect();
        let mut hasher = Hasher::default();
        for part in bytes.chunks(70_001) {
            hasher.update(part);
        }
        let (artifact, list) = hasher.finish();
        assert_eq!((artifact.chunk_count(), artifact.digest), (3, Digest::of(&bytes)));
        assert_eq!((artifact.chunk_size(0), artifact.chunk_size(2)), (CHUNK_BYTES, 5));
        assert_eq!(ChunkList::check(&artifact, &list.to_bytes()), Ok(list.clone()));
        assert!(list.verify(1, &bytes[CHUNK_BYTES..CHUNK_BYTES * 2]));
        assert!(!list.verify(0, &bytes[CHUNK_BYTES..CHUNK_BYTES * 2]));
        assert!(!list.verify(3, &[]));
        let mut bent = list.to_bytes();
        bent[40] ^= 1;
        assert_eq!(ChunkList::check(&artifact, &bent), Err(ChunkListError));
    }

    #[test]
    fn an_empty_artifact_has_no_chunks() {
        let (artifact, list) = Hasher::default().finish();
        assert_eq!((artifact.size, artifact.chunk_count()), (0, 0));
        assert!(ChunkList::check(&artifact, &list.to_bytes()).is_ok());
    }
}
