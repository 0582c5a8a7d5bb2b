//! How a component gives way to the one that replaces it, and the memory that both need.

use super::Workload;
use crate::control::node::effect::Effect;
use crate::control::node::input::Now;
use crate::control::node::room::{PROCESS_BYTES, Retiring, Served};
use crate::control::node::slot::Slot;
use crate::control::node::stage::Stage;
use shared::{Isolation, Outcome, Takeover};
use std::sync::Arc;

impl Workload {
    /// Bytes of memory that its instances need together, with a process of their own where they want one. As long as one of them
    /// has not ended for good, all are counted: after a restart of the agent all run again.
    pub fn needs(&self) -> u64 {
        let ended = self.slots.iter().all(|(slot, _)| matches!(slot, Slot::Ended(_)));
        if !self.spec.start || ended {
            return 0;
        }
        let process = if self.spec.isolation == Isolation::Process { PROCESS_BYTES } else { 0 };
        self.memory_max_bytes.saturating_mul(self.slots.len() as u64).saturating_add(process)
    }

    /// Bytes of memory that are kept for it: for its own instances, or for those that serve until these can.
    pub fn promised(&self) -> u64 {
        let has_place = !matches!(self.stage, Stage::NoRoom { .. } | Stage::Stopped | Stage::Broken { .. });
        let needs = if has_place { self.needs() } else { 0 };
        match self.strategy {
            Takeover::StopFirst => needs.max(self.retiring.promised()),
            Takeover::StartFirst => needs.saturating_add(self.retiring.promised()),
        }
    }

    /// Where there is no room for both, the old one ends first.
    pub fn fit_into(&mut self, left: u64) {
        if self.needs().saturating_add(self.retiring.promised()) > left {
            self.strategy = Takeover::StopFirst;
        }
    }

    /// Bytes of memory that its instances may take by now, with those that have yet to end.
    pub fn live(&self) -> u64 {
        let live = self.slots.iter().filter(|(slot, _)| slot.instance().is_some()).count() as u64;
        self.memory_max_bytes.saturating_mul(live).saturating_add(self.retiring.live())
    }

    /// There is no room for it by now. As many of it as there are serve meanwhile.
    pub fn wait_for_room(&mut self, reason: String, out: &mut Vec<Effect>) {
        if !self.waits_for_room() {
            out.push(Effect::Note(self.spec.name.clone(), reason.clone()));
        }
        self.stage = Stage::NoRoom { reason };
        if self.strategy == Takeover::StopFirst || !self.spec.start {
            self.retiring.stop_others(&self.served(), out);
        }
    }

    fn served(&self) -> Served {
        Served { intent: self.intent, spec: Arc::clone(&self.spec), declared: self.declared }
    }

    /// It has a place: what it replaces is its own as far as that is the same, and runs on. By the same code others start, if
    /// the artifact `is_here` still; what served for long may have outlived it.
    pub fn take_back(&mut self, is_here: bool) {
        let served = self.served();
        let due = self.slots.iter_mut().filter(|(slot, _)| matches!(slot, Slot::Due { .. }));
        let due: Vec<&mut (Slot, u32)> = due.collect();
        let back = self.retiring.take_back(&served, due.len());
        if is_here && !back.is_empty() {
            self.stage = Stage::Ready;
        }
        due.into_iter().zip(back).for_each(|((slot, _), taken)| *slot = taken);
    }

    /// Whether nothing is left to be fetched or compiled.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Everything of it that lives, to be stopped by whoever replaces it.
    pub fn into_retiring(mut self) -> Retiring {
        let served = self.served();
        for (slot, _) in self.slots {
            self.retiring.add(served.clone(), slot, self.memory_max_bytes);
        }
        self.retiring
    }

    /// What it replaces is stopped where that is to end first, for it is not wanted any more; also when there is nothing to
    /// start.
    pub fn give_way(&mut self, out: &mut Vec<Effect>) {
        if self.strategy == Takeover::StopFirst || !self.spec.start {
            self.retiring.stop(out);
        }
    }

    /// Whether its instances are not to start yet.
    pub(super) fn waits_for_the_old(&self) -> bool {
        self.strategy == Takeover::StopFirst && !self.retiring.is_empty()
    }

    /// When it will have been healthy for long enough, if nothing comes between.
    pub(super) fn settles_at(&self) -> Option<u64> {
        if self.settled || self.stage != Stage::Ready {
            return None;
        }
        let healthy_since = |slot: &Slot| match slot {
            Slot::Running { since_ms, .. } => Some(since_ms + self.healthy_ms),
            // What completes and is run again later never runs for long.
            Slot::Ended(Outcome::Completed) | Slot::Waiting { failed: false, .. } => Some(0),
            _ => None,
        };
        let slots: Option<Vec<u64>> = self.slots.iter().map(|(slot, _)| healthy_since(slot)).collect();
        slots?.into_iter().max()
    }

    /// Once it is healthy, what it replaces is stopped.
    pub fn settle(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.settles_at().is_some_and(|at| at <= now.mono_ms) {
            self.settled = true;
            self.retiring.stop(out);
        }
    }

    /// Whether it is as it should be, and has been for a while.
    pub fn is_well(&self) -> bool {
        let idle = self.stage == Stage::Stopped || (self.stage == Stage::Ready && !self.spec.start);
        self.settled || idle
    }
}
