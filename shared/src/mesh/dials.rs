//! Dials under way: one may stand for several attempts, and fails when all of them have.

use super::addr::{Addr, Transport, dial_reason};
use super::limits::{MAX_DIALS, MAX_SAME_DIALS};
use super::node::Node;
use super::streams::is_surplus;
use super::{MeshEvent, peer};
use futures::FutureExt;
use futures::future::{self, BoxFuture};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, HashMap};

/// Names being resolved: for which dial, and where to dial or why not.
pub(super) type Resolving = BoxFuture<'static, (u64, Result<Vec<Multiaddr>, String>)>;

/// The dials under way, at most [`MAX_DIALS`].
#[derive(Default)]
pub(super) struct Dials {
    /// By number, in the order in which they were begun.
    begun: BTreeMap<u64, Dial>,
    attempts: HashMap<ConnectionId, u64>,
    last: u64,
}

struct Dial {
    /// Addresses of one peer; the first stands for all of them.
    addrs: Vec<Addr>,
    /// Attempts that have neither reached somebody nor failed.
    left: usize,
    reached: bool,
    /// Why the first attempt failed.
    reason: Option<String>,
}

impl Dial {
    fn text(&self) -> String {
        self.addrs.first().map(|addr| addr.text.clone()).unwrap_or_default()
    }
}

impl Dials {
    fn begin(&mut self, addrs: Vec<Addr>) -> u64 {
        self.last += 1;
        self.begun.insert(self.last, Dial { addrs, left: 0, reached: false, reason: None });
        self.last
    }

    fn attempt(&mut self, number: u64, id: ConnectionId) {
        if let Some(dial) = self.begun.get_mut(&number) {
            dial.left += 1;
            self.attempts.insert(id, number);
        }
    }

    /// An attempt has reached somebody at `remote`: the address that was asked for, and the text that stands for the dial.
    pub(super) fn reached(&mut self, id: ConnectionId, remote: &Multiaddr) -> Option<(Addr, String)> {
        let dial = self.settle(id, |dial| dial.reached = true)?;
        let text = dial.text();
        // Of several, the one with this transport and host; a name was resolved, and is told by its transport alone.
        let mut addrs = dial.addrs.into_iter().collect::<Vec<_>>();
        let at = addrs.iter().position(|addr| addr.leads_to(remote)).unwrap_or_default();
        (!addrs.is_empty()).then(|| (addrs.swap_remove(at), text))
    }

    /// An attempt has failed: the text and the reason, when it was the last one and none reached anybody.
    fn failed(&mut self, id: ConnectionId, reason: String) -> Option<(String, String)> {
        let dial = self.settle(id, |dial| _ = dial.reason.get_or_insert(reason))?;
        if dial.left > 0 || dial.reached { None } else { Some((dial.text(), dial.reason.unwrap_or_default())) }
    }

    /// Counts one attempt as over and forgets the dial with the last one; gives its state.
    fn settle(&mut self, id: ConnectionId, change: impl FnOnce(&mut Dial)) -> Option<Dial> {
        let number = self.attempts.remove(&id)?;
        let dial = self.begun.get_mut(&number)?;
        dial.left = dial.left.saturating_sub(1);
        change(dial);
        if dial.left == 0 {
            return self.begun.remove(&number);
        }
        let Dial { addrs, left, reached, reason } = &*dial;
        Some(Dial { addrs: addrs.clone(), left: *left, reached: *reached, reason: reason.clone() })
    }

    /// How often the same is being dialled.
    fn same(&self, addr: &Addr) -> usize {
        let same = |other: &Addr| match addr.peer {
            Some(peer) => other.peer == Some(peer),
            None => other.text == addr.text,
        };
        self.begun.values().filter(|dial| dial.addrs.first().is_some_and(same)).count()
    }
}

