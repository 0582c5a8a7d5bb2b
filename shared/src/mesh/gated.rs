//! Gossip behind the gate: what a peer sends before it is admitted is held, within bounds, and read when it is.
//!
//! A score below the graylist alone would do for secrecy, but a subscription that is read while its sender is graylisted
//! does not make it a neighbour; the next heartbeat would, and what is passed on until then would never reach it.

use super::gossip::{Gossip, MEMBER_SCORE, STRANGER_SCORE};
use super::limits::MAX_HELD_GOSSIP;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::gossipsub::Event;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::task::{Context, Poll};

/// See the module's documentation.
pub(super) struct Gated {
    inner: Gossip,
    /// The connected peers that are not admitted, and what each of them has sent.
    strangers: HashMap<PeerId, Vec<Held>>,
}

type Held = (ConnectionId, THandlerOutEvent<Gossip>);

impl Gated {
    pub(super) fn new(inner: Gossip) -> Gated {
        Gated { inner, strangers: HashMap::new() }
    }

    /// Opens or closes the gate for a connected peer.
    pub(super) fn admit(&mut self, peer: PeerId, admitted: bool) {
        let score = if admitted { MEMBER_SCORE } else { STRANGER_SCORE };
        self.inner.set_application_score(&peer, score);
        if !admitted {
            self.strangers.entry(peer).or_default();
            return;
        }
        for (connection, event) in self.strangers.remove(&peer).unwrap_or_default() {
            self.inner.on_connection_handler_event(peer, connection, event);
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self, peer: &PeerId) -> usize {
        self.strangers.get(peer).map_or(0, Vec::len)
    }
}

impl Deref for Gated {
    type Target = Gossip;

    fn deref(&self) -> &Gossip {
        &self.inner
    }
}

impl DerefMut for Gated {
    fn deref_mut(&mut self) -> &mut Gossip {
        &mut self.inner
    }
}

impl NetworkBehaviour for Gated {
    type ConnectionHandler = THandler<Gossip>;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(id, peer, addr, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, other_established: 0, .. }) => {
                self.admit(peer_id, false);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, remaining_established: 0, .. }) => {
                self.strangers.remove(&peer_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                if let Some(held) = self.strangers.get_mut(&peer_id) {
                    held.retain(|(connection, _)| *connection != connection_id);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        match self.strangers.get_mut(&peer) {
            None => self.inner.on_connection_handler_event(peer, connection, event),
            Some(held) if held.len() < MAX_HELD_GOSSIP => held.push((connection, event)),
            Some(_) => {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}
