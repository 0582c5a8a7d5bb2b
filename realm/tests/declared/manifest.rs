//! Manifests as the tests write them, and the verbs that read them.

use crate::shell::Shell;
use crate::support::{documented, guest_path};
use serde_json::Value;
use std::path::PathBuf;

/// `[components.NAME]` with a guest as its source, and further lines.
pub(crate) fn component(name: &str, guest: &str, more: &str) -> String {
    let source = guest_path(guest).canonicalize().unwrap();
    format!("[components.{name}]\nsource = \"{}\"\n{more}\n", source.display())
}

impl Shell {
    /// Where the operator keeps the manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.home.path().join("realm.toml")
    }

    /// Writes it: what it changes, it changes on all nodes at once.
    pub(crate) fn declare(&self, components: &[String]) {
        std::fs::write(self.manifest(), format!("rollout.max_parallel = 9\n{}", components.concat())).unwrap();
    }

    /// A verb with the manifest, and further words: exit code, stdout, stderr.
    pub(crate) fn with_manifest(&self, verb: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let file = self.manifest();
        self.realm(&[&[verb, "--file", file.to_str().unwrap()], more].concat())
    }

    /// Applies it without a question.
    pub(crate) fn apply(&self, more: &[&str]) -> (Option<i32>, String, String) {
        self.with_manifest("apply", &[&["--yes", "--timeout", "50s"], more].concat())
    }

    /// Applies components, which has to end well. Gives what was said.
    #[track_caller]
    pub(crate) fn applied(&self, components: &[String]) -> String {
        self.declare(components);
        let (code, out, err) = self.apply(&[]);
        assert_eq!(code, Some(0), "{out}{err}");
        format!("{out}{err}")
    }

    /// What a verb prints with `--json`, whatever its exit code.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        documented(&self.realm(&[words, &["--json"]].concat()).1)
    }
}
