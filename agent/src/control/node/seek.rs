//! Bringing together who needs an artifact and who has it: in a realm where not everybody is everybody's neighbour,
//! nobody else would.

use super::{Node, Now};
use shared::{ComponentReport, Digest, NodeId, NodeReport, Phase};
use std::collections::BTreeSet;

/// A fetch may go on for so long before others are looked for; mostly a neighbour has it.
const SEEK_FIRST_MS: u64 = 2_000;

/// And this long between two attempts.
const SEEK_MS: u64 = 10_000;

/// So many are dialled at once: one who has it is enough, and one may be out of reach.
const SEEK_AT_ONCE: usize = 4;

/// Whether a node that reports this has the artifact.
fn has(component: &ComponentReport) -> bool {
    component.fetched.is_none()
}

/// Whether a node that reports this has nothing of the artifact.
fn lacks(component: &ComponentReport) -> bool {
    component.phase == Phase::Fetching && component.fetched.is_none_or(|bytes| bytes == 0)
}

impl Node {
    /// A fetch was ordered.
    pub(super) fn seek_soon(&mut self, now: Now) {
        self.seek_at.get_or_insert(now.mono_ms + SEEK_FIRST_MS);
    }

    /// Dials members that report to have what is fetched here.
    pub(super) fn seek_due(&mut self, now: Now) {
        if self.leaving || self.seek_at.is_none_or(|at| at > now.mono_ms) {
            return;
        }
        let fetching = self.works.values().filter(|work| work.is_fetching() && !work.lacks_room());
        let fetching: BTreeSet<Digest> = fetching.map(|work| work.spec.artifact.digest).collect();
        self.seek_at = (!fetching.is_empty()).then(|| now.mono_ms + self.random.jitter(SEEK_MS, 25));
        let serves =
            |report: &NodeReport| report.components.iter().any(|part| fetching.contains(&part.digest) && has(part));
        let mut sources: Vec<NodeId> = self.roster.living().filter(|report| serves(report)).map(|it| it.node).collect();
        for left in (0..sources.len()).rev().take(SEEK_AT_ONCE) {
            let source = sources.swap_remove(self.random.below(left as u64 + 1) as usize);
            self.dialer.call(&source, now.mono_ms, &mut self.random, &mut self.out);
        }
    }

    /// A node has reported. When it needs an artifact that is kept here for others, it cannot know: dials it. Those who
    /// have it for a component of their own say so in their reports, and are found.
    pub(super) fn call_who_needs(&mut self, node: &NodeId, now: Now) {
        let is_told = |digest: &Digest| self.works.values().any(|work| work.spec.artifact.digest == *digest);
        let kept = |part: &ComponentReport| self.blobs.contains(&part.digest) && !is_told(&part.digest);
        let Some(report) = self.roster.report(node) else { return };
        if !self.leaving && report.components.iter().any(|part| lacks(part) && kept(part)) {
            self.dialer.call(node, now.mono_ms, &mut self.random, &mut self.out);
        }
    }
}
