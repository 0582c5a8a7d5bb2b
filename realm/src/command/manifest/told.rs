//! What is said of an apply when it is over.

use crate::command::drive::Ended;
use crate::command::tell::{self, Failing};
use crate::exit::{Exit, Failure};
use crate::output::{
    APPLY_HEADS, ApplyNodeObject, ApplyObject, ComponentObject, Terminal, Tone, apply_hint, apply_rows, apply_unlisted,
    apply_verdict, clean, counted, listed, outcome_of, table,
};
use crate::rollout::{Applied, HandOver, Result as Stand, Rollout, Step, Verdict};
use crate::session::Session;
use shared::{Artifact, NodeId};

/// What was signed.
pub(super) struct Told {
    pub(super) seq: u64,
    pub(super) document: Artifact,
    pub(super) json: bool,
}

/// Says whom an apply claims.
pub(super) fn claiming(terminal: &mut Terminal<'_>, unclaimed: &[NodeId]) {
    if !unclaimed.is_empty() {
        let nodes = listed(unclaimed.iter().map(NodeId::short));
        let count = counted(unclaimed.len(), "node");
        let text = format!("CLAIMING {count}: without an owner until now, and yours from this apply on: {nodes}");
        terminal.say(Tone::Warning, &text);
    }
}

/// Whether nothing is left to do for what is held: all nodes are there, and run it.
pub(super) fn is_in_force(rollout: &Rollout<Applied>) -> bool {
    let is_over = rollout.step(HandOver { held: true, ..HandOver::default() }) == Step::Done(Verdict::Good);
    is_over && rollout.targets().values().all(|target| target.result() == Stand::Good)
}

/// It is so already.
pub(super) fn already(
    session: &Session,
    terminal: &mut Terminal<'_>,
    rollout: Rollout<Applied>,
    told: &Told,
) -> Result<Exit, Failure> {
    let version = rollout.goal().version;
    let ended = Ended { rollout, verdict: Verdict::Good, claimed: Vec::new(), entries: Vec::new() };
    if told.json {
        terminal.data(&json(&object(session, &ended, told))?);
    }
    terminal.say(Tone::Good, &format!("version {version} is already in force"));
    Ok(Exit::Done)
}

/// The end: what failed and why, then data, then the verdict.
pub(super) async fn ended(
    session: &mut Session,
    terminal: &mut Terminal<'_>,
    ended: &Ended<Applied>,
    told: &Told,
) -> Result<Exit, Failure> {
    let Ended { rollout, verdict, .. } = ended;
    terminal.end_live();
    tell::failures(session, terminal, &ended.entries, &failed(rollout)).await;
    for (node, target) in rollout.targets() {
        if let Some(fault) = target.stand().fault() {
            terminal.say(Tone::Bad, &format!("version {} on {node}: {}", rollout.goal().version, clean(fault)));
        }
    }
    if told.json {
        terminal.data(&json(&object(session, ended, told))?);
    } else {
        terminal.data(&table(&APPLY_HEADS, &apply_rows(rollout)));
        apply_unlisted(rollout).for_each(|line| terminal.say(Tone::Plain, &line));
    }
    let (tone, text) = apply_verdict(rollout, *verdict);
    terminal.say(tone, &text);
    tell::next_step(terminal, rollout, *verdict, || apply_hint(rollout));
    Ok(verdict.exit())
}

/// Each component that failed, the nodes in their order.
fn failed(rollout: &Rollout<Applied>) -> Vec<Failing> {
    let of_node = |(node, target): (&NodeId, &crate::rollout::Target<_>)| {
        let stand: &crate::rollout::Standing = target.stand();
        let failing = stand.failing().values();
        let failing = failing.map(|component| Failing {
            node: *node,
            name: component.name.clone(),
            intent: component.intent,
            why: outcome_of(component),
        });
        failing.collect::<Vec<_>>()
    };
    rollout.targets().iter().flat_map(of_node).collect()
}

fn json(object: &ApplyObject) -> Result<String, Failure> {
    serde_json::to_string(object).map_err(|error| Failure::new(error.to_string()))
}

fn object(session: &Session, ended: &Ended<Applied>, told: &Told) -> ApplyObject {
    let goal = ended.rollout.goal();
    let nodes = ended.rollout.targets().iter().map(|(node, target)| {
        let stand = target.stand();
        let last = stand.last();
        // How it stood when it failed says more than the next attempt.
        let components =
            stand.components().values().map(|component| stand.failing().get(&component.name).unwrap_or(component));
        ApplyNodeObject {
            peer: *node,
            tags: target.tags().to_vec(),
            alive: target.is_alive(),
            result: target.result().word(),
            state: last.map(|last| last.state),
            in_force: last.and_then(|last| last.in_force),
            wanted: last.map(|last| last.wanted),
            well: last.map(|last| last.well),
            failed: last.map(|last| last.failed),
            reason: stand.fault().or(target.fault()).map(str::to_owned),
            components: components.map(ComponentObject::of).collect(),
        }
    });
    ApplyObject {
        schema: 1,
        realm: *session.realm(),
        version: goal.version,
        digest: told.document.digest,
        intent: goal.intent,
        seq: told.seq,
        verdict: ended.verdict.word(),
        exit: ended.verdict.exit().code(),
        nodes: nodes.collect(),
        claimed: ended.claimed.clone(),
    }
}
