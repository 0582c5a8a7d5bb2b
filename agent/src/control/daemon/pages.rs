//! What the HTTP edge serves: one node as JSON, its figures for Prometheus, its logs as text.

use crate::control::http::metrics::{ComponentMetrics, Metrics};
use crate::control::http::{HttpReply, HttpStream, TEXT};
use crate::control::logs::{Followed, LogEntry, Logs};
use crate::control::node::Node;
use serde_json::{Value, json};
use shared::time::utc;
use shared::{ComponentName, ComponentReport, LogQuery, Phase, Stream, platform};
use smol::future::FutureExt;
use std::collections::BTreeMap;
use std::mem;

/// Lines that are sent to a client at once, in bytes: enough for a flood, and the last line makes it a half more at the most.
const PIECE_BYTES: usize = 16 * 1024;

/// `/status`: a node object of schema 1, and where it listens.
pub(super) fn status(node: &Node, tags: &[shared::Tag]) -> Vec<u8> {
    let hello = node.hello();
    let value = json!({
        "schema": 1,
        "realm": node.realm().map(|realm| realm.to_string()),
        "peer": node.me().to_string(),
        "tags": tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "version": hello.version,
        "platform": platform(),
        "alive": true,
        "fault": node.fault(),
        "components": node.components().iter().map(component).collect::<Vec<_>>(),
        "listen": node.own_addrs(),
    });
    format!("{value:#}\n").into_bytes()
}

fn component(report: &ComponentReport) -> Value {
    json!({
        "name": report.name.as_str(),
        "digest": report.digest.to_string(),
        "phase": report.phase.to_string(),
        "replicas": report.replicas,
        "running": report.running,
        "serving": report.serving,
        "restarts": report.restarts,
        "last_outcome": report.last_outcome.as_ref().map(ToString::to_string),
        "reason": report.reason,
        "intent": report.intent.to_string(),
        "declared": report.declared,
    })
}

/// `/metrics`.
pub(super) fn metrics(node: &Node, store_syncs: u64, output_dropped_bytes: u64) -> Vec<u8> {
    let figures = node.figures();
    let reports = node.components();
    let mut components: BTreeMap<Phase, u64> = BTreeMap::new();
    for report in &reports {
        *components.entry(report.phase).or_default() += 1;
    }
    let one = |report: &ComponentReport| {
        let total = node.total_of(&report.name);
        let metrics = ComponentMetrics {
            replicas: u64::from(report.replicas),
            running: u64::from(report.running),
            serving: u64::from(report.serving),
            restarts: u64::from(report.restarts),
            memory_bytes: total.memory_bytes,
            memory_peak_bytes: total.memory_peak_bytes,
            fuel_used: total.fuel_used,
            cpu_ms: total.cpu_ms,
            outcomes: total.outcomes,
        };
        (report.name.clone(), metrics)
    };
    let metrics = Metrics {
        version: shared::VERSION.into(),
        platform: platform(),
        peers: figures.peers as u64,
        nodes_alive: figures.nodes_alive as u64,
        components,
        component: reports.iter().map(one).collect(),
        intents_accepted: figures.intents_accepted,
        intents_refused: figures.intents_refused.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect(),
        alarms: figures.alarms,
        store_bytes: figures.store_bytes,
        store_max_bytes: figures.store_max_bytes,
        reports_refused: figures.reports_refused,
        store_syncs,
        output_dropped_bytes,
    };
    metrics.encode().into_bytes()
}

/// `/logs`: `TIME COMPONENT STREAM | text`, oldest first.
pub(super) fn logs(entries: &[LogEntry]) -> Vec<u8> {
    entries.iter().map(line).collect::<String>().into_bytes()
}

fn line(entry: &LogEntry) -> String {
    line_of(entry.at, entry.component.as_str(), entry.stream, &entry.text)
}

fn line_of(at: u64, component: &str, stream: Stream, text: &str) -> String {
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::Agent => "agent",
    };
    format!("{} {component} {stream} | {text}\n", utc(at / 1_000))
}

/// Says that lines are missing here: of the component that is followed, and of nobody when that is all of them.
fn gap(at: u64, component: Option<&ComponentName>, missed: u64) -> String {
    let text = format!("{missed} lines are left out here: they came faster than they were read");
    line_of(at, component.map_or("-", ComponentName::as_str), Stream::Agent, &text)
}

/// `/logs` with `follow`: the last lines, and each new one, until the client goes.
pub(super) async fn follow(logs: &Logs, query: LogQuery, reply: HttpReply) {
    let component = query.component;
    let Ok(mut follower) = logs.follow(component.clone(), query.tail as usize, query.since) else {
        reply.send(503, TEXT, b"too many follow already\n".to_vec());
        return;
    };
    let stream = reply.stream(TEXT);
    let told = async {
        while let Some(followed) = follower.next().await {
            if !tell(&stream, component.as_ref(), followed).await {
                return;
            }
        }
    };
    told.or(stream.gone()).await;
}

/// In pieces, because a megabyte may be there at once; `false` when the client has gone.
async fn tell(stream: &HttpStream, component: Option<&ComponentName>, followed: Followed) -> bool {
    let Followed { lines, missed } = followed;
    let gap = lines.last().filter(|_| missed > 0).map(|last| gap(last.at, component, missed));
    let mut piece = String::new();
    for line in lines.iter().map(line).chain(gap) {
        piece.push_str(&line);
        if piece.len() >= PIECE_BYTES && !stream.send(mem::take(&mut piece).into_bytes()).await {
            return false;
        }
    }
    stream.send(piece.into_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_of_the_component_that_is_followed() {
        let hello = "hello".parse().unwrap();
        assert!(gap(0, Some(&hello), 3).starts_with("1970-01-01T00:00:00Z hello agent | 3 lines are left out here"));
        assert!(gap(0, None, 3).starts_with("1970-01-01T00:00:00Z - agent | 3 lines are left out here"));
    }
}
