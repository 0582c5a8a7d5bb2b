//! What the HTTP edge serves: one node as JSON, its figures for Prometheus, its logs as text.

use crate::control::http::metrics::{ComponentMetrics, Metrics};
use crate::control::logs::LogEntry;
use crate::control::node::Node;
use serde_json::{Value, json};
use shared::time::utc;
use shared::{ComponentReport, Phase, Stream, platform};
use std::collections::BTreeMap;

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
    let line = |entry: &LogEntry| {
        let stream = match entry.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Agent => "agent",
        };
        format!("{} {} {stream} | {}\n", utc(entry.at / 1_000), entry.component, entry.text)
    };
    entries.iter().map(line).collect::<String>().into_bytes()
}
