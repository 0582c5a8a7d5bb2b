//! What `/metrics` says is what Prometheus reads, and what the dashboard and the manual speak of is there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

use agent::control::http::metrics::{ComponentMetrics, Metrics};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Everything that can have a series has one.
fn full() -> String {
    let component =
        ComponentMetrics { outcomes: [("completed", 1), ("exit", 2)].into(), ..ComponentMetrics::default() };
    let metrics = Metrics {
        version: "0.1.0".into(),
        platform: "linux/x86_64".into(),
        component: [("hello".parse().unwrap(), component)].into(),
        intents_refused: [("bad-signature".into(), 1)].into(),
        ..Metrics::default()
    };
    metrics.encode()
}

fn skipped(why: &str) {
    let line = format!("SKIPPED: promtool: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(path) = std::env::var_os("REALM_SKIPPED") {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
    }
}

#[test]
fn promtool_finds_no_fault() {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = match promtool.spawn() {
        Ok(promtool) => promtool,
        Err(error) => return skipped(&format!("cannot be started: {error}")),
    };
    promtool.stdin.take().unwrap().write_all(full().as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && text.is_empty(), "{text}");
}

/// Words that look like names of metrics.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("realm_")).map(str::to_owned).collect()
}

#[test]
fn what_is_spoken_of_is_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let there = names(&full());
    for file in ["operations.md", "grafana/realm.json"] {
        let spoken_of = names(&fs::read_to_string(docs.join(file)).unwrap());
        assert!(spoken_of.len() >= 8, "{file} speaks of {spoken_of:?}");
        let missing: Vec<_> = spoken_of.difference(&there).collect();
        assert!(missing.is_empty(), "{file}: {missing:?} are not in /metrics");
    }
}
