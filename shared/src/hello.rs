//! What two peers tell one another before anything else.

use crate::name::Tag;
use crate::realm_id::RealmId;
use serde::{Deserialize, Serialize};

/// The most addresses of other members that a hello carries: enough to find the rest of a small realm at once.
pub const MAX_HELLO_ADDRS: usize = 16;

/// The most tags that one node has.
pub const MAX_NODE_TAGS: usize = 16;

/// What a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// An agent: runs components, holds state.
    Node,
    /// An operator's command line: speaks, asks, and leaves. Takes no part in gossip.
    Operator,
}

/// The first message in each direction on a new connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The realm the peer belongs to; `None` for a node that nobody has claimed yet.
    pub realm: Option<RealmId>,
    /// Node or operator.
    pub role: Role,
    /// How often the sender was started: with another number, its connections from before are dead. An operator is somebody
    /// else each time, and says 0.
    pub boot: u64,
    /// Version of the program, for people.
    pub version: String,
    /// `os/arch`.
    pub platform: String,
    /// A node's tags.
    pub tags: Vec<Tag>,
    /// Multiaddrs under which the sender and members it knows can be reached, at most [`MAX_HELLO_ADDRS`].
    pub addrs: Vec<String>,
    /// The highest sequence that the sender has accepted: an operator's next intent goes above it.
    pub highest_seq: u64,
    /// Whether a node has so many neighbours that whoever knows enough others should leave it to those who do not. Left out where
    /// it has not, and by agents that do not tell it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crowded: bool,
}

impl Hello {
    /// Whether the lists and texts are within their bounds.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        /// Long enough for every version, platform and multiaddr with a long DNS name.
        const MAX_TEXT: usize = 320;
        self.addrs.len() <= MAX_HELLO_ADDRS
            && self.tags.len() <= MAX_NODE_TAGS
            && self.version.len() <= 64
            && self.platform.len() <= 64
            && self.addrs.iter().all(|addr| addr.len() <= MAX_TEXT)
    }
}
