//! A manifest as text that reads as the same one.

use super::{Component, Manifest};
use shared::{Isolation, Limits, Replicas, Restart, Rollout, Takeover};
use std::fmt::Display;
use std::path::Path;

pub(super) fn manifest(manifest: &Manifest, dir: &Path) -> String {
    let mut text = String::new();
    if !manifest.note.is_empty() {
        line(&mut text, "note", string(&manifest.note));
    }
    if manifest.rollout != Rollout::default() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("[rollout]\n");
        write_rollout(&mut text, &manifest.rollout);
    }
    for component in &manifest.components {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("[components.{}]\n", key(component.name.as_str())));
        write_component(&mut text, component, dir);
    }
    text
}

/// Those that have their default are left out.
fn write_rollout(text: &mut String, rollout: &Rollout) {
    let built_in = Rollout::default();
    some(text, "max_parallel", rollout.max_parallel);
    some(text, "min_healthy_s", (rollout.min_healthy_s != built_in.min_healthy_s).then_some(rollout.min_healthy_s));
    some(text, "max_failures", (rollout.max_failures != built_in.max_failures).then_some(rollout.max_failures));
    some(text, "auto_rollback", rollout.auto_rollback.then_some(true));
}

/// The keys of a component, those left out that have their built-in default.
fn write_component(text: &mut String, component: &Component, dir: &Path) {
    let Component { limits, audience, .. } = component;
    let built_in = Limits::default();
    line(text, "source", string(&component.source.to_text(dir)));
    some(text, "sha256", component.sha256.map(|digest| string(&digest.hex())));
    some(text, "replicas", (component.replicas != Replicas::default()).then_some(component.replicas));
    some(text, "memory_max_mb", limits.memory_max_mb);
    some(text, "fuel", limits.fuel);
    some(text, "epoch_ms", (limits.epoch_ms != built_in.epoch_ms).then_some(limits.epoch_ms));
    some(text, "deadline_ms", limits.deadline_ms);
    some(text, "log_max_kb", (limits.log_max_kb != built_in.log_max_kb).then_some(limits.log_max_kb));
    some(text, "tags", array(&audience.tags));
    some(text, "peers", array(&audience.peers));
    some(text, "start", (!component.start).then_some(false));
    let restart = match component.restart {
        Restart::Never => "never",
        Restart::OnFailure => "on-failure",
        Restart::Always => "always",
    };
    some(text, "restart", (component.restart != Restart::default()).then(|| string(restart)));
    some(text, "args", array(&component.args));
    some(text, "env", env(&component.env));
    let isolation = component.isolation;
    some(text, "isolation", (isolation != Isolation::default()).then(|| string(isolation.word())));
    let strategy = match component.strategy {
        Takeover::StartFirst => "start-first",
        Takeover::StopFirst => "stop-first",
    };
    some(text, "strategy", (component.strategy != Takeover::default()).then(|| string(strategy)));
}

fn line(text: &mut String, key: &str, value: impl Display) {
    text.push_str(&format!("{key} = {value}\n"));
}

fn some(text: &mut String, key: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        line(text, key, value);
    }
}

fn array<T: ToString>(items: &[T]) -> Option<String> {
    let items: Vec<String> = items.iter().map(|item| string(&item.to_string())).collect();
    (!items.is_empty()).then(|| format!("[{}]", items.join(", ")))
}

fn env(env: &[(String, String)]) -> Option<String> {
    let mut names = std::collections::BTreeSet::new();
    let first = env.iter().filter(|(name, _)| names.insert(name.as_str()));
    let pairs: Vec<String> = first.map(|(name, value)| format!("{} = {}", key(name), string(value))).collect();
    (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
}

/// A key, in quotes unless it can be bare.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { string(name) }
}

/// A basic string of TOML, on one line. What a terminal or a review would not show as it is, is written as its number.
fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
