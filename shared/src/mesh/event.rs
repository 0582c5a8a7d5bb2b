//! What the mesh tells the application, and what it is answered about gossip.

#[cfg(doc)]
use super::Mesh;
use super::MeshStream;
#[cfg(doc)]
use crate::protocol::MAX_GOSSIP_BYTES;
use crate::protocol::{Protocol, Topic};
use crate::{Hello, NodeId};
use libp2p::PeerId;
use libp2p::gossipsub::MessageId;

/// What happened in the mesh.
#[derive(Debug)]
pub enum MeshEvent {
    /// Hello has passed in both directions, and what it says or means is not what the last `Met` of this peer said.
    /// The peer's gate stands as ours does: what `admitted` allows can be used at once in both directions.
    Met {
        /// The peer.
        peer: NodeId,
        /// Where it is: the address that was dialled, or the one that it came from, with `/p2p/`. The latter need not
        /// be one that it listens on.
        addr: String,
        /// What it said.
        hello: Hello,
        /// Whether it is a member of our realm.
        admitted: bool,
    },
    /// The last connection to a peer that was [`MeshEvent::Met`] is closed.
    Gone {
        /// The peer.
        peer: NodeId,
    },
    /// A dial of an address that names no peer has led to this one, whatever becomes of the connection.
    Leads {
        /// The address that was dialled.
        addr: String,
        /// The peer.
        peer: NodeId,
    },
    /// A dial did not lead to a hello.
    DialFailed {
        /// The first text that was given to [`Mesh::dial`].
        addr: String,
        /// A sentence for the operator.
        reason: String,
    },
    /// A message; it is passed on once [`Mesh::verdict`] accepts it, which must happen within 20 s.
    Gossip {
        /// For the verdict.
        id: GossipId,
        /// The neighbour that handed it to us; not necessarily its author.
        from: NodeId,
        /// Its topic.
        topic: Topic,
        /// At most [`MAX_GOSSIP_BYTES`].
        data: Vec<u8>,
    },
    /// What was published reached nobody: no admitted neighbour listens to the topic, or all their queues are full.
    PublishUnheard {
        /// The topic.
        topic: Topic,
    },
    /// An admitted peer listens to a topic of our realm. Comes after its [`MeshEvent::Met`].
    Subscribed {
        /// The peer.
        peer: NodeId,
        /// The topic.
        topic: Topic,
    },
    /// A peer opened a stream that the gate allows.
    Stream {
        /// The peer.
        peer: NodeId,
        /// The protocol, never [`Protocol::Hello`].
        protocol: Protocol,
        /// The stream. It holds one of the peer's places until it is dropped.
        stream: MeshStream,
    },
    /// A listener has one more address, with `/p2p/`: an interface came up.
    NewAddr {
        /// The address.
        addr: String,
    },
    /// A listener has one address less.
    LostAddr {
        /// The address, with `/p2p/`.
        addr: String,
    },
    /// Somebody on the local network announces addresses. It may be anybody.
    Found {
        /// Who answers there, as far as one can believe it.
        peer: NodeId,
        /// The addresses, with `/p2p/`.
        addrs: Vec<String>,
    },
    /// The local network cannot be looked at.
    NoLan {
        /// Why.
        reason: String,
    },
    /// An address is not announced any more.
    Lost {
        /// The address, with `/p2p/`.
        addr: String,
    },
}

/// A message that waits for its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GossipId {
    pub(super) message: MessageId,
    pub(super) source: PeerId,
}

/// What becomes of a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Drop it; nobody is to blame.
    Ignore,
    /// Drop it: it is invalid.
    Reject,
}
