//! The node's memory: what all components may take together, who has a place in it, and who waits for one. A place is
//! promised when a component is accepted, for all of its instances; an instance starts when the memory is there.

use super::effect::{Effect, RunRecord};
use super::input::{Instance, Now};
use super::slot::Slot;
use super::wish::Wish;
use super::{Node, Workload};
use shared::{ComponentName, ComponentSpec, Digest, IntentId, Isolation};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a process of its own takes beside the memory of a component's instances: 5 MiB with a small one, and 4 MiB of output
/// that control has yet to read. The process that is shared is in what the budget leaves to the machine.
pub const PROCESS_BYTES: u64 = 9 << 20;

/// Instances of an earlier wish, until they have ended.
#[derive(Default)]
pub struct Retiring(BTreeMap<Instance, Old>);

struct Old {
    of: Served,
    slot: Slot,
    memory_bytes: u64,
    /// Whether it is to end; until then it serves, and its memory is promised to it.
    told: bool,
}

/// What an instance is one of.
#[derive(Clone)]
pub struct Served {
    pub intent: IntentId,
    pub spec: Arc<ComponentSpec>,
    /// Whether the manifest wants it.
    pub declared: bool,
}

impl Served {
    /// Whether an instance of the other is one of this, too: by the manifest, if they differ at most in how many there are.
    /// Whoever pushes something once more wants it to run once more.
    fn includes(&self, other: &Served) -> bool {
        self.intent == other.intent || (self.declared && other.declared && other.spec.scales_to(&self.spec))
    }
}

impl Retiring {
    /// What lives in a slot, and serves still.
    pub fn add(&mut self, of: Served, slot: Slot, memory_bytes: u64) {
        if let Some(instance) = slot.instance() {
            self.0.insert(instance, Old { of, slot, memory_bytes, told: false });
        }
    }

    /// Gives back instances that serve still and are wanted again, or still: at most so many, and those that have run for the
    /// longest time.
    pub fn take_back(&mut self, wanted: &Served, most: usize) -> Vec<Slot> {
        let serves = self.0.iter().filter(|(_, old)| !old.told && wanted.includes(&old.of));
        let mut serves: Vec<_> =
            serves.map(|(instance, old)| (old.slot.since().unwrap_or(u64::MAX), *instance)).collect();
        serves.sort_unstable();
        let taken = serves.into_iter().take(most).filter_map(|(_, instance)| self.0.remove(&instance));
        taken.map(|old| old.slot).collect()
    }

    /// One runs, that was ordered to before it was replaced.
    pub fn started(&mut self, instance: Instance, now_ms: u64) -> bool {
        let old = self.0.get_mut(&instance);
        old.is_some_and(|old| {
            old.slot = Slot::Running { instance, since_ms: now_ms };
            true
        })
    }

    pub fn append(&mut self, mut other: Retiring) {
        self.0.append(&mut other.0);
    }

    /// One has ended. Gives whether it was one of them.
    pub fn ended(&mut self, instance: Instance) -> bool {
        self.0.remove(&instance).is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all to end that were not told before.
    pub fn stop(&mut self, out: &mut Vec<Effect>) {
        self.stop_where(|_| true, out);
    }

    /// Tells those to end that are none of what is wanted.
    pub fn stop_others(&mut self, wanted: &Served, out: &mut Vec<Effect>) {
        self.stop_where(|old| !wanted.includes(&old.of), out);
    }

    fn stop_where(&mut self, ends: impl Fn(&Old) -> bool, out: &mut Vec<Effect>) {
        for (instance, old) in self.0.iter_mut().filter(|(_, old)| !old.told && ends(old)) {
            old.told = true;
            out.push(Effect::Stop(*instance));
        }
    }

    /// How many were not told to end.
    pub fn serving(&self) -> usize {
        self.0.values().filter(|old| !old.told).count()
    }

    /// Artifacts of those that have not ended.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        self.0.values().map(|old| old.of.spec.artifact.digest)
    }

    /// Memory of those that serve.
    pub fn promised(&self) -> u64 {
        memory(self.0.values().filter(|old| !old.told))
    }

    /// Memory of all of them.
    pub fn live(&self) -> u64 {
        memory(self.0.values())
    }
}

