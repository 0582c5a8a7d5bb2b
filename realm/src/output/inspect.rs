//! One component in all its detail, for `realm inspect`.

use super::json::ComponentObject;
use super::push::bytes;
use super::status::tags;
use super::{clean, table};
use serde::Serialize;
use shared::time::utc_millis;
use shared::{
    Audience, BOARD_MEMORY_MB, ComponentSpec, DEFAULT_MEMORY_MB, Declaration, EndedRun, IntentId, LiveRun, NodeId,
    NodeReport, NodeRuns, Opened, Outcome, Payload, Push, RealmId, Restart, RunUsage, Tag, Verb,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const NODE_HEADS: [&str; 9] =
    ["NODE", "TAGS", "ALIVE", "PHASE", "INSTANCES", "RESTARTS", "MEMORY NOW/PEAK", "CPU", "LAST OUTCOME"];
const RUN_HEADS: [&str; 7] = ["NODE", "BEGUN", "LASTED", "OUTCOME", "MEMORY PEAK", "FUEL", "CPU"];

/// So many runs are shown of all nodes together; `--json` has all that nodes remember.
const RUNS_SHOWN: usize = 20;

/// `realm inspect --json`.
#[derive(Debug, Serialize)]
pub struct InspectObject {
    /// 1
    pub schema: u32,
    /// Which realm.
    pub realm: RealmId,
    /// Whether the manifest declares it; otherwise it was pushed by hand.
    pub declared: bool,
    /// The number of that manifest.
    pub version: Option<u32>,
    /// The intent that is in force; of a component that is declared, the id of its declaration.
    pub intent: IntentId,
    /// The sequence of the intent.
    pub seq: u64,
    /// When it was signed, in Unix milliseconds by the operator's clock.
    pub issued_at: u64,
    /// What was typed: `push`, `start`, `stop`, `restart` or `apply`.
    pub verb: &'static str,
    /// The operator's word with it.
    pub note: String,
    /// Whom it is for.
    pub audience: Audience,
    /// What was signed; artifact, limits, arguments, environment.
    pub component: ComponentSpec,
    /// Every node that has it, by peer id.
    pub nodes: Vec<InspectNodeObject>,
}

/// A node that has the component.
#[derive(Debug, Serialize)]
pub struct InspectNodeObject {
    /// Peer id.
    pub peer: NodeId,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Whether it has been heard of lately.
    pub alive: bool,
    /// As in `realm status --json`; null where the node told of runs, and its report had no room for the component, or the manifest
    /// that declares it failed there and was taken back.
    pub component: Option<ComponentObject>,
    /// Runs that live, and what they use; the oldest first.
    pub live: Vec<LiveRun>,
    /// The last runs that have ended since the agent was started; the newest first.
    pub ended: Vec<EndedRun>,
}

/// What wants a component.
pub(crate) struct Inspected<'a> {
    id: IntentId,
    version: Option<u32>,
    verb: &'static str,
    audience: &'a Audience,
    component: &'a ComponentSpec,
}

