//! Connected peers, and agreeing with them: compare on every connect and from time to time, pull what is newer.

use super::Node;
use super::effect::{Effect, Level};
use super::input::{Now, Source, Ticket};
use super::random::Random;
use super::reporting::FEW_NODES;
use serde_bytes::ByteBuf;
use shared::{
    Hello, IndexEntry, IntentKey, MAX_SYNC_BYTES, MAX_SYNC_KEYS, NodeId, Role, Summary, SyncReply, SyncRequest,
};
use std::collections::{BTreeMap, BTreeSet};

/// The most peers that are kept track of; the mesh has a lower limit on connections.
const MAX_NEIGHBOURS: usize = 512;

/// How often a random neighbour that does not say so by itself is asked whether it holds the same: first, and when nothing
/// has differed for long.
const COMPARE_FIRST_MS: u64 = 15_000;
const COMPARE_MOST_MS: u64 = 60_000;

/// Who has said within this time that it holds the same is not asked: reports come more often in a realm of up to a
/// thousand nodes, and each says what its node holds.
const AGREED_MS: u64 = COMPARE_MOST_MS;

/// A difference that pulling did not end (the neighbour is behind, or has what is refused here) is left alone for
/// this long, as long as it stays the same: it costs an index with every report of the neighbour.
const FRUITLESS_MS: u64 = 60_000;

/// In a realm of more than [`FEW_NODES`], so long a pause for each further node is made before the next neighbour is asked
/// for all reports: who comes back to a thousand others and sixteen neighbours would pull 8 MB, to learn most of it sixteen
/// times.
const REPORTS_PER_NODE_MS: u64 = 20;

pub(super) struct Neighbour {
    pub(super) role: Role,
    /// What it held when it was last asked, as far as it differed.
    held: Option<Summary>,
    /// Keys that are still to be pulled from it.
    wanted: Vec<IntentKey>,
    /// Whether an answer about the state map is awaited, so that only one is under way.
    asked: bool,
    /// Whether its reports are to be asked for when their turn comes.
    reports_due: bool,
    /// What both held when a report of it last said that it holds the same, and until when it need not be asked.
    agreed: Option<(Summary, u64)>,
    /// What it held and what was held here when there was nothing more to pull, and until when that is remembered.
    fruitless: Option<(Summary, Summary, u64)>,
    /// Where it is crowded: when this node makes room for others, if it has enough neighbours.
    pub(super) leave_at: Option<u64>,
    /// When this node has left it; the end of the connection is on its way.
    pub(super) left_at: Option<u64>,
}

impl Neighbour {
    fn new(role: Role) -> Neighbour {
        Neighbour {
            role,
            held: None,
            wanted: Vec::new(),
            asked: false,
            reports_due: false,
            agreed: None,
            fruitless: None,
            leave_at: None,
            left_at: None,
        }
    }

    /// Whether it has said lately, in a report, that it holds what is held here.
    fn agrees(&self, ours: &Summary, now_ms: u64) -> bool {
        self.agreed.is_some_and(|(both, until)| both == *ours && until > now_ms)
    }

    fn is_fruitless(&self, theirs: &Summary, ours: &Summary, now_ms: u64) -> bool {
        self.fruitless.is_some_and(|(their, our, until)| (their, our) == (*theirs, *ours) && until > now_ms)
    }
}

/// See the module.
#[derive(Default)]
pub struct Neighbours {
    pub(super) admitted: BTreeMap<NodeId, Neighbour>,
    operators: BTreeSet<NodeId>,
    next_compare: Option<u64>,
    pause_ms: u64,
    /// Nobody is asked for reports before this.
    reports_at: u64,
}

impl Neighbours {
    /// Admitted nodes, operators not among them.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.admitted.iter().filter(|(_, peer)| peer.role == Role::Node).map(|(peer, _)| *peer)
    }

    /// Those nodes among them that have not said lately that they hold `ours`.
    fn silent(&self, ours: &Summary, now_ms: u64) -> impl Iterator<Item = NodeId> + '_ {
        let ours = *ours;
        let silent = move |peer: &&Neighbour| peer.role == Role::Node && !peer.agrees(&ours, now_ms);
        self.admitted.iter().filter(move |(_, peer)| silent(peer)).map(|(peer, _)| *peer)
    }

    /// Whether a connected peer is an operator, admitted or not.
    pub fn is_operator(&self, peer: &NodeId) -> bool {
        self.operators.contains(peer)
    }

    /// When a neighbour is asked next.
    pub fn next_wake(&self) -> Option<u64> {
        let compare = self.next_compare.filter(|_| !self.admitted.is_empty());
        let due = self.admitted.values().any(|peer| peer.reports_due);
        compare.into_iter().chain(due.then_some(self.reports_at)).min()
    }

    /// Whose reports are to be asked for, if it is time for that: one of them by chance.
    fn take_reports_due(&mut self, now_ms: u64, random: &mut Random) -> Option<NodeId> {
        if self.reports_at > now_ms {
            return None;
        }
        let due: Vec<NodeId> = self.admitted.iter().filter(|(_, peer)| peer.reports_due).map(|(id, _)| *id).collect();
        let chosen = *due.get(random.below(due.len() as u64) as usize)?;
        self.admitted.get_mut(&chosen)?.reports_due = false;
        Some(chosen)
    }

    fn schedule(&mut self, differed: bool, now_ms: u64, random: &mut Random) {
        self.pause_ms =
            if differed { COMPARE_FIRST_MS } else { (self.pause_ms * 2).clamp(COMPARE_FIRST_MS, COMPARE_MOST_MS) };
        self.next_compare = Some(now_ms + random.jitter(self.pause_ms, 50));
    }
}

