//! What is between machines: links that break and are noticed late, gossip as flooding, questions that get lost.

use crate::machine::Waiting;
use crate::rng::{fingerprint, head};
use crate::world::{Event, World};
use agent::control::node::{Input, Source};
use serde::Serialize;
use shared::{Hello, SignedReport, SyncReply, SyncRequest, frame};
use std::sync::Arc;

/// Gossip is passed on to so many neighbours, as gossipsub's mesh has.
const GOSSIP_DEGREE: usize = 6;

/// A peer that vanishes without a word is noticed after this time, as by QUIC.
const IDLE_MS: (u64, u64) = (8_000, 12_000);

/// An edge gives up on a question after this time.
const ASK_MS: u64 = 10_000;

/// A machine has so many peers at most, as `Limits::max_connections` of the mesh.
pub const MAX_LINKS: usize = 256;

/// A stranger is sent away after this time.
const STRANGER_MS: u64 = 10_000;

/// What gossip carries.
#[derive(Clone)]
pub enum Data {
    Intent(Arc<[u8]>),
    Report(Arc<SignedReport>),
}

impl Data {
    fn id(&self) -> u64 {
        match self {
            Data::Intent(bytes) => fingerprint(bytes),
            Data::Report(report) => head(report.sig.as_bytes()),
        }
    }
}

/// What travels over a link.
#[derive(Clone)]
pub enum Packet {
    Gossip(Data),
    HandOver(Arc<[u8]>),
    Ask { ask: u64, request: SyncRequest },
    Reply { ask: u64, reply: SyncReply },
}

impl Packet {
    /// How many bytes it has, but for what carries it.
    fn size(&self) -> usize {
        fn coded<T: Serialize>(of: &T) -> usize {
            frame::to_bytes(of, usize::MAX).map_or(0, |bytes| bytes.len())
        }
        match self {
            Packet::Gossip(Data::Intent(bytes)) | Packet::HandOver(bytes) => bytes.len(),
            Packet::Gossip(Data::Report(report)) => coded(&**report),
            Packet::Ask { request, .. } => coded(request),
            Packet::Reply { reply, .. } => coded(reply),
        }
    }
}

/// A question under way: who asked, in which life, and whom.
pub struct Ask {
    from: usize,
    life: u64,
    to: usize,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl World {
    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.side[a] != self.side[b]
    }

    pub fn is_linked(&self, a: usize, b: usize) -> bool {
        self.links.contains_key(&pair(a, b))
    }

    /// Sends over a link, when there is one and the packet is not lost.
    fn send(&mut self, from: usize, to: usize, packet: Packet) {
        self.figures.messages += 1;
        *match &packet {
            Packet::Gossip(Data::Intent(_)) => &mut self.figures.intents_passed,
            Packet::Gossip(Data::Report(_)) => &mut self.figures.reports_passed,
            Packet::HandOver(_) => &mut self.figures.handovers,
            Packet::Ask { .. } | Packet::Reply { .. } => &mut self.figures.asked_and_told,
        } += 1;
        if self.plan.weighed {
            self.figures.bytes += packet.size() as u64;
        }
        let lost = self.rng.chance(self.plan.loss) || !self.is_linked(from, to);
        if !lost {
            let life = self.machines[to].life;
            if self.rng.chance(self.plan.doubled) {
                self.figures.doubled += 1;
                let delay = self.latency();
                self.after(delay, Event::Arrive { from, to, life, packet: packet.clone() });
            }
            let delay = self.latency();
            self.after(delay, Event::Arrive { from, to, life, packet });
        }
    }

    pub fn dial(&mut self, from: usize, addr: String) {
        let reached = addr.split_once("/p2p/").map_or(addr.as_str(), |(reached, _)| reached).to_owned();
        let to = self.by_addr.get(&reached).copied();
        if to.is_some_and(|to| self.machines[from].peers.contains_key(&to)) {
            // As the mesh does: connected already, and nothing to tell.
            return;
        }
        let up = to.filter(|to| *to != from && self.machines[*to].node.is_some() && !self.is_cut(from, *to));
        let reachable = up.filter(|_| !self.rng.chance(self.plan.loss));
        let delay = if reachable.is_some() { 3 * self.latency() } else { self.rng.between(100, 9_000) };
        self.after(delay, Event::Dialled { from, life: self.machines[from].life, to: reachable, addr });
    }

