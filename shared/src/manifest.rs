//! A manifest: everything that an operator declares, as one document that one intent pins.

use crate::audience::Audience;
use crate::blob::Artifact;
use crate::chunks::Hasher;
use crate::digest::Digest;
use crate::frame;
use crate::name::ComponentName;
use crate::rollout::Rollout;
use crate::seal::{IntentId, pae};
use crate::spec::ComponentSpec;
use crate::text::excerpt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most components of a manifest: as many as a realm may have names.
pub const MAX_MANIFEST_COMPONENTS: usize = 1000;

/// The largest manifest: a thousand components with a kilobyte of arguments and environment each. Every node holds two of them
/// in memory, boards too.
pub const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

/// How many earlier manifests an apply names: enough to go back to last month's, and below 5 KiB.
pub const MAX_PAST: usize = 16;

/// The longest note that is kept of an earlier manifest, in bytes.
pub const MAX_PAST_NOTE_BYTES: usize = 128;

/// The type string inside the name of a declaration.
const DECLARATION_TYPE: &str = "realm/component/v1";

/// How a component gives way to its successor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takeover {
    /// The new instances start beside the old ones, which end once these are healthy.
    #[default]
    StartFirst,
    /// The old instances end before the new ones start: for what cannot be there twice.
    StopFirst,
}

/// A component as it lies in the document: the bytes of its spec are kept, and named, as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(with = "serde_bytes")]
    component: Vec<u8>,
    audience: Audience,
    strategy: Takeover,
}

#[derive(Serialize, Deserialize)]
struct Document {
    rollout: Rollout,
    components: Vec<Entry>,
}

/// One component that a manifest declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Follows from the spec alone: where it is the same in two manifests, nothing changes for what runs.
    pub id: IntentId,
    /// What should run.
    pub spec: Arc<ComponentSpec>,
    /// On which nodes.
    pub audience: Audience,
    /// How it replaces what ran under its name.
    pub strategy: Takeover,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    rollout: Rollout,
    components: BTreeMap<ComponentName, Declaration>,
    bytes: Arc<[u8]>,
}

impl Manifest {
    /// Puts together what is declared.
    ///
    /// # Errors
    /// When a name is there twice, something is outside its bounds, or all together is too large.
    pub fn new(rollout: Rollout, components: Vec<(ComponentSpec, Audience, Takeover)>) -> Result<Manifest, String> {
        let entry = |(spec, audience, strategy): (ComponentSpec, Audience, Takeover)| {
            let component = frame::to_bytes(&spec, MAX_MANIFEST_BYTES).map_err(|error| error.to_string())?;
            Ok((spec.name, Entry { component, audience, strategy }))
        };
        let mut entries = components.into_iter().map(entry).collect::<Result<Vec<_>, String>>()?;
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let document = Document { rollout, components: entries.into_iter().map(|(_, entry)| entry).collect() };
        let bytes = frame::to_bytes(&document, MAX_MANIFEST_BYTES)
            .map_err(|error| format!("the manifest is too large: {error}"))?;
        Manifest::decode(&bytes)
    }

    /// Reads a document as it came.
    ///
    /// # Errors
    /// A text that names the component, the field, its size and what is allowed.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, String> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(format!("the manifest has {} bytes, at most {MAX_MANIFEST_BYTES} are allowed", bytes.len()));
        }
        let document: Document = frame::decode(bytes).map_err(|error| format!("the manifest is {error}"))?;
        let count = document.components.len();
        if count > MAX_MANIFEST_COMPONENTS {
            return Err(format!("the manifest has {count} components, at most {MAX_MANIFEST_COMPONENTS} are allowed"));
        }
        document.rollout.check().map_err(|fault| format!("the manifest's {fault}"))?;
        let mut components = BTreeMap::new();
        for (at, entry) in document.components.into_iter().enumerate() {
            let spec: ComponentSpec = frame::decode(&entry.component)
                .map_err(|error| format!("component {} of the manifest is {error}", at + 1))?;
            let of = |fault: String| format!("component `{}` of the manifest: {fault}", spec.name);
            spec.check().map_err(|error| of(error.to_string()))?;
            entry.audience.check().map_err(of)?;
            let id = IntentId::from_bytes(*Digest::of(&pae(DECLARATION_TYPE, &entry.component)).as_bytes());
            let name = spec.name.clone();
            let (audience, strategy) = (entry.audience, entry.strategy);
            let declaration = Declaration { id, spec: Arc::new(spec), audience, strategy };
            if components.insert(name.clone(), declaration).is_some() {
                return Err(format!("the manifest declares `{name}` twice"));
            }
        }
        Ok(Manifest { rollout: document.rollout, components, bytes: bytes.into() })
    }

    /// How it is to spread.
    #[must_use]
    pub fn rollout(&self) -> Rollout {
        self.rollout
    }

    /// What is declared, by name.
    #[must_use]
    pub fn components(&self) -> &BTreeMap<ComponentName, Declaration> {
        &self.components
    }

    /// The document.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The document as an artifact.
    #[must_use]
    pub fn artifact(&self) -> Artifact {
        let mut hasher = Hasher::default();
        hasher.update(&self.bytes);
        hasher.finish().0
    }
}

/// An earlier manifest of a realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub version: u32,
    /// The document.
    pub manifest: Artifact,
    /// When it was signed, in Unix milliseconds by the signer's clock.
    pub issued_at: u64,
    /// What the operator said of it, at most [`MAX_PAST_NOTE_BYTES`].
    pub note: String,
}

/// The payload of [`Kind::Apply`](crate::Kind::Apply): what the realm should run from now on, beside what was pushed by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apply {
    /// The operator's number of it, from 1 on.
    pub version: u32,
    /// The document, an artifact.
    pub manifest: Artifact,
    /// Those before it, the newest first, at most [`MAX_PAST`].
    pub past: Vec<Past>,
}

impl Apply {
    /// Checks the bounds that the field types do not.
    ///
    /// # Errors
    /// A text that names the field, its size and what is allowed.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.version == 0 {
            return Err("the version of the manifest is 0; the first one is 1".into());
        }
        let pinned = std::iter::once(&self.manifest).chain(self.past.iter().map(|past| &past.manifest));
        if let Some(large) = pinned.map(|artifact| artifact.size).find(|size| *size > MAX_MANIFEST_BYTES as u64) {
            return Err(format!("the manifest has {large} bytes, at most {MAX_MANIFEST_BYTES} are allowed"));
        }
        if self.past.len() > MAX_PAST {
            return Err(format!("it names {} earlier manifests, at most {MAX_PAST} are allowed", self.past.len()));
        }
        if let Some(past) = self.past.iter().find(|past| past.note.len() > MAX_PAST_NOTE_BYTES) {
            return Err(format!(
                "the note `{}` of version {} has {} bytes, at most {MAX_PAST_NOTE_BYTES} are allowed",
                excerpt(&past.note),
                past.version,
                past.note.len()
            ));
        }
        Ok(())
    }
}
