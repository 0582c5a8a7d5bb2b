//! What differs between two declarations of one name, in the words of the manifest.

use serde::Serialize;
use shared::{ComponentSpec, Declaration, Restart, Takeover};
use std::collections::BTreeMap;
use std::fmt::Display;

/// One key that has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key, as in the manifest; `digest` is that of the bytes.
    pub key: String,
    /// Its value before; none where it was left out.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
}

/// All keys of a component with their values.
type Values = BTreeMap<(usize, String), String>;

/// What differs, in the order of the manifest's keys.
#[must_use]
pub fn changes(before: &Declaration, next: &Declaration) -> Vec<Change> {
    let (before, next) = (values(before), values(next));
    let keys: std::collections::BTreeSet<_> = before.keys().chain(next.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(key) != next.get(key));
    changed
        .map(|key| Change { key: key.1.clone(), before: before.get(key).cloned(), after: next.get(key).cloned() })
        .collect()
}

fn values(declared: &Declaration) -> Values {
    let ComponentSpec { name: _, artifact, limits, replicas, restart, start, args, env, isolation } = &*declared.spec;
    let mut values = Values::new();
    let mut place = 0;
    let mut add = |key: &str, value: Option<String>| {
        place += 1;
        values.extend(value.map(|value| ((place, key.to_owned()), value)));
    };
    fn number(limit: Option<impl Display>) -> Option<String> {
        limit.map(|limit| limit.to_string())
    }
    fn list(items: &[impl Display]) -> Option<String> {
        let items: Vec<String> = items.iter().map(ToString::to_string).collect();
        (!items.is_empty()).then(|| format!("{items:?}"))
    }
    add("digest", Some(artifact.digest.hex()));
    add("replicas", Some(replicas.to_string()));
    add("memory_max_mb", number(limits.memory_max_mb));
    add("fuel", number(limits.fuel));
    add("epoch_ms", Some(limits.epoch_ms.to_string()));
    add("deadline_ms", number(limits.deadline_ms));
    add("log_max_kb", Some(limits.log_max_kb.to_string()));
    add("tags", list(&declared.audience.tags));
    add("peers", list(&declared.audience.peers));
    add("start", Some(start.to_string()));
    let restart = match restart {
        Restart::Never => "never",
        Restart::OnFailure => "on-failure",
        Restart::Always => "always",
    };
    add("restart", Some(restart.into()));
    add("args", list(args));
    add("isolation", Some(isolation.word().into()));
    let strategy = match declared.strategy {
        Takeover::StartFirst => "start-first",
        Takeover::StopFirst => "stop-first",
    };
    add("strategy", Some(strategy.into()));
    let behind = place + 1;
    values.extend(env.iter().map(|(name, value)| ((behind, format!("env.{name}")), value.clone())));
    values
}
