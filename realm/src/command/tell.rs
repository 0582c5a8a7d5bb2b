//! What is said while a change goes its way, and of a change of one component when it is over.

use super::drive::Ended;
use super::logs;
use super::runs::{self, of_failure};
use crate::exit::{Exit, Failure};
use crate::output::{
    PUSH_HEADS, PushNodeObject, PushObject, Shown, Terminal, Tone, counted, failure_hint, fault_hint, listed,
    outcome_rows, table, text_line, verdict_text, why,
};
use crate::rollout::{Goal, Known, Matched, Result as NodeResult, Rollout, Verdict};
use crate::session::Session;
use shared::{Artifact, ComponentName, IntentId, LogQuery, NodeId, WatchRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The lines of output that are shown of each node that failed.
const FAILURE_LINES: usize = 10;

/// The failed nodes whose output is shown: they mostly fail alike.
const MAX_FAILURES_SHOWN: usize = 3;

/// The lines of each node among which these are: what runs there again may have printed more meanwhile.
const FAILURE_TAIL: u32 = 500;

/// What the operator waits for these lines at the most; the failure itself is known already.
const FAILURE_LOGS_TIMEOUT: Duration = Duration::from_secs(5);

/// A component that failed on a node.
pub(super) struct Failing {
    pub(super) node: NodeId,
    pub(super) name: ComponentName,
    /// Of the push, or of the declaration.
    pub(super) intent: IntentId,
    pub(super) why: String,
}

/// What to do about a component that the manifest declares.
pub(super) const DECLARED_HINT: &str = "change it in the manifest, and `realm apply` that";

/// What was signed, for the report at the end.
pub(super) struct Signed {
    /// What it names, if it names one.
    pub(super) artifact: Option<Artifact>,
    pub(super) seq: u64,
    pub(super) stops: Vec<NodeId>,
    pub(super) json: bool,
}

/// What to do when no node that was asked has accepted it: the last one that refused did so with this code; none, where none
/// could be asked.
pub(super) fn after_refusal(code: Option<&str>) -> &'static str {
    match code {
        None => {
            "it may have arrived all the same: `realm status` shows what the nodes have; do it again, or through another \
                 node with `--via ADDR`"
        }
        Some("from-the-future" | "stale") => "is the clock of this machine right, and that of the node?",
        Some("storage") => "put that right on the node, or push through another one with `--via ADDR`",
        Some("full") => "`realm rm NAME` frees a name",
        Some("declared") => DECLARED_HINT,
        Some("unclaimed") => {
            "that node was started with `--no-tofu`: `realm configure --owner KEY` there, with the key that `realm key show` \
                 prints here, and start its agent again"
        }
        Some("version") => "somebody applied another manifest meanwhile: `realm plan` compares with that one",
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
pub(super) fn progress<A: Shown>(
    terminal: &mut Terminal<'_>,
    told: &mut Told,
    rollout: &Rollout<A>,
    changed: &[NodeId],
) {
    let goal = rollout.goal();
    if terminal.is_live() {
        let lines = rollout.targets().iter().map(|(node, target)| goal.line(node, target));
        terminal.show(lines.collect());
        return;
    }
    for node in changed {
        let Some(target) = rollout.targets().get(node) else { continue };
        let news = goal.news(node, target);
        if told.0.get(node) != Some(&news) {
            told.0.insert(*node, news);
            let (tone, text) = goal.line(node, target);
            terminal.say(tone, text.trim_start());
        }
    }
}

/// Where to look when it is over and not all is well.
pub(super) fn next_step<A: Shown>(
    terminal: &mut Terminal<'_>,
    rollout: &Rollout<A>,
    verdict: Verdict,
    after_failure: impl FnOnce() -> String,
) {
    if let Some(hint) = fault_hint(rollout) {
        return terminal.say(Tone::Plain, &format!("hint: {hint}"));
    }
    match verdict {
        Verdict::Failed | Verdict::RolledBack | Verdict::Part => {
            terminal.say(Tone::Plain, &format!("hint: {}", after_failure()))
        }
        Verdict::TimedOut | Verdict::CutOff => {
            terminal
                .say(Tone::Plain, "hint: what was accepted goes on without you; `realm status` shows how far it is");
        }
        Verdict::Good | Verdict::NoneLive | Verdict::Detached => {}
    }
}

/// The end: data, then what failed and why, then the verdict.
pub(super) async fn ended(
    session: &mut Session,
    terminal: &mut Terminal<'_>,
    ended: &Ended<Goal>,
    signed: &Signed,
) -> Result<Exit, Failure> {
    let Ended { rollout, verdict, .. } = ended;
    terminal.end_live();
    let name = &rollout.goal().name;
    let targets = rollout.targets().iter().filter(|(_, target)| target.result() == NodeResult::Failed);
    let intent = rollout.goal().intent;
    let failed: Vec<_> =
        targets.map(|(node, it)| Failing { node: *node, name: name.clone(), intent, why: why(it) }).collect();
    failures(session, terminal, &ended.entries, &failed).await;
    if signed.json {
        let object = object(session, ended, signed);
        terminal.data(&serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?);
    } else {
        terminal.data(&table(&PUSH_HEADS, &outcome_rows(rollout)));
    }
    let (tone, text) = verdict_text(rollout, *verdict);
    terminal.say(tone, &text);
    next_step(terminal, rollout, *verdict, || failure_hint(rollout));
    Ok(verdict.exit())
}

/// Says of each failure on which node it was, why, and what was printed last.
pub(super) async fn failures(
    session: &mut Session,
    terminal: &mut Terminal<'_>,
    entries: &[NodeId],
    failed: &[Failing],
) {
    let shown = &failed[..failed.len().min(MAX_FAILURES_SHOWN)];
    let names: BTreeSet<&ComponentName> = shown.iter().map(|failing| &failing.name).collect();
    let until = Instant::now() + FAILURE_LOGS_TIMEOUT;
    for name in names {
        let of_name = || shown.iter().filter(|failing| failing.name == *name);
        let nodes: Vec<NodeId> = of_name().map(|failing| failing.node).collect();
        let is_told = |runs: &runs::Runs| nodes.iter().all(|node| runs.contains_key(node));
        let query =
            LogQuery { component: Some(name.clone()), tail: FAILURE_TAIL, nodes: nodes.clone(), ..LogQuery::default() };
        let patience = || until.saturating_duration_since(Instant::now());
        let lines = logs::collect(session, entries, &WatchRequest::Logs(query), patience()).await.lines;
        let (runs, _) = runs::collect(session, entries, name, is_told, patience()).await;
        for Failing { node, name, intent, why } in of_name() {
            terminal.say(Tone::Bad, &format!("`{name}` failed on {node}: {why}"));
            let own = lines.iter().filter(|line| line.node == *node && line.component == *name);
            let own = of_failure(own, runs.get(node), intent);
            for line in &own[own.len().saturating_sub(FAILURE_LINES)..] {
                terminal.say(Tone::Faint, &format!("  {}", text_line(line)));
            }
        }
    }
    if failed.len() > shown.len() {
        terminal.say(Tone::Bad, &format!("and on {} more", failed.len() - shown.len()));
    }
}

fn object(session: &Session, ended: &Ended<Goal>, signed: &Signed) -> PushObject {
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
            _ => target.last().and_then(|last| last.reason.clone()).or_else(|| target.fault().map(str::to_owned)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_could_ask_nobody_is_not_sent_to_look_after_keys() {
        assert!(after_refusal(None).contains("`realm status`") && after_refusal(None).contains("--via"));
        assert!(after_refusal(Some("other-owner")).contains("`realm key show`"));
    }
}
