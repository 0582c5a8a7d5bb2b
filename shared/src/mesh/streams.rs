//! The behaviour behind our stream protocols: which connections each peer has, how many there may be, and the gate
//! of each peer. Holds nothing of a peer that has gone (`connection-limits` keeps an entry for every peer it ever saw).

use super::MeshError;
use super::gate::{Access, PeerGate};
use super::handler::{Handler, Open, Opened, Reply};
use super::limits::{
    CLOSE_TIME, DIALS_OVERLAP, Limits, MAX_CONNECTIONS_PER_PEER, MAX_PENDING_INBOUND, MAX_QUEUED_OPENS, MAX_STRANGERS,
};
use crate::NodeId;
use crate::protocol::Protocol;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, DialError, DialFailure, FromSwarm, ListenFailure,
    NetworkBehaviour, NotifyHandler, THandler, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::Instant;

/// A stream that a peer opened.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
    pub(super) opened: Opened,
}

/// See the module's documentation.
pub(super) struct Streams {
    max_connections: usize,
    peers: HashMap<PeerId, Links>,
    pending_inbound: HashSet<ConnectionId>,
    /// Inbound streams of all peers.
    total: Arc<AtomicUsize>,
    queue: VecDeque<ToSwarm<Inbound, Open>>,
}

#[derive(Default)]
struct Links {
    gate: Arc<PeerGate>,
    /// Oldest first.
    connections: Vec<Link>,
    /// When they were found to be lost and told to close.
    lost: Option<Instant>,
}

struct Link {
    id: ConnectionId,
    inbound: bool,
    since: Instant,
}

impl Links {
    /// Whether a peer that connects has lost those that it had: it would not dial otherwise, unless both ends began at
    /// once. Gossip tells who is new which topics it is interested in, and must see that the peer was gone: with a new
    /// connection beside the old ones it would tell nothing, and neither end would send the other anything for long.
    ///
    /// A connection over TCP closes when what is in its buffers has been sent, which a dead one may try for a quarter of an
    /// hour: then it is better to have both.
    fn are_lost(&self) -> bool {
        match self.lost {
            Some(since) => since.elapsed() < CLOSE_TIME,
            None => self.connections.iter().all(|link| link.since.elapsed() >= DIALS_OVERLAP),
        }
    }
}

/// Why a connection is not taken, as the end that wanted it reads it.
#[derive(Debug)]
enum Denial {
    Full(usize),
    Strangers,
    Peer,
    Handshakes,
    Key,
    Surplus,
    Back,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denial::Full(most) => write!(f, "all {most} connections are in use"),
            Denial::Strangers => write!(f, "{MAX_STRANGERS} strangers are connected already"),
            Denial::Peer => write!(f, "the peer has {MAX_CONNECTIONS_PER_PEER} connections already"),
            Denial::Handshakes => write!(f, "{MAX_PENDING_INBOUND} handshakes are under way already"),
            Denial::Key => f.write_str("the peer's key is not ed25519"),
            Denial::Surplus => f.write_str("an earlier attempt has reached the peer"),
            Denial::Back => f.write_str("the peer has lost connections that were open here until now"),
        }
    }
}

impl std::error::Error for Denial {}

/// Whether a dial came to nothing because another one had reached the peer. Attempts overlap, and the first is enough: on
/// several, streams would be opened on one that is about to be closed.
pub(super) fn is_surplus(error: &DialError) -> bool {
    let denied = |cause: &ConnectionDenied| matches!(cause.downcast_ref::<Denial>(), Some(Denial::Surplus));
    matches!(error, DialError::Denied { cause } if denied(cause))
}

impl Streams {
    pub(super) fn new(limits: &Limits) -> Streams {
        Streams {
            max_connections: limits.max_connections,
            peers: HashMap::new(),
            pending_inbound: HashSet::new(),
            total: Arc::default(),
            queue: VecDeque::new(),
        }
    }

    /// Sets what the peer may open, effective at once on all of its connections.
    pub(super) fn set_access(&self, peer: &PeerId, access: Access) {
        if let Some(links) = self.peers.get(peer) {
            links.gate.set_access(access);
        }
    }

