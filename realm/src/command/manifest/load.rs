//! From the operator's file to what is signed and sent: every artifact that it names is opened, pinned and checked. All that
//! is wrong is told at once.

use crate::artifact::{self, Component};
use crate::download::{Downloads, download};
use crate::exit::Failure;
use crate::manifest::{self, Fault, Faults, Source, read};
use crate::output::{Terminal, Tone};
use crate::world::Settings;
use shared::{Artifact, ComponentSpec, Digest, Manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

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
    let urls = reading.manifest.components.iter().filter_map(|component| match &component.source {
        Source::Url(url) => Some(url.clone()),
        Source::Path(_) => None,
    });
    let urls: BTreeSet<String> = urls.collect();
    let urls = urls.iter().map(String::as_str).collect();
    let mut artifacts = Artifacts { downloads: download(&urls, &settings.env, terminal), ..Artifacts::default() };
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

/// What was opened and fetched.
#[derive(Default)]
struct Artifacts<'u> {
    /// By URL, until they are opened.
    downloads: Downloads<'u>,
    /// Several components can have one source, and hashing takes its time.
    known: BTreeMap<Source, Artifact>,
    pinned: BTreeSet<Artifact>,
    components: Vec<Component>,
}

impl Artifacts<'_> {
    fn of(&mut self, component: &manifest::Component) -> Result<Artifact, Fault> {
        let (places, source) = (&component.places, &component.source);
        if let Some(artifact) = self.known.get(source) {
            return expected(component, &artifact.digest).map(|()| *artifact);
        }
        let at_source = |failure: Failure| {
            // A fault has one line: what it lists comes behind it.
            let text = failure.message.replacen(":\n  ", ": ", 1).replace("\n  ", ", ");
            Fault { hint: failure.hint, ..Fault::new(places.source, text) }
        };
        let opened = match source {
            Source::Path(path) => artifact::open(path).map_err(at_source)?,
            Source::Url(url) => self.fetched(component, url)?.map_err(at_source)?,
        };
        let artifact = opened.artifact;
        self.known.insert(source.clone(), artifact);
        // The same bytes under another name are not kept open twice.
        if self.pinned.insert(artifact) {
            self.components.push(opened);
        }
        expected(component, &artifact.digest).map(|()| artifact)
    }

    /// Opens what was fetched, once. What came of it is still there for others who name the same.
    fn fetched(&mut self, component: &manifest::Component, url: &str) -> Result<Result<Component, Failure>, Fault> {
        let Some((url, download)) = self.downloads.remove_entry(url) else {
            return Ok(Err(Failure::new(format!("`{}` was not fetched", component.source))));
        };
        // What is not what was meant is not looked into: it may be anybody's.
        if let Ok(fetched) = &download
            && let Err(fault) = expected(component, &fetched.digest)
        {
            self.downloads.insert(url, download);
            return Err(fault);
        }
        let opened = download.and_then(|download| artifact::of_file(download.file, &component.source.to_string()));
        if let Err(failure) = &opened {
            self.downloads.insert(url, Err(failure.clone()));
        }
        Ok(opened)
    }
}

/// # Errors
/// When these are not the bytes that are meant.
fn expected(component: &manifest::Component, digest: &Digest) -> Result<(), Fault> {
    match component.sha256 {
        Some(expected) if expected != *digest => {
            let text = format!("`{}` has the sha256 {}", component.source, digest.hex());
            Err(Fault::new(component.places.sha256, format!("{text}; expected {}", expected.hex())))
        }
        _ => Ok(()),
    }
}
