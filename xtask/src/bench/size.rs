//! How large the programs are, and of how many crates the agent is made.

use std::collections::BTreeMap;
use std::fs;

use super::{Figures, verdict};
use crate::Failure;
use crate::command::{self, cargo};
use crate::workspace::Programs;

/// Of the stripped agent, in MB.
const TARGET_MB: f64 = 22.0;
/// In the agent's tree.
const TARGET_CRATES: usize = 345;

/// Asks the file system and Cargo.
pub(super) fn measure(programs: &Programs) -> Result<Figures, Failure> {
    let bytes = |program: &std::path::Path| {
        let found = fs::metadata(program).map_err(|error| format!("`{}`: {error}", program.display()));
        found.map(|found| found.len() as f64 / 1e6)
    };
    let (agent, realm) = (bytes(&programs.agent)?, bytes(&programs.realm)?);
    let crates =
        Crates::of(&command::output(cargo().args(["tree", "-p", "agent", "-e", "normal", "--prefix", "none"]))?);
    let (count, twice) = (crates.count(), crates.duplicates());
    let mut text = format!("\n{:32} {:>9}\n", "programs, stripped", "MB");
    text.push_str(&format!(
        "{:32} {agent:>9.2}   target {TARGET_MB:.0}, {}\n",
        "realm-agent",
        verdict(agent <= TARGET_MB)
    ));
    text.push_str(&format!("{:32} {realm:>9.2}\n", "realm"));
    let met = verdict(count <= TARGET_CRATES);
    text.push_str(&format!("{:32} {count:>9}   target {TARGET_CRATES}, {met}\n", "crates in the agent's tree"));
    text.push_str(&format!("{:32} {:>9}   {}\n", "in more than one version", twice.len(), twice.join(", ")));
    let json = format!(
        "\"size\":{{\"agent_mb\":{agent:.3},\"realm_mb\":{realm:.3},\"crates\":{count},\"duplicates\":{}}}",
        twice.len()
    );
    Ok(Figures { text, json })
}

/// Versions by name.
struct Crates(BTreeMap<String, Vec<String>>);

impl Crates {
    /// Of what `cargo tree --prefix none` prints: `NAME vVERSION …` in each line, some of them more than once.
    fn of(tree: &str) -> Crates {
        let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in tree.lines() {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(version)) = (words.next(), words.next()) {
                let versions = crates.entry(name.to_owned()).or_default();
                if !versions.iter().any(|known| known == version) {
                    versions.push(version.to_owned());
                }
            }
        }
        Crates(crates)
    }

    fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn duplicates(&self) -> Vec<String> {
        let twice = self.0.iter().filter(|(_, versions)| versions.len() > 1);
        twice.map(|(name, versions)| format!("{name} {}", versions.join(" "))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_counted_once_for_each_version() {
        let crates =
            Crates::of("agent v0.1.0 (/x)\na v1.0.0\nb v0.1.2 (*)\nb v0.2.0\n\na v1.0.0 (*)\nc v1.0.0 (proc-macro)");
        assert_eq!(crates.count(), 5);
        assert_eq!(crates.duplicates(), ["b v0.1.2 v0.2.0"]);
    }
}