impl<'a> Inspected<'a> {
    /// A push, or a change of one; `None` where it was removed.
    pub(crate) fn pushed(held: &'a Opened) -> Option<Inspected<'a>> {
        let Payload::Push(Push { component, verb }) = &held.body().payload else { return None };
        let verb = match verb {
            None => "push",
            Some(Verb::Start) => "start",
            Some(Verb::Stop) => "stop",
            Some(Verb::Restart) => "restart",
        };
        Some(Inspected { id: held.id(), version: None, verb, audience: &held.body().audience, component })
    }

    /// What version `version` of the manifest declares.
    pub(crate) fn declared(version: u32, declared: &'a Declaration) -> Inspected<'a> {
        let (audience, component) = (&declared.audience, &*declared.spec);
        Inspected { id: declared.id, version: Some(version), verb: "apply", audience, component }
    }
}

impl InspectObject {
    /// `held` is the intent that says so.
    pub(crate) fn of(
        inspected: &Inspected<'_>,
        held: &Opened,
        views: &BTreeMap<NodeId, (NodeReport, bool)>,
        runs: &BTreeMap<NodeId, NodeRuns>,
    ) -> InspectObject {
        let body = held.body();
        let node = |(report, alive): &(NodeReport, bool)| {
            let name = &inspected.component.name;
            let stands = report.components.iter().find(|it| it.name == *name);
            let of_node = runs.get(&report.node);
            // What was taken back there has runs, and is not listed any more.
            let has_run = |runs: &&NodeRuns| !(runs.live.is_empty() && runs.ended.is_empty()) || report.may_have(name);
            if stands.is_none() && !of_node.as_ref().is_some_and(has_run) {
                return None;
            }
            Some(InspectNodeObject {
                peer: report.node,
                tags: report.tags.clone(),
                alive: *alive,
                component: stands.map(ComponentObject::of),
                live: of_node.map(|runs| runs.live.clone()).unwrap_or_default(),
                ended: of_node.map(|runs| runs.ended.clone()).unwrap_or_default(),
            })
        };
        InspectObject {
            schema: 1,
            realm: body.realm,
            declared: inspected.version.is_some(),
            version: inspected.version,
            intent: inspected.id,
            seq: body.seq,
            issued_at: body.issued_at,
            verb: inspected.verb,
            note: body.note.clone(),
            audience: inspected.audience.clone(),
            component: inspected.component.clone(),
            nodes: views.values().filter_map(node).collect(),
        }
    }
}

/// What is wanted, then each node, then the last runs.
pub(crate) fn inspect_text(object: &InspectObject) -> String {
    let spec = &object.component;
    let limits = &spec.limits;
    let or_none = |limit: Option<u64>, unit: &str| limit.map_or("none".to_owned(), |limit| format!("{limit}{unit}"));
    let memory = limits.memory_max_mb.map_or_else(
        || format!("{DEFAULT_MEMORY_MB} MiB (the default; {BOARD_MEMORY_MB} MiB on boards under 1 GB)"),
        |mb| format!("{} MiB", mb.get()),
    );
    let at = utc_millis(object.issued_at);
    let from = match object.version {
        Some(version) => ("manifest", format!("version {version} (applied at {at})")),
        None => ("intent", format!("{} ({} at {at})", object.intent.short(), object.verb)),
    };
    let mut lines = vec![
        ("name", spec.name.to_string()),
        ("artifact", format!("{}, {}", spec.artifact.digest, bytes(spec.artifact.size))),
        from,
        ("for", object.audience.to_string()),
        ("instances", format!("{} on each node", spec.replicas.get())),
        ("restart", restart_word(spec.restart).to_owned()),
        ("isolation", spec.isolation.word().to_owned()),
        ("memory", memory),
        ("fuel", or_none(limits.fuel.map(|fuel| fuel.get()), " units a run")),
        ("epoch", format!("{} ms", limits.epoch_ms.get())),
        ("deadline", or_none(limits.deadline_ms.map(|deadline| deadline.get()), " ms a run")),
        ("log", format!("{} KiB", limits.log_max_kb.get())),
    ];
    if !object.note.is_empty() {
        lines.push(("note", clean(&object.note)));
    }
    if !spec.args.is_empty() {
        lines.push(("arguments", clean(&spec.args.join(" "))));
    }
    lines.extend(spec.env.iter().map(|(name, value)| ("env", clean(&format!("{name}={value}")))));
    let mut text: String = lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<10} {value}");
        text
    });
    let _ = write!(text, "\n{}", table(&NODE_HEADS, &object.nodes.iter().map(node_row).collect::<Vec<_>>()));
    let rows = run_rows(object);
    if !rows.is_empty() {
        let _ = write!(text, "\n\n{}", table(&RUN_HEADS, &rows));
    }
    text
}

