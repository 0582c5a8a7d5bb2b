//! What the swarm task knows of one connected peer.

#[cfg(doc)]
use super::MeshEvent;
use super::gate::Access;
use crate::{Hello, NodeId};
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use std::time::Instant;

/// A connected peer.
pub(super) struct Peer {
    pub(super) node: NodeId,
    /// Oldest first; bounded by the connections that one peer may have.
    pub(super) links: Vec<Link>,
    /// The last thing it said. Kept, so that the gate can be judged anew when our own hello changes.
    pub(super) hello: Option<Hello>,
    pub(super) access: Access,
    /// When it is disconnected, unless it is admitted before.
    pub(super) deadline: Option<Instant>,
    /// What the last [`MeshEvent::Met`] said: hello and admission.
    pub(super) met: Option<(Hello, bool)>,
    /// It has to be told our hello again. Waits until no exchange is under way, so that an older hello of ours can
    /// never arrive after a newer one.
    pub(super) due: bool,
}

/// One connection to a peer.
pub(super) struct Link {
    pub(super) id: ConnectionId,
    /// Where it leads, with `/p2p/`.
    pub(super) addr: String,
    /// The text that was given to dial, for connections that we made.
    pub(super) asked: Option<String>,
    /// A dial is answered by the first hello on its connection.
    pub(super) answered: bool,
    /// Hello exchanges under way on this connection.
    pub(super) exchanges: usize,
    /// It is being closed; nothing is to be begun on it.
    pub(super) closing: bool,
    /// When it is tried next; `None` for a transport that does so itself.
    pub(super) probe: Option<Instant>,
}

impl Peer {
    pub(super) fn new(node: NodeId) -> Peer {
        Peer { node, links: Vec::new(), hello: None, access: Access::Hello, deadline: None, met: None, due: false }
    }

    /// When something has to be done about the peer though nothing happens.
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.links.iter().filter_map(|link| link.probe).chain(self.deadline).min()
    }

    /// Whether [`MeshEvent::Met`] has said that it is a member.
    pub(super) fn is_known_member(&self) -> bool {
        self.met.as_ref().is_some_and(|(_, admitted)| *admitted)
    }
}

impl Link {
    /// Whether it is the result of dialling `text`.
    pub(super) fn asks(&self, text: &str) -> bool {
        self.asked.as_deref() == Some(text)
    }

    /// Whether it leads to an address, which is written without a peer.
    pub(super) fn leads_to(&self, addr: &Multiaddr) -> bool {
        let rest = self.addr.strip_prefix(&addr.to_string());
        !self.closing && rest.is_some_and(|rest| rest.starts_with("/p2p/"))
    }
}

/// The node behind a peer id, when its key is ed25519.
pub(super) fn node_id(peer: &PeerId) -> Option<NodeId> {
    NodeId::from_peer_id_bytes(&peer.to_bytes())
}

/// The peer id of a node.
pub(super) fn peer_id(node: &NodeId) -> Option<PeerId> {
    PeerId::from_bytes(&node.to_peer_id_bytes()).ok()
}
