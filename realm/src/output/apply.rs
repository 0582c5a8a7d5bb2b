//! The sentences of an apply: one line per node while it goes on, the table and the verdict at its end.

use super::fault::{and_not_kept, not_kept};
use super::json::ComponentObject;
use super::push::{bytes, hint_after};
use super::status::{last, not_shown, tags};
use super::{Shown, Tone, clean, counted, listed};
use crate::rollout::{Applied, Result, Rollout, Standing, Target, Until, Verdict};
use serde::Serialize;
use shared::{ComponentReport, Digest, IntentId, ManifestState, NodeId, Phase, RealmId, Tag};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const HEADS: [&str; 6] = ["NODE", "TAGS", "COMPONENT", "PHASE", "INSTANCES", "OUTCOME"];

/// What `realm apply --json` and `realm rollback --json` print when it is over, whatever came of it.
#[derive(Debug, Serialize)]
pub struct ApplyObject {
    /// 1
    pub schema: u32,
    /// Which realm.
    pub realm: RealmId,
    /// The number of the manifest.
    pub version: u32,
    /// SHA-256 of its document.
    pub digest: Digest,
    /// The intent that pins it.
    pub intent: IntentId,
    /// The sequence of that.
    pub seq: u64,
    /// `good`, `failed`, `rolled-back`, `part`, `none-live`, `timed-out`, `cut-off` or `detached`.
    pub verdict: &'static str,
    /// The exit code.
    pub exit: u8,
    /// Every node on which something is declared or was, by peer id.
    pub nodes: Vec<ApplyNodeObject>,
    /// Nodes that had no owner and were claimed.
    pub claimed: Vec<NodeId>,
}

/// A node that an apply is for.
#[derive(Debug, Serialize)]
pub struct ApplyNodeObject {
    /// Peer id.
    pub peer: NodeId,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Whether it is there.
    pub alive: bool,
    /// `good`, `failed`, `waiting`, `away` or `lost`.
    pub result: &'static str,
    /// Where it stands with the manifest, as in `realm status --json`; null when it has not spoken of this one.
    pub state: Option<ManifestState>,
    /// The version that is in force there; null when it has not spoken of this one.
    pub in_force: Option<u32>,
    /// How many components are declared there.
    pub wanted: Option<u16>,
    /// How many of these are as they should be.
    pub well: Option<u16>,
    /// How many failed.
    pub failed: Option<u16>,
    /// Why the whole of it is not in force, or why it is not held there: the fault of the disk.
    pub reason: Option<String>,
    /// What is declared there, as in `realm status --json`; those that failed as they stood then.
    pub components: Vec<ComponentObject>,
}

impl Shown for Applied {
    fn line(&self, node: &NodeId, target: &Target<Standing>) -> (Tone, String) {
        let (tone, text) = line(self, target, true);
        (tone, format!("  {}  {text}", node.short()))
    }

    fn news(&self, _: &NodeId, target: &Target<Standing>) -> String {
        match target.result() {
            // Once, and not with each further component; in the end all are told.
            Result::Failed => target.stand().state().map(|state| format!("failed {state}")).unwrap_or_default(),
            Result::Waiting if let Some(tenths) = tenths(target.stand()) => tenths,
            _ => line(self, target, false).1,
        }
    }
}

/// How far many components are, in steps that are worth a line each.
fn tenths(stand: &Standing) -> Option<String> {
    /// Of so many, each one is worth a line.
    const FEW: u16 = 8;
    let last = stand.last().filter(|last| stand.is_in_force() && last.wanted > FEW)?;
    let phases: BTreeSet<Phase> = stand.components().values().map(|component| component.phase).collect();
    Some(format!("{} {} {phases:?}", last.state, u32::from(last.well) * 10 / u32::from(last.wanted)))
}