    /// Opens a stream on `connection`, or on the newest one of the peer, which is the likeliest to be alive.
    pub(super) fn open(&mut self, peer: PeerId, connection: Option<ConnectionId>, protocol: Protocol, reply: Reply) {
        let newest = self.peers.get(&peer).and_then(|links| links.connections.last()).map(|link| link.id);
        let refusal = match connection.or(newest) {
            None => MeshError::NotConnected,
            Some(_) if self.queue.len() >= MAX_QUEUED_OPENS => MeshError::Busy,
            Some(connection) => {
                let handler = NotifyHandler::One(connection);
                self.queue.push_back(ToSwarm::NotifyHandler {
                    peer_id: peer,
                    handler,
                    event: Open { protocol, reply },
                });
                return;
            }
        };
        drop(reply.send(Err(refusal)));
    }

    fn established(&mut self, id: ConnectionId, peer: PeerId, inbound: bool) -> Result<Handler, ConnectionDenied> {
        self.pending_inbound.remove(&id);
        if let Err(denial) = self.check(peer, inbound) {
            if matches!(denial, Denial::Back) {
                self.begin_anew(peer);
            }
            return Err(ConnectionDenied::new(denial));
        }
        let links = self.peers.entry(peer).or_default();
        links.connections.push(Link { id, inbound, since: Instant::now() });
        Ok(Handler::new(Arc::clone(&links.gate), Arc::clone(&self.total)))
    }

    /// Closes all connections of a peer that has lost those it had, and takes none before that is done.
    pub(super) fn begin_anew(&mut self, peer: PeerId) {
        let Some(links) = self.peers.get_mut(&peer) else { return };
        links.lost.get_or_insert_with(Instant::now);
        let connection = CloseConnection::All;
        self.queue.push_back(ToSwarm::CloseConnection { peer_id: peer, connection });
    }

    fn check(&self, peer: PeerId, inbound: bool) -> Result<(), Denial> {
        if NodeId::from_peer_id_bytes(&peer.to_bytes()).is_none() {
            return Err(Denial::Key);
        }
        let links = self.peers.get(&peer);
        if inbound && links.is_some_and(Links::are_lost) {
            // Even where there is no room: its own places become free.
            return Err(Denial::Back);
        }
        if self.peers.values().map(|links| links.connections.len()).sum::<usize>() >= self.max_connections {
            return Err(Denial::Full(self.max_connections));
        }
        match links {
            Some(links) if !inbound && links.connections.iter().any(|link| !link.inbound) => Err(Denial::Surplus),
            Some(links) if links.connections.len() >= MAX_CONNECTIONS_PER_PEER => Err(Denial::Peer),
            Some(_) => Ok(()),
            None if inbound && self.strangers() >= MAX_STRANGERS => Err(Denial::Strangers),
            None => Ok(()),
        }
    }

    fn strangers(&self) -> usize {
        self.peers.values().filter(|links| links.gate.access() != Access::Member).count()
    }

    /// Also called for connections that were never counted, which changes nothing.
    fn gone(&mut self, id: ConnectionId, peer: Option<PeerId>) {
        self.pending_inbound.remove(&id);
        let Some(peer) = peer else { return };
        if let Some(links) = self.peers.get_mut(&peer) {
            links.connections.retain(|link| link.id != id);
            links.lost = links.lost.filter(|since| links.connections.iter().any(|link| link.since < *since));
            if links.connections.is_empty() {
                self.peers.remove(&peer);
            }
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Inbound;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.pending_inbound.len() >= MAX_PENDING_INBOUND {
            return Err(ConnectionDenied::new(Denial::Handshakes));
        }
        self.pending_inbound.insert(id);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.established(id, peer, true)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.established(id, peer, false)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, .. }) => {
                self.pending_inbound.remove(&connection_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, peer_id, .. }) => {
                self.gone(connection_id, Some(peer_id));
            }
            // Both also come when another behaviour denies a connection that was counted here.
            FromSwarm::ListenFailure(ListenFailure { connection_id, peer_id, .. })
            | FromSwarm::DialFailure(DialFailure { connection_id, peer_id, .. }) => self.gone(connection_id, peer_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, opened: Opened) {
        // Bounded by the places of the gate, each of which an event here holds.
        self.queue.push_back(ToSwarm::GenerateEvent(Inbound { peer, connection, opened }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Inbound, Open>> {
        // No waker is kept: the swarm polls after every call that fills the queue, and so does the swarm task.
        self.queue.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
