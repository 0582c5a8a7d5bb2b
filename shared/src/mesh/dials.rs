//! Dials under way: one text may stand for several attempts, and fails when all of them have.

use super::addr::{Addr, Transport, dial_reason};
use super::limits::MAX_DIALS;
use super::node::Node;
use super::{MeshEvent, peer};
use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p::Multiaddr;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use std::collections::HashMap;

/// A name being resolved: the address, and where to dial or why not.
pub(super) type Resolving = BoxFuture<'static, (Addr, Result<Vec<Multiaddr>, String>)>;

/// The dials under way, at most [`MAX_DIALS`].
#[derive(Default)]
pub(super) struct Dials {
    by_text: HashMap<String, Dial>,
    attempts: HashMap<ConnectionId, String>,
}

struct Dial {
    addr: Addr,
    /// Attempts that have neither reached somebody nor failed.
    left: usize,
    reached: bool,
    /// Why the first attempt failed.
    reason: Option<String>,
}

impl Dials {
    fn begin(&mut self, addr: Addr) {
        let text = addr.text.clone();
        self.by_text.insert(text, Dial { addr, left: 0, reached: false, reason: None });
    }

    fn attempt(&mut self, text: &str, id: ConnectionId) {
        if let Some(dial) = self.by_text.get_mut(text) {
            dial.left += 1;
            self.attempts.insert(id, text.to_owned());
        }
    }

    /// An attempt has reached somebody: the address that was asked for.
    pub(super) fn reached(&mut self, id: ConnectionId) -> Option<Addr> {
        let addr = self.settle(id, |dial| dial.reached = true)?.addr;
        Some(addr)
    }

    /// An attempt has failed: the text and the reason, when it was the last one and none reached anybody.
    fn failed(&mut self, id: ConnectionId, reason: String) -> Option<(String, String)> {
        let dial = self.settle(id, |dial| _ = dial.reason.get_or_insert(reason))?;
        if dial.left > 0 || dial.reached { None } else { Some((dial.addr.text, dial.reason.unwrap_or_default())) }
    }

    /// Counts one attempt as over and forgets the dial with the last one; gives its state.
    fn settle(&mut self, id: ConnectionId, change: impl FnOnce(&mut Dial)) -> Option<Dial> {
        let text = self.attempts.remove(&id)?;
        let dial = self.by_text.get_mut(&text)?;
        dial.left = dial.left.saturating_sub(1);
        change(dial);
        let Dial { addr, left, reached, reason } = &*dial;
        let state = Dial { addr: addr.clone(), left: *left, reached: *reached, reason: reason.clone() };
        if state.left == 0 {
            self.by_text.remove(&text);
        }
        Some(state)
    }
}

impl Node {
    pub(super) fn on_dial(&mut self, addr: Addr) {
        if addr.peer == Some(self.local) {
            return self.dial_failed(addr.text, dial_reason_self());
        }
        let connected =
            addr.peer.is_some_and(|node| peer::peer_id(&node).is_some_and(|id| self.peers.contains_key(&id)));
        let reached_here = self.peers.values().flat_map(|peer| &peer.links).any(|link| link.asks(&addr.text));
        if connected || reached_here || self.dials.by_text.contains_key(&addr.text) {
            return;
        }
        if self.dials.by_text.len() >= MAX_DIALS {
            return self.dial_failed(addr.text, format!("{MAX_DIALS} dials are under way already"));
        }
        self.dials.begin(addr.clone());
        let resolving = async move {
            let found = addr.resolve().await;
            (addr, found)
        };
        self.resolving.push(resolving.boxed());
    }

    pub(super) fn on_resolved(&mut self, addr: &Addr, found: Result<Vec<Multiaddr>, String>) {
        let targets = match found {
            Ok(found) => targets(addr, found),
            Err(reason) => {
                self.dials.by_text.remove(&addr.text);
                return self.dial_failed(addr.text.clone(), reason);
            }
        };
        // All are counted before the first can fail, which it may do at once.
        for target in &targets {
            self.dials.attempt(&addr.text, target.connection_id());
        }
        for target in targets {
            let id = target.connection_id();
            if let Err(error) = self.swarm.dial(target) {
                self.on_dial_error(id, &error);
            }
        }
    }

    pub(super) fn on_dial_error(&mut self, id: ConnectionId, error: &DialError) {
        if let Some((addr, reason)) = self.dials.failed(id, dial_reason(error)) {
            self.dial_failed(addr, reason);
        }
    }

    pub(super) fn dial_failed(&mut self, addr: String, reason: String) {
        self.outbox.push_back(MeshEvent::DialFailed { addr, reason });
    }
}

/// One attempt for a known peer, which libp2p spreads over its addresses; one for each address otherwise.
fn targets(addr: &Addr, found: Vec<Multiaddr>) -> Vec<DialOpts> {
    // Dialling TCP from the listening port makes two ends that dial at once meet in one connection, in which both
    // think that they began it, and which fails.
    let fresh_port = matches!(addr.transport, Transport::Tcp(_));
    if let Some(peer) = addr.peer.as_ref().and_then(peer::peer_id) {
        let target = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(found);
        return vec![if fresh_port { target.allocate_new_port() } else { target }.build()];
    }
    let target = |found| {
        let target = DialOpts::unknown_peer_id().address(found);
        if fresh_port { target.allocate_new_port() } else { target }.build()
    };
    found.into_iter().map(target).collect()
}

fn dial_reason_self() -> String {
    "that is this node itself".into()
}
