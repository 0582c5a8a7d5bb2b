//! The list that the chunks of an artifact are verified by, and how an artifact is pinned.

use crate::blob::{Artifact, CHUNK_BYTES};
use crate::digest::Digest;
use sha2::block_api::compress256;
use std::fmt;

/// Why bytes are not the chunk list of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkListError {
    /// They are not what the intent pins.
    NotPinned,
    /// They are, but they lead to another digest than the intent pins: who signed it was mistaken.
    OtherWhole,
}

impl fmt::Display for ChunkListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChunkListError::NotPinned => "not the list of chunks that the intent pins",
            ChunkListError::OtherWhole => "its chunks do not add up to the digest that the intent pins",
        })
    }
}

impl std::error::Error for ChunkListError {}

/// How the SHA-256 of an artifact grows: its state after each chunk, and in the end the digest. A chunk is right when it leads
/// from the state before it to the one after it, and when all are right, so is the whole: nobody has to hash it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkList {
    /// Of the whole, which its digest depends on.
    size: u64,
    states: Vec<Digest>,
}

impl ChunkList {
    /// Checks `bytes` (32 per chunk) against what the artifact pins.
    ///
    /// # Errors
    /// When they are not its list, or it is not the artifact's.
    pub fn check(artifact: &Artifact, bytes: &[u8]) -> Result<ChunkList, ChunkListError> {
        let wanted = artifact.chunk_count() as usize * 32;
        if bytes.len() != wanted || Digest::of(bytes) != artifact.chunks {
            return Err(ChunkListError::NotPinned);
        }
        let (states, _) = bytes.as_chunks::<32>();
        let states: Vec<Digest> = states.iter().map(|state| Digest::from_bytes(*state)).collect();
        if states.last().copied().unwrap_or_else(|| Digest::of(&[])) != artifact.digest {
            return Err(ChunkListError::OtherWhole);
        }
        Ok(ChunkList { size: artifact.size, states })
    }

    /// 32 bytes per chunk.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.states.iter().flat_map(|state| *state.as_bytes()).collect()
    }

    /// Whether `bytes` are chunk `index`.
    #[must_use]
    pub fn verify(&self, index: u32, bytes: &[u8]) -> bool {
        let index = index as usize;
        let Some(after) = self.states.get(index) else { return false };
        let before = index.checked_sub(1).and_then(|before| self.states.get(before));
        let mut state = before.map_or(State::default(), State::of);
        if index + 1 < self.states.len() {
            // Of another length it would lead elsewhere too, as far as anybody knows; this needs no argument.
            return bytes.len() == CHUNK_BYTES && state.take(bytes).is_empty() && state.digest() == *after;
        }
        let rest = state.take(bytes);
        let start = index as u64 * CHUNK_BYTES as u64;
        start + bytes.len() as u64 == self.size && state.finish(rest, self.size) == *after
    }
}

/// SHA-256 between two blocks (FIPS 180-4).
#[derive(Debug, Clone, Copy)]
struct State([u32; 8]);

impl Default for State {
    /// Before the first block.
    fn default() -> State {
        State([0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19])
    }
}

impl State {
    /// As it is written in a list, and as a digest is written: big-endian.
    fn of(digest: &Digest) -> State {
        let (words, _) = digest.as_bytes().as_chunks::<4>();
        let mut state = State::default();
        for (to, word) in state.0.iter_mut().zip(words) {
            *to = u32::from_be_bytes(*word);
        }
        state
    }

    fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_mut(4).zip(self.0) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        Digest::from_bytes(bytes)
    }

    /// Takes all whole blocks, and gives what is left behind them.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        compress256(&mut self.0, blocks);
        rest
    }

    /// The digest, when `rest` (less than a block) comes last of `size` bytes.
    fn finish(mut self, rest: &[u8], size: u64) -> Digest {
        let mut end = rest.to_vec();
        end.push(0x80);
        let padded = (end.len() + 8).next_multiple_of(BLOCK_BYTES);
        end.resize(padded - 8, 0);
        end.extend((size * 8).to_be_bytes());
        self.take(&end);
        self.digest()
    }
}

/// Bytes that SHA-256 takes at once; chunks are a multiple of it.
const BLOCK_BYTES: usize = 64;

