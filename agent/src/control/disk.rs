//! The forms of what is kept on disk beside the protocol's own: known to the store, which writes them, and to the
//! daemon, which makes them.

use serde::{Deserialize, Serialize};
use shared::{IntentId, Outcome, SignedReport};

/// How the runs of a component ended for good, or that there is no room for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The intent that wanted the runs.
    pub intent: IntentId,
    /// How each instance ended; none when they have not all.
    pub outcomes: Vec<Outcome>,
    /// Whether it waits until the node has memory for it.
    #[serde(default)]
    pub no_room: bool,
}

/// A manifest: the sealed intent that pins a document, and that document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedFile {
    /// The intent.
    #[serde(with = "serde_bytes")]
    pub sealed: Vec<u8>,
    /// The document.
    #[serde(with = "serde_bytes")]
    pub document: Vec<u8>,
}

/// What is in force: in one file, so that there is never one part of it without the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The manifest that the node runs.
    pub in_force: Option<PinnedFile>,
    /// The one before it, for the way back.
    pub before: Option<PinnedFile>,
    /// The intent of one that was in force, that failed, and that does not come into force again.
    pub rejected: Option<IntentId>,
    /// The intent of one that has failed on other nodes, and does not come into force here.
    #[serde(default)]
    pub halted: Option<IntentId>,
    /// Versions that were in force and failed, in ascending order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<u32>,
    /// Where the one before was not seen well, the last that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<PinnedFile>,
}

/// Other nodes: newest report and addresses of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberFile {
    /// One entry a node.
    pub members: Vec<Member>,
}

/// One other node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its newest report when the file was written.
    pub report: SignedReport,
    /// Addresses that it was reached under.
    pub addrs: Vec<String>,
}
