//! What is said while a change of a component goes its way.

use super::drive::Ended;
use super::logs::collect;
use crate::exit::{Exit, Failure};
use crate::output::{
    PUSH_HEADS, PushNodeObject, PushObject, Terminal, Tone, counted, failure_hint, listed, outcome_rows, state_text,
    table, text_line, verdict_text, why,
};
use crate::rollout::{Known, Matched, Result as NodeResult, Rollout, State, Verdict};
use crate::session::Session;
use shared::{Artifact, ComponentName, LogQuery, NodeId, WatchRequest};
use std::collections::BTreeMap;
use std::time::Duration;

/// The lines of output that are shown of each node that failed.
const FAILURE_LINES: u32 = 10;

/// The failed nodes whose output is shown: they mostly fail alike.
const MAX_FAILURES_SHOWN: usize = 3;

/// What the operator waits for these lines at the most; the failure itself is known already.
const FAILURE_LOGS_TIMEOUT: Duration = Duration::from_secs(5);

/// What was signed, for the report at the end.
pub(super) struct Signed {
    /// What it names, if it names one.
    pub(super) artifact: Option<Artifact>,
    pub(super) seq: u64,
    pub(super) stops: Vec<NodeId>,
    pub(super) json: bool,
}

/// What to do when every node that was asked has refused, the last one with this code.
pub(super) fn after_refusal(code: Option<&str>) -> &'static str {
    match code {
        Some("from-the-future" | "stale") => "is the clock of this machine right, and that of the node?",
        Some("storage") => "put that right on the node, or push through another one with `--via ADDR`",
        Some("full") => "`realm rm NAME` frees a name",
        _ => "`realm key show` prints your key; `realm status` shows whether the nodes are of your realm",
    }
}

/// Says whom it is for, before anything is sent.
pub(super) fn targets(terminal: &mut Terminal<'_>, nodes: &[Known]) {
    let count = counted(nodes.len(), "node");
    terminal.say(Tone::Plain, &format!("matched {count}: {}", listed(nodes.iter().map(|known| known.node.short()))));
    let away = listed(nodes.iter().filter(|known| !known.alive).map(|known| known.node.short()));
    if !away.is_empty() {
        terminal.say(Tone::Warning, &format!("away, will get it: {away}"));
    }
}

/// Says whom a push is for, whom it takes the component from, and whom it claims.
pub(super) fn matched(terminal: &mut Terminal<'_>, name: &ComponentName, matched: &Matched, unclaimed: &[NodeId]) {
    targets(terminal, &matched.nodes);
    if !matched.stops.is_empty() {
        let stops = listed(matched.stops.iter().map(NodeId::short));
        terminal.say(Tone::Warning, &format!("will stop `{name}`, because this push leaves them out: {stops}"));
    }
    if !unclaimed.is_empty() {
        let nodes = listed(unclaimed.iter().map(NodeId::short));
        terminal.say(
            Tone::Warning,
            &format!(
                "CLAIMING {}: without an owner until now, and yours from this push on: {nodes}",
                counted(unclaimed.len(), "node")
            ),
        );
    }
}

/// What was told of each node where nothing can be redrawn, so that a line is worth its reading.
#[derive(Default)]
pub(super) struct Told(BTreeMap<NodeId, String>);

/// Shows where the nodes stand: all of them in place, or `changed` in a line of its own.
pub(super) fn progress(terminal: &mut Terminal<'_>, told: &mut Told, rollout: &Rollout, size: u64, changed: &[NodeId]) {
    if terminal.is_live() {
        let lines = rollout.targets().iter().map(|(node, target)| state_text(node, target, size));
        terminal.show(lines.collect());
        return;
    }
    for node in changed {
        let Some(target) = rollout.targets().get(node) else { continue };
        let (tone, text) = state_text(node, target, size);
        let news = match target.state() {
            // Each quarter of a large artifact, not each report of it.
            State::Moving { phase, fetched: Some(fetched), .. } => {
                let reason = target.last().and_then(|last| last.reason.as_deref()).unwrap_or_default();
                format!("{phase} {} {reason}", fetched * 4 / size.max(1))
            }
            _ => text.clone(),
        };
        if told.0.get(node) != Some(&news) {
            told.0.insert(*node, news);
            terminal.say(tone, text.trim_start());
        }
    }
}