/// With a process of their own where they have one.
fn memory<'o>(of: impl Iterator<Item = &'o Old> + Clone) -> u64 {
    let is_apart = of.clone().any(|old| old.of.spec.isolation == Isolation::Process);
    of.map(|old| old.memory_bytes).sum::<u64>() + if is_apart { PROCESS_BYTES } else { 0 }
}

/// Why a component has no place. Numbers are rounded so that what is needed is never shown as what is there.
fn no_room(needs: u64, left: u64, budget: u64, declared: bool) -> String {
    let needs = needs.div_ceil(1 << 20);
    let less = if declared { "declare a smaller `memory_max_mb`" } else { "push it with a smaller `--memory-max-mb`" };
    if needs > budget >> 20 {
        let most = budget >> 20;
        return format!(
            "needs {needs} MiB, all components of the node together may have {most} MiB \
             (hint: {less})"
        );
    }
    format!(
        "needs {needs} MiB, the node has {} MiB left (hint: it starts when there is room: `realm stop` something there, \
         or {less})",
        left >> 20
    )
}

impl Node {
    /// Memory that is promised to nobody. All components are asked, so it is not for use in a loop over them.
    pub(super) fn unpromised(&self) -> u64 {
        let promised: u64 = self.works.values().map(Workload::promised).sum();
        self.config.budget_bytes.saturating_sub(promised)
    }

    /// Memory that no instance takes, those included that have yet to end.
    pub(super) fn free_memory(&self) -> u64 {
        let works: u64 = self.works.values().map(Workload::live).sum();
        let orphans: u64 = self.orphans.values().map(Retiring::live).sum();
        self.config.budget_bytes.saturating_sub(works + orphans)
    }

    /// Gives a component that is not among the others a place in the `left` bytes that are promised to nobody, or has it
    /// wait for one. Gives whether it has one.
    pub(super) fn take_place(&mut self, work: &mut Workload, left: u64) -> bool {
        let needs = work.needs();
        if needs > left {
            // Where the old one could not make room for it either, that is no reason to stop it.
            let reason = no_room(needs, left, self.config.budget_bytes, work.declared);
            work.wait_for_room(reason, &mut self.out);
        } else {
            if work.waits_for_room() {
                work.begin();
            }
            work.take_back(self.blobs.contains(&work.spec.artifact.digest));
            work.fit_into(left);
        }
        self.remember_place(work);
        !work.waits_for_room()
    }

    /// Has the disk know who waits: after a restart of the agent those who had a place have it again, whatever was pushed,
    /// restarted or steered since, and in which order.
    fn remember_place(&mut self, work: &Workload) {
        let (name, waits) = (&work.spec.name, work.waits_for_room());
        if waits != self.waited(name) {
            let record = RunRecord { intent: work.intent, outcomes: Vec::new(), no_room: waits };
            self.runs.insert(name.clone(), record.clone());
            self.out.push(Effect::SaveRun { name: name.clone(), record });
        }
    }

    /// Whether a component waited for a place when that was last written, for the intent that is held.
    pub(super) fn waited(&self, name: &ComponentName) -> bool {
        let wanted = || match self.wish(name) {
            Wish::Here(wanted) => Some(wanted.intent),
            Wish::Elsewhere | Wish::Gone => None,
        };
        self.runs.get(name).is_some_and(|record| record.no_room && wanted() == Some(record.intent))
    }

    /// After something has ended or was given up: whoever waits for a place gets one, as far as there is room, the oldest
    /// intent first; and what has one starts.
    pub(super) fn make_room(&mut self, now: Now) {
        let waiting = self.works.iter().filter(|(_, work)| !self.leaving && work.waits_for_room());
        let mut waiting: Vec<_> = waiting.map(|(name, _)| (self.rank_of(name), name.clone())).collect();
        waiting.sort();
        let mut left = if waiting.is_empty() { 0 } else { self.unpromised() };
        for (_, name) in waiting {
            if let Some(work) = self.works.remove(&name) {
                // While it waits, nothing is promised but what it replaces has, which may serve still and would make room.
                left = left.saturating_add(work.promised());
                left = left.saturating_sub(self.place(name, work, left, &[], now));
            }
        }
        self.start_due(now);
    }
}
