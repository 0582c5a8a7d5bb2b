//! Intents as they come in: the word on each, and what follows once one is on the disk.

use super::effect::{Effect, Level, Verdict};
use super::fault::Written;
use super::input::{Now, Source, Ticket};
use super::ledger::{Settled, Word};
use super::wish::Wish;
use super::{Node, Workload};
use shared::{ComponentName, IntentKey, NodeId, RealmId, Receipt, Refused, Verb, Verdict as Given};
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many neighbours get a new intent directly, beside gossip: in a mesh of a few nodes gossip may not have
/// formed yet, and a duplicate costs one round trip.
const DIRECT_HANDOVERS: usize = 8;

impl Node {
    pub(super) fn offered(&mut self, source: Source, bytes: &[u8], now: Now) {
        let by_operator = matches!(source, Source::Stream { .. }) && self.neighbours.is_operator(&source.peer());
        let entry = by_operator.then_some(&self.declared);
        let word = self.ledger.offer(source, bytes, entry, now, &mut self.out);
        if let Some(alarm) = self.ledger.take_alarm() {
            self.say(Level::Warn, alarm, now);
        }
        match word {
            Word::Later => {}
            Word::AlreadyHeld(key) => {
                self.answer(source, Given::AlreadyHeld, Verdict::Ignore);
                self.fetch_from_operator(&key, &[source]);
                self.fetch_here_too(&key, source);
            }
            Word::Refused(refused) => self.refuse(source, &refused, now),
        }
    }

    fn refuse(&mut self, source: Source, refused: &Refused, now: Now) {
        // A late message is nobody's fault; one that no honest node forwards is held against the sender.
        let verdict = match refused {
            Refused::Stale { .. }
            | Refused::Expired
            | Refused::FromTheFuture
            | Refused::Storage(_)
            | Refused::Full(_)
            | Refused::UnknownKind(_)
            | Refused::Unclaimed => Verdict::Ignore,
            _ => Verdict::Reject,
        };
        if !matches!(refused, Refused::Stale { .. }) {
            let text = format!("refused an intent from {}: {refused}", source.peer());
            self.say(Level::Warn, text, now);
        }
        self.answer(source, Given::from(refused), verdict);
    }

    fn answer(&mut self, source: Source, given: Given, verdict: Verdict) {
        match source {
            Source::Stream { ticket, .. } => {
                let receipt = Receipt { node: self.me, verdict: given };
                self.out.push(Effect::Receipt { ticket, receipt });
            }
            Source::Gossip { ticket, .. } => self.out.push(Effect::Judge { ticket, verdict }),
            Source::Sync { .. } => {}
        }
    }

    pub(super) fn persisted(&mut self, ticket: Ticket, result: Result<(), String>, now: Now) {
        match self.ledger.settle(ticket, result) {
            Settled::Unknown => {}
            Settled::Failed { waiting, refused } => {
                if let Refused::Storage(why) = &refused {
                    self.disk_fault.ended(Written::Intent, Some(why), now.mono_ms);
                }
                for source in waiting {
                    self.refuse(source, &refused, now);
                }
            }
            Settled::Stored { key, waiting, claimed, replaced } => {
                self.disk_fault.ended(Written::Intent, None, now.mono_ms);
                for source in &waiting {
                    self.answer(*source, Given::Accepted, Verdict::Forward);
                }
                if claimed {
                    self.claimed(now);
                }
                // Operators number their next intent by what hello says.
                self.say_hello();
                self.spread(&key, &waiting);
                let hints: Vec<NodeId> = waiting.iter().map(Source::peer).collect();
                self.act_on(&key, &hints, now);
                self.fetch_from_operator(&key, &waiting);
                for artifact in replaced.iter().flat_map(|replaced| replaced.opened.body().payload.artifacts()) {
                    self.drop_unused(artifact.digest);
                }
            }
        }
    }

    /// The first valid intent has bound the node to its signer.
    fn claimed(&mut self, now: Now) {
        let Some(owner) = self.ledger.owner() else { return };
        let realm = RealmId::of_owner(&owner);
        self.out.push(Effect::Log(
            Level::Warn,
            format!(
                "CLAIMED: this node had no owner and now obeys `{owner}` (realm {realm}); it will obey nobody else"
            ),
        ));
        self.dialer.retry_strangers(now.mono_ms);
        self.dial_due(now);
    }

