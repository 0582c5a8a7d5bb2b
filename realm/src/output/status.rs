//! The table of `realm status`.

use super::json::{ComponentObject, NodeObject, UnclaimedObject};
use super::{clean, listed};
use shared::{IntentKey, MAX_REPORT_COMPONENTS, ManifestState, NodeId, Tag};
use std::collections::BTreeMap;

pub(crate) const HEADS: [&str; 10] =
    ["NODE", "TAGS", "VERSION", "ALIVE", "COMPONENT", "FROM", "PHASE", "REPLICAS", "RESTARTS", "LAST OUTCOME"];

/// One row per component of each node, one for a node that runs nothing, one for each unclaimed node.
pub(crate) fn status_rows(nodes: &[NodeObject], unclaimed: &[UnclaimedObject]) -> Vec<Vec<String>> {
    let rows = nodes.iter().flat_map(node_rows);
    rows.chain(unclaimed.iter().map(|node| {
        let mut row = vec![node.peer.short(), tags(&node.tags), clean(&node.version), "unclaimed".into()];
        row.resize(HEADS.len(), "-".into());
        row
    }))
    .collect()
}

fn node_rows(node: &NodeObject) -> Vec<Vec<String>> {
    let alive = if node.alive { "yes" } else { "no" };
    let head = [node.peer.short(), tags(&node.tags), clean(&node.version), alive.to_owned()];
    if node.components.is_empty() {
        let mut row = head.to_vec();
        row.resize(HEADS.len(), "-".into());
        return vec![row];
    }
    let row = |component: &ComponentObject| {
        let mut row = head.to_vec();
        row.extend([
            component.name.to_string(),
            from(component.declared).to_owned(),
            component.phase.to_string(),
            format!("{}/{}", component.running, component.replicas),
            component.restarts.to_string(),
            last_of(component),
        ]);
        row
    };
    node.components.iter().map(row).collect()
}

/// Who wants a component.
pub(super) fn from(declared: bool) -> &'static str {
    if declared { "manifest" } else { "push" }
}

/// Of a node that is there and on which the manifest that it holds is not in force: what is, and why.
pub(crate) fn behind(node: &NodeObject) -> Option<String> {
    let manifest =
        node.manifest.as_ref().filter(|manifest| node.alive && manifest.in_force != Some(manifest.version))?;
    let in_force = manifest.in_force.map_or("none is".to_owned(), |version| format!("version {version} is"));
    let why = manifest.reason.as_deref().unwrap_or(match manifest.state {
        ManifestState::Halted => "it failed on other nodes",
        ManifestState::RolledBack => "it failed",
        ManifestState::Waiting => "it waits for its turn",
        _ => "it is being fetched",
    });
    let version = manifest.version;
    Some(format!(
        "{}: version {version} of the manifest is not in force yet, {in_force}: {}",
        node.peer.short(),
        clean(why)
    ))
}

/// Of each alarm that stands on a node that is there: what it is about, who has raised it, and the next step.
pub(crate) fn alarms(nodes: &[NodeObject]) -> Vec<String> {
    let mut alarms: BTreeMap<(&IntentKey, u64), Vec<String>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.alive) {
        node.alarms.iter().for_each(|alarm| alarms.entry((&alarm.key, alarm.seq)).or_default().push(node.peer.short()));
    }
    let line = |((key, seq), nodes): ((&IntentKey, u64), Vec<String>)| {
        let (about, again) = match key {
            IntentKey::Component(name) => (format!("`{name}`"), "push it again"),
            IntentKey::Manifest => ("the manifest".to_owned(), "apply it again"),
        };
        format!(
            "ALARM: two different intents for {about} are signed with the sequence {seq}, and one of them was dropped (seen \
             by {})\nhint: is the owner's key used on two machines, or has somebody else got it? When you know, {again}: that \
             has a higher sequence, says which one is meant, and ends the alarm",
            listed(nodes)
        )
    };
    alarms.into_iter().map(line).collect()
}

/// Of a node that has more components than its report had room for: how many are not shown, and how the manifest is with them.
pub(crate) fn unlisted(node: &NodeObject) -> Option<String> {
    let manifest = node.manifest.as_ref().map(|manifest| (manifest.wanted, manifest.well, manifest.failed));
    not_shown(&node.peer, node.omitted, manifest)
}

/// The same by numbers: of so many that are declared there, how many are well, and how many failed.
pub(crate) fn not_shown(node: &NodeId, omitted: u32, manifest: Option<(u16, u16, u16)>) -> Option<String> {
    let counts = manifest.map(|(wanted, well, failed)| {
        format!("; of {wanted} that the manifest declares there {well} are well, and {failed} failed")
    });
    (omitted > 0).then(|| {
        format!(
            "{}: {omitted} more are not shown, for its report has room for {MAX_REPORT_COMPONENTS}, those that are not \
             well before all others{}",
            node.short(),
            counts.unwrap_or_default()
        )
    })
}

/// How it ended, and why it is where it is.
pub(super) fn last(outcome: Option<&str>, reason: Option<&str>) -> String {
    match (outcome, reason) {
        (Some(outcome), Some(reason)) if outcome != reason => clean(&format!("{outcome} ({reason})")),
        (Some(text), _) | (None, Some(text)) => clean(text),
        (None, None) => "-".into(),
    }
}

/// The same of one component on one node.
pub(super) fn last_of(component: &ComponentObject) -> String {
    let outcome = component.last_outcome.as_ref().map(ToString::to_string);
    last(outcome.as_deref(), component.reason.as_deref())
}

pub(super) fn tags(tags: &[Tag]) -> String {
    if tags.is_empty() { "-".into() } else { tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(",") }
}
