//! How a manifest spreads: this node's turn, its own failures and those of others, and the way back. Nobody leads: each node
//! decides for itself, from its own state and the reports of the others, so that it goes on, or halts, without the operator.

use super::Node;
use super::declared::{PROGRESS_MS, changed, is_changed};
use super::effect::{Effect, Level};
use super::force::{Fate, Forces, InForce};
use super::input::Now;
use super::turn::{Participant, Turn, is_halted, turn};
use shared::{ComponentName, IntentId, Manifest, ManifestState, NodeFacts, NodeReport, Phase};
use std::collections::BTreeSet;

impl Node {
    /// What this node is, as an audience sees it.
    pub(super) fn facts(&self) -> NodeFacts<'_> {
        NodeFacts { node: self.me, tags: &self.config.tags, platform: &self.config.platform }
    }

    /// Where this node stands with the manifest that it holds.
    pub(super) fn manifest_state(&self) -> Option<ManifestState> {
        let id = self.held_apply()?.0.id();
        let declared = &self.declared;
        let is = |of: Option<IntentId>| of == Some(id);
        Some(if is(declared.in_force().map(|of| of.id)) {
            match (declared.failing, declared.settled) {
                (true, _) => ManifestState::Failing,
                (false, true) => ManifestState::Healthy,
                (false, false) => ManifestState::Changing,
            }
        } else if is(declared.forces.rejected) {
            ManifestState::RolledBack
        } else if is(declared.halted) {
            ManifestState::Halted
        } else if is(declared
            .next
            .as_ref()
            .or(declared.saving.as_ref().and_then(|(_, it)| it.in_force.as_ref()))
            .map(|of| of.id))
        {
            ManifestState::Waiting
        } else {
            ManifestState::Coming
        })
    }

    /// A node has reported of a manifest, or has gone: it may be another one's turn, or too many may have failed.
    pub(super) fn manifest_heard(&mut self, told: Option<ManifestState>) {
        let fails = matches!(told, Some(ManifestState::Failing | ManifestState::Halted | ManifestState::RolledBack));
        self.declared.look |= self.declared.next.is_some() || fails;
    }

    /// After each input: looks at what changed here, and whether it is this node's turn. Gives whether it stands otherwise now.
    pub(super) fn roll_out(&mut self, now: Now) -> bool {
        let before = self.manifest_state();
        self.look_at_changed(now);
        // The disk is left alone until it is tried again.
        let may_save = self.declared.saving.is_none() && self.declared.retry_at.is_none();
        if may_save && self.booted && !self.leaving && std::mem::take(&mut self.declared.look) {
            self.take_turn(now);
        }
        self.manifest_state() != before
    }

    /// Whether what changed here with the manifest in force is healthy, or has failed before it was.
    fn look_at_changed(&mut self, now: Now) {
        if self.declared.settled || self.declared.failing || self.declared.in_force().is_none() || !self.booted {
            return;
        }
        let mut works = self.declared.changed.iter().filter_map(|name| self.works.get(name)).filter(|it| it.declared);
        let has_failed = works.clone().any(|work| matches!(work.phase(), Phase::Failed | Phase::Backoff));
        if works.all(|work| work.is_well()) {
            self.declared.settled = true;
        } else if has_failed || self.declared.changed_at + PROGRESS_MS <= now.mono_ms {
            (self.declared.failing, self.declared.look) = (true, true);
        }
    }

    fn take_turn(&mut self, now: Now) {
        let Some(id) = self.held_apply().map(|(opened, _)| opened.id()) else { return };
        if let Some(next) = self.declared.next.as_ref().filter(|next| next.id == id) {
            match self.turn_of(next) {
                Turn::Wait => {}
                Turn::Go => {
                    let next = self.declared.next.take();
                    let fate = self.fate();
                    let forces = next.map(|next| self.declared.forces.and(next, fate));
                    forces.into_iter().for_each(|forces| self.save_forces(id, forces));
                }
                Turn::Halt => self.halt(id, now),
            }
        } else if let Some(in_force) = self.declared.in_force().filter(|of| of.id == id) {
            let rollout = in_force.manifest.rollout();
            self.declared.has_failed |= is_halted(self.states(id), rollout.max_failures);
            if rollout.auto_rollback && self.declared.has_failed {
                self.say(Level::Warn, "the manifest has failed: the one before it comes into force again".into(), now);
                self.save_forces(id, self.declared.forces.back());
            }
        }
    }

    /// What the manifest in force has come to. One failure here is enough, however many of them others may have.
    fn fate(&self) -> Fate {
        let declared = &self.declared;
        let works = || self.works.values().filter(|work| work.declared);
        let is_broken = || {
            let names = self.left_as_it_was();
            let works = names.iter().filter_map(|name| self.works.get(name)).filter(|work| work.declared);
            works.into_iter().any(|work| matches!(work.phase(), Phase::Failed | Phase::Backoff))
        };
        if declared.has_failed || declared.failing || declared.forces.is_known_to_fail() || is_broken() {
            Fate::Failed
        } else if declared.settled && works().all(|work| work.is_well()) {
            Fate::Well
        } else {
            Fate::Open
        }
    }

    /// What the one before the one in force has changed since the last good one, and that one has left as it was, where the one
    /// before has failed: what it has broken may be among that.
    fn left_as_it_was(&self) -> BTreeSet<ComponentName> {
        let forces = &self.declared.forces;
        let (Some(good), Some(before)) = (&forces.good, &forces.before) else { return BTreeSet::new() };
        if !forces.failed.contains(&before.version) {
            return BTreeSet::new();
        }
        let mut names = changed(Some(&good.manifest), Some(&before.manifest), &self.facts());
        names.retain(|name| !self.declared.changed.contains(name));
        names
    }

    /// Versions that have failed while they were in force here. Of the one that is held, its state says so.
    pub(super) fn past_failed(&self) -> Vec<u32> {
        let (declared, held) = (&self.declared, self.held_apply().map(|(opened, _)| opened.id()));
        let in_force = declared.in_force().filter(|of| Some(of.id) != held && self.fate() == Fate::Failed);
        let mut failed = declared.forces.failed.clone();
        failed.extend(in_force.map(|of| of.version));
        failed.into_iter().collect()
    }

    /// Keeps to it that a manifest does not come into force here, over a start too: when the power is back after a cut that all
    /// had, nobody else may remember.
    fn halt(&mut self, id: IntentId, now: Now) {
        if self.declared.halted != Some(id) {
            self.declared.halted = Some(id);
            let text = "the manifest does not come into force here: it has failed on other nodes";
            self.say(Level::Warn, text.into(), now);
        }
        if self.declared.forces.halted != Some(id) {
            self.save_forces(id, self.declared.forces.without(id));
        }
    }

    fn save_forces(&mut self, id: IntentId, forces: Forces) {
        self.out.push(Effect::SaveManifest { id, file: forces.to_file() });
        self.declared.saving = Some((id, forces));
    }

    /// Where all nodes stand with a manifest that say so, this one included.
    fn states(&self, id: IntentId) -> impl Iterator<Item = ManifestState> + '_ {
        let others = self.roster.known().filter(|report| report.node != self.me);
        let others = others.filter_map(|report| report.manifest.as_ref());
        others.filter(move |told| told.intent == id).map(|told| told.state).chain(self.manifest_state())
    }

    /// Whether a manifest that is held may come into force here now.
    fn turn_of(&self, next: &InForce) -> Turn {
        let rollout = next.manifest.rollout();
        if self.declared.halted == Some(next.id) || is_halted(self.states(next.id), rollout.max_failures) {
            return Turn::Halt;
        }
        let last = self.declared.in_force().map(|of| &*of.manifest);
        if !is_changed(last, &next.manifest, &self.facts()) {
            // Nothing runs otherwise here, so nobody has to wait for that.
            return Turn::Go;
        }
        let others: Vec<Participant> = self.participants(next, last);
        let parallel = rollout.parallel(others.len() + 1, last.is_none());
        turn(&next.id, &self.me, &others, parallel)
    }

    /// The other nodes that a manifest changes, as far as anybody has heard of them lately.
    fn participants(&self, next: &InForce, last: Option<&Manifest>) -> Vec<Participant> {
        let participant = |report: &NodeReport| {
            let told = report.manifest.as_ref().filter(|told| told.intent == next.id);
            let is_stuck = report.fault.is_some() || told.is_some_and(|told| told.reason.is_some());
            Participant { node: report.node, state: told.map(|told| told.state), is_stuck }
        };
        let differs = |report: &NodeReport| {
            let facts = NodeFacts { node: report.node, tags: &report.tags, platform: &report.platform };
            is_changed(last, &next.manifest, &facts)
        };
        let others = self.roster.living().filter(|report| report.node != self.me && differs(report));
        others.map(participant).collect()
    }
}
