//! One component on this node: from the wish in an intent to its instances, their restarts and their end.

mod handover;
mod report;
mod space;

use super::effect::{Effect, RunRecord};
use super::input::{Instance, Now};
use super::random::backoff_ms;
use super::room::Retiring;
use super::slot::Slot;
use super::stage::Stage;
use super::wish::Wanted;
use super::work::Surroundings;
use shared::{ComponentSpec, IntentId, Outcome, Phase, Restart, Takeover};
use std::sync::Arc;

/// Said of an artifact that nobody has whom the node could ask.
const NO_SOURCE: &str = "no connected node has it; it goes on as soon as one does";

/// The first pause before a run is started again.
pub const BACKOFF_FIRST_MS: u64 = 1_000;

/// The longest pause between two runs: a component that needs another one to be there is back within minutes.
pub const BACKOFF_MOST_MS: u64 = 5 * 60 * 1_000;

/// A run this long was healthy: what fails after it begins with the first pause again.
const HEALTHY_MS: u64 = 60_000;

/// See the module.
pub struct Workload {
    /// The intent that wants it.
    pub intent: IntentId,
    /// What is wanted.
    pub spec: Arc<ComponentSpec>,
    /// The cap of each instance in bytes, with the node's default filled in.
    pub memory_max_bytes: u64,
    /// Whether the manifest wants it.
    pub declared: bool,
    /// How it replaces what ran before it.
    strategy: Takeover,
    /// After so long without a failure it is healthy.
    healthy_ms: u64,
    /// Whether it was healthy for long enough to be relied on.
    settled: bool,
    stage: Stage,
    slots: Vec<(Slot, u32)>,
    retiring: Retiring,
    restarts: u32,
    last_outcome: Option<Outcome>,
    /// Attempts to fetch or prepare that failed in a row.
    failures: u32,
}

impl Workload {
    /// A wish whose bytes are not here yet. `retiring` are instances of the wishes that it replaces.
    pub fn new(wanted: Wanted, memory_max_bytes: u64, retiring: Retiring) -> Workload {
        let Wanted { intent, spec, strategy, declared, healthy_ms, verb: _ } = wanted;
        let replicas = usize::from(spec.replicas.get());
        let slots = vec![(Slot::Due { before: Phase::Compiling }, 0); replicas];
        Workload {
            intent,
            spec,
            memory_max_bytes,
            declared,
            strategy,
            healthy_ms,
            // Of what was pushed nobody asks, and what it replaces serves only until its code is here.
            settled: !declared,
            stage: Stage::Fetching { bytes: 0, reason: None },
            slots,
            retiring,
            restarts: 0,
            last_outcome: None,
            failures: 0,
        }
    }

    /// Takes up how it ended before, in an earlier life of the agent or before something else was wanted: it is not run again.
    pub fn resume_ended(&mut self, record: &RunRecord, out: &mut Vec<Effect>) {
        self.stage = Stage::Ready;
        self.last_outcome = record.outcomes.last().cloned();
        for ((slot, _), outcome) in self.slots.iter_mut().zip(&record.outcomes) {
            *slot = Slot::Ended(outcome.clone());
        }
        self.give_way(out);
    }

    /// Whether a record of its end means that it is not run again after a restart of the agent.
    pub fn stays_ended(spec: &ComponentSpec, record: &RunRecord) -> bool {
        spec.restart != Restart::Always && record.outcomes.len() == usize::from(spec.replicas.get())
    }

    /// Whether each instance of exactly this runs, or is about to.
    pub fn runs_all_of(&self, spec: &ComponentSpec) -> bool {
        *self.spec == *spec
            && self.stage == Stage::Ready
            && self.slots.iter().all(|(slot, _)| slot.instance().is_some())
    }

    /// Nothing of it is to run: what does is stopped. Its bytes and its code are left as they are.
    pub fn stop(&mut self, out: &mut Vec<Effect>) {
        self.stage = Stage::Stopped;
        self.retiring.stop(out);
    }

    /// Whether it waits until the node has memory for it.
    pub fn waits_for_room(&self) -> bool {
        matches!(self.stage, Stage::NoRoom { .. })
    }

