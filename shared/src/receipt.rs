//! What a node answers when an intent is handed to it, once it has stored it or refused it.

use crate::node_id::NodeId;
use crate::seal::Refused;
use serde::{Deserialize, Serialize};

/// A node's word on one intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who says so.
    pub node: NodeId,
    /// What it says.
    pub verdict: Verdict,
}

/// Accepted means: it is on the node's disk and will be acted on, whatever happens next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Stored.
    Accepted,
    /// It was held before.
    AlreadyHeld,
    /// Not obeyed.
    Refused {
        /// [`Refused::code`].
        code: String,
        /// For people.
        reason: String,
    },
}

impl From<&Refused> for Verdict {
    fn from(refused: &Refused) -> Verdict {
        Verdict::Refused { code: refused.code().into(), reason: refused.to_string() }
    }
}