/// The end: data, then what failed and why, then the verdict.
pub(super) async fn ended(
    session: &mut Session,
    terminal: &mut Terminal<'_>,
    ended: &Ended,
    signed: &Signed,
) -> Result<Exit, Failure> {
    let Ended { rollout, verdict, .. } = ended;
    terminal.end_live();
    failures(session, terminal, ended).await;
    if signed.json {
        let object = object(session, ended, signed);
        terminal.data(&serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?);
    } else {
        terminal.data(&table(&PUSH_HEADS, &outcome_rows(rollout)));
    }
    let (tone, text) = verdict_text(rollout, *verdict);
    terminal.say(tone, &text);
    match verdict {
        Verdict::Failed | Verdict::Part => terminal.say(Tone::Plain, &format!("hint: {}", failure_hint(rollout))),
        Verdict::TimedOut | Verdict::CutOff => {
            terminal
                .say(Tone::Plain, "hint: what was accepted goes on without you; `realm status` shows how far it is");
        }
        Verdict::Good | Verdict::NoneLive | Verdict::Detached => {}
    }
    Ok(verdict.exit())
}

async fn failures(session: &mut Session, terminal: &mut Terminal<'_>, ended: &Ended) {
    let failed: Vec<_> =
        ended.rollout.targets().iter().filter(|(_, target)| target.result() == NodeResult::Failed).collect();
    if failed.is_empty() {
        return;
    }
    let name = &ended.rollout.goal().name;
    let query = LogQuery { component: Some(name.clone()), tail: FAILURE_LINES, ..LogQuery::default() };
    let request = WatchRequest::Logs(query);
    let lines = collect(session, &ended.entries, &request, FAILURE_LOGS_TIMEOUT).await.lines;
    for (node, target) in failed.iter().take(MAX_FAILURES_SHOWN) {
        terminal.say(Tone::Bad, &format!("`{name}` failed on {node}: {}", why(target)));
        let of_node: Vec<_> = lines.iter().filter(|line| line.node == **node).collect();
        let skipped = of_node.len().saturating_sub(FAILURE_LINES as usize);
        for line in of_node.into_iter().skip(skipped) {
            terminal.say(Tone::Faint, &format!("  {}", text_line(line)));
        }
    }
    if failed.len() > MAX_FAILURES_SHOWN {
        terminal.say(Tone::Bad, &format!("and on {} more", failed.len() - MAX_FAILURES_SHOWN));
    }
}

fn object(session: &Session, ended: &Ended, signed: &Signed) -> PushObject {
    let goal = ended.rollout.goal();
    let nodes = ended.rollout.targets().iter().map(|(node, target)| PushNodeObject {
        peer: *node,
        tags: target.tags().to_vec(),
        alive: target.is_alive(),
        result: target.result().word(),
        phase: target.last().map(|last| last.phase),
        last_outcome: target.last().and_then(|last| last.last_outcome.clone()),
        reason: match target.result() {
            NodeResult::Failed => Some(why(target)),
            _ => target.last().and_then(|last| last.reason.clone()),
        },
    });
    PushObject {
        schema: 1,
        realm: *session.realm(),
        name: goal.name.clone(),
        digest: signed.artifact.map(|artifact| artifact.digest),
        size: signed.artifact.map(|artifact| artifact.size),
        intent: goal.intent,
        seq: signed.seq,
        verdict: ended.verdict.word(),
        exit: ended.verdict.exit().code(),
        nodes: nodes.collect(),
        stops: signed.stops.clone(),
        claimed: ended.claimed.clone(),
    }
}
