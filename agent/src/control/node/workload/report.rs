//! What is told of a component.

use super::Workload;
use crate::control::node::slot::Slot;
use crate::control::node::stage::Stage;
use shared::{ComponentReport, Phase, Takeover};

/// Said of instances that have a place in the node's memory and wait until others have left it.
const ENDING: &str = "it starts when others have ended that are being stopped";

/// Said of a component where what it is to replace runs on.
const SERVING: &str = "what it is to replace runs on";

impl Workload {
    fn reason(&self) -> Option<String> {
        let is_due = |(slot, _): &(Slot, u32)| matches!(slot, Slot::Due { .. });
        let waits =
            self.stage == Stage::Ready && self.spec.start && !self.waits_for_the_old() && self.slots.iter().any(is_due);
        let reason = self.stage.reason().cloned().or_else(|| waits.then(|| ENDING.into()));
        match reason {
            _ if self.retiring.serving() == 0 => reason,
            // First what matters more: a long reason is cut.
            Some(reason) => Some(format!("{SERVING}; {reason}")),
            // What was pushed is soon compiled.
            None if self.settled => None,
            None if self.strategy == Takeover::StopFirst => Some(format!("{SERVING} until it can start")),
            None => Some(format!("{SERVING} until it is healthy")),
        }
    }

    /// Where its instances stand; where they differ, the worst.
    pub fn phase(&self) -> Phase {
        match self.stage.phase() {
            Some(Phase::Stopped) if !self.retiring.is_empty() => Phase::Running,
            Some(phase) => phase,
            None if !self.spec.start => Phase::Staged,
            None => self.slots.iter().map(|(slot, _)| slot.phase()).max().unwrap_or(Phase::Stopped),
        }
    }

    /// Where it stands.
    pub fn report(&self) -> ComponentReport {
        let running = self.slots.iter().filter(|(slot, _)| matches!(slot, Slot::Running { .. })).count();
        ComponentReport {
            name: self.spec.name.clone(),
            intent: self.intent,
            digest: self.spec.artifact.digest,
            phase: self.phase(),
            replicas: self.spec.replicas.get(),
            running: u16::try_from(running).unwrap_or(u16::MAX),
            restarts: self.restarts,
            last_outcome: self.last_outcome.clone(),
            reason: self.reason(),
            fetched: self.stage.fetched(),
            declared: self.declared,
            serving: u16::try_from(self.retiring.serving()).unwrap_or(u16::MAX),
        }
    }
}