impl Node {
    pub(super) fn met(&mut self, peer: NodeId, addr: &str, hello: &Hello, admitted: bool, now: Now) {
        if hello.role == Role::Operator && self.neighbours.operators.len() < MAX_NEIGHBOURS {
            self.neighbours.operators.insert(peer);
        }
        if !admitted {
            self.neighbours.admitted.remove(&peer);
            if hello.role == Role::Node {
                self.dialer.is_stranger(&peer, now.mono_ms);
            }
            return;
        }
        if !self.neighbours.admitted.contains_key(&peer) && self.neighbours.admitted.len() >= MAX_NEIGHBOURS {
            return;
        }
        let is_new = !self.neighbours.admitted.contains_key(&peer);
        let neighbour = self.neighbours.admitted.entry(peer).or_insert_with(|| Neighbour::new(hello.role));
        neighbour.role = hello.role;
        neighbour.leave_at = neighbour.leave_at.filter(|_| hello.crowded);
        if hello.role == Role::Operator {
            return;
        }
        if is_new && hello.crowded {
            self.meet_crowded(&peer, now);
        }
        let news = self.dialer.told(&hello.addrs, addr, now.mono_ms);
        self.dialer.met(peer, addr, now.mono_ms);
        self.roster.is_back(&peer, now.mono_ms);
        if news {
            self.members_changed(now);
            self.dial_due(now);
        }
        self.say_hello();
        self.neighbours.schedule(true, now.mono_ms, &mut self.random);
        // Reports are asked for once the peer listens: whatever this node hears from then on comes by itself.
        self.ask_summary(peer);
    }

    pub(super) fn peer_gone(&mut self, peer: NodeId, now: Now) {
        self.neighbours.operators.remove(&peer);
        let neighbour = self.neighbours.admitted.remove(&peer);
        self.parted(peer, neighbour.as_ref(), now);
        self.say_hello();
    }

    /// Asks a neighbour whether it holds the same, and whom it knows.
    pub(super) fn compare_with(&mut self, peer: NodeId, now: Now) {
        self.ask_summary(peer);
        if let Some(neighbour) = self.neighbours.admitted.get_mut(&peer) {
            neighbour.reports_due = neighbour.role == Role::Node;
        }
        self.ask_reports_due(now);
    }

    /// Asks neighbours for reports whose turn has come: in a large realm one, and the next after a pause.
    pub(super) fn ask_reports_due(&mut self, now: Now) {
        while let Some(peer) = self.neighbours.take_reports_due(now.mono_ms, &mut self.random) {
            self.out.push(Effect::AskSync { peer, request: SyncRequest::Reports });
            // Who has just been started hears of nobody yet, and knows how many there were.
            let further = (self.roster.count() as u64).saturating_sub(FEW_NODES);
            self.neighbours.reports_at = now.mono_ms + further * REPORTS_PER_NODE_MS;
        }
    }

    /// A node holds `theirs`: when that is something else, and it is a neighbour, asks what.
    pub(super) fn holds(&mut self, node: NodeId, theirs: &Summary, now: Now) {
        let ours = self.ledger.summary();
        let Some(neighbour) = self.neighbours.admitted.get_mut(&node) else { return };
        if *theirs == ours {
            neighbour.agreed = Some((ours, now.mono_ms + AGREED_MS));
        } else if !neighbour.is_fruitless(theirs, &ours, now.mono_ms) {
            self.ask_summary(node);
        }
    }

    fn ask_summary(&mut self, peer: NodeId) {
        let Some(neighbour) = self.neighbours.admitted.get_mut(&peer) else { return };
        if !neighbour.asked && neighbour.role == Role::Node {
            neighbour.asked = true;
            let request = SyncRequest::Compare(self.ledger.summary());
            self.out.push(Effect::AskSync { peer, request });
        }
    }

