//! More instances of a component, or fewer: those that are to stay run on.

use super::Workload;
use crate::control::node::slot::Slot;
use crate::control::node::stage::Stage;
use crate::control::node::wish::Wanted;
use shared::Phase;

impl Workload {
    /// Whether it becomes what the manifest wants by another number of instances alone. Where one of them has ended for good, all
    /// begin anew: of a job there is no half to keep.
    pub fn scales_to(&self, wanted: &Wanted) -> bool {
        let by_manifest = self.declared && wanted.declared;
        let is_up = self.stage == Stage::Ready && self.spec.start;
        let lasts = || self.slots.iter().all(|(slot, _)| !matches!(slot, Slot::Ended(_)));
        by_manifest && is_up && self.spec.scales_to(&wanted.spec) && lasts()
    }

    /// Becomes that. What is too much serves until the others are healthy, as what is replaced does.
    pub fn scale(&mut self, wanted: Wanted) {
        let replicas = usize::from(wanted.spec.replicas.get());
        // Those stay that have run for the longest time.
        self.slots.sort_by_key(|(slot, _)| match slot {
            Slot::Running { since_ms, .. } => (0, *since_ms),
            Slot::Starting { .. } => (1, 0),
            Slot::Due { .. } | Slot::Waiting { .. } | Slot::Ended(_) => (2, 0),
        });
        let (intent, digest) = (self.intent, self.spec.artifact.digest);
        for (slot, _) in self.slots.drain(replicas.min(self.slots.len())..) {
            self.retiring.add(intent, digest, slot, self.memory_max_bytes);
        }
        // Where it was scaled a moment ago, what is missing may serve still.
        let missing = replicas - self.slots.len();
        let back = self.retiring.take_back(wanted.intent, missing).unwrap_or_default();
        self.slots.extend(back.into_iter().map(|slot| (slot, 0)));
        self.slots.resize(replicas, (Slot::Due { before: Phase::Compiling }, 0));
        let Wanted { intent, spec, strategy, declared, healthy_ms, verb: _ } = wanted;
        (self.intent, self.spec, self.strategy) = (intent, spec, strategy);
        (self.declared, self.healthy_ms, self.settled) = (declared, healthy_ms, false);
    }
}
