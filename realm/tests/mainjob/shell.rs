//! An operator's command line: `realm` as a process, with files of its own and none of this machine's variables.

use crate::child::{Place, run};
use crate::support::{Agent, documented, guest_path};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

/// An operator with a key, and a realm of theirs.
pub(crate) fn realm(flags: &[&[&str]]) -> (Shell, Vec<Agent>) {
    let shell = Shell::new();
    shell.good(&["init"]);
    let text = std::fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
    let agents = Agent::realm(&shared::OwnerKey::from_secret_text(&text).unwrap(), flags);
    (shell.to(&agents), agents)
}

/// An operator at a terminal of their own: files in one directory, nodes given by `--via`.
pub(crate) struct Shell {
    place: Place,
    pub(crate) home: TempDir,
    pub(crate) via: String,
}

impl Shell {
    pub(crate) fn new() -> Shell {
        Shell::at(&Place::default())
    }

    /// The terminal of another host.
    pub(crate) fn at(place: &Place) -> Shell {
        Shell { place: place.clone(), home: TempDir::new().unwrap(), via: String::new() }
    }

    pub(crate) fn to(mut self, agents: &[Agent]) -> Shell {
        self.via = agents.iter().map(Agent::addr).collect::<Vec<_>>().join(",");
        self
    }

    /// `realm` with these words: exit code, stdout, stderr.
    pub(crate) fn realm(&self, words: &[&str]) -> (Option<i32>, String, String) {
        run(&mut self.command(words))
    }

    /// `realm` with these words, not started yet.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.place.command(env!("CARGO_BIN_EXE_realm"));
        command.env("HOME", self.home.path()).env("REALM_HOME", self.home.path().join("realm"));
        // No agent of this machine may be taken for one of the test.
        command.env("REALM_AGENT_DATA", self.home.path().join("no-agent"));
        if !self.via.is_empty() {
            command.env("REALM_VIA", &self.via);
        }
        command.args(words);
        command
    }

    /// What stdout says, of a command that has to end well.
    pub(crate) fn good(&self, words: &[&str]) -> String {
        let (code, out, err) = self.realm(words);
        assert_eq!(code, Some(0), "{words:?}: {out}{err}");
        out
    }

    /// Pushes a guest under a name.
    pub(crate) fn push(&self, name: &str, guest: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let file = guest_path(guest);
        let words = ["push", "--name", name, "--file", file.to_str().unwrap()];
        let timeout: &[&str] = if more.contains(&"--timeout") { &[] } else { &["--timeout", "50s"] };
        self.realm(&[&words[..], timeout, more].concat())
    }

    pub(crate) fn key(&self) -> String {
        let out = self.good(&["key", "show"]);
        out.split_whitespace().last().unwrap().to_owned()
    }

    pub(crate) fn nodes(&self) -> Vec<Value> {
        let status = documented(&self.good(&["status", "--json"]));
        assert_eq!(status["schema"], 1);
        status["nodes"].as_array().unwrap().clone()
    }
}