    pub fn dialled(&mut self, from: usize, to: Option<usize>, addr: String) {
        match to.filter(|to| self.machines[*to].node.is_some() && !self.is_cut(from, *to)) {
            Some(to) if self.machines[to].peers.len() >= self.plan.links => {
                self.feed(from, Input::DialFailed { addr, reason: "too many connections".into() });
            }
            Some(to) => self.establish(from, to),
            None => self.feed(from, Input::DialFailed { addr, reason: "no answer".into() }),
        }
    }

    fn establish(&mut self, a: usize, b: usize) {
        self.links_made += 1;
        if self.is_linked(a, b) {
            return;
        }
        self.links.insert(pair(a, b), self.links_made);
        self.greet(a, b);
        let id = self.links_made;
        self.after(STRANGER_MS, Event::Strangers { a, b, id });
    }

    /// Both ends know what the other says of itself, and are told if that is news.
    pub fn greet(&mut self, a: usize, b: usize) {
        let hello = |at: usize| self.machines[at].hello.clone();
        let (Some(of_a), Some(of_b)) = (hello(a), hello(b)) else { return };
        let admitted = of_a.realm.is_some() && of_a.realm == of_b.realm;
        self.tell(a, b, of_b, admitted);
        self.tell(b, a, of_a, admitted);
    }

    fn tell(&mut self, at: usize, peer: usize, hello: Hello, admitted: bool) {
        let before = self.machines[at].peers.insert(peer, (hello.clone(), admitted));
        if before.as_ref().is_some_and(|before| *before == (hello.clone(), admitted)) {
            return;
        }
        let (id, addr) = (self.machines[peer].id, self.machines[peer].addr.clone());
        self.feed(at, Input::Met { peer: id, addr, hello, admitted });
        if admitted && before.is_none_or(|(_, before)| !before) {
            let delay = self.latency();
            self.after(delay, Event::Feed { at, life: self.machines[at].life, input: Input::Subscribed { peer: id } });
            self.look_again(at);
        }
    }

    pub fn said_hello(&mut self, at: usize, hello: Hello) {
        let before = self.machines[at].hello.replace(hello.clone());
        if before.is_some_and(|before| before.realm != hello.realm) {
            for (a, b) in self.links.keys().copied().filter(|(a, b)| *a == at || *b == at).collect::<Vec<_>>() {
                self.after(20, Event::Greet { a, b });
            }
        }
    }

    /// A link ends without a word; each end notices some time later.
    pub fn break_link(&mut self, a: usize, b: usize) {
        self.end_link(a, b, IDLE_MS);
    }

    /// A machine ends a link, and both ends know soon.
    pub fn leave_peer(&mut self, a: usize, b: usize) {
        self.end_link(a, b, self.plan.latency_ms);
    }

    fn end_link(&mut self, a: usize, b: usize, (least, most): (u64, u64)) {
        if self.links.remove(&pair(a, b)).is_some() {
            for (at, peer) in [(a, b), (b, a)] {
                let delay = self.rng.between(least, most);
                self.after(delay, Event::Notice { at, life: self.machines[at].life, peer });
            }
        }
    }

    pub fn strangers(&mut self, a: usize, b: usize, id: u64) {
        let admitted = self.machines[a].peers.get(&b).is_some_and(|(_, admitted)| *admitted);
        if !admitted && self.links.get(&pair(a, b)) == Some(&id) {
            self.links.remove(&pair(a, b));
            self.notice(a, b);
            self.notice(b, a);
        }
    }

    /// An end notices that a peer is gone, unless it is back on another link.
    pub fn notice(&mut self, at: usize, peer: usize) {
        if !self.is_linked(at, peer) && self.machines[at].peers.remove(&peer).is_some() {
            let peer = self.machines[peer].id;
            self.feed(at, Input::Gone { peer });
        }
    }