fn node_row(node: &InspectNodeObject) -> Vec<String> {
    let live = || node.live.iter().map(|run| &run.usage);
    let all = || live().chain(node.ended.iter().map(|run| &run.usage));
    // The largest instance, as the limit is about one: the same of both figures, so that they can be compared.
    let largest = |memory: Option<u64>| bytes(memory.unwrap_or(0));
    let (now, peak) = (live().map(|run| run.memory_bytes).max(), all().map(|run| run.memory_peak_bytes).max());
    let alive = if node.alive { "yes" } else { "no" };
    let (phase, instances, restarts, last) = match &node.component {
        Some(component) => (
            component.phase.to_string(),
            format!("{}/{}", component.running, component.replicas),
            component.restarts.to_string(),
            super::status::last_of(component),
        ),
        None => {
            let last = node.ended.first().map_or("-".into(), |run| clean(&run.outcome.to_string()));
            ("not listed".into(), node.live.len().to_string(), "-".into(), last)
        }
    };
    vec![
        node.peer.short(),
        tags(&node.tags),
        alive.into(),
        phase,
        instances,
        restarts,
        format!("{} / {}", largest(now), largest(peak)),
        lasted(all().map(|run| run.cpu_ms).fold(0, u64::saturating_add)),
        last,
    ]
}

/// The last runs of all nodes, the newest first.
fn run_rows(object: &InspectObject) -> Vec<Vec<String>> {
    let mut runs: Vec<(u64, Vec<String>)> = Vec::new();
    for node in &object.nodes {
        let live = node.live.iter().map(|run| (run.begun_at, run_row(node, run.begun_at, None, &run.usage)));
        let ended = node.ended.iter().map(|run| {
            let end = Some((run.ended_at, &run.outcome));
            (run.begun_at, run_row(node, run.begun_at, end, &run.usage))
        });
        runs.extend(live.chain(ended));
    }
    runs.sort_by_key(|(begun_at, _)| Reverse(*begun_at));
    runs.into_iter().take(RUNS_SHOWN).map(|(_, row)| row).collect()
}

fn run_row(node: &InspectNodeObject, begun_at: u64, end: Option<(u64, &Outcome)>, usage: &RunUsage) -> Vec<String> {
    vec![
        node.peer.short(),
        utc_millis(begun_at),
        end.map_or("-".into(), |(ended_at, _)| lasted(ended_at.saturating_sub(begun_at))),
        end.map_or("running".into(), |(_, outcome)| clean(&outcome.to_string())),
        bytes(usage.memory_peak_bytes),
        if usage.fuel_used > 0 { usage.fuel_used.to_string() } else { "-".into() },
        lasted(usage.cpu_ms),
    ]
}

fn restart_word(restart: Restart) -> &'static str {
    match restart {
        Restart::Never => "never",
        Restart::OnFailure => "on-failure",
        Restart::Always => "always",
    }
}

/// A time for people: `840ms`, `12.3s`, `5m12s`, `3h07m`.
fn lasted(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{}m{:02}s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{}h{:02}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::{InspectNodeObject, lasted, node_row};
    use shared::{EndedRun, IntentId, LiveRun, NodeId, Outcome, RunUsage};

    #[test]
    fn memory_now_and_at_most_are_those_of_one_instance() {
        let usage =
            |memory_bytes, memory_peak_bytes| RunUsage { memory_bytes, memory_peak_bytes, fuel_used: 0, cpu_ms: 7 };
        let intent = IntentId::from_bytes([1; 32]);
        let live = |usage| LiveRun { intent, begun_at: 1, usage };
        let outcome = Outcome::Completed;
        let node = InspectNodeObject {
            peer: NodeId::of_seed(&[1; 32]),
            tags: Vec::new(),
            alive: true,
            component: None,
            live: vec![live(usage(3 << 20, 4 << 20)), live(usage(5 << 20, 6 << 20))],
            ended: vec![EndedRun { intent, begun_at: 1, ended_at: 2, outcome, usage: usage(0, 2 << 20) }],
        };
        assert_eq!(node_row(&node)[6..8], ["5.0 MiB / 6.0 MiB", "21ms"]);
    }

    #[test]
    fn times_for_people() {
        let texts = [0, 999, 1_000, 59_999, 60_000, 312_000, 3_600_000, 90_061_000].map(lasted);
        assert_eq!(texts, ["0ms", "999ms", "1.0s", "59.9s", "1m00s", "5m12s", "1h00m", "25h01m"]);
    }
}
