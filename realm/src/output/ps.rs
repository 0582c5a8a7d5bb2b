//! Components across the realm, for `realm ps`.

use super::status::{from, last};
use serde::Serialize;
use shared::{ComponentName, ComponentReport, Digest, NodeId, NodeReport, Phase, RealmId};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const HEADS: [&str; 8] =
    ["COMPONENT", "FROM", "DIGEST", "NODES", "INSTANCES", "PHASE", "RESTARTS", "LAST OUTCOME"];

/// `realm ps --json`.
#[derive(Debug, Serialize)]
pub struct PsObject {
    /// 1
    pub schema: u32,
    /// Which realm.
    pub realm: RealmId,
    /// Its components, by name, as far as nodes list them.
    pub components: Vec<PsComponentObject>,
    /// Nodes that have more components than their reports had room for: these may be missing above, and on these nodes they are
    /// not counted.
    pub omitted: Vec<PsOmittedObject>,
}

/// What a node did not list.
#[derive(Debug, Serialize)]
pub struct PsOmittedObject {
    /// Peer id.
    pub peer: NodeId,
    /// How many further components there was no room for.
    pub components: u32,
}

/// A component, on all nodes that have it.
#[derive(Debug, Serialize)]
pub struct PsComponentObject {
    /// Its name.
    pub name: ComponentName,
    /// Whether the manifest declares it, on any node that has it; otherwise it was pushed by hand.
    pub declared: bool,
    /// Its artifacts: more than one while nodes go from one to another, or are away.
    pub digests: Vec<Digest>,
    /// Nodes that have it.
    pub nodes: u32,
    /// How many of these have not been heard of lately.
    pub away: u32,
    /// Instances that run, on nodes that are there.
    pub running: u64,
    /// Instances of what it replaces that serve meanwhile, on nodes that are there.
    pub serving: u64,
    /// Instances that are wanted, on nodes that are there.
    pub replicas: u64,
    /// How many live nodes are in each phase.
    pub phases: BTreeMap<String, u32>,
    /// Runs after the first of each instance.
    pub restarts: u64,
    /// The last outcome of the node whose phase is the worst.
    pub last_outcome: Option<String>,
    /// Why that node is where it is, when that is not plain.
    pub reason: Option<String>,
    #[serde(skip)]
    worst: Phase,
}

/// What nodes report, by component.
pub(crate) fn ps_objects<'a>(views: impl Iterator<Item = &'a (NodeReport, bool)>) -> Vec<PsComponentObject> {
    let mut by_name: BTreeMap<&ComponentName, Vec<(&ComponentReport, bool)>> = BTreeMap::new();
    for (report, alive) in views {
        for component in &report.components {
            by_name.entry(&component.name).or_default().push((component, *alive && !report.leaving));
        }
    }
    by_name.into_iter().map(|(name, on_nodes)| object(name, &on_nodes)).collect()
}

/// What nodes did not list.
pub(crate) fn ps_omitted<'a>(views: impl Iterator<Item = &'a (NodeReport, bool)>) -> Vec<PsOmittedObject> {
    let omitted = views.filter(|(report, _)| report.omitted > 0);
    omitted.map(|(report, _)| PsOmittedObject { peer: report.node, components: report.omitted }).collect()
}

fn object(name: &ComponentName, on_nodes: &[(&ComponentReport, bool)]) -> PsComponentObject {
    let live = || on_nodes.iter().filter(|(_, alive)| *alive).map(|(component, _)| *component);
    let mut phases = BTreeMap::new();
    live().for_each(|component| *phases.entry(component.phase.to_string()).or_default() += 1);
    let worst = live().max_by_key(|component| component.phase);
    PsComponentObject {
        name: name.clone(),
        declared: on_nodes.iter().any(|(component, _)| component.declared),
        digests: on_nodes.iter().map(|(component, _)| component.digest).collect::<BTreeSet<_>>().into_iter().collect(),
        nodes: u32::try_from(on_nodes.len()).unwrap_or(u32::MAX),
        away: u32::try_from(on_nodes.len() - live().count()).unwrap_or(u32::MAX),
        running: live().map(|component| u64::from(component.running)).sum(),
        serving: live().map(|component| u64::from(component.serving)).sum(),
        replicas: live().map(|component| u64::from(component.replicas)).sum(),
        phases,
        restarts: live().map(|component| u64::from(component.restarts)).sum(),
        last_outcome: worst.and_then(|component| component.last_outcome.as_ref()).map(ToString::to_string),
        reason: worst.and_then(|component| component.reason.clone()),
        worst: worst.map_or(Phase::Stopped, |component| component.phase),
    }
}

/// One row a component.
pub(crate) fn ps_rows(components: &[PsComponentObject]) -> Vec<Vec<String>> {
    let row = |component: &PsComponentObject| {
        let digest = match &component.digests[..] {
            [digest] => digest.hex()[..12].to_owned(),
            digests => format!("{} digests", digests.len()),
        };
        let away = if component.away > 0 { format!(" ({} away)", component.away) } else { String::new() };
        let phase = match component.phases.len() {
            0 => "away".to_owned(),
            1 => component.worst.to_string(),
            _ => {
                component.phases.iter().map(|(phase, nodes)| format!("{nodes} {phase}")).collect::<Vec<_>>().join(", ")
            }
        };
        vec![
            component.name.to_string(),
            from(component.declared).to_owned(),
            digest,
            format!("{}{away}", component.nodes),
            format!("{}/{}", component.running, component.replicas),
            phase,
            component.restarts.to_string(),
            last(component.last_outcome.as_deref(), component.reason.as_deref()),
        ]
    };
    components.iter().map(row).collect()
}