/// Where a node stands; with the bytes that have arrived, if those are wanted.
fn line(applied: &Applied, target: &Target<Standing>, with_bytes: bool) -> (Tone, String) {
    let stand = target.stand();
    let failing = || listed(stand.failing().keys().map(|name| format!("`{name}`")));
    match (target.result(), stand.last()) {
        (Result::Away, _) => (Tone::Warning, "away, will get it".into()),
        (Result::Lost, _) => (Tone::Warning, "went away".into()),
        (Result::Failed, Some(last)) if last.state == ManifestState::Halted => (Tone::Warning, "halted".into()),
        (Result::Failed, _) if stand.failing().is_empty() || stand.state() == Some(ManifestState::RolledBack) => {
            (Tone::Bad, stand.fault().map_or_else(|| "failed".into(), clean))
        }
        (Result::Failed, _) => (Tone::Bad, format!("failed: {}", failing())),
        (Result::Good, last) => match last.map_or(0, |last| last.wanted) {
            0 => (Tone::Good, "nothing to run here".into()),
            wanted => (Tone::Good, format!("{} well", counted(wanted.into(), "component"))),
        },
        (Result::Waiting, None) => match target.fault() {
            Some(fault) => (Tone::Bad, not_kept(fault)),
            None => (Tone::Faint, "waiting for its word".into()),
        },
        (Result::Waiting, Some(last)) if !stand.is_in_force() => match last.state {
            ManifestState::Coming => (Tone::Plain, "fetching the manifest".into()),
            _ => (Tone::Faint, "waits for its turn".into()),
        },
        (Result::Waiting, Some(last)) if last.state == ManifestState::Failing => {
            (Tone::Bad, format!("failed, and goes back: {}", failing()))
        }
        (Result::Waiting, Some(last)) => {
            (Tone::Plain, format!("{} of {} well; {}", last.well, last.wanted, busy_text(applied, stand, with_bytes)))
        }
    }
}

/// What is not started yet: by name when that is little, and otherwise how much of it is how far.
fn busy_text(applied: &Applied, stand: &Standing, with_bytes: bool) -> String {
    /// So many names fit a line of a terminal.
    const NAMED: usize = 3;
    let is_busy = |it: &&ComponentReport| !matches!(it.phase, Phase::Running | Phase::Completed);
    let busy: Vec<&ComponentReport> = stand.components().values().filter(is_busy).collect();
    let mut phases: BTreeMap<Phase, usize> = BTreeMap::new();
    busy.iter().for_each(|component| *phases.entry(component.phase).or_default() += 1);
    let parts: Vec<String> = match busy.len() {
        // What runs for a few seconds without a failure is well.
        0 => vec!["the rest has started".into()],
        1..=NAMED => busy.iter().map(|component| on_its_way(applied, component, with_bytes)).collect(),
        _ => phases.iter().map(|(phase, count)| format!("{count} {phase}")).collect(),
    };
    parts.join(", ")
}

fn on_its_way(applied: &Applied, component: &ComponentReport, with_bytes: bool) -> String {
    let ComponentReport { name, phase, fetched, reason, .. } = component;
    let size = applied.manifest.components().get(name).map_or(0, |declared| declared.spec.artifact.size);
    let reason = reason.as_deref().filter(|_| *phase == Phase::Fetching).map(|reason| format!(": {}", clean(reason)));
    let text = match fetched {
        Some(fetched) if with_bytes => format!("`{name}` {phase} {} of {}", bytes(*fetched), bytes(size)),
        _ => format!("`{name}` {phase}"),
    };
    format!("{text}{}", reason.unwrap_or_default())
}

/// How it ended or why it stands where it stands, in one line.
pub(crate) fn outcome_of(component: &ComponentReport) -> String {
    let outcome = component.last_outcome.as_ref().map(ToString::to_string);
    last(outcome.as_deref(), component.reason.as_deref())
}

/// The rows of the final table.
pub(crate) fn rows(rollout: &Rollout<Applied>) -> Vec<Vec<String>> {
    let of_node = |(node, target): (&NodeId, &Target<Standing>)| {
        let stand = target.stand();
        let head = [node.short(), tags(target.tags())];
        let row = |cells: [String; 4]| head.iter().cloned().chain(cells).collect::<Vec<_>>();
        let word = match target.result() {
            Result::Away => Some("away"),
            Result::Lost => Some("lost"),
            _ if stand.components().is_empty() => Some("-"),
            Result::Good | Result::Failed | Result::Waiting => None,
        };
        if let Some(word) = word {
            let fault = stand.fault().map(clean).or_else(|| target.fault().map(not_kept));
            let fault = fault.unwrap_or_else(|| "-".to_owned());
            return vec![row(["-".into(), word.into(), "-".into(), fault])];
        }
        let component = |component: &ComponentReport| {
            let component = stand.failing().get(&component.name).unwrap_or(component);
            row([
                component.name.to_string(),
                component.phase.to_string(),
                format!("{}/{}", component.running, component.replicas),
                outcome_of(component),
            ])
        };
        stand.components().values().map(component).collect()
    };
    rollout.targets().iter().flat_map(of_node).collect()
}

