//! From the operator's file to what is signed and sent: every artifact that it names is opened, pinned and checked. All that
//! is wrong is told at once.

use crate::artifact::{self, Component};
use crate::exit::Failure;
use crate::manifest::{self, Fault, Faults, Source, read};
use crate::output::{Terminal, Tone};
use crate::world::Settings;
use shared::{Artifact, ComponentSpec, Manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The manifest that is meant when none is named.
const FILE: &str = "realm.toml";

/// A manifest, and the bytes that it needs.
pub(super) struct Loaded {
    pub(super) manifest: Manifest,
    pub(super) note: String,
    /// Each artifact once.
    pub(super) components: Vec<Component>,
}

/// Reads the file and everything that it names. `auto_rollback`: whatever the file says of that.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn load(
    file: Option<&Path>,
    auto_rollback: bool,
    settings: &Settings,
    terminal: &mut Terminal<'_>,
) -> Result<Loaded, Failure> {
    let file = file.unwrap_or(Path::new(FILE));
    let reading = read(file, &settings.cwd)?;
    for line in reading.deprecated.lines() {
        terminal.say(Tone::Warning, &line);
    }
    let mut artifacts = Artifacts::default();
    let (mut declared, mut faults) = (Vec::new(), Vec::new());
    for component in reading.manifest.components {
        match artifacts.of(&component) {
            Ok(artifact) => declared.push(declaration(component, artifact)),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(Faults::new(file, faults).failure());
    }
    let mut rollout = reading.manifest.rollout;
    rollout.auto_rollback |= auto_rollback;
    let manifest = Manifest::new(rollout, declared).map_err(Failure::new)?;
    Ok(Loaded { manifest, note: reading.manifest.note, components: artifacts.components })
}

fn declaration(
    component: manifest::Component,
    artifact: Artifact,
) -> (ComponentSpec, shared::Audience, shared::Takeover) {
    let manifest::Component {
        name, limits, replicas, restart, start, args, env, isolation, audience, strategy, ..
    } = component;
    (ComponentSpec { name, artifact, limits, replicas, restart, start, args, env, isolation }, audience, strategy)
}

/// Files that were opened.
#[derive(Default)]
struct Artifacts {
    /// Several components can have one file, and hashing takes its time.
    known: BTreeMap<PathBuf, Artifact>,
    pinned: BTreeSet<Artifact>,
    components: Vec<Component>,
}

impl Artifacts {
    fn of(&mut self, component: &manifest::Component) -> Result<Artifact, Fault> {
        let places = &component.places;
        let path = match &component.source {
            Source::Path(path) => path,
            Source::Url(url) => {
                return Err(Fault::new(
                    places.source,
                    format!("`{url}` is not fetched by this version; expected a file"),
                )
                .hint("download it, and name the file"));
            }
        };
        let artifact = match self.known.get(path) {
            Some(artifact) => *artifact,
            None => self.open(path).map_err(|failure| {
                // A fault has one line: what it lists comes behind it.
                let text = failure.message.replacen(":\n  ", ": ", 1).replace("\n  ", ", ");
                Fault { hint: failure.hint, ..Fault::new(places.source, text) }
            })?,
        };
        match component.sha256 {
            Some(expected) if expected != artifact.digest => {
                let text = format!("`{}` has the sha256 {}", component.source, artifact.digest.hex());
                Err(Fault::new(places.sha256, format!("{text}; expected {}", expected.hex())))
            }
            _ => Ok(artifact),
        }
    }

    fn open(&mut self, path: &Path) -> Result<Artifact, Failure> {
        let component = artifact::open(path)?;
        let artifact = component.artifact;
        self.known.insert(path.to_owned(), artifact);
        // The same bytes under another name are not kept open twice.
        if self.pinned.insert(artifact) {
            self.components.push(component);
        }
        Ok(artifact)
    }
}