    pub(super) fn compare_with_somebody(&mut self, now: Now) {
        if self.neighbours.next_compare.is_none_or(|at| at > now.mono_ms) {
            return;
        }
        self.neighbours.schedule(false, now.mono_ms, &mut self.random);
        let ours = self.ledger.summary();
        let nodes: Vec<NodeId> = self.neighbours.silent(&ours, now.mono_ms).collect();
        if !nodes.is_empty() {
            let peer = nodes[self.random.below(nodes.len() as u64) as usize];
            self.compare_with(peer, now);
        }
    }

    pub(super) fn sync_asked(&mut self, ticket: Ticket, request: &SyncRequest) {
        let reply = match request {
            SyncRequest::Compare(theirs) if *theirs == self.ledger.summary() => SyncReply::Same,
            SyncRequest::Compare(_) => SyncReply::Index(self.ledger.index()),
            SyncRequest::Pull(keys) => SyncReply::Intents(self.sealed(keys)),
            SyncRequest::Reports => SyncReply::Reports(self.roster.reports(&self.me)),
        };
        self.out.push(Effect::AnswerSync { ticket, reply });
    }

    /// The sealed bytes of as many keys, in the order asked, as fit an answer.
    fn sealed(&self, keys: &[IntentKey]) -> Vec<ByteBuf> {
        /// What an entry takes beside its bytes.
        const AROUND: usize = 8;
        let mut room = MAX_SYNC_BYTES - 1024;
        let mut sealed = Vec::new();
        for held in keys.iter().take(MAX_SYNC_KEYS).filter_map(|key| self.ledger.held().get(key)) {
            let size = held.bytes.len() + AROUND;
            if size > room {
                break;
            }
            room -= size;
            sealed.push(ByteBuf::from(held.bytes.to_vec()));
        }
        sealed
    }

    pub(super) fn sync_answered(&mut self, peer: NodeId, result: Result<SyncReply, String>, now: Now) {
        match result {
            Ok(SyncReply::Reports(views)) => {
                for view in views {
                    if view.report.node == peer {
                        self.report_handed(view.report, now);
                    } else {
                        self.report_heard(view.report, view.alive, now);
                    }
                }
                return;
            }
            Ok(SyncReply::Index(index)) => self.compared(peer, &index, now),
            Ok(SyncReply::Intents(sealed)) => self.pulled(peer, &sealed, now),
            Ok(SyncReply::Same) => {}
            Err(reason) => {
                self.say(Level::Info, format!("{peer} did not answer: {reason}"), now);
                if let Some(neighbour) = self.neighbours.admitted.get_mut(&peer) {
                    (neighbour.held, neighbour.wanted) = (None, Vec::new());
                }
            }
        }
        self.pull_more(peer, now);
    }

    fn compared(&mut self, peer: NodeId, index: &[IndexEntry], now: Now) {
        let Some(neighbour) = self.neighbours.admitted.get_mut(&peer) else { return };
        let theirs = Summary::of(index.iter().map(|entry| (&entry.key, entry.seq, entry.id)));
        let known = neighbour.is_fruitless(&theirs, &self.ledger.summary(), now.mono_ms);
        neighbour.wanted = if known { Vec::new() } else { self.ledger.wanted(index, now) };
        neighbour.held = (!known).then_some(theirs);
        let differed = !neighbour.wanted.is_empty();
        self.neighbours.schedule(differed, now.mono_ms, &mut self.random);
    }

    fn pulled(&mut self, peer: NodeId, sealed: &[ByteBuf], now: Now) {
        if let Some(neighbour) = self.neighbours.admitted.get_mut(&peer) {
            // An answer with nothing in it ends the pulling, whatever is still wanted.
            let done =
                if sealed.is_empty() { neighbour.wanted.len() } else { sealed.len().min(neighbour.wanted.len()) };
            neighbour.wanted.drain(..done);
        }
        for bytes in sealed.iter().take(MAX_SYNC_KEYS) {
            self.offered(Source::Sync { peer }, bytes, now);
        }
    }

    fn pull_more(&mut self, peer: NodeId, now: Now) {
        let ours = self.ledger.summary();
        let Some(neighbour) = self.neighbours.admitted.get_mut(&peer) else { return };
        neighbour.asked = !neighbour.wanted.is_empty();
        if neighbour.asked {
            let request = SyncRequest::Pull(neighbour.wanted.clone());
            self.out.push(Effect::AskSync { peer, request });
        } else if let Some(theirs) = neighbour.held.take() {
            neighbour.fruitless = Some((theirs, ours, now.mono_ms + FRUITLESS_MS));
        }
    }
}
