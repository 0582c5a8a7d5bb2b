//! Peers that were found on the local network. They may be of another realm, of another program, or nobody at all:
//! each is dialled once, and a stranger is left alone for a while. Answers get lost: as long as nobody of the realm is connected,
//! who is there is asked again and again.

use super::dialer::{MAX_ADDRS, peer_of};
use super::effect::Effect;
use super::random::Random;
use super::target::Target;
use shared::NodeId;
use std::collections::BTreeMap;

/// The most peers that are kept: a large network of machines, and what somebody makes up.
const MAX_FOUND: usize = 256;

/// So many of them are dialled at once.
const MAX_DIALS: usize = 16;

/// A peer that is of another realm is not dialled again for this long.
const STRANGE_MS: u64 = 10 * 60 * 1_000;

/// A node that nobody is connected to asks again after so long: by then whoever is there has answered and been dialled.
const ASK_FIRST_MS: u64 = 1_000;

/// The longest pause between two questions, on a network of few. A question is one small packet.
const ASK_MOST_MS: u64 = 60_000;

/// The longest pause is at least so long for each that was found: all of them answer, and may be just as alone.
const ASK_EACH_MS: u64 = 3_000;

/// The longest pause however many there are: as long as the library's.
const ASK_CROWD_MS: u64 = 300_000;

struct Found {
    addrs: Vec<String>,
    target: Target,
}

impl Found {
    fn new(turn: u64) -> Found {
        let mut target = Target::default();
        target.pause_until(turn);
        Found { addrs: Vec::new(), target }
    }
}

/// See the module.
pub struct Lan {
    found: BTreeMap<NodeId, Found>,
    /// Whether this node takes part.
    asks: bool,
    ask_at: u64,
    ask_pause_ms: u64,
}

impl Lan {
    /// Nobody is found yet. Nothing is ever asked unless this node `asks`.
    pub fn new(asks: bool) -> Lan {
        Lan { found: BTreeMap::new(), asks, ask_at: ASK_FIRST_MS, ask_pause_ms: ASK_FIRST_MS }
    }

    /// From now on nobody of this realm is connected; or somebody may be there whom no question has reached.
    pub fn is_alone(&mut self, now_ms: u64) {
        self.ask_pause_ms = ASK_FIRST_MS;
        self.ask_at = now_ms + ASK_FIRST_MS;
    }

    /// Asks who is there, if it is time; only while nobody of this realm is connected.
    pub fn ask_due(&mut self, now_ms: u64, random: &mut Random, out: &mut Vec<Effect>) {
        if self.asks && self.ask_at <= now_ms {
            out.push(Effect::AskLan);
            let most = (self.found.len() as u64 * ASK_EACH_MS).clamp(ASK_MOST_MS, ASK_CROWD_MS);
            self.ask_pause_ms = (self.ask_pause_ms * 2).min(most);
            self.ask_at = now_ms + random.jitter(self.ask_pause_ms, 25);
        }
    }

    /// When that is due next.
    pub fn next_ask(&self) -> Option<u64> {
        self.asks.then_some(self.ask_at)
    }

    /// A peer announces `addr`, which ends in its peer id. One that is new is not dialled before `turn`.
    pub fn found(&mut self, peer: NodeId, addr: String, turn: u64) {
        if !self.found.contains_key(&peer) && self.found.len() >= MAX_FOUND {
            return;
        }
        let found = self.found.entry(peer).or_insert_with(|| Found::new(turn));
        if !found.addrs.contains(&addr) && found.addrs.len() < MAX_ADDRS {
            found.addrs.push(addr);
        }
    }

    /// An address is not announced any more.
    pub fn lost(&mut self, addr: &str) {
        let Some(peer) = peer_of(addr) else { return };
        if let Some(found) = self.found.get_mut(&peer) {
            found.addrs.retain(|other| other != addr);
            if found.addrs.is_empty() {
                self.found.remove(&peer);
            }
        }
    }

    /// A peer is of this realm: the dialer knows it from here on. Gives what it announces.
    pub fn is_member(&mut self, peer: &NodeId) -> Vec<String> {
        self.found.remove(peer).map(|found| found.addrs).unwrap_or_default()
    }

    /// A peer is not of this realm.
    pub fn is_stranger(&mut self, peer: &NodeId, now_ms: u64) {
        if let Some(found) = self.found.get_mut(peer) {
            found.target.pause_until(now_ms + STRANGE_MS);
        }
    }

    /// A dial came to nothing.
    pub fn failed(&mut self, peer: &NodeId, now_ms: u64) {
        if let Some(found) = self.found.get_mut(peer) {
            found.target.failed(now_ms);
        }
    }

    /// Whatever is known may be wrong: this node has joined a realm, or has another address. Everybody is dialled again, each when
    /// it is this node's turn.
    pub fn retry(&mut self, turn: impl Fn(&NodeId) -> u64) {
        self.found.iter_mut().for_each(|(peer, found)| found.target.retry_at(turn(peer)));
    }

    /// Dials whom nobody has looked at yet.
    pub fn dial_due(&mut self, now_ms: u64, random: &mut Random, out: &mut Vec<Effect>) {
        let under_way = self.found.values().filter(|found| found.target.is_under_way(now_ms)).count();
        let due = self.found.values_mut().filter(|found| found.target.next_at <= now_ms);
        for found in due.take(MAX_DIALS.saturating_sub(under_way)) {
            found.target.begin(false, now_ms, random);
            out.push(Effect::Dial(found.addrs.clone()));
        }
    }

    /// When the next dial is due.
    pub fn next_wake(&self, now_ms: u64) -> Option<u64> {
        let under_way = || self.found.values().filter(|found| found.target.is_under_way(now_ms));
        if under_way().count() < MAX_DIALS {
            self.found.values().map(|found| found.target.next_at).min()
        } else {
            under_way().map(|found| found.target.over_at()).min()
        }
    }
}