    /// Passes a stored intent on: by gossip, and directly to a few neighbours that did not bring it.
    fn spread(&mut self, key: &IntentKey, waiting: &[Source]) {
        let Some(held) = self.ledger.held().get(key) else { return };
        let bytes = Arc::clone(&held.bytes);
        let heard_in_gossip = waiting.iter().any(|source| matches!(source, Source::Gossip { .. }));
        if !heard_in_gossip {
            self.out.push(Effect::Announce(Arc::clone(&bytes)));
        }
        let brought: BTreeSet<NodeId> = waiting.iter().map(Source::peer).collect();
        let mut others: Vec<NodeId> = self.neighbours.nodes().filter(|peer| !brought.contains(peer)).collect();
        // At random, so that it spreads although every node knows the same few.
        for left in (0..others.len()).rev().take(DIRECT_HANDOVERS) {
            let peer = others.swap_remove(self.random.below(left as u64 + 1) as usize);
            self.out.push(Effect::HandOver { peer, bytes: Arc::clone(&bytes) });
        }
    }

    /// Makes what runs here follow from the entry of the state map under `key`.
    pub(super) fn act_on(&mut self, key: &IntentKey, hints: &[NodeId], now: Now) {
        let IntentKey::Component(name) = key else { return self.manifest_held(hints, now) };
        let awaited = self.works.get(name).filter(|work| work.is_fetching()).map(|work| work.spec.artifact.digest);
        // The operator has begun anew with this name, or wants it gone.
        self.declared.evidence.remove(name);
        self.follow(name, hints, now);
        self.make_room(now);
        if let Some(digest) = awaited {
            self.stop_fetching(digest);
        }
    }

    /// Makes what runs here under a name follow from what is wanted, and leaves it to the caller to make room for those that
    /// wait.
    pub(super) fn follow(&mut self, name: &ComponentName, hints: &[NodeId], now: Now) {
        let wanted = match self.wish(name) {
            Wish::Here(wanted) => wanted,
            Wish::Elsewhere => return self.leave(name, false),
            Wish::Gone => return self.leave(name, true),
        };
        if self.works.get(name).is_some_and(|work| work.intent == wanted.intent) {
            return;
        }
        if wanted.verb == Some(Verb::Start)
            && let Some(work) = self.works.get_mut(name).filter(|work| work.runs_all_of(&wanted.spec))
        {
            // Where all of it runs, there is nothing to start.
            (work.intent, work.declared) = (wanted.intent, wanted.declared);
            return;
        }
        let before = self.works.remove(name);
        let mut retiring = before.map(Workload::into_retiring).unwrap_or_default();
        // It was moved away and comes back: what was stopped then may not have ended yet.
        retiring.append(self.orphans.remove(name).unwrap_or_default());
        let memory_max_mb = wanted.spec.limits.memory_max_mb.map_or(self.config.default_memory_mb, |mb| mb.get());
        let stops = wanted.verb == Some(Verb::Stop);
        let mut work = Workload::new(wanted, u64::from(memory_max_mb) << 20, retiring);
        if stops {
            work.stop(&mut self.out);
            self.works.insert(name.clone(), work);
        } else {
            self.begin(name.clone(), work, hints, now);
        }
    }

    /// Ends what runs here under a name that is not wanted here, or not `anywhere` any more.
    fn leave(&mut self, name: &ComponentName, anywhere: bool) {
        let before = self.works.remove(name);
        let was_here = before.is_some();
        let mut retiring = before.map(Workload::into_retiring).unwrap_or_default();
        retiring.append(self.orphans.remove(name).unwrap_or_default());
        retiring.stop(&mut self.out);
        if !retiring.is_empty() {
            self.orphans.insert(name.clone(), retiring);
        }
        if anywhere {
            self.forget_if_removed(name);
        } else if was_here {
            self.out.push(Effect::Note(name.clone(), "stopped: it is meant for other nodes now".into()));
        }
    }

    fn begin(&mut self, name: ComponentName, mut work: Workload, hints: &[NodeId], now: Now) {
        let record = self.runs.get(&name).filter(|record| record.intent == work.intent);
        if let Some(record) = record.filter(|record| Workload::stays_ended(&work.spec, record)) {
            work.resume_ended(record, &mut self.out);
            self.works.insert(name, work);
            return;
        }
        let left = self.unpromised();
        self.place(name, work, left, hints, now);
    }

    /// Gives a component a place in the node's memory, if it fits into the `left` bytes, and sets it on its way. Gives how
    /// many of them are promised to it.
    pub(super) fn place(
        &mut self,
        name: ComponentName,
        mut work: Workload,
        left: u64,
        hints: &[NodeId],
        now: Now,
    ) -> u64 {
        if self.take_place(&mut work, left) {
            if work.is_ready() {
                // What is too much ends, so that others have room that the same manifest changes.
                work.give_way(&mut self.out);
                work.settle(now, &mut self.out);
            } else if self.blobs.contains(&work.spec.artifact.digest) {
                work.stored(&mut self.out);
            } else {
                self.out.push(Effect::Fetch { artifact: work.spec.artifact, hints: hints.to_vec() });
                self.seek_soon(now);
            }
        }
        let promised = work.promised();
        self.works.insert(name, work);
        promised
    }
}
