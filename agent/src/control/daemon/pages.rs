//! What the HTTP edge serves: one node as JSON, its figures for Prometheus, its logs as text.

use crate::control::http::metrics::{ComponentMetrics, Metrics};
use crate::control::http::{HttpReply, HttpStream, TEXT};
use crate::control::logs::{Followed, LogEntry, Logs};
use crate::control::node::Node;
use serde_json::{Value, json};
use shared::time::utc;
use shared::{ComponentReport, LogQuery, Phase, Stream, platform};
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
        "restarts": report.restarts,
        "last_outcome": report.last_outcome.as_ref().map(ToString::to_string),
        "reason": report.reason,
        "intent": report.intent.to_string(),
    })
}

/// `/metrics`.
pub(super) fn metrics(node: &Node, output_dropped_bytes: u64) -> Vec<u8> {
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
        reports_refused: figures.reports_refused,
        output_dropped_bytes,
    };
    metrics.encode().into_bytes()
}

/// `/logs`: `TIME COMPONENT STREAM | text`, oldest first.
pub(super) fn logs(entries: &[LogEntry]) -> Vec<u8> {
    entries.iter().map(line).collect::<String>().into_bytes()
}

fn line(entry: &LogEntry) -> String {
    let stream = match entry.stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::Agent => "agent",
    };
    format!("{} {} {stream} | {}\n", utc(entry.at / 1_000), entry.component, entry.text)
}

/// `/logs` with `follow`: the last lines, and each new one, until the client goes.
pub(super) async fn follow(logs: &Logs, query: LogQuery, reply: HttpReply) {
    let Ok(mut follower) = logs.follow(query.component, query.tail as usize, query.since) else {
        reply.send(503, TEXT, b"too many follow already\n".to_vec());
        return;
    };
    let stream = reply.stream(TEXT);
    let told = async {
        while let Some(followed) = follower.next().await {
            if !tell(&stream, followed).await {
                return;
            }
        }
    };
    told.or(stream.gone()).await;
}

/// In pieces, because a megabyte may be there at once; `false` when the client has gone.
async fn tell(stream: &HttpStream, Followed { lines, missed }: Followed) -> bool {
    let gap = lines.last().filter(|_| missed > 0).map(|last| {
        let text = format!("{missed} lines are left out here: they came faster than they were read");
        LogEntry { stream: Stream::Agent, text, ..last.clone() }
    });
    let mut piece = String::new();
    for entry in lines.iter().chain(&gap) {
        piece.push_str(&line(entry));
        if piece.len() >= PIECE_BYTES && !stream.send(mem::take(&mut piece).into_bytes()).await {
            return false;
        }
    }
    stream.send(piece.into_bytes()).await
}