    /// There is room for it: its bytes are what it needs next.
    pub fn begin(&mut self) {
        self.stage = Stage::Fetching { bytes: 0, reason: None };
    }

    /// Gives up on it.
    pub fn refuse(&mut self, reason: String, out: &mut Vec<Effect>) {
        out.push(Effect::Note(self.spec.name.clone(), reason.clone()));
        self.stage = Stage::Broken { reason };
        self.give_way(out);
    }

    /// So many bytes are here.
    pub fn fetched(&mut self, bytes: u64) {
        if let Stage::Fetching { bytes: here, reason } = &mut self.stage {
            *here = bytes;
            *reason = None;
        }
    }

    /// Nobody has the rest of its bytes.
    pub fn no_source(&mut self) {
        if let Stage::Fetching { reason, .. } = &mut self.stage {
            *reason = Some(NO_SOURCE.into());
        }
    }

    /// Whether its bytes are awaited.
    pub fn is_fetching(&self) -> bool {
        matches!(self.stage, Stage::Fetching { .. } | Stage::Refetching { .. } | Stage::NoSpace { here: false, .. })
    }

    /// Its bytes are here: have them compiled.
    pub fn stored(&mut self, out: &mut Vec<Effect>) {
        if self.is_fetching() {
            self.failures = 0;
            self.prepare(out);
        }
    }

    /// Its bytes could not be had or kept; tried again after a pause, for a full disk is emptied some day.
    pub fn not_fetched(&mut self, reason: &str, around: &mut Surroundings<'_>) {
        if matches!(self.stage, Stage::Fetching { .. }) {
            around.out.push(Effect::Note(self.spec.name.clone(), reason.to_owned()));
            self.stage = Stage::Refetching { at_ms: self.next_attempt(around), reason: reason.to_owned() };
        }
    }

    fn next_attempt(&mut self, around: &mut Surroundings<'_>) -> u64 {
        self.failures += 1;
        around.now.mono_ms + backoff_ms(around.random, self.failures, BACKOFF_FIRST_MS, BACKOFF_MOST_MS)
    }

    fn prepare(&mut self, out: &mut Vec<Effect>) {
        self.stage = Stage::Preparing;
        // How much room it gets is decided when all orders of the node are known.
        out.push(Effect::Prepare { digest: self.spec.artifact.digest, fuel: self.needs_fuel(), room: 0 });
    }

    /// Whether its runs are metered, which takes code of its own.
    pub fn needs_fuel(&self) -> bool {
        self.spec.limits.fuel.is_some()
    }

    /// Compiled code is at hand.
    pub fn prepared(&mut self, around: &mut Surroundings<'_>) {
        if self.stage != Stage::Preparing {
            return;
        }
        self.stage = Stage::Ready;
        self.failures = 0;
        self.give_way(around.out);
        self.start_due(around);
    }

    /// What was to be compiled is not here any more.
    pub fn fetch_anew(&mut self, out: &mut Vec<Effect>) {
        if matches!(self.stage, Stage::Preparing | Stage::Retrying { .. } | Stage::NoSpace { here: true, .. }) {
            self.stage = Stage::Fetching { bytes: 0, reason: None };
            out.push(Effect::Fetch { artifact: self.spec.artifact, hints: Vec::new() });
        }
    }

    /// Compiled code could not be had this time; tried again after a pause.
    pub fn unable(&mut self, reason: String, around: &mut Surroundings<'_>) {
        if self.stage == Stage::Preparing {
            self.stage = Stage::Retrying { at_ms: self.next_attempt(around), reason };
        }
    }

    /// Whether compiled code is awaited.
    pub fn is_preparing(&self) -> bool {
        self.stage == Stage::Preparing
    }

