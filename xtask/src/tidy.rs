//! `cargo xtask tidy`: the rules of the house as tests.
//! A rule that is only written down is kept for a month; each of these has good and bad inputs of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use argh::FromArgs;

use crate::Failure;
use crate::workspace;

mod arrows;
mod budget;
mod map;
mod paths;
mod places;
mod source;

use map::Tree;
use source::Source;

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// Check the rules of the house: budgets, purity, arrows, the map.
#[derive(FromArgs)]
#[argh(subcommand, name = "tidy")]
pub(crate) struct Args {}

/// A place that breaks a rule.
struct Finding {
    path: String,
    /// From 1.
    line: usize,
    message: String,
    /// Told, but no failure.
    warning: bool,
}

impl Finding {
    fn new(source: &Source, line: usize, message: String) -> Self {
        Self { path: source.path.clone(), line, message, warning: false }
    }
}

/// Looks at every file and prints what it found.
pub(crate) fn run(_args: &Args) -> Result<(), Failure> {
    let root = workspace::root()?;
    let mut files = BTreeSet::new();
    walk(&root, "", &mut files)?;
    let mut findings = Vec::new();
    let mut protocols = BTreeSet::new();
    let mut crates = BTreeSet::new();
    let here = format!("{}/", root.display());
    for path in &files {
        let bytes = fs::read(root.join(path)).map_err(|error| format!("`{path}`: {error}"))?;
        // The rule itself has to name such places.
        if let Some(place) = private_place_outside_of_the_rule(path, &bytes, &here) {
            findings.push(Finding { path: path.clone(), line: 1, message: format!("names `{place}`"), warning: false });
        }
        let text = String::from_utf8_lossy(&bytes);
        if path.ends_with(".rs") {
            let source = Source::new(path, &text);
            findings.extend(budget::check(&source));
            findings.extend(arrows::check(&source));
            if source.is_in("shared/src/protocol") {
                protocols.extend(map::protocol_names(&text).map(str::to_owned));
            }
        }
        if path.ends_with("Cargo.toml") && !path.starts_with("guests/") {
            crates.extend(names(&text));
        }
    }
    let tree = tree(&files, crates, protocols);
    // Without a map, everything is missing on it.
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    findings.extend(map::check(&map, &tree));
    if tree.protocols.is_empty() {
        return Err("no protocol name found in shared/src/protocol*: has it moved?".to_owned());
    }
    report(&findings, files.len())
}

fn report(findings: &[Finding], files: usize) -> Result<(), Failure> {
    for finding in findings {
        let kind = if finding.warning { "warning" } else { "error" };
        println!("{}:{}: {kind}: {}", finding.path, finding.line, finding.message);
    }
    let errors = findings.iter().filter(|finding| !finding.warning).count();
    if errors > 0 {
        return Err(format!("tidy: {errors} findings in {files} files"));
    }
    println!("tidy: {files} files, {} warnings", findings.len());
    Ok(())
}

fn private_place_outside_of_the_rule<'a>(path: &str, bytes: &[u8], here: &'a str) -> Option<&'a str> {
    if path == "xtask/src/tidy/places.rs" { None } else { places::private_place(bytes, here) }
}

fn tree(files: &BTreeSet<String>, crates: BTreeSet<String>, protocols: BTreeSet<String>) -> Tree {
    let mut paths = files.clone();
    for file in files {
        let folders = file.match_indices('/').map(|(at, _)| file[..at].to_owned());
        paths.extend(folders);
    }
    let tops = files.iter().filter_map(|file| file.split_once('/')).map(|(top, _)| top.to_owned());
    let folders = tops.filter(|top| !top.starts_with('.')).collect();
    Tree { paths, folders, crates, protocols }
}

/// The values of `name = "…"` lines: of the package and of its programs.
fn names(manifest: &str) -> impl Iterator<Item = String> {
    let values = manifest.lines().filter_map(|line| line.strip_prefix("name = \""));
    values.filter_map(|value| value.split('"').next()).map(str::to_owned)
}

fn walk(root: &Path, below: &str, files: &mut BTreeSet<String>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("cannot read `{below}`: {error}");
    for entry in fs::read_dir(root.join(below)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        match entry.file_type().map_err(failed)? {
            kind if kind.is_dir() && !SKIPPED.contains(&name.as_str()) => walk(root, &path, files)?,
            kind if kind.is_file() => drop(files.insert(path)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_package_and_programs_are_read() {
        let manifest = "[package]\nname = \"agent\"\n[[bin]]\nname = \"realm-agent\"\n[dependencies]\nx = \"1\"\n";
        assert_eq!(names(manifest).collect::<Vec<_>>(), ["agent", "realm-agent"]);
    }

    #[test]
    fn errors_fail_and_warnings_do_not() {
        let finding = |warning| Finding { path: "x".to_owned(), line: 1, message: "m".to_owned(), warning };
        assert!(report(&[finding(true)], 1).is_ok());
        assert!(report(&[finding(true), finding(false)], 1).is_err());
    }

    #[test]
    fn the_tree_knows_folders() {
        let files = ["agent/src/x.rs", "README.md", ".ci/run"].map(str::to_owned).into();
        let tree = tree(&files, BTreeSet::new(), BTreeSet::new());
        assert!(tree.paths.contains("agent/src"));
        assert_eq!(tree.folders.into_iter().collect::<Vec<_>>(), ["agent"]);
    }
}
