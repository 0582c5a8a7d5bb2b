//! `/realm/sync/1`: two nodes compare what they hold, and each pulls what the other has newer.
//! One writer signs every entry, so "the higher rank wins" merges any two states.

use crate::digest::Digest;
use crate::intent::IntentKey;
use crate::seal::IntentId;
use crate::watch::NodeView;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The most keys in the state map of a realm: names of components, the manifest, and later members.
pub const MAX_SYNC_KEYS: usize = 1024;

/// The largest answer: an index of [`MAX_SYNC_KEYS`] entries, or as many intents as fit.
pub const MAX_SYNC_BYTES: usize = 512 * 1024;

/// A state map in a few bytes: equal summaries mean equal maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// SHA-256 over all entries in the order of their keys.
    pub digest: Digest,
    /// How many entries there are.
    pub count: u32,
    /// The highest sequence among them.
    pub highest_seq: u64,
}

impl Summary {
    /// Summarises entries that come in the order of their keys.
    pub fn of<'a>(entries: impl Iterator<Item = (&'a IntentKey, u64, IntentId)>) -> Summary {
        let (mut text, mut count, mut highest_seq) = (Vec::new(), 0, 0);
        for (key, seq, id) in entries {
            let key = key.to_string();
            text.extend_from_slice(&(key.len() as u64).to_be_bytes());
            text.extend_from_slice(key.as_bytes());
            text.extend_from_slice(&seq.to_be_bytes());
            text.extend_from_slice(id.as_bytes());
            count += 1;
            highest_seq = highest_seq.max(seq);
        }
        Summary { digest: Digest::of(&text), count, highest_seq }
    }
}

/// One entry of the state map, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Its key.
    pub key: IntentKey,
    /// Its sequence.
    pub seq: u64,
    /// Its id.
    pub id: IntentId,
}

/// What is asked; each request has a stream of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncRequest {
    /// This is what I hold: is yours the same?
    Compare(Summary),
    /// Give me these.
    Pull(Vec<IntentKey>),
    /// Give me the newest report of every node that you know.
    Reports,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncReply {
    /// The same.
    Same,
    /// Not the same; this is what I hold, at most [`MAX_SYNC_KEYS`].
    Index(Vec<IndexEntry>),
    /// The sealed bytes of as many of the asked keys, in the order asked, as fit [`MAX_SYNC_BYTES`].
    Intents(Vec<ByteBuf>),
    /// The newest reports, and who of them counts as alive; as many as fit [`MAX_SYNC_BYTES`].
    Reports(Vec<NodeView>),
}
