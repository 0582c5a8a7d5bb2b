//! What edges report about artifacts, compiled code and instances, handed to the workloads that it concerns.

use super::Node;
use super::effect::Effect;
use super::input::{Instance, Now, PrepareError};
use super::random::Random;
use super::workload::Workload;
use shared::{Digest, Outcome, RunUsage};

/// What a workload needs from the node around it.
pub struct Surroundings<'a> {
    /// The clocks.
    pub now: Now,
    /// Whether anything may be started: not while the agent ends.
    pub may_start: bool,
    /// Memory that no instance takes.
    pub free_memory: u64,
    /// Jitter.
    pub random: &'a mut Random,
    /// Where the next instance gets its name from.
    pub next_instance: &'a mut Instance,
    /// Orders.
    pub out: &'a mut Vec<Effect>,
}

impl Node {
    pub(super) fn stored(&mut self, digest: Digest) {
        if !self.is_named(&digest) {
            // It was given up while its last bytes were on their way.
            self.drop_unused(digest);
            if !self.is_unread() {
                return;
            }
        }
        self.errands.remove(&digest);
        self.parts.remove(&digest);
        self.blobs.insert(digest);
        self.manifest_stored(&digest);
        for work in self.works.values_mut().filter(|work| work.spec.artifact.digest == digest) {
            work.stored(&mut self.out);
        }
    }

    pub(super) fn fetched(&mut self, digest: &Digest, bytes: u64) {
        for work in self.works.values_mut().filter(|work| work.spec.artifact.digest == *digest) {
            work.fetched(bytes);
        }
    }

    pub(super) fn no_source(&mut self, digest: &Digest) {
        for work in self.works.values_mut().filter(|work| work.spec.artifact.digest == *digest) {
            work.no_source();
        }
    }

    pub(super) fn fetch_failed(&mut self, digest: &Digest, reason: &str, now: Now) {
        self.errand_failed(digest, now);
        self.each_work(now, |work, around| {
            if work.spec.artifact.digest == *digest {
                work.not_fetched(reason, around);
            }
        });
    }

    pub(super) fn prepared(&mut self, digest: &Digest, fuel: bool, result: &Result<(), PrepareError>, now: Now) {
        let concerned =
            |work: &Workload| work.spec.artifact.digest == *digest && work.needs_fuel() == fuel && work.is_preparing();
        self.each_work(now, |work, around| {
            if !concerned(work) {
                return;
            }
            match result {
                Ok(()) => work.prepared(around),
                Err(PrepareError::Refused(reason)) => work.refuse(reason.clone(), around.out),
                Err(PrepareError::Unable(reason)) => work.unable(reason.clone(), around),
                Err(PrepareError::TooLarge(_)) => {}
            }
        });
        if let Err(PrepareError::TooLarge(bytes)) = result
            && self.works.values().any(concerned)
        {
            self.code_needs((*digest, fuel), *bytes);
        }
        self.make_room(now);
    }

    pub(super) fn started(&mut self, instance: Instance, now: Now) {
        self.works.values_mut().any(|work| work.started(instance, now));
    }

    pub(super) fn uses(&mut self, of: Vec<(Instance, RunUsage)>) {
        self.history.uses(of);
    }

    pub(super) fn exited(&mut self, instance: Instance, outcome: &Outcome, usage: RunUsage, now: Now) {
        // At the end of the agent everything is stopped: that is no end that should be remembered.
        if self.leaving && *outcome == Outcome::Stopped {
            return self.forget_orphans(&[instance]);
        }
        self.history.ended(instance, outcome, Some(usage), now);
        self.forget_orphans(&[instance]);
        self.each_work(now, |work, around| _ = work.exited(instance, outcome, around));
        self.make_room(now);
    }

    pub(super) fn runner_lost(&mut self, instances: &[Instance], reason: &str, now: Now) {
        let outcome = Outcome::Trap(format!("the runner ended: {reason}"));
        instances.iter().for_each(|instance| self.history.ended(*instance, &outcome, None, now));
        self.forget_orphans(instances);
        if self.leaving {
            return;
        }
        for instance in instances {
            self.each_work(now, |work, around| _ = work.exited(*instance, &outcome, around));
        }
        self.make_room(now);
    }

    fn forget_orphans(&mut self, instances: &[Instance]) {
        let mut ended = Vec::new();
        self.orphans.retain(|name, orphans| {
            instances.iter().for_each(|instance| _ = orphans.ended(*instance));
            if orphans.is_empty() {
                ended.push(name.clone());
            }
            !orphans.is_empty()
        });
        ended.iter().for_each(|name| self.forget_if_removed(name));
    }

    pub(super) fn start_due(&mut self, now: Now) {
        self.each_work(now, Workload::start_due);
    }

    fn each_work(&mut self, now: Now, mut act: impl FnMut(&mut Workload, &mut Surroundings<'_>)) {
        let from = self.out.len();
        let (may_start, free_memory) = (!self.leaving, self.free_memory());
        let (random, next_instance, out) = (&mut self.random, &mut self.next_instance, &mut self.out);
        let mut around = Surroundings { now, may_start, free_memory, random, next_instance, out };
        for work in self.works.values_mut() {
            act(work, &mut around);
        }
        for effect in &self.out[from..] {
            match effect {
                Effect::SaveRun { name, record } => _ = self.runs.insert(name.clone(), record.clone()),
                Effect::Start { instance, spec, .. } => {
                    if let Some(work) = self.works.get(&spec.name) {
                        self.history.begun(*instance, spec.name.clone(), work.intent, now);
                    }
                }
                _ => {}
            }
        }
    }
}
