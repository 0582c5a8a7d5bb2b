//! Which part may know which: purity of the protocol and of the node core, and the direction of imports.
//! The same sentences as in ARCHITECTURE.md, as code; each rule names what it forbids and where.

use super::Finding;
use super::paths::{Named, module_of, paths};
use super::source::Source;

/// What a pure part must not name: it is handed events and the time, and gives back effects.
const IMPURE: [&str; 12] = [
    "std::fs",
    "std::net",
    "std::os",
    "std::thread",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "smol",
    "libp2p",
    "tokio",
    "futures",
];

/// Constants of the build, below one of these.
const CONSTANTS: &str = "std::env::consts::";

/// Words that are impure wherever they come from: `use std::time` would hide the rest of the path.
const IMPURE_WORDS: [&str; 4] = ["async", "await", "Instant", "SystemTime"];

/// Pure folders, and what in them is not.
const PURE: [(&str, &[&str]); 2] =
    [("shared/src/", &["shared/src/mesh", "shared/src/files"]), ("agent/src/control/node", &[])];

/// Crates (by the beginning of their names) that only some files may name.
const CONFINED: [(&str, &[&str]); 5] = [
    ("libp2p", &["shared/src/mesh", "shared/tests/"]),
    ("wasmtime", &["agent/src/runner", "agent/benches/instantiate.rs", "agent/tests/"]),
    ("tiny_http", &["agent/src/control/http", "agent/tests/"]),
    ("ureq", &["realm/src/download"]),
    ("rustls", &["realm/src/download", "realm/tests/"]),
];

/// Modules side by side that do not know each other.
struct Siblings {
    /// The module that they are in.
    parent: &'static [&'static str],
    /// The ones that know all of the others.
    hubs: &'static [&'static str],
    /// The ones that all of the others may know: types without behaviour.
    common: &'static [&'static str],
}

const SIBLINGS: [Siblings; 2] = [
    // Each is a process of its own. They speak `ipc`; `args` is what was typed; the others are what two of them need.
    Siblings {
        parent: &["agent"],
        hubs: &[],
        common: &["args", "children", "descriptors", "ipc", "lock", "machine", "signals"],
    },
    // `node` is the policy, the others are edges; `daemon` is the one place that knows both. `disk`, `timeout`: what they share.
    Siblings { parent: &["agent", "control"], hubs: &["daemon"], common: &["disk", "timeout"] },
];

/// Crates of the workspace: `xtask` names none of them.
const WORKSPACE_CRATES: [&str; 3] = ["shared", "agent", "realm"];

/// All rules about one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let named = paths(source);
    let mut findings = purity(source, &named);
    findings.extend(confinement(source, &named));
    findings.extend(siblings(source, &named));
    findings.extend(independence(source, &named));
    findings
}

fn purity(source: &Source, named: &[Named]) -> Vec<Finding> {
    let pure = PURE.iter().any(|(folder, but)| source.is_in(folder) && !but.iter().any(|part| source.is_in(part)));
    if !pure || source.is_test() {
        return Vec::new();
    }
    let impure = |path: &&Named| {
        (IMPURE.iter().any(|prefix| path.reaches(prefix)) && !path.text().starts_with(CONSTANTS))
            || path.segments.iter().any(|word| IMPURE_WORDS.contains(&word.as_str()))
    };
    let message = |path: &Named| format!("`{}` in a part that is pure", path.text());
    named.iter().filter(impure).map(|path| Finding::new(source, path.line, message(path))).collect()
}

fn confinement(source: &Source, named: &[Named]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, places) in CONFINED {
        if places.iter().any(|place| source.is_in(place)) {
            continue;
        }
        let prefixed = format!("{name}_");
        let names = |path: &&Named| path.segments[0] == name || path.segments[0].starts_with(&prefixed);
        for path in named.iter().filter(names).filter(|path| path.segments.len() > 1 || path.segments[0] == name) {
            let message = format!("`{}`: only {} may name `{name}`", path.text(), places[0]);
            findings.push(Finding::new(source, path.line, message));
        }
    }
    findings
}

fn siblings(source: &Source, named: &[Named]) -> Vec<Finding> {
    let (crate_name, module) = module_of(&source.path);
    if !source.path.contains("/src/") {
        return Vec::new();
    }
    let own: Vec<&str> = std::iter::once(crate_name.as_str()).chain(module.iter().map(String::as_str)).collect();
    let mut findings = Vec::new();
    for rule in &SIBLINGS {
        let depth = rule.parent.len();
        // The parent's own file, and what lies elsewhere, is not asked.
        let Some(unit) = own.get(depth).filter(|_| own.starts_with(rule.parent)) else { continue };
        if rule.hubs.contains(unit) {
            continue;
        }
        let parent = rule.parent.join("::");
        for path in named.iter().filter(|path| path.reaches(&parent) && path.segments.len() > depth) {
            let other = path.segments[depth].as_str();
            if other != *unit && !rule.common.contains(&other) {
                let message = format!("`{}`: `{parent}::{unit}` must not know `{parent}::{other}`", path.text());
                findings.push(Finding::new(source, path.line, message));
            }
        }
    }
    findings
}

fn independence(source: &Source, named: &[Named]) -> Vec<Finding> {
    if !source.is_in("xtask/") {
        return Vec::new();
    }
    let foreign = |path: &&Named| path.segments.len() > 1 && WORKSPACE_CRATES.contains(&path.segments[0].as_str());
    let message = |path: &Named| format!("`{}`: xtask imports no crate of the workspace", path.text());
    named.iter().filter(foreign).map(|path| Finding::new(source, path.line, message(path))).collect()
}

#[cfg(test)]
mod tests;