    pub fn admitted_peers(&self, at: usize) -> Vec<usize> {
        self.machines[at].peers.iter().filter(|(_, (_, admitted))| *admitted).map(|(peer, _)| *peer).collect()
    }

    pub fn publish(&mut self, at: usize, data: Data) {
        self.machines[at].seen.insert(data.id());
        self.flood(at, None, &data);
    }

    fn flood(&mut self, at: usize, from: Option<usize>, data: &Data) {
        if self.plan.gossip {
            let mut peers = self.admitted_peers(at);
            let sparing = self.plan.sparing.filter(|_| matches!(data, Data::Report(_)));
            let id = data.id();
            peers.retain(|peer| Some(*peer) != from && (sparing.is_none() || !self.machines[*peer].seen.contains(&id)));
            for to in self.rng.some(&peers, sparing.unwrap_or(GOSSIP_DEGREE)) {
                self.send(at, to, Packet::Gossip(data.clone()));
            }
        }
    }

    pub fn judged(&mut self, at: usize, from: usize, data: &Data, forward: bool) {
        if forward {
            self.flood(at, Some(from), data);
        }
    }

    pub fn hand_over(&mut self, from: usize, to: usize, bytes: Arc<[u8]>) {
        self.send(from, to, Packet::HandOver(bytes));
    }

    pub fn ask(&mut self, from: usize, to: usize, request: SyncRequest) {
        self.asked += 1;
        let ask = self.asked;
        self.asks.insert(ask, Ask { from, life: self.machines[from].life, to });
        self.after(ASK_MS, Event::GiveUp { ask });
        self.send(from, to, Packet::Ask { ask, request });
    }

    pub fn answer(&mut self, from: usize, ask: u64, mut reply: SyncReply) {
        if let SyncReply::Reports(views) = &mut reply
            && views.len() > self.plan.told
        {
            // The first is about the one who answers; of the others, chance decides which are told.
            let others = views.get_mut(1..).unwrap_or_default();
            others.rotate_left(self.rng.index(others.len()));
            views.truncate(self.plan.told);
        }
        if let Some(to) = self.asks.get(&ask).map(|ask| ask.from) {
            self.send(from, to, Packet::Reply { ask, reply });
        }
    }

    /// The answer to a question, or the end of waiting for it.
    pub fn answered(&mut self, ask: u64, result: Result<SyncReply, String>) {
        let Some(Ask { from, life, to }) = self.asks.remove(&ask) else { return };
        if self.machines[from].life == life && self.machines[from].node.is_some() {
            let peer = self.machines[to].id;
            self.feed(from, Input::SyncAnswered { peer, result });
        }
    }

    pub fn arrive(&mut self, from: usize, to: usize, packet: Packet) {
        let peer = self.machines[from].id;
        match packet {
            Packet::Gossip(data) => {
                // Gossip leaves out what it remembers, which is not everything.
                let is_new = self.machines[to].seen.insert(data.id());
                if is_new || self.rng.chance(self.plan.doubled) {
                    self.gossip(from, to, data);
                }
            }
            Packet::HandOver(bytes) => {
                let ticket = self.stream_ticket(to, &bytes, None);
                self.feed(to, Input::Offered { source: Source::Stream { ticket, peer }, bytes: bytes.to_vec() });
            }
            Packet::Ask { ask, request } => {
                let ticket = self.ticket(to, Waiting::Sync { ask });
                self.feed(to, Input::SyncAsked { ticket, request });
            }
            Packet::Reply { ask, reply } => self.answered(ask, Ok(reply)),
        }
    }

    pub fn gossip(&mut self, from: usize, to: usize, data: Data) {
        let peer = self.machines[from].id;
        let ticket = self.ticket(to, Waiting::Gossip { from, data: data.clone() });
        let input = match data {
            Data::Intent(bytes) => Input::Offered { source: Source::Gossip { ticket, peer }, bytes: bytes.to_vec() },
            Data::Report(report) => Input::Reported { ticket: Some(ticket), report: (*report).clone() },
        };
        self.feed(to, input);
    }
}
