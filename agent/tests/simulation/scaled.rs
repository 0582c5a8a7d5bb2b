//! Another number of instances of a component and nothing else: those that are to stay are left alone.

use crate::checks::{AMPLE_BYTES, Wish};
use crate::world::World;
use agent::control::node::Instance;
use shared::{ComponentName, Phase};
use std::collections::BTreeSet;

/// A component of the manifest in force of which all runs.
pub struct Whole {
    wish: Wish,
    live: BTreeSet<Instance>,
}

impl World {
    /// Instances of what is wanted that were not told to end.
    pub fn serving(&self, at: usize, wish: &Wish) -> BTreeSet<Instance> {
        let live = self.machines[at].live.iter();
        let serves = live.filter(|(_, it)| it.spec.name == wish.spec.name && wish.is_of(it) && !it.stopping);
        serves.map(|(instance, _)| *instance).collect()
    }

    /// What of the manifest in force runs on a machine as it should, where there is memory for more.
    pub fn whole(&self, at: usize) -> Vec<Whole> {
        let machine = &self.machines[at];
        let (Some(node), Some(in_force)) = (&machine.node, machine.in_force()) else { return Vec::new() };
        let components = node.components();
        let whole = |name: &ComponentName| {
            let wish = self.wish(at, name)?;
            let told = components.iter().find(|it| it.name == *name && it.intent == wish.id)?;
            let live = self.serving(at, &wish);
            let replicas = usize::from(wish.spec.replicas.get());
            let is_whole =
                told.phase == Phase::Running && usize::from(told.running) == replicas && live.len() == replicas;
            // One that has yet to end may be waited for.
            let ends = machine.live.values().any(|live| live.spec.name == *name && live.stopping);
            (is_whole && !ends).then_some(Whole { wish, live })
        };
        let names = in_force.manifest.components().keys().filter(|_| machine.budget_bytes >= AMPLE_BYTES);
        names.filter_map(whole).collect()
    }

    /// Another manifest has come into force: where it only scales what was whole, no more has started or was told to end than
    /// is missing or too much.
    pub fn check_scaled(&mut self, at: usize, before: &[Whole]) {
        for Whole { wish: before, live } in before {
            let name = &before.spec.name;
            let Some(wish) = self.wish(at, name).filter(|wish| wish.declared && wish.id != before.id) else { continue };
            let ended = self.machines[at].disk.runs.get(name).is_some_and(|record| record.intent == wish.id);
            if ended || !before.spec.scales_to(&wish.spec) {
                continue;
            }
            let serving = self.serving(at, &wish);
            let (few, many) = (before.spec.replicas.min(wish.spec.replicas), wish.spec.replicas);
            let stay = serving.intersection(live).count();
            assert!(stay >= usize::from(few.get()), "{at} ends instances of `{name}` that are to stay");
            let begun = serving.difference(live).count();
            assert_eq!(begun, usize::from(many.get() - few.get()), "{at} starts too many of `{name}`, or too few");
            self.figures.scaled += 1;
        }
    }
}
