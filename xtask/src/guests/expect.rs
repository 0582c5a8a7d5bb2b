//! Runs every guest on a real agent and insists on the outcome that it was written for.
//! What can be said of the committed components on a machine that cannot rebuild them.

use std::path::Path;

use crate::Failure;
use crate::cluster::Cluster;
use crate::command::Echo;
use crate::workspace::{self, Profile};

/// A push of one guest, and what has to come of it.
struct Expected {
    guest: &'static str,
    /// Further words of the push.
    words: &'static [&'static str],
    /// Exit code of the push.
    code: i32,
    /// What `last_outcome` begins with in `status --json`; empty for one that goes on running.
    outcome: &'static str,
}

const fn expected(guest: &'static str, words: &'static [&'static str], code: i32, outcome: &'static str) -> Expected {
    Expected { guest, words, code, outcome }
}

const EXPECTED: [Expected; 13] = [
    expected("hello", &["--arg", "a", "--env", "B=c"], 0, "completed"),
    expected("hello-c", &["--arg", "a"], 0, "completed"),
    expected("print", &["--arg", "100"], 0, "completed"),
    expected("finish", &[], 0, "completed"),
    expected("exit-code", &[], 3, "exit 3"),
    expected("exit-code", &["--arg", "7"], 3, "exit 7"),
    expected("crash", &[], 3, "trap: "),
    expected("grow", &["--arg", "try", "--memory-max-mb", "8"], 0, "completed"),
    expected("grow", &["--memory-max-mb", "8"], 3, "out of memory"),
    expected("spin", &["--fuel", "1000000"], 3, "out of fuel"),
    expected("spin", &["--deadline-ms", "300"], 3, "deadline exceeded"),
    expected("sleep", &["--deadline-ms", "300"], 3, "deadline exceeded"),
    expected("ticker", &[], 0, ""),
];

/// Starts one agent, pushes every guest of `folder` to it, and stops it.
pub(super) fn run(folder: &Path) -> Result<(), Failure> {
    let programs = workspace::build(Profile::Dev)?;
    let mut cluster = Cluster::new(programs)?;
    let owner = cluster.init(Echo::Quiet)?;
    cluster.add(&owner, Echo::Quiet)?;
    let mut failures = Vec::new();
    for (index, wanted) in EXPECTED.iter().enumerate() {
        match push(&cluster, folder, &format!("guest-{index}"), wanted) {
            Ok(()) => println!("ok      {} {}", wanted.guest, wanted.words.join(" ")),
            Err(failure) => {
                println!("FAILED  {} {}", wanted.guest, wanted.words.join(" "));
                failures.push(failure);
            }
        }
    }
    if !failures.is_empty() {
        return Err(failures.join("\n"));
    }
    cluster.stop()?;
    println!("ran the components of `{}` on an agent: each ended as it should", folder.display());
    Ok(())
}

fn push(cluster: &Cluster, folder: &Path, name: &str, wanted: &Expected) -> Result<(), Failure> {
    let file = folder.join(format!("{}.wasm", wanted.guest));
    let file = file.to_string_lossy();
    let mut words = vec!["push", "--name", name, "--file", &*file, "--tag", "dev", "--restart", "never"];
    words.extend(wanted.words);
    cluster.expect(&words, wanted.code, Echo::Quiet)?;
    let status = cluster.status_json()?;
    let of_this = component(&status, name).ok_or_else(|| format!("`{name}` is not in the status:\n{status}"))?;
    let fits = match wanted.outcome {
        "" => of_this.contains("\"phase\":\"running\""),
        outcome => of_this.contains(&format!("\"last_outcome\":\"{outcome}")),
    };
    if fits { Ok(()) } else { Err(format!("{} {:?} is reported as {of_this}", wanted.guest, wanted.words)) }
}

/// The JSON object of one component, as text: from its name to the end of the object.
fn component<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let from = status.find(&format!("\"name\":\"{name}\""))?;
    let object = &status[from..];
    // A brace may stand in the words of a trap, but not before the name of the next one.
    let end = object[1..].find("\"name\":").map_or(object.len(), |at| at + 1);
    Some(&object[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_one_component_among_others() {
        let status = r#"{"components":[{"name":"a","last_outcome":"exit 1"},{"name":"ab","phase":"running"}]}"#;
        assert!(component(status, "a").unwrap().contains("exit 1"));
        assert!(!component(status, "a").unwrap().contains("running"));
        assert!(component(status, "ab").unwrap().contains("running"));
        assert!(component(status, "b").is_none());
    }

    #[test]
    fn every_guest_is_expected_to_do_something() {
        let folder = workspace::root().unwrap().join("guests");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let built = names.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
        for guest in built.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()) {
            assert!(EXPECTED.iter().any(|expected| expected.guest == guest), "`{guest}` is missing");
        }
    }
}
