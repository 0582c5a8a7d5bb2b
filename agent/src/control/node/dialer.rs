//! Whom to dial, and when again: bootstrap addresses and other members while there are few connections, and
//! members that nobody has heard of from time to time, so that two halves of a realm find one another again.

mod due;

use super::lan::Lan;
use super::random::Random;
use super::target::{RETRY_FIRST_MS, Target};
use shared::{MAX_HELLO_ADDRS, MAX_REPORT_ADDR_BYTES, MAX_REPORT_ADDRS, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many connections a node looks for more members; gossip needs about eight neighbours.
pub const WANTED_PEERS: usize = 16;

/// With so many connections a bootstrap address is left alone, as long as its node is heard of: it may be everybody's.
const ENOUGH_PEERS: usize = 8;

/// A node that was left because it is crowded is not chosen again for that long. It may be called all the same.
const LEFT_MS: u64 = 600_000;

/// Of two nodes that would dial one another at the same time, the one with the higher id waits so long for the other's dial, which
/// takes two or three round trips. Both dials would lead somewhere, and of two connections both are kept alive for good.
const GIVES_WAY_MS: u64 = 250;

/// With connections enough, one member that nobody has heard of is tried this often: after a long split each half has
/// as many connections as it wants, and would never look for the other.
const EXPLORE_MS: u64 = 30_000;

/// So many dials may be under way when a certain member is called beyond the wanted connections.
const MAX_CALLS: usize = WANTED_PEERS + 8;

/// The most members whose addresses are kept.
const MAX_TARGETS: usize = 1024;

/// The most addresses that are kept of each: LAN, VPN and loopback, over QUIC and TCP.
pub const MAX_ADDRS: usize = 6;

struct Member {
    addrs: Vec<String>,
    target: Target,
    /// It is not chosen before this: because it may dial this node, or was left as crowded.
    chosen_from: u64,
    /// It was once left because it was crowded.
    was_left: bool,
}

impl Member {
    /// When it may be chosen next.
    fn choice_at(&self) -> u64 {
        self.target.next_at.max(self.chosen_from)
    }
}

struct Bootstrap {
    addr: String,
    peer: Option<NodeId>,
    target: Target,
}

/// See the module.
pub struct Dialer {
    me: NodeId,
    bootstrap: Vec<Bootstrap>,
    members: BTreeMap<NodeId, Member>,
    connected: BTreeSet<NodeId>,
    listening: Vec<String>,
    explore_at: u64,
    /// Members whose dials are not over, so that it need not look through all.
    dialling: BTreeSet<NodeId>,
    lan: Lan,
    /// No member is due before this: it is asked after every input, and a realm may have a thousand of them.
    due_at: u64,
}

/// The peer id that an address ends in.
#[must_use]
pub fn peer_of(addr: &str) -> Option<NodeId> {
    addr.rsplit_once("/p2p/").and_then(|(_, peer)| peer.parse().ok())
}

fn is_loopback(addr: &str) -> bool {
    addr.starts_with("/ip4/127.") || addr.starts_with("/ip6/::1/")
}

fn without_peer(addr: &str) -> &str {
    addr.split_once("/p2p/").map_or(addr, |(addr, _)| addr)
}

/// When it is the turn of `me` to dial a peer that may be about to dial it.
fn turn(me: NodeId, peer: &NodeId, now_ms: u64) -> u64 {
    if me > *peer { now_ms + GIVES_WAY_MS } else { now_ms }
}

impl Dialer {
    /// Begins with what was configured; `lan` is whether the local network is asked who is there.
    pub fn new(me: NodeId, bootstrap: &[String], lan: bool) -> Dialer {
        let bootstrap = bootstrap.iter().map(|addr| Bootstrap {
            addr: addr.clone(),
            peer: peer_of(addr),
            target: Target::default(),
        });
        Dialer {
            me,
            bootstrap: bootstrap.collect(),
            members: BTreeMap::new(),
            connected: BTreeSet::new(),
            listening: Vec::new(),
            explore_at: 0,
            dialling: BTreeSet::new(),
            lan: Lan::new(lan),
            due_at: 0,
        }
    }

    /// This node can be reached under `addr`: a link may have come up, so everybody is worth another attempt. Gives
    /// whether that is news.
    pub fn listening(&mut self, addr: String, now_ms: u64) -> bool {
        let news = !self.listening.contains(&addr) && self.listening.len() < MAX_HELLO_ADDRS;
        if news {
            self.listening.push(addr);
            self.members.values_mut().for_each(|member| member.target.retry_at(now_ms));
            self.bootstrap.iter_mut().for_each(|bootstrap| bootstrap.target.retry_at(now_ms));
            self.lan.retry(|peer| turn(self.me, peer, now_ms));
            self.lan.is_alone(now_ms);
            self.due_at = 0;
        }
        news
    }

    /// This node is not reached under `addr` any more. Gives whether that is news.
    pub fn not_listening(&mut self, addr: &str) -> bool {
        let before = self.listening.len();
        self.listening.retain(|other| other != addr);
        self.listening.len() < before
    }

    /// Somebody on the local network announces `addr`.
    pub fn found(&mut self, addr: String, now_ms: u64) {
        let Some(peer) = peer_of(&addr).filter(|peer| *peer != self.me) else { return };
        if !self.members.contains_key(&peer) {
            self.lan.found(peer, addr, turn(self.me, &peer, now_ms));
        } else if self.learn(&[addr], now_ms)
            && let Some(member) = self.members.get_mut(&peer)
        {
            member.target.retry_at(now_ms);
            self.due_at = 0;
        }
    }

    /// An address is not announced on the local network any more.
    pub fn lost(&mut self, addr: &str) {
        self.lan.lost(addr);
    }

    /// Somebody who answered is not of this realm.
    pub fn is_stranger(&mut self, peer: &NodeId, now_ms: u64) {
        self.lan.is_stranger(peer, now_ms);
    }

    /// Under which addresses this node can be reached.
    pub fn own_addrs(&self) -> &[String] {
        &self.listening
    }

    /// Learns addresses of members; each ends in its peer id. Gives whether any was news.
    pub fn learn(&mut self, addrs: &[String], now_ms: u64) -> bool {
        let mut news = false;
        for addr in addrs {
            let Some(peer) = peer_of(addr).filter(|peer| *peer != self.me) else { continue };
            if !self.members.contains_key(&peer) && self.members.len() >= MAX_TARGETS {
                continue;
            }
            let chosen_from = turn(self.me, &peer, now_ms);
            let member = self.members.entry(peer).or_insert(Member {
                addrs: Vec::new(),
                target: Target::default(),
                chosen_from,
                was_left: false,
            });
            if !member.addrs.contains(addr) {
                if member.addrs.len() == MAX_ADDRS {
                    member.addrs.remove(0);
                }
                member.addrs.push(addr.clone());
                member.target.retry_at(0);
                self.due_at = 0;
                news = true;
            }
        }
        news
    }

    /// All that is known so far is from before this agent was started: some hold it for connected still, and do not dial.
    pub fn remembered(&mut self) {
        self.members.values_mut().for_each(|member| member.chosen_from = 0);
    }

    /// Learns what a peer tells of itself and others. An address of loopback leads to the machine on which it is dialled:
    /// it is of use when the peer has come over loopback too, and leads to somebody else from any other machine.
    pub fn told(&mut self, addrs: &[String], from: &str, now_ms: u64) -> bool {
        let local = is_loopback(from);
        let useful: Vec<String> = addrs.iter().filter(|addr| local || !is_loopback(addr)).cloned().collect();
        self.learn(&useful, now_ms)
    }

    /// What this node's reports tell: where it is reached from other machines. Where all of the realm is on this one, that
    /// is loopback.
    pub fn report_addrs(&self) -> Vec<String> {
        let bare = |addr: &String| without_peer(addr).to_owned();
        let elsewhere = self.listening.iter().filter(|addr| !is_loopback(addr)).map(bare);
        let mut addrs: Vec<String> = elsewhere.filter(|addr| addr.len() <= MAX_REPORT_ADDR_BYTES).collect();
        if addrs.is_empty() {
            addrs = self.listening.iter().map(bare).collect();
        }
        addrs.truncate(MAX_REPORT_ADDRS);
        addrs
    }

    /// Learns where a member is reached, by its own word; everybody hears that, so that anybody can be dialled.
    pub fn reported(&mut self, peer: &NodeId, addrs: &[String], now_ms: u64) {
        let local = self.listening.iter().all(|addr| is_loopback(addr));
        // Mostly a heartbeat, that tells what is known; but others may have told so much since that it was forgotten.
        let member = self.members.get(peer);
        let known = |addr: &str| member.is_some_and(|member| member.addrs.iter().any(|it| without_peer(it) == addr));
        let useful = addrs.iter().filter(|addr| (local || !is_loopback(addr)) && !known(without_peer(addr)));
        let useful: Vec<String> = useful.map(|addr| format!("{}/p2p/{peer}", without_peer(addr))).collect();
        self.learn(&useful, now_ms);
    }

    /// Addresses of one member.
    pub fn addrs_of(&self, peer: &NodeId) -> Vec<String> {
        self.members.get(peer).map(|member| member.addrs.clone()).unwrap_or_default()
    }

    /// What a hello tells: this node's addresses, then those of connected members, one of each before the second of
    /// any. Each node begins somewhere else, so that together they tell of everybody.
    pub fn hello_addrs(&self) -> Vec<String> {
        let connected = self.connected.range(self.me..).chain(self.connected.range(..self.me));
        let members: Vec<&Member> = connected.filter_map(|peer| self.members.get(peer)).collect();
        let nth = |at: usize| members.iter().filter_map(move |member| member.addrs.get(at));
        self.listening.iter().chain((0..MAX_ADDRS).flat_map(nth)).take(MAX_HELLO_ADDRS).cloned().collect()
    }

    /// A connection is up, at the address that was dialled or that the peer came from.
    pub fn met(&mut self, peer: NodeId, addr: &str, now_ms: u64) {
        self.connected.insert(peer);
        let announced = self.lan.is_member(&peer);
        self.learn(&announced, now_ms);
        let reached = without_peer(addr);
        let known = self.members.get(&peer).map(|member| member.addrs.as_slice()).unwrap_or_default();
        for bootstrap in &mut self.bootstrap {
            let wanted = without_peer(&bootstrap.addr);
            if wanted == reached || known.iter().any(|addr| without_peer(addr) == wanted) {
                bootstrap.peer = Some(peer);
            }
            if bootstrap.peer == Some(peer) {
                bootstrap.target.reached();
            }
        }
        if let Some(member) = self.members.get_mut(&peer) {
            member.target.reached();
        }
        self.dialling.remove(&peer);
    }

    /// A bootstrap address belongs to this peer. While the peer is connected, by whatever way, it is not dialled: a second
    /// connection would look to the peer as if the first had been lost.
    pub fn leads_to(&mut self, addr: &str, peer: NodeId) {
        for bootstrap in self.bootstrap.iter_mut().filter(|bootstrap| bootstrap.addr == addr) {
            bootstrap.peer = Some(peer);
        }
    }

    /// The node has just joined a realm: who sent it away as a stranger may take it in.
    pub fn retry_strangers(&mut self, now_ms: u64) {
        for bootstrap in &mut self.bootstrap {
            bootstrap.target = Target::default();
        }
        self.lan.is_alone(now_ms);
        self.lan.retry(|peer| turn(self.me, peer, now_ms));
    }

    /// The last connection to a peer is gone: dial it at once, and then with growing pauses.
    pub fn gone(&mut self, peer: NodeId, now_ms: u64, random: &mut Random) {
        if !self.connected.remove(&peer) {
            return;
        }
        if self.connected.is_empty() {
            self.lan.is_alone(now_ms);
        }
        // Both sides see the end, and shall not dial at the same instant.
        let next_at = turn(self.me, &peer, now_ms) + random.below(RETRY_FIRST_MS / 2);
        for bootstrap in self.bootstrap.iter_mut().filter(|bootstrap| bootstrap.peer == Some(peer)) {
            bootstrap.target.retry_at(next_at);
        }
        if let Some(member) = self.members.get_mut(&peer) {
            member.target.retry_at(next_at);
            self.due_at = self.due_at.min(member.target.next_at);
        }
    }

    /// This node has ended its connections to a peer.
    pub fn left(&mut self, peer: NodeId, now_ms: u64) {
        self.connected.remove(&peer);
        if let Some(member) = self.members.get_mut(&peer) {
            member.chosen_from = now_ms + LEFT_MS;
            member.was_left = true;
        }
    }

    /// Whether this node has once left a peer because it was crowded.
    pub fn was_left(&self, peer: &NodeId) -> bool {
        self.members.get(peer).is_some_and(|member| member.was_left)
    }

    /// Whether a bootstrap address is to be dialled when its time comes.
    fn is_sought(&self, bootstrap: &Bootstrap, unheard: impl Fn(&NodeId) -> bool) -> bool {
        let enough = self.connected.len() >= ENOUGH_PEERS;
        bootstrap.peer.is_none_or(|peer| {
            let is_here = self.connected.contains(&peer) || peer == self.me;
            !is_here && (!enough || unheard(&peer))
        })
    }

    /// A dial came to nothing; `addr` is the first address that was tried. Gives whether that is news.
    pub fn failed(&mut self, addr: &str, now_ms: u64) -> bool {
        let mut news = false;
        for bootstrap in self.bootstrap.iter_mut().filter(|bootstrap| bootstrap.addr == addr) {
            news |= bootstrap.target.failed(now_ms);
        }
        let Some(peer) = peer_of(addr) else { return news };
        self.lan.failed(&peer, now_ms);
        if let Some(member) = self.members.get_mut(&peer).filter(|member| member.addrs.iter().any(|it| it == addr)) {
            news |= member.target.failed(now_ms);
            self.dialling.remove(&peer);
        }
        news
    }
}
