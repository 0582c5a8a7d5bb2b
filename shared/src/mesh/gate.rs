//! The gate: what a peer may do before and after hello. The rule itself is a pure function; the rest is the
//! state of one peer that connection tasks read and the swarm task writes.

use super::limits::{MAX_HELLOS_PER_PEER, MAX_STREAMS, MAX_STREAMS_PER_PEER};
use crate::protocol::Protocol;
use crate::{Hello, Role};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// What a peer may open towards us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// Hello only: a stranger, or a peer that has not said hello yet.
    Hello = 0,
    /// Hello and intent: an operator at a node that nobody has claimed.
    Claim = 1,
    /// Everything, gossip included: a member of our realm.
    Member = 2,
}

/// What follows from both hellos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judgement {
    /// What the peer may open.
    pub(super) access: Access,
    /// Whether the connection may last although the peer is not a member.
    pub(super) stays: bool,
}

/// The rule. Until membership certificates exist, a member is whoever names the same realm.
pub(super) fn judge(ours: &Hello, theirs: Option<&Hello>) -> Judgement {
    let we_are_operator = ours.role == Role::Operator;
    let Some(theirs) = theirs else {
        return Judgement { access: Access::Hello, stays: we_are_operator };
    };
    if ours.realm.is_some() && ours.realm == theirs.realm {
        return Judgement { access: Access::Member, stays: true };
    }
    let may_claim_us = ours.role == Role::Node && ours.realm.is_none() && theirs.role == Role::Operator;
    let access = if may_claim_us { Access::Claim } else { Access::Hello };
    Judgement { access, stays: may_claim_us || we_are_operator }
}

impl Access {
    /// The protocols that are offered to the peer.
    pub(super) fn offered(self) -> &'static [Protocol] {
        match self {
            Access::Hello => &[Protocol::Hello],
            Access::Claim => &[Protocol::Hello, Protocol::Intent],
            Access::Member => &Protocol::ALL,
        }
    }

    pub(super) fn allows(self, protocol: Protocol) -> bool {
        self.offered().contains(&protocol)
    }
}

/// The gate of one peer, shared by all of its connections. Atomic, because connections live on tasks of their own
/// and must see a change before the peer can learn of it.
#[derive(Debug, Default)]
pub(super) struct PeerGate {
    access: AtomicU8,
    streams: AtomicUsize,
    hellos: AtomicUsize,
}

impl PeerGate {
    pub(super) fn access(&self) -> Access {
        match self.access.load(Ordering::Acquire) {
            2 => Access::Member,
            1 => Access::Claim,
            _ => Access::Hello,
        }
    }

    pub(super) fn set_access(&self, access: Access) {
        self.access.store(access as u8, Ordering::Release);
    }

    /// A place for one more inbound stream, or `None` when the peer, or all peers together, have too many.
    pub(super) fn admit(self: &Arc<PeerGate>, total: &Arc<AtomicUsize>, protocol: Protocol) -> Option<Permit> {
        if !self.access().allows(protocol) {
            return None;
        }
        let (mine, most) = match protocol {
            Protocol::Hello => (&self.hellos, MAX_HELLOS_PER_PEER),
            _ => (&self.streams, MAX_STREAMS_PER_PEER),
        };
        if !take(mine, most) {
            return None;
        }
        // Hello must get through however busy the node is, and has a bound per peer and thus per connection.
        let total = (protocol != Protocol::Hello).then(|| Arc::clone(total));
        if total.as_ref().is_some_and(|total| !take(total, MAX_STREAMS)) {
            mine.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Permit { gate: Arc::clone(self), total })
    }
}

fn take(count: &AtomicUsize, most: usize) -> bool {
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < most).then_some(taken + 1)).is_ok()
}

/// The place of one inbound stream, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<PeerGate>,
    /// The count over all peers; `None` for hello, which is not part of it.
    total: Option<Arc<AtomicUsize>>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        match &self.total {
            Some(total) => {
                total.fetch_sub(1, Ordering::AcqRel);
                self.gate.streams.fetch_sub(1, Ordering::AcqRel);
            }
            None => {
                self.gate.hellos.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealmId;

    fn hello(role: Role, realm: Option<u8>) -> Hello {
        Hello {
            realm: realm.map(|byte| RealmId::from_bytes([byte; 32])),
            role,
            boot: 1,
            version: "0.1.0".into(),
            platform: "linux/x86_64".into(),
            tags: Vec::new(),
            addrs: Vec::new(),
            highest_seq: 0,
            crowded: false,
        }
    }

    #[test]
    fn the_rule() {
        use Access::{Claim, Hello as Only, Member};
        use Role::{Node, Operator};
        // ours, theirs, access, stays
        let table = [
            ((Node, Some(1)), Some((Node, Some(1))), Member, true),
            ((Node, Some(1)), Some((Operator, Some(1))), Member, true),
            ((Operator, Some(1)), Some((Node, Some(1))), Member, true),
            ((Node, Some(1)), Some((Node, Some(2))), Only, false),
            ((Node, Some(1)), Some((Operator, Some(2))), Only, false),
            ((Node, Some(1)), Some((Node, None)), Only, false),
            ((Node, None), Some((Node, None)), Only, false),
            ((Node, None), Some((Node, Some(1))), Only, false),
            ((Node, None), Some((Operator, Some(1))), Claim, true),
            ((Operator, Some(1)), Some((Node, None)), Only, true),
            ((Operator, Some(1)), Some((Node, Some(2))), Only, true),
            ((Node, Some(1)), None, Only, false),
            ((Node, None), None, Only, false),
            ((Operator, Some(1)), None, Only, true),
        ];
        for (ours, theirs, access, stays) in table {
            let judged = judge(&hello(ours.0, ours.1), theirs.map(|(role, realm)| hello(role, realm)).as_ref());
            assert_eq!(judged, Judgement { access, stays }, "{ours:?} meets {theirs:?}");
        }
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let gate = Arc::new(PeerGate::default());
        let total = Arc::new(AtomicUsize::new(0));
        assert!(gate.admit(&total, Protocol::Sync).is_none(), "a stranger has no place for sync");
        gate.set_access(Access::Member);
        let taken: Vec<_> = std::iter::from_fn(|| gate.admit(&total, Protocol::Sync)).collect();
        assert_eq!(taken.len(), MAX_STREAMS_PER_PEER);
        assert!(gate.admit(&total, Protocol::Hello).is_some(), "hello has places of its own");
        drop(taken);
        assert_eq!(total.load(Ordering::Acquire), 0);

        total.store(MAX_STREAMS, Ordering::Release);
        assert!(gate.admit(&total, Protocol::Blob).is_none(), "all peers together have a bound");
        assert_eq!(gate.streams.load(Ordering::Acquire), 0, "a refusal takes no place");
    }
}
