//! A manifest: how far it is on a node, by the node's own count of what it declares there.

use super::{Aim, Progress, Stand, Until};
use shared::{ComponentName, ComponentReport, IntentId, Manifest, ManifestReport, ManifestState, NodeReport, Phase};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What was applied, and what would make the operator content.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The operator's number of it.
    pub version: u32,
    /// The intent that nodes should report.
    pub intent: IntentId,
    /// What it declares.
    pub manifest: Arc<Manifest>,
    /// Whether an absent node spoils it.
    pub require_all: bool,
    /// When to leave.
    pub until: Until,
}

impl Aim for Applied {
    type Stand = Standing;

    fn require_all(&self) -> bool {
        self.require_all
    }

    fn until(&self) -> Until {
        self.until
    }

    fn is_meant(&self, report: &NodeReport) -> bool {
        report.manifest.as_ref().is_some_and(|of| of.intent == self.intent && of.wanted > 0)
    }

    /// What is declared for nodes that are away is nowhere yet but here.
    fn must_be_held(&self) -> bool {
        true
    }

    fn goes_back(&self) -> bool {
        self.manifest.rollout().auto_rollback
    }

    /// Nodes follow one another, and where too many fail the others keep what they have.
    fn is_one(&self) -> bool {
        true
    }

    fn hear(&self, stand: &mut Standing, _at: Duration, report: &NodeReport) -> bool {
        let before = stand.clone();
        match report.manifest.as_ref().filter(|of| of.intent == self.intent) {
            Some(of) => stand.take(self, of, report),
            None if stand.last.is_some() => stand.fault = Some("another manifest took its place".into()),
            None => {}
        }
        before != *stand
    }
}

/// How far a manifest is on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the node last said of it.
    last: Option<ManifestReport>,
    /// Whether it is in force there.
    in_force: bool,
    /// What it declares there, as the node last told of it; what a report had no room for is not among them.
    components: BTreeMap<ComponentName, ComponentReport>,
    /// What failed since, and has not come to be well with all the others.
    failing: BTreeMap<ComponentName, ComponentReport>,
    /// Why the whole of it will not be.
    fault: Option<String>,
    /// Whether it goes back to the one before where it fails.
    goes_back: bool,
}

impl Standing {
    /// What the node last said of it.
    #[must_use]
    pub fn last(&self) -> Option<&ManifestReport> {
        self.last.as_ref()
    }

    /// Where the node said last that it stands with it.
    #[must_use]
    pub fn state(&self) -> Option<ManifestState> {
        self.last.as_ref().map(|last| last.state)
    }

    /// Whether it is in force there.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.in_force
    }

    /// What it declares there, as the node last told of it.
    #[must_use]
    pub fn components(&self) -> &BTreeMap<ComponentName, ComponentReport> {
        &self.components
    }

    /// What failed, with how it stood then: what is tried again may look better now, and is not well yet.
    #[must_use]
    pub fn failing(&self) -> &BTreeMap<ComponentName, ComponentReport> {
        &self.failing
    }

    /// Why the whole of it will not be, or is not as far as it could be.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        let held_up = self.last.as_ref().filter(|_| !self.in_force).and_then(|last| match last.state {
            ManifestState::Halted => Some("it failed on other nodes, and does not come into force here"),
            ManifestState::RolledBack => Some("it failed, and the one before it is in force again"),
            _ => last.reason.as_deref(),
        });
        self.fault.as_deref().or(held_up)
    }

    /// Whether what it changes there is as it should be.
    fn is_healthy(&self) -> bool {
        self.state() == Some(ManifestState::Healthy)
    }

    /// Whether all of it is as it should be.
    fn is_well(&self) -> bool {
        self.in_force && self.last.as_ref().is_some_and(|last| last.well == last.wanted)
    }

    fn take(&mut self, applied: &Applied, of: &ManifestReport, report: &NodeReport) {
        self.in_force = of.in_force == Some(applied.version);
        self.last = Some(of.clone());
        self.goes_back = applied.manifest.rollout().auto_rollback;
        if !self.in_force {
            return;
        }
        let declared = applied.manifest.components();
        let is_ours = |it: &&ComponentReport| declared.get(&it.name).is_some_and(|ours| ours.id == it.intent);
        self.components = report.components.iter().filter(is_ours).map(|it| (it.name.clone(), it.clone())).collect();
        if self.is_well() {
            self.failing.clear();
        }
        let failed = self.components.values().filter(|it| matches!(it.phase, Phase::Failed | Phase::Backoff));
        self.failing.extend(failed.map(|it| (it.name.clone(), it.clone())));
    }
}

impl Stand for Standing {
    fn progress(&self) -> Progress {
        // A report may have had no room for the one that failed.
        let unlisted = self.in_force && self.last.as_ref().is_some_and(|last| last.failed > 0);
        // What failed first and is well now is well: a node tells for ever that it failed, for the others, whose turn it is not then.
        // Where it goes back for that, it still does.
        let told = self.state() == Some(ManifestState::Failing) && (self.goes_back || !self.is_well());
        let fails = unlisted || !self.failing.is_empty() || told;
        match self.fault().is_some() || fails {
            // It fails, and is not back at the one before it yet.
            // Where it is healthy what fails is what it has left as it was, and that is no reason to go back.
            true if self.fault.is_none() && self.goes_back && self.in_force && !self.is_healthy() => Progress::Waiting,
            true => Progress::Failed,
            false if self.is_well() => Progress::Good,
            false => Progress::Waiting,
        }
    }

    fn is_rolled_back(&self) -> bool {
        matches!(self.state(), Some(ManifestState::RolledBack | ManifestState::Halted))
    }

    fn is_unheard(&self) -> bool {
        self.last.is_none()
    }

    /// Also of one that has failed: nobody fetches what only that declares any more.
    fn is_past_fetching(&self) -> bool {
        self.is_rolled_back()
    }

    fn refuse(&mut self, why: &str) {
        self.fault = Some(format!("refused: {why}"));
    }
}
