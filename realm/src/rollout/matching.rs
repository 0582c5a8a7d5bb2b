//! Which nodes a push is for, which of them are away, and which will stop what they run because of it.

use crate::cli::PeerRef;
use shared::{Audience, NodeFacts, NodeId, Tag};
use std::collections::BTreeSet;

/// A node that is known before the push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Who.
    pub node: NodeId,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// `os/arch`.
    pub platform: String,
    /// Whether it is there.
    pub alive: bool,
    /// Whether it has the component's name among what it is to run.
    pub has_name: bool,
}

/// What the selectors came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Matched {
    /// What is signed.
    pub audience: Audience,
    /// Nodes that it is for.
    pub nodes: Vec<Known>,
    /// Nodes that have the name and will stop it, because the audience leaves them out.
    pub stops: Vec<NodeId>,
}

/// Why a push is for nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoMatch {
    /// No known node is meant by this.
    Peer(String),
    /// Several are.
    Ambiguous(String, Vec<NodeId>),
    /// Each selector means somebody; together they mean nobody. The tags that are known.
    Nobody(Audience, BTreeSet<Tag>),
}

/// Applies the selectors to what is known.
///
/// # Errors
/// When nothing known is meant: nothing should be sent then.
pub fn match_nodes(peers: &[PeerRef], tags: &[Tag], known: &[Known]) -> Result<Matched, NoMatch> {
    let peers = peers.iter().map(|peer| resolve(peer, known)).collect::<Result<Vec<_>, _>>()?;
    let audience = Audience { peers, tags: tags.to_vec(), platform: None };
    let is_meant = |known: &&Known| {
        audience.matches(&NodeFacts { node: known.node, tags: &known.tags, platform: &known.platform })
    };
    let nodes: Vec<Known> = known.iter().filter(is_meant).cloned().collect();
    if nodes.is_empty() {
        let tags = known.iter().flat_map(|known| known.tags.iter().cloned()).collect();
        return Err(NoMatch::Nobody(audience, tags));
    }
    let left_out = known.iter().filter(|known| !is_meant(known) && known.has_name);
    let stops = left_out.map(|known| known.node).collect();
    Ok(Matched { audience, nodes, stops })
}

fn resolve(peer: &PeerRef, known: &[Known]) -> Result<NodeId, NoMatch> {
    let found: Vec<NodeId> = known.iter().map(|known| known.node).filter(|node| peer.fits(node)).collect();
    match found[..] {
        [] => Err(NoMatch::Peer(peer.as_str().to_owned())),
        [node] => Ok(node),
        _ => Err(NoMatch::Ambiguous(peer.as_str().to_owned(), found)),
    }
}
