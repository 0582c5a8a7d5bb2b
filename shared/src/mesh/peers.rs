//! The swarm task's part in hello and the gate: who is connected, what they said, and what follows from it.

use super::MeshEvent;
use super::addr::Addr;
use super::gate::{Access, judge};
use super::gossip;
use super::hello::{self, Progress, Step, Which};
use super::limits::DOUBTED_TIMEOUT;
use super::node::Node;
use super::peer::{Link, Peer, node_id};
use super::stream::MeshStream;
use super::streams::Inbound;
use crate::protocol::Protocol;
use crate::{Hello, MAX_HELLO_ADDRS, NodeId, Role};
use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol as Part;
use libp2p::swarm::ConnectionId;
use std::cmp::Ordering;
use std::time::{Duration, Instant};

impl Node {
    pub(super) fn on_established(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let asked = self.dials.reached(id, endpoint.get_remote_address());
        // The streams behaviour has refused every other key already.
        let Some(node) = node_id(&peer) else { return };
        let addr = match &asked {
            Some((addr, _)) => addr.with_peer(&node),
            None => endpoint.get_remote_address().clone().with(Part::P2p(peer)).to_string(),
        };
        if let Some((Addr { peer: None, .. }, text)) = &asked {
            self.outbox.push_back(MeshEvent::Leads { addr: text.clone(), peer: node });
        }
        let asked = asked.map(|(_, text)| text);
        let answered = asked.is_none();
        let tcp = endpoint.get_remote_address().iter().any(|part| matches!(part, Part::Tcp(_)));
        let probe = tcp.then(|| Instant::now() + self.limits.probe_interval);
        let link = Link { id, addr, asked, answered, exchanges: 0, closing: false, probe };
        self.peers.entry(peer).or_insert_with(|| Peer::new(node)).links.push(link);
        self.judge(peer);
        if endpoint.is_dialer() {
            self.ask(Which { peer, connection: id });
        }
    }

