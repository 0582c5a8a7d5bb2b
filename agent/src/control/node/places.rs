//! Places at a node that everybody knows. Whoever is configured as the bootstrap address of a large realm would be full of those who
//! came first, and no one else could find the realm: so it says that it is crowded, and a newcomer stays only until it has found
//! others.

use super::Node;
use super::dialer::WANTED_PEERS;
use super::effect::Effect;
use super::input::Now;
use super::neighbours::{Neighbour, Neighbours};
use super::workload::Workload;
use shared::{NodeId, Role};

/// A node is crowded with so many hundredths of its connections taken by nodes, and until fewer than so many are.
const CROWDED_PERCENT: usize = 50;
const CROWDED_NO_MORE_PERCENT: usize = 40;

/// A newcomer stays for so long: what its neighbour knows of the others has come by then.
const STAYS_MS: u64 = 5_000;

/// Who has fewer neighbours with a lower id than this stays: so of nodes that all know one another and nobody else, a site behind
/// a NAT for instance, some do.
const LINKS: usize = 2;

/// Its next report comes so long after it has left, for its neighbour counts it as away if it hears nothing of it for 2.5 s.
const TELLS_AFTER_MS: u64 = 1_000;

/// Within this time the end of a connection that this node closes is known. One that ends later has ended by itself.
const CLOSES_WITHIN_MS: u64 = 3_000;

impl Neighbour {
    fn stays(&self) -> bool {
        self.role == Role::Node && self.left_at.is_none()
    }

    /// Whether the connection has ended because this node has closed it.
    fn was_left(&self, now_ms: u64) -> bool {
        self.left_at.is_some_and(|at| now_ms <= at + CLOSES_WITHIN_MS)
    }
}

impl Neighbours {
    /// When `me` leaves the next crowded node; never while there are too few others.
    fn next_leave(&self, me: &NodeId) -> Option<u64> {
        let staying = || self.admitted.iter().filter(|(_, neighbour)| neighbour.stays());
        let next = staying().filter_map(|(_, neighbour)| neighbour.leave_at).min()?;
        let enough = staying().count() >= WANTED_PEERS && staying().filter(|(id, _)| *id < me).count() >= LINKS;
        enough.then_some(next)
    }
}

impl Node {
    /// Whether so many neighbours are here that those who have others should go.
    pub(super) fn is_crowded(&self) -> bool {
        let was = self.said.as_ref().is_some_and(|said| said.crowded);
        let percent = if was { CROWDED_NO_MORE_PERCENT } else { CROWDED_PERCENT };
        self.neighbours.nodes().count() * 100 >= self.config.max_peers * percent
    }

    /// A node that was not connected before is crowded. One that was left and then lost stays connected: there was no other way.
    pub(super) fn meet_crowded(&mut self, peer: &NodeId, now: Now) {
        let was_cut_off = self.dialer.was_left(peer) && self.roster.is_unheard(peer);
        if let Some(neighbour) = self.neighbours.admitted.get_mut(peer).filter(|_| !was_cut_off) {
            neighbour.leave_at = Some(now.mono_ms + STAYS_MS);
        }
    }

    /// When a crowded node is left: not while anything is fetched, for it may be the only one that has it.
    pub(super) fn next_leave(&self) -> Option<u64> {
        // Asked after every input, and mostly nobody is crowded.
        let at = self.neighbours.next_leave(&self.me)?;
        let fetches = !self.errands.is_empty() || self.works.values().any(Workload::is_fetching);
        (!fetches).then_some(at)
    }

    /// Leaves crowded nodes for which it is time, as long as there are others.
    pub(super) fn leave_crowded(&mut self, now: Now) {
        while let Some(at) = self.next_leave().filter(|at| *at <= now.mono_ms) {
            let is_due = |neighbour: &Neighbour| neighbour.stays() && neighbour.leave_at == Some(at);
            if let Some((peer, neighbour)) = self.neighbours.admitted.iter_mut().find(|(_, it)| is_due(it)) {
                (neighbour.leave_at, neighbour.left_at) = (None, Some(now.mono_ms));
                self.out.push(Effect::Leave(*peer));
            }
        }
    }

    /// A connection to a node has ended. One that this node has left is there as before.
    pub(super) fn parted(&mut self, peer: NodeId, neighbour: Option<&Neighbour>, now: Now) {
        if neighbour.is_some_and(|neighbour| neighbour.was_left(now.mono_ms)) {
            self.dialer.left(peer, now.mono_ms);
            self.reporting.tell_by(now.mono_ms + TELLS_AFTER_MS);
        } else {
            self.dialer.gone(peer, now.mono_ms, &mut self.random);
            self.roster.gone(&peer, now.mono_ms);
        }
    }
}
