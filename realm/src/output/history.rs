//! Versions of the manifest, for `realm history`.

use super::{clean, counted};
use serde::Serialize;
use shared::time::utc_millis;
use shared::{Digest, RealmId};

pub(crate) const HEADS: [&str; 7] = ["VERSION", "HELD", "IN FORCE", "FAILED", "APPLIED", "DIGEST", "NOTE"];

/// `realm history --json`.
#[derive(Debug, Serialize)]
pub struct HistoryObject {
    /// 1
    pub schema: u32,
    /// Which realm.
    pub realm: RealmId,
    /// The newest first.
    pub versions: Vec<VersionObject>,
}

/// One version.
#[derive(Debug, Serialize)]
pub struct VersionObject {
    /// Its number.
    pub version: u32,
    /// Whether it is the one that the realm holds now.
    pub held: bool,
    /// On how many nodes that are there it is in force.
    pub in_force: usize,
    /// Whether a node says that it has failed, there or on others.
    pub failed: bool,
    /// When it was signed, in Unix milliseconds by the operator's clock.
    pub issued_at: u64,
    /// The operator's word with it.
    pub note: String,
    /// SHA-256 of its document.
    pub digest: Digest,
}

/// One row a version.
pub(crate) fn history_rows(object: &HistoryObject) -> Vec<Vec<String>> {
    let yes = |is_so: bool| if is_so { "yes" } else { "-" }.to_owned();
    let row = |version: &VersionObject| {
        vec![
            version.version.to_string(),
            yes(version.held),
            if version.in_force == 0 { "-".to_owned() } else { counted(version.in_force, "node") },
            yes(version.failed),
            utc_millis(version.issued_at),
            version.digest.hex()[..12].to_owned(),
            if version.note.is_empty() { "-".to_owned() } else { clean(&version.note) },
        ]
    };
    object.versions.iter().map(row).collect()
}