/// Pins an artifact from its bytes, as they are read.
#[derive(Default)]
pub struct Hasher {
    state: State,
    /// Less than a block.
    rest: Vec<u8>,
    size: u64,
    states: Vec<Digest>,
}

impl Hasher {
    /// Takes further bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let in_chunk = (self.size % CHUNK_BYTES as u64) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - in_chunk));
            self.take(now);
            self.size += now.len() as u64;
            if in_chunk + now.len() == CHUNK_BYTES {
                self.states.push(self.state.digest());
            }
            bytes = later;
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        if !self.rest.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.rest.len()));
            self.rest.extend(now);
            if self.rest.len() < BLOCK_BYTES {
                return;
            }
            self.state.take(&self.rest);
            self.rest.clear();
            bytes = later;
        }
        self.rest.extend(self.state.take(bytes));
    }

    /// The artifact and its list.
    #[must_use]
    pub fn finish(mut self) -> (Artifact, ChunkList) {
        let digest = self.state.finish(&self.rest, self.size);
        if self.size > 0 {
            // The state after the last chunk, if that one is full, is on the way to the digest only.
            self.states.truncate(self.size.div_ceil(CHUNK_BYTES as u64) as usize - 1);
            self.states.push(digest);
        }
        let list = ChunkList { size: self.size, states: self.states };
        (Artifact { digest, size: self.size, chunks: Digest::of(&list.to_bytes()) }, list)
    }
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
        assert!(!list.verify(1, &bytes[CHUNK_BYTES..]), "longer than a chunk");
        assert!(list.verify(2, &bytes[CHUNK_BYTES * 2..]) && !list.verify(2, &bytes[CHUNK_BYTES * 2 + 1..]));
        let mut bent = list.to_bytes();
        bent[40] ^= 1;
        assert_eq!(ChunkList::check(&artifact, &bent), Err(ChunkListError::NotPinned));
        let other = Artifact { digest: Digest::of(b"other"), ..artifact };
        assert_eq!(ChunkList::check(&other, &list.to_bytes()), Err(ChunkListError::OtherWhole));
    }

    #[test]
    fn one_bit_anywhere_is_noticed() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 70).map(|at| (at * 7 % 253) as u8).collect();
        let mut hasher = Hasher::default();
        hasher.update(&bytes);
        let (_, list) = hasher.finish();
        let (first, last) = bytes.split_at(CHUNK_BYTES);
        assert!(list.verify(0, first) && list.verify(1, last));
        for at in [0, 63, 64, CHUNK_BYTES / 2, CHUNK_BYTES - 1] {
            let mut bent = first.to_vec();
            bent[at] ^= 4;
            assert!(!list.verify(0, &bent), "{at}");
        }
        for at in 0..last.len() {
            let mut bent = last.to_vec();
            bent[at] ^= 4;
            assert!(!list.verify(1, &bent), "{at}");
        }
    }

    #[test]
    fn the_digest_is_sha256_whatever_the_size() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 65).map(|at| (at % 249) as u8).collect();
        let around = |size: usize| [size.saturating_sub(1), size, size + 1];
        let sizes = [0, 55, 56, 64, 119, 128, CHUNK_BYTES, CHUNK_BYTES + 56, CHUNK_BYTES * 2, CHUNK_BYTES * 2 + 64];
        for size in sizes.into_iter().flat_map(around) {
            for step in [1_000_000, 70_001, 61] {
                let mut hasher = Hasher::default();
                bytes[..size].chunks(step).for_each(|part| hasher.update(part));
                let (artifact, list) = hasher.finish();
                assert_eq!((artifact.size, artifact.digest), (size as u64, Digest::of(&bytes[..size])), "{size}");
                assert_eq!(ChunkList::check(&artifact, &list.to_bytes()), Ok(list.clone()), "{size}");
                let all = bytes[..size].chunks(CHUNK_BYTES);
                assert!(all.zip(0..).all(|(chunk, index)| list.verify(index, chunk)), "{size}");
            }
        }
    }

    #[test]
    fn an_empty_artifact_has_no_chunks() {
        let (artifact, list) = Hasher::default().finish();
        assert_eq!((artifact.size, artifact.chunk_count()), (0, 0));
        assert!(ChunkList::check(&artifact, &list.to_bytes()).is_ok());
    }
}
