//! Which dials are due, and when the next ones are.

use super::{Dialer, EXPLORE_MS, MAX_CALLS, Member, WANTED_PEERS};
use crate::control::node::effect::Effect;
use crate::control::node::random::Random;
use shared::NodeId;

impl Dialer {
    /// Dials what is due. `unheard` tells of members that nobody has heard of lately, `claimed` whether this node is of
    /// a realm: otherwise whoever it finds on its network would send it away.
    pub fn dial_due(
        &mut self,
        unheard: impl Fn(&NodeId) -> bool,
        claimed: bool,
        now_ms: u64,
        random: &mut Random,
        out: &mut Vec<Effect>,
    ) {
        let alone = self.connected.is_empty();
        for at in 0..self.bootstrap.len() {
            let is_sought = self.is_sought(&self.bootstrap[at], &unheard);
            let bootstrap = &mut self.bootstrap[at];
            if is_sought && bootstrap.target.next_at <= now_ms {
                bootstrap.target.begin(alone, now_ms, random);
                out.push(Effect::Dial(vec![bootstrap.addr.clone()]));
            }
        }
        if claimed {
            self.lan.dial_due(now_ms, random, out);
        }
        if claimed && alone {
            self.lan.ask_due(now_ms, random, out);
        }
        self.dial_again(now_ms, random, out);
        let room = self.room(now_ms);
        let explores = self.explore_at <= now_ms;
        if explores {
            self.explore_at = now_ms + random.jitter(EXPLORE_MS, 50);
        }
        if !explores && (room == 0 || self.due_at > now_ms) {
            return;
        }
        let due = |(peer, member): &(&NodeId, &Member)| {
            !self.connected.contains(*peer) && member.choice_at() <= now_ms && (room > 0 || unheard(peer))
        };
        let mut due: Vec<NodeId> = self.members.iter().filter(due).map(|(peer, _)| *peer).collect();
        // At random, for otherwise the members with the lowest ids are everybody's neighbours.
        for _ in 0..room.max(1) {
            let Some(last) = due.len().checked_sub(1) else { break };
            let peer = due.swap_remove(random.below(last as u64 + 1) as usize);
            self.begin(&peer, now_ms, random, out);
        }
        let apart = self.members.iter().filter(|(peer, _)| !self.connected.contains(*peer));
        self.due_at = apart.map(|(_, member)| member.choice_at()).min().unwrap_or(u64::MAX);
    }

    /// Makes the next attempt where one is under way: attempts overlap, and take up no further room.
    fn dial_again(&mut self, now_ms: u64, random: &mut Random, out: &mut Vec<Effect>) {
        let is_due = |member: &Member| member.target.is_under_way(now_ms) && member.target.next_at <= now_ms;
        let due = self.dialling.iter().filter(|peer| self.members.get(peer).is_some_and(is_due));
        for peer in due.copied().collect::<Vec<_>>() {
            self.begin(&peer, now_ms, random, out);
        }
    }

    /// Dials a certain member, however many connections there are.
    pub fn call(&mut self, peer: &NodeId, now_ms: u64, random: &mut Random, out: &mut Vec<Effect>) {
        let due = self.members.get(peer).is_some_and(|member| member.target.next_at <= now_ms);
        if due && !self.connected.contains(peer) && self.dialled(now_ms) < MAX_CALLS {
            self.begin(peer, now_ms, random, out);
        }
    }

    fn begin(&mut self, peer: &NodeId, now_ms: u64, random: &mut Random, out: &mut Vec<Effect>) {
        let alone = self.connected.is_empty();
        if let Some(member) = self.members.get_mut(peer) {
            member.target.begin(alone, now_ms, random);
            self.due_at = self.due_at.min(member.target.next_at);
            self.dialling.insert(*peer);
            out.push(Effect::Dial(member.addrs.clone()));
        }
    }

    /// How many members are being dialled.
    fn dialled(&self, now_ms: u64) -> usize {
        let members = self.dialling.iter().filter_map(|peer| self.members.get(peer));
        members.filter(|member| member.target.is_under_way(now_ms)).count()
    }

    /// How many more members may be dialled: those that are being dialled count as connected.
    fn room(&self, now_ms: u64) -> usize {
        WANTED_PEERS.saturating_sub(self.connected.len() + self.dialled(now_ms))
    }

    /// When the next dial is due; `unheard` and `claimed` as above.
    pub fn next_wake(&self, unheard: impl Fn(&NodeId) -> bool, claimed: bool, now_ms: u64) -> Option<u64> {
        let bootstrap = self.bootstrap.iter().filter(|bootstrap| self.is_sought(bootstrap, &unheard));
        let bootstrap = bootstrap.map(|bootstrap| bootstrap.target.next_at).min();
        let member = if self.room(now_ms) > 0 {
            Some(self.due_at).filter(|at| *at < u64::MAX)
        } else {
            // The end of a dial makes room for others.
            let next = |peer: &NodeId| {
                let target = &self.members.get(peer)?.target;
                target.is_under_way(now_ms).then(|| target.over_at().min(target.next_at.max(now_ms)))
            };
            self.dialling.iter().filter_map(next).min()
        };
        let explore = (self.members.len() > self.connected.len()).then_some(self.explore_at);
        let lan = self.lan.next_wake(now_ms).filter(|_| claimed);
        let ask = self.lan.next_ask().filter(|_| claimed && self.connected.is_empty());
        [bootstrap, member, explore, lan, ask].into_iter().flatten().min()
    }
}
