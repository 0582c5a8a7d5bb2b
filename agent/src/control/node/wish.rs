//! What is wanted under a name on this node: what the manifest declares, and otherwise what was pushed by hand.

use super::Node;
use shared::{ComponentName, ComponentSpec, IntentId, IntentKey, Payload, Takeover, Verb};
use std::sync::Arc;

/// What is wanted under a name.
pub enum Wish {
    /// This, on this node.
    Here(Wanted),
    /// Something, and not on this node.
    Elsewhere,
    /// Nothing, anywhere.
    Gone,
}

/// A component that should run here.
pub struct Wanted {
    /// Who wants it: an intent, or a declaration of the manifest. Where it stays the same, nothing changes.
    pub intent: IntentId,
    /// What.
    pub spec: Arc<ComponentSpec>,
    /// What the operator typed, if it was not a push.
    pub verb: Option<Verb>,
    /// How it replaces what runs under its name.
    pub strategy: Takeover,
    /// Whether the manifest wants it.
    pub declared: bool,
    /// After so many milliseconds without a failure it is healthy.
    pub healthy_ms: u64,
}

impl Node {
    /// What is wanted under a name. Of a push and a manifest that name the same, the manifest counts: an operator is kept from
    /// that, but two parts of a realm may have taken one each.
    pub(super) fn wish(&self, name: &ComponentName) -> Wish {
        let facts = self.facts();
        if let Some(declared) = self.declared.get(name) {
            let (intent, spec, strategy) = (declared.id, Arc::clone(&declared.spec), declared.strategy);
            let rollout = self.declared.in_force().map(|of| of.manifest.rollout()).unwrap_or_default();
            let healthy_ms = u64::from(rollout.min_healthy_s) * 1_000;
            let wanted = Wanted { intent, spec, verb: None, strategy, declared: true, healthy_ms };
            return if declared.audience.matches(&facts) { Wish::Here(wanted) } else { Wish::Elsewhere };
        }
        let Some(held) = self.ledger.held().get(&IntentKey::Component(name.clone())) else { return Wish::Gone };
        let body = held.opened.body();
        match &body.payload {
            Payload::Push(push) if body.audience.matches(&facts) => Wish::Here(Wanted {
                intent: held.opened.id(),
                spec: Arc::new(push.component.clone()),
                verb: push.verb,
                strategy: Takeover::StopFirst,
                declared: false,
                healthy_ms: 0,
            }),
            Payload::Push(_) => Wish::Elsewhere,
            Payload::Remove(_) | Payload::Apply(_) => Wish::Gone,
        }
    }

    /// The place in the order of what wants a name: of those that wait for memory, the oldest is the first.
    pub(super) fn rank_of(&self, name: &ComponentName) -> Option<(u64, IntentId)> {
        let pushed = || self.ledger.held().get(&IntentKey::Component(name.clone())).map(|held| held.opened.rank());
        let declared = self.declared.in_force().filter(|_| self.declared.get(name).is_some());
        declared.map(|of| of.rank).or_else(pushed)
    }
}
