//! Places at a node that everybody knows. Whoever is configured as the bootstrap address of a large realm would be full of those who
//! came first, and no one else could find the realm: so it says that it is crowded, and a newcomer stays only until it has found
//! others.

use super::Node;
use super::dialer::WANTED_PEERS;
use super::effect::Effect;
use super::input::Now;
use super::neighbours::{Neighbour, Neighbours};
use shared::{NodeId, Role};

/// A node is crowded with so many hundredths of its connections taken by nodes, and until fewer than so many are.
const CROWDED_PERCENT: usize = 50;
const CROWDED_NO_MORE_PERCENT: usize = 40;

/// A newcomer stays for so long: what its neighbour knows of the others has come by then.
const STAYS_MS: u64 = 5_000;

/// Its next report comes so long after it has left, for its neighbour counts it as away if it hears nothing of it for 2.5 s.
const TELLS_AFTER_MS: u64 = 1_000;

impl Neighbours {
    /// A node that is connected says whether it is crowded.
    pub(super) fn says(&mut self, peer: &NodeId, crowded: bool, now_ms: u64) {
        if let Some(neighbour) = self.admitted.get_mut(peer) {
            let since = neighbour.leave_at.unwrap_or(now_ms + STAYS_MS);
            neighbour.leave_at = crowded.then_some(since);
        }
    }

    /// When a crowded node is left; never while there are too few others.
    pub(super) fn next_leave(&self) -> Option<u64> {
        let stays = |neighbour: &&Neighbour| neighbour.role == Role::Node && !neighbour.is_left;
        let enough = self.admitted.values().filter(stays).count() >= WANTED_PEERS;
        self.admitted.values().filter_map(|neighbour| neighbour.leave_at).min().filter(|_| enough)
    }
}

impl Node {
    /// Whether so many neighbours are here that those who have others should go.
    pub(super) fn is_crowded(&self) -> bool {
        let was = self.said.as_ref().is_some_and(|said| said.crowded);
        let percent = if was { CROWDED_NO_MORE_PERCENT } else { CROWDED_PERCENT };
        self.neighbours.nodes().count() * 100 >= self.config.max_peers * percent
    }

    /// Leaves crowded nodes for which it is time, as long as there are others.
    pub(super) fn leave_crowded(&mut self, now: Now) {
        while let Some(at) = self.neighbours.next_leave().filter(|at| *at <= now.mono_ms) {
            let mut due = self.neighbours.admitted.iter_mut().filter(|(_, neighbour)| neighbour.leave_at == Some(at));
            if let Some((peer, neighbour)) = due.next() {
                (neighbour.leave_at, neighbour.is_left) = (None, true);
                self.out.push(Effect::Leave(*peer));
            }
        }
    }

    /// The connection to a peer has ended because this node has left it: it is there as before.
    pub(super) fn has_left(&mut self, peer: NodeId, now: Now) {
        self.dialer.left(peer, now.mono_ms);
        self.reporting.tell_by(now.mono_ms + TELLS_AFTER_MS);
    }
}