impl Node {
    pub(super) fn on_dial(&mut self, addrs: Vec<Addr>) {
        let Some(first) = addrs.first() else { return };
        let text = first.text.clone();
        if first.peer == Some(self.local) {
            return self.dial_failed(text, "that is this node itself".into());
        }
        let peer = first.peer.as_ref().and_then(peer::peer_id);
        let connected = peer.is_some_and(|id| self.peers.contains_key(&id));
        let reached_here = self.peers.values().flat_map(|peer| &peer.links).any(|link| link.asks(&text));
        if connected || reached_here || self.dials.same(first) >= MAX_SAME_DIALS {
            return;
        }
        if self.dials.begun.len() >= MAX_DIALS {
            return self.dial_failed(text, format!("{MAX_DIALS} dials are under way already"));
        }
        let number = self.dials.begin(addrs.clone());
        self.resolving.push(async move { (number, resolve_all(&addrs).await) }.boxed());
    }

    pub(super) fn on_resolved(&mut self, number: u64, found: Result<Vec<Multiaddr>, String>) {
        let Some(dial) = self.dials.begun.get(&number) else { return };
        let targets = match found {
            Ok(mut found) => {
                // Another dial may have reached the peer while a name was looked up. A second connection, so much later,
                // would look to the peer as if we had lost the first.
                let links = || self.peers.values().flat_map(|peer| &peer.links);
                found.retain(|addr| !links().any(|link| link.leads_to(addr)));
                let peer = dial.addrs.first().and_then(|addr| addr.peer.as_ref()).and_then(peer::peer_id);
                if found.is_empty() || peer.is_some_and(|id| self.peers.contains_key(&id)) {
                    self.dials.begun.remove(&number);
                    return;
                }
                targets(&dial.addrs, found)
            }
            Err(reason) => {
                let text = dial.text();
                self.dials.begun.remove(&number);
                return self.dial_failed(text, reason);
            }
        };
        // All are counted before the first can fail, which it may do at once.
        for target in &targets {
            self.dials.attempt(number, target.connection_id());
        }
        for target in targets {
            let id = target.connection_id();
            if let Err(error) = self.swarm.dial(target) {
                self.on_dial_error(id, None, &error);
            }
        }
    }

    pub(super) fn on_dial_error(&mut self, id: ConnectionId, peer: Option<PeerId>, error: &DialError) {
        if is_surplus(error) {
            let dial = self.dials.settle(id, |dial| dial.reached = true);
            let unnamed = dial.filter(|dial| dial.addrs.first().is_some_and(|addr| addr.peer.is_none()));
            if let (Some(dial), Some(peer)) = (unnamed, peer.as_ref().and_then(peer::node_id)) {
                self.outbox.push_back(MeshEvent::Leads { addr: dial.text(), peer });
            }
            return;
        }
        if let Some((addr, reason)) = self.dials.failed(id, dial_reason(error)) {
            self.dial_failed(addr, reason);
        }
    }

    pub(super) fn dial_failed(&mut self, addr: String, reason: String) {
        self.outbox.push_back(MeshEvent::DialFailed { addr, reason });
    }
}

/// Where all of the addresses lead; why not, when none of them leads anywhere.
async fn resolve_all(addrs: &[Addr]) -> Result<Vec<Multiaddr>, String> {
    let mut found = Vec::new();
    let mut fault = None;
    for resolved in future::join_all(addrs.iter().map(Addr::resolve)).await {
        match resolved {
            Ok(more) => found.extend(more),
            Err(reason) => _ = fault.get_or_insert(reason),
        }
    }
    if found.is_empty() { Err(fault.unwrap_or_else(|| "it has no address".into())) } else { Ok(found) }
}

/// One attempt for a known peer, for which libp2p tries all addresses at once and keeps the first connection; one for
/// each address otherwise.
fn targets(addrs: &[Addr], found: Vec<Multiaddr>) -> Vec<DialOpts> {
    // Dialling TCP from the listening port makes two ends that dial at once meet in one connection, in which both
    // think that they began it, and which fails.
    let fresh_port = addrs.iter().any(|addr| matches!(addr.transport, Transport::Tcp(_)));
    if let Some(peer) = addrs.first().and_then(|addr| addr.peer.as_ref()).and_then(peer::peer_id) {
        let target = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(found);
        return vec![if fresh_port { target.allocate_new_port() } else { target }.build()];
    }
    let target = |found| {
        let target = DialOpts::unknown_peer_id().address(found);
        if fresh_port { target.allocate_new_port() } else { target }.build()
    };
    found.into_iter().map(target).collect()
}
