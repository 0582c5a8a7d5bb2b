//! Whom an intent is meant for: any of these peers, any of these tags, this platform; all three must match.

use crate::name::Tag;
use crate::node_id::NodeId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most peers that one intent names: 256 ids of 34 bytes stay far below a gossip message. More want a tag.
pub const MAX_AUDIENCE_PEERS: usize = 256;

/// The most tags that one intent names.
pub const MAX_AUDIENCE_TAGS: usize = 16;

/// What an audience is matched against.
#[derive(Debug, Clone, Copy)]
pub struct NodeFacts<'a> {
    /// Who the node is.
    pub node: NodeId,
    /// Its tags.
    pub tags: &'a [Tag],
    /// Its platform, `os/arch`.
    pub platform: &'a str,
}

/// A selector of nodes. An empty list does not restrict; an empty audience is everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Any of these nodes.
    pub peers: Vec<NodeId>,
    /// Any of these tags.
    pub tags: Vec<Tag>,
    /// This platform, `os/arch`.
    pub platform: Option<String>,
}

impl Audience {
    /// Whether a node is meant.
    #[must_use]
    pub fn matches(&self, facts: &NodeFacts<'_>) -> bool {
        (self.peers.is_empty() || self.peers.contains(&facts.node))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| facts.tags.contains(tag)))
            && self.platform.as_deref().is_none_or(|platform| platform == facts.platform)
    }

    /// Checks the bounds that the field types do not.
    ///
    /// # Errors
    /// Names the list, its size and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        if self.peers.len() > MAX_AUDIENCE_PEERS {
            return Err(format!(
                "the audience names {} peers, at most {MAX_AUDIENCE_PEERS} are allowed",
                self.peers.len()
            ));
        }
        if self.tags.len() > MAX_AUDIENCE_TAGS {
            return Err(format!(
                "the audience names {} tags, at most {MAX_AUDIENCE_TAGS} are allowed",
                self.tags.len()
            ));
        }
        if self.platform.as_ref().is_some_and(|platform| platform.len() > 64) {
            return Err("the audience's platform is longer than 64 bytes".into());
        }
        Ok(())
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.tags.is_empty() {
            let tags: Vec<&str> = self.tags.iter().map(Tag::as_str).collect();
            parts.push(format!("tag {}", tags.join(" or ")));
        }
        if !self.peers.is_empty() {
            let peers: Vec<String> = self.peers.iter().map(NodeId::short).collect();
            parts.push(format!("peer {}", peers.join(" or ")));
        }
        parts.extend(self.platform.as_ref().map(|platform| format!("platform {platform}")));
        if parts.is_empty() { f.write_str("every node") } else { f.write_str(&parts.join(" and ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_any_and_kinds_are_all() {
        let tag = |text: &str| text.parse::<Tag>().unwrap_or_else(|error| panic!("{error}"));
        let (here, there) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let tags = [tag("dev"), tag("arm")];
        let facts = NodeFacts { node: here, tags: &tags, platform: "linux/x86_64" };
        let audience = |peers: &[NodeId], tags: &[Tag], platform: Option<&str>| Audience {
            peers: peers.to_vec(),
            tags: tags.to_vec(),
            platform: platform.map(str::to_owned),
        };
        assert!(Audience::default().matches(&facts));
        assert!(audience(&[there, here], &[], None).matches(&facts));
        assert!(audience(&[], &[tag("web"), tag("arm")], None).matches(&facts));
        assert!(!audience(&[there], &[tag("dev")], None).matches(&facts));
        assert!(!audience(&[here], &[tag("web")], None).matches(&facts));
        assert!(!audience(&[here], &[], Some("linux/aarch64")).matches(&facts));
    }
}