    /// Starts what should run by now: all that never ran, and what has paused long enough.
    pub fn start_due(&mut self, around: &mut Surroundings<'_>) {
        if !around.may_start {
            return;
        }
        match self.stage {
            Stage::Retrying { at_ms, .. } if at_ms <= around.now.mono_ms => self.prepare(around.out),
            Stage::Refetching { at_ms, .. } if at_ms <= around.now.mono_ms => {
                self.stage = Stage::Fetching { bytes: 0, reason: None };
                around.out.push(Effect::Fetch { artifact: self.spec.artifact, hints: Vec::new() });
            }
            _ => {}
        }
        self.settle(around.now, around.out);
        if !self.may_start() {
            return;
        }
        for (slot, _) in &mut self.slots {
            let before = match slot {
                Slot::Due { before } => *before,
                Slot::Waiting { at_ms, .. } if *at_ms <= around.now.mono_ms => {
                    self.restarts += 1;
                    slot.phase()
                }
                _ => continue,
            };
            let Some(left) = around.free_memory.checked_sub(self.memory_max_bytes) else {
                // Others have yet to end; it starts when they have.
                *slot = Slot::Due { before };
                continue;
            };
            around.free_memory = left;
            *around.next_instance += 1;
            *slot = Slot::Starting { instance: *around.next_instance, before };
            around.out.push(Effect::Start {
                instance: *around.next_instance,
                spec: Arc::clone(&self.spec),
                memory_max_bytes: self.memory_max_bytes,
            });
        }
    }

    /// Whether nothing but a pause keeps its instances from starting.
    fn may_start(&self) -> bool {
        self.stage == Stage::Ready && self.spec.start && !self.waits_for_the_old()
    }

    /// When it wants to be called again.
    pub fn next_wake(&self) -> Option<u64> {
        let may_start = self.may_start();
        let slots = self.slots.iter().filter_map(|(slot, _)| match slot {
            Slot::Waiting { at_ms, .. } if may_start => Some(*at_ms),
            _ => None,
        });
        slots.chain(self.stage.next_attempt()).chain(self.settles_at()).min()
    }

    /// An instance runs. Gives whether it is one of this workload's.
    pub fn started(&mut self, instance: Instance, now: Now) -> bool {
        for (slot, _) in &mut self.slots {
            if matches!(slot, Slot::Starting { instance: other, .. } if *other == instance) {
                *slot = Slot::Running { instance, since_ms: now.mono_ms };
                return true;
            }
        }
        self.retiring.started(instance, now.mono_ms)
    }

    /// An instance has ended. Gives whether it was one of this workload's.
    pub fn exited(&mut self, instance: Instance, outcome: &Outcome, around: &mut Surroundings<'_>) -> bool {
        if self.retiring.ended(instance) {
            return true;
        }
        let Some(at) = self.slots.iter().position(|(slot, _)| slot.instance() == Some(instance)) else { return false };
        let (slot, failures) = &mut self.slots[at];
        let healthy = matches!(slot, Slot::Running { since_ms, .. } if around.now.mono_ms - *since_ms >= HEALTHY_MS);
        *failures = if healthy { 1 } else { *failures + 1 };
        let again = match self.spec.restart {
            Restart::Never => false,
            Restart::OnFailure => outcome.is_failure(),
            Restart::Always => true,
        };
        *slot = if again {
            let pause = backoff_ms(around.random, *failures, BACKOFF_FIRST_MS, BACKOFF_MOST_MS);
            Slot::Waiting { at_ms: around.now.mono_ms + pause, failed: outcome.is_failure() }
        } else {
            Slot::Ended(outcome.clone())
        };
        self.last_outcome = Some(outcome.clone());
        self.settled &= !self.declared || !outcome.is_failure();
        self.save_if_ended(around.out);
        true
    }

    /// Keeps on disk that every replica has ended for good.
    fn save_if_ended(&self, out: &mut Vec<Effect>) {
        let ended = |(slot, _): &(Slot, u32)| match slot {
            Slot::Ended(outcome) => Some(outcome.clone()),
            _ => None,
        };
        if let Some(outcomes) = self.slots.iter().map(ended).collect::<Option<Vec<Outcome>>>() {
            let record = RunRecord { intent: self.intent, outcomes, no_room: false };
            out.push(Effect::SaveRun { name: self.spec.name.clone(), record });
        }
    }
}