    pub(super) fn on_closed(&mut self, peer: PeerId, id: ConnectionId) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if let Some(at) = state.links.iter().position(|link| link.id == id) {
            let link = state.links.remove(at);
            if let (false, Some(addr)) = (link.answered, link.asked) {
                self.outbox.push_back(MeshEvent::DialFailed { addr, reason: "the peer closed the connection".into() });
            }
        }
        if !state.links.is_empty() {
            return self.catch_up(peer);
        }
        if state.met.is_some() {
            self.outbox.push_back(MeshEvent::Gone { peer: state.node });
        }
        self.peers.remove(&peer);
    }

    pub(super) fn on_inbound(&mut self, inbound: Inbound) {
        let Inbound { peer, connection, opened } = inbound;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let stream = MeshStream::new(opened.stream, Some(opened.permit));
        if opened.protocol != Protocol::Hello {
            // The gate may have closed since the connection's task looked.
            if state.access.allows(opened.protocol) {
                self.outbox.push_back(MeshEvent::Stream { peer: state.node, protocol: opened.protocol, stream });
            }
            return;
        }
        if let Some(link) = state.links.iter_mut().find(|link| link.id == connection && !link.closing) {
            let deadline = Instant::now() + self.limits.hello_timeout;
            link.exchanges += 1;
            self.exchanges.push(hello::listen(Which { peer, connection }, stream, deadline));
        }
    }

    pub(super) fn on_step(&mut self, Step { peer, connection, result }: Step) {
        let which = Which { peer, connection };
        // The connection may be gone, and the peer even back on another one: then this result is of no use.
        let Some(link) = self.link(which) else { return };
        match result {
            Ok(Progress::Answered { hello, rest }) => {
                if self.heard(which, *hello) {
                    self.exchanges.push(hello::confirm(which, rest));
                    self.met(which);
                }
            }
            Ok(Progress::Asked { hello, rest }) => {
                if self.heard(which, *hello) {
                    self.exchanges.push(hello::answer(which, rest, self.hello.clone()));
                }
            }
            Ok(Progress::Done) => {
                link.exchanges -= 1;
                self.met(which);
                self.catch_up(peer);
            }
            Err(error) => {
                link.exchanges -= 1;
                self.close(which, format!("hello failed: {error}"));
            }
        }
    }

    /// Disconnects who had time enough, and tries the connections whose turn it is.
    pub(super) fn on_deadline(&mut self) {
        let now = Instant::now();
        let is_past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut late = Vec::new();
        let mut tried = Vec::new();
        for (peer, state) in &mut self.peers {
            if is_past(state.deadline) {
                state.deadline = None;
                late.push(*peer);
            }
            for link in state.links.iter_mut().filter(|link| is_past(link.probe)) {
                link.probe = Some(now + self.limits.probe_interval);
                if link.exchanges == 0 && !link.closing {
                    tried.push(Which { peer: *peer, connection: link.id });
                }
            }
        }
        tried.into_iter().for_each(|which| self.ask(which));
        late.into_iter().for_each(|peer| self.drop_peer(peer));
    }

    /// An address of ours is gone, and with it perhaps the connections that were made from there; nothing else would
    /// tell before they have been silent for long.
    pub(super) fn try_all(&mut self) {
        let links = self.peers.iter().flat_map(|(peer, state)| {
            let open = state.links.iter().filter(|link| !link.closing && link.exchanges == 0);
            open.map(|link| Which { peer: *peer, connection: link.id })
        });
        for which in links.collect::<Vec<_>>() {
            self.ask_within(which, DOUBTED_TIMEOUT);
        }
    }

    pub(super) fn drop_peer(&mut self, peer: PeerId) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        for link in &mut state.links {
            link.closing = true;
        }
        // Fails only when the peer is not connected.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    pub(super) fn on_set_hello(&mut self, hello: Hello) {
        let few = self.peers.len() <= MAX_HELLO_ADDRS && hello.addrs != self.hello.addrs;
        let told = hello.realm != self.hello.realm || hello.role != self.hello.role || few;
        self.subscribe(&hello);
        self.hello = hello;
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for peer in peers {
            self.judge(peer);
            if told {
                self.set_due(peer);
                self.catch_up(peer);
            }
        }
    }

    /// Moves our subscriptions to the realm of `hello`. An operator has none: it asks a node, and leaves.
    fn subscribe(&mut self, hello: &Hello) {
        let realm_of = |hello: &Hello| hello.realm.filter(|_| hello.role == Role::Node);
        let (old, new) = (realm_of(&self.hello), realm_of(hello));
        if old != new {
            self.unsubscribe_from(old);
            self.subscribe_to(new);
        }
    }

    /// Takes in what a peer says; `false` when it is said in vain, because the peer was started anew.
    fn heard(&mut self, which: Which, hello: Hello) -> bool {
        let Some(state) = self.peers.get_mut(&which.peer) else { return false };
        match state.hello.as_ref().map_or(Ordering::Equal, |before| hello.boot.cmp(&before.boot)) {
            Ordering::Equal => {
                state.hello = Some(hello);
                self.judge(which.peer);
            }
            // Two programs with one key, or a word that was long on its way.
            Ordering::Less => self.close(which, "it was started again since".into()),
            // The connections from before are dead, and nothing else would tell for seconds.
            Ordering::Greater => {
                state.links.iter_mut().for_each(|link| link.closing = true);
                self.swarm.behaviour_mut().streams.begin_anew(which.peer);
            }
        }
        self.link(which).is_some_and(|link| !link.closing)
    }

    /// Sets the gate of a peer as both hellos demand.
    fn judge(&mut self, peer: PeerId) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let judged = judge(&self.hello, state.hello.as_ref());
        state.access = judged.access;
        state.deadline = match judged.stays {
            true => None,
            false => state.deadline.or_else(|| Some(Instant::now() + self.limits.hello_timeout)),
        };
        let behaviour = self.swarm.behaviour_mut();
        behaviour.streams.set_access(&peer, judged.access);
        behaviour.gossip.admit(peer, judged.access == Access::Member);
    }

    /// Tells of the peer, if there is something that has not been told.
    fn met(&mut self, which: Which) {
        if let Some(link) = self.link(which) {
            link.answered = true;
        }
        let Some(state) = self.peers.get_mut(&which.peer) else { return };
        let (Some(hello), Some(link)) = (&state.hello, state.links.iter().find(|link| link.id == which.connection))
        else {
            return;
        };
        let admitted = state.access == Access::Member;
        let was_admitted = state.is_known_member();
        if state.met.as_ref().is_some_and(|(told, before)| told == hello && *before == admitted) {
            return;
        }
        let (peer, addr, hello) = (state.node, link.addr.clone(), hello.clone());
        state.met = Some((hello.clone(), admitted));
        self.outbox.push_back(MeshEvent::Met { peer, addr, hello, admitted });
        if admitted && !was_admitted {
            self.tell_subscriptions(which.peer, peer);
        }
    }

    /// Subscriptions arrive with the connection, before the peer is admitted; they are told after it.
    fn tell_subscriptions(&mut self, id: PeerId, peer: NodeId) {
        let Some(realm) = self.hello.realm else { return };
        let all = self.swarm.behaviour().gossip.all_peers();
        let topics = all.filter(|(known, _)| **known == id).flat_map(|(_, topics)| topics);
        let ours = topics.filter_map(|topic| gossip::topic_of(&realm, topic));
        self.outbox.extend(ours.map(|topic| MeshEvent::Subscribed { peer, topic }));
    }

    fn ask(&mut self, which: Which) {
        self.ask_within(which, self.limits.hello_timeout);
    }

    fn ask_within(&mut self, which: Which, time: Duration) {
        let (reply, exchange) = hello::ask(which, self.hello.clone(), Instant::now() + time);
        let Some(link) = self.link(which) else { return };
        link.exchanges += 1;
        self.exchanges.push(exchange);
        self.swarm.behaviour_mut().streams.open(which.peer, Some(which.connection), Protocol::Hello, reply);
    }

    fn set_due(&mut self, peer: PeerId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.due = true;
        }
    }

    /// Tells the peer our hello again, if that is due and no exchange is under way.
    fn catch_up(&mut self, peer: PeerId) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let idle = state.links.iter().all(|link| link.exchanges == 0);
        let newest = state.links.iter().rev().find(|link| !link.closing).map(|link| link.id);
        if let (true, true, Some(connection)) = (state.due, idle, newest) {
            state.due = false;
            self.ask(Which { peer, connection });
        }
    }

    /// Closes a connection whose hello failed. What should have been said on it is said on another one, if there is.
    fn close(&mut self, which: Which, reason: String) {
        let Some(link) = self.link(which) else { return };
        link.closing = true;
        let failed = if link.answered { None } else { link.asked.clone() };
        link.answered = true;
        if let Some(addr) = failed {
            self.dial_failed(addr, reason);
        }
        self.set_due(which.peer);
        self.swarm.close_connection(which.connection);
    }

    fn link(&mut self, which: Which) -> Option<&mut Link> {
        self.peers.get_mut(&which.peer)?.links.iter_mut().find(|link| link.id == which.connection)
    }
}
