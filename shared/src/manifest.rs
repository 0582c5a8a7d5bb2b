//! A manifest: everything that an operator declares, as one document that an apply pins.

use crate::audience::Audience;
use crate::blob::Artifact;
use crate::chunks::Hasher;
use crate::digest::Digest;
use crate::frame::{self, FrameError};
use crate::name::ComponentName;
use crate::rollout::Rollout;
use crate::seal::{IntentId, pae};
use crate::spec::ComponentSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most components of a manifest: about as many as can be pushed by hand.
pub const MAX_MANIFEST_COMPONENTS: usize = 1000;

/// The largest manifest: a thousand components with half a kilobyte of arguments and environment each. Every node holds two
/// of them in memory, boards too.
pub const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    rollout: Rollout,
    components: BTreeMap<ComponentName, Declaration>,
    bytes: Arc<[u8]>,
}

impl Manifest {
    /// Puts together what is declared, in the order of the names: the same components are the same document.
    ///
    /// # Errors
    /// When a name is there twice, something is outside its bounds, or all together is too large.
    pub fn new(rollout: Rollout, mut components: Vec<(ComponentSpec, Audience, Takeover)>) -> Result<Manifest, String> {
        components.sort_by(|(one, ..), (other, ..)| one.name.cmp(&other.name));
        // How large it may be is for `decode` to say.
        let entry = |(spec, audience, strategy): (ComponentSpec, Audience, Takeover)| {
            Ok(Entry { component: frame::to_bytes(&spec, usize::MAX)?, audience, strategy })
        };
        let components = components.into_iter().map(entry).collect::<Result<Vec<_>, FrameError>>();
        let document = components.and_then(|components| frame::to_bytes(&Document { rollout, components }, usize::MAX));
        Manifest::decode(&document.map_err(|error| format!("the manifest is {error}"))?)
    }

    /// Reads a document as it came.
    ///
    /// # Errors
    /// A text that says what is wrong and what is allowed, and of which component where it is one.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Limits, Replicas};
    use crate::node_id::NodeId;
    use crate::spec::Restart;

    fn spec(name: &str) -> ComponentSpec {
        ComponentSpec {
            name: name.parse().unwrap(),
            artifact: Artifact { digest: Digest::of(b"x"), size: 1, chunks: Digest::of(Digest::of(b"x").as_bytes()) },
            limits: Limits::default(),
            replicas: Replicas::default(),
            restart: Restart::default(),
            start: true,
            args: Vec::new(),
            env: Vec::new(),
            isolation: crate::Isolation::default(),
        }
    }

    fn declaration(spec: &ComponentSpec, audience: Audience, strategy: Takeover) -> Declaration {
        let manifest = Manifest::new(Rollout::default(), vec![(spec.clone(), audience, strategy)]).unwrap();
        manifest.components()[&spec.name].clone()
    }

    fn id_of(spec: &ComponentSpec) -> IntentId {
        declaration(spec, Audience::default(), Takeover::default()).id
    }

    #[test]
    fn what_runs_is_named_by_its_spec_alone() {
        let hello = spec("hello");
        let id = id_of(&hello);
        assert_eq!(id, id_of(&hello));
        let here = Audience { peers: vec![NodeId::from_bytes([1; 32])], ..Audience::default() };
        let moved = declaration(&hello, here.clone(), Takeover::StopFirst);
        assert_eq!((moved.id, moved.audience, moved.strategy), (id, here, Takeover::StopFirst));
        let beside = Manifest::new(
            Rollout::default(),
            vec![
                (spec("a"), Audience::default(), Takeover::StartFirst),
                (hello.clone(), Audience::default(), Takeover::StartFirst),
            ],
        );
        assert_eq!(beside.unwrap().components()[&hello.name].id, id);
        let others = [
            spec("other"),
            ComponentSpec { limits: Limits { fuel: Some(7.try_into().unwrap()), ..hello.limits }, ..hello.clone() },
            ComponentSpec { artifact: Artifact { digest: Digest::of(b"y"), ..hello.artifact }, ..hello.clone() },
            ComponentSpec { replicas: 2.try_into().unwrap(), ..hello.clone() },
            ComponentSpec { restart: Restart::Always, ..hello.clone() },
            ComponentSpec { start: false, ..hello.clone() },
            ComponentSpec { args: vec![String::new()], ..hello.clone() },
            ComponentSpec { env: vec![("A".into(), "b".into())], ..hello.clone() },
        ];
        for other in &others {
            assert_ne!(id_of(other), id, "{other:?}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_names() {
        let all = |names: &[&str]| {
            let declared = |name: &&str| (spec(name), Audience::default(), Takeover::StartFirst);
            Manifest::new(Rollout::default(), names.iter().map(declared).collect()).unwrap()
        };
        let manifest = all(&["b", "a-1", "a", "c"]);
        assert_eq!(manifest, all(&["c", "b", "a", "a-1"]));
        let names: Vec<&str> = manifest.components().keys().map(ComponentName::as_str).collect();
        assert_eq!(names, ["a", "a-1", "b", "c"]);
    }

    #[test]
    fn faults_name_the_component() {
        let hello = || (spec("hello"), Audience::default(), Takeover::StartFirst);
        let twice = Manifest::new(Rollout::default(), vec![hello(), hello()]);
        assert_eq!(twice, Err("the manifest declares `hello` twice".into()));
        let args = vec!["a".repeat(9_000)];
        let long = Manifest::new(
            Rollout::default(),
            vec![(ComponentSpec { args, ..spec("hello") }, Audience::default(), Takeover::StartFirst)],
        );
        let text = "arguments and environment have 9000 bytes, at most 8192 are allowed";
        assert_eq!(long, Err(format!("component `hello` of the manifest: {text}")));
        let peers = vec![NodeId::from_bytes([1; 32]); 257];
        let many = Manifest::new(
            Rollout::default(),
            vec![(spec("hello"), Audience { peers, ..Audience::default() }, Takeover::StartFirst)],
        );
        let text = "the audience names 257 peers, at most 256 are allowed";
        assert_eq!(many, Err(format!("component `hello` of the manifest: {text}")));
    }
}