/// What nodes have beside what the table has.
pub(crate) fn unlisted(rollout: &Rollout<Applied>) -> impl Iterator<Item = String> {
    rollout.targets().iter().filter_map(|(node, target)| {
        let stand = target.stand();
        let last = stand.last().filter(|_| stand.is_in_force())?;
        let omitted = usize::from(last.wanted).saturating_sub(stand.components().len());
        not_shown(node, u32::try_from(omitted).unwrap_or(u32::MAX), Some((last.wanted, last.well, last.failed)))
    })
}

/// The last line of an apply.
pub(crate) fn verdict_text(rollout: &Rollout<Applied>, verdict: Verdict) -> (Tone, String) {
    let count = |wanted: Result| rollout.targets().values().filter(|target| target.result() == wanted).count();
    let version = format!("version {}", rollout.goal().version);
    let (good, away, lost) = (count(Result::Good), count(Result::Away), count(Result::Lost));
    let live = rollout.targets().len() - away;
    let and_lost = if lost > 0 { format!("; {} went away meanwhile", counted(lost, "node")) } else { String::new() };
    let and_away = if away > 0 { format!("; {} away, will get it", counted(away, "node")) } else { String::new() };
    let and_away = and_lost + &and_away + &and_not_kept(rollout);
    let so_far = format!("well on {good} of {}{and_away}", counted(live, "node"));
    match verdict {
        Verdict::Good => (Tone::Good, format!("{version} is in force and well on {}{and_away}", counted(good, "node"))),
        Verdict::Failed => {
            let state = |wanted| move |target: &&Target<Standing>| target.stand().state() == Some(wanted);
            let halted = rollout.targets().values().filter(state(ManifestState::Halted)).count();
            let failed = counted(live - good - halted - lost, "node");
            let kept = match halted {
                0 => String::new(),
                halted => format!("; {} kept what they had", counted(halted, "node")),
            };
            let well = if good > 0 { format!("; it is well on {}", counted(good, "node")) } else { String::new() };
            (Tone::Bad, format!("{version} failed on {failed}{kept}{well}{and_away}"))
        }
        Verdict::RolledBack => (
            Tone::Bad,
            format!(
                "{version} failed, and what was before it is in force on {}{and_away}",
                counted(live - lost, "node")
            ),
        ),
        Verdict::Part => (Tone::Bad, format!("{version} is {so_far}")),
        Verdict::NoneLive if away == 0 => {
            (Tone::Warning, format!("{version} is accepted; no known node runs anything of it"))
        }
        Verdict::NoneLive => {
            let nodes = counted(away, "node");
            (Tone::Warning, format!("no matching node is there: {nodes} will get {version} when it is back"))
        }
        Verdict::TimedOut => (Tone::Bad, format!("out of time: {version} is {so_far}")),
        Verdict::CutOff => (Tone::Bad, format!("the realm cannot be reached any more: {version} was {so_far}")),
        Verdict::Detached => {
            let how = if rollout.goal().until == Until::Replicated { "replicated" } else { "accepted" };
            (Tone::Plain, format!("{version} is {how} and on its way; {so_far}, so far"))
        }
    }
}

/// The next step after a failure.
pub(crate) fn hint(rollout: &Rollout<Applied>) -> String {
    let mut failing = rollout.targets().values().flat_map(|target| target.stand().failing().values());
    let Some(component) = failing.next() else { return "`realm status` shows how each node stands, and why".into() };
    let is_back = rollout.goal().manifest.rollout().auto_rollback;
    let back = if rollout.goal().version > 1 && !is_back { "; `realm rollback` goes back" } else { "" };
    let outcome = component.last_outcome.as_ref();
    let limit = |limit: &str| format!("`{limit}` in the manifest");
    format!("{}{back}", hint_after(outcome, component.reason.as_deref(), &component.name, limit))
}
