//! The operator's file, `realm.toml`: what should run, where, and how. Read with every fault at once, and written
//! again for `realm export`. `docs/manifest.md` has every key.
//!
//! [`read`] opens a file, [`parse`] takes its text; both give a [`Reading`]. Whoever finds a fault afterwards, such as a
//! file that is missing, reports it as a [`Fault`] at one of the component's [`Places`], so that it looks like the
//! others. Nothing here fetches, hashes, or talks to anybody.

mod component;
mod fault;
mod keys;
mod reader;
mod rollout;
mod source;
mod syntax;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub use fault::{Fault, Faults, MAX_SHOWN_FAULTS, Place};
pub use source::{MAX_SOURCE_BYTES, Source, shown};

use crate::exit::Failure;
use shared::{Audience, ComponentName, Digest, Isolation, Limits, Replicas, Restart, Rollout, Takeover};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest file that is read. A component with every key has a few hundred bytes, so that a thousand of them have
/// room; what is larger is not a file that a person keeps.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// What an operator wants to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// What the operator says about it; empty when nothing was said.
    pub note: String,
    /// How it is to spread.
    pub rollout: Rollout,
    /// The components, in the order of the file. No name is there twice.
    pub components: Vec<Component>,
}

/// One component of a manifest, with `[defaults]` applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name, one per realm.
    pub name: ComponentName,
    /// Where its bytes are.
    pub source: Source,
    /// The digest that the bytes must have; whoever has the bytes compares.
    pub sha256: Option<Digest>,
    /// Limits of each instance.
    pub limits: Limits,
    /// Instances on each matching node.
    pub replicas: Replicas,
    /// What follows a run that has ended.
    pub restart: Restart,
    /// Whether to start it; otherwise it is left `staged`.
    pub start: bool,
    /// Arguments after the component's name.
    pub args: Vec<String>,
    /// Environment variables, in the order of the file. Together with `args` they passed [`shared::check_inputs`].
    pub env: Vec<(String, String)>,
    /// The nodes that it is for; without a platform.
    pub audience: Audience,
    /// Who shares a process with it on a node.
    pub isolation: Isolation,
    /// How one version gives way to the next.
    pub strategy: Takeover,
    /// Where in the file it is.
    pub places: Places,
}

/// Where a component stands in its file; all zero when it is from no file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// Its name.
    pub name: Place,
    /// The value of `source`.
    pub source: Place,
    /// The value of `sha256`; the name's place when there is none.
    pub sha256: Place,
}

/// What a file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What it says.
    pub manifest: Manifest,
    /// Keys that have another name by now, to be said as warnings.
    pub deprecated: Faults,
}

/// Reads the file `file`, which begins at `cwd` when it is relative. Sources that are relative begin at its folder.
///
/// # Errors
/// When it cannot be read, is too large, or has faults: those all at once, as [`parse`] gives them.
pub fn read(file: &Path, cwd: &Path) -> Result<Reading, Failure> {
    let path = cwd.join(file);
    let shown = crate::output::clean(&file.display().to_string());
    let unread = |error: std::io::Error| Failure::new(format!("cannot read `{shown}`: {error}"));
    let mut bytes = Vec::new();
    let opened = File::open(&path).map_err(|error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let failure = unread(error);
        if is_missing { failure.hint("`--file` names the manifest, a TOML file") } else { failure }
    })?;
    opened.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Failure::new(format!("`{shown}` has more than {MAX_FILE_BYTES} bytes, which is the most"))
            .hint("what many components have in common has room in `[defaults]`; is it a manifest at all?"));
    }
    let dir = path.parent().unwrap_or(cwd);
    let text = fault::utf8(file, &bytes);
    text.and_then(|text| parse(text, file, dir)).map_err(|faults| faults.failure())
}

/// Reads the text of a manifest. `file` is what faults name; relative sources begin at `dir`.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn parse(text: &str, file: &Path, dir: &Path) -> Result<Reading, Faults> {
    reader::parse(text, file, dir)
}

impl Manifest {
    /// The text of a file that reads as this manifest, but for its places: components in their order, keys in that of
    /// `docs/manifest.md`, what is the default left out. Paths below `dir` are written relative to it.
    ///
    /// Of two variables with the same name, which a push can have and a file cannot, the first is written.
    #[must_use]
    pub fn to_toml(&self, dir: &Path) -> String {
        write::manifest(self, dir)
    }
}
