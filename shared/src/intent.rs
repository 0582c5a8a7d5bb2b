//! What an owner wants: the signed part of an intent, and the key of the state map that it is an entry of.

use crate::apply::Apply;
use crate::audience::Audience;
use crate::blob::Artifact;
use crate::name::ComponentName;
use crate::realm_id::RealmId;
use crate::spec::ComponentSpec;
use crate::text::{ParseError, excerpt, serde_text};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest note that an operator can attach.
pub const MAX_NOTE_BYTES: usize = 512;

/// The key of the manifest.
const MANIFEST_KEY: &str = "manifest";

/// A kind of intent. Each has a type string of its own inside the signature, so that a signature for one kind
/// is worthless for every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One component, pushed by hand.
    Push,
    /// One component, removed by hand.
    Remove,
    /// All that is declared.
    Apply,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Push, Kind::Remove, Kind::Apply];

    /// The type string, as it is signed.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Kind::Push => "realm/push/v1",
            Kind::Remove => "realm/remove/v1",
            Kind::Apply => "realm/apply/v1",
        }
    }

    /// The kind that a type string names.
    #[must_use]
    pub fn of_type_name(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.type_name() == text)
    }
}

/// What the operator typed that led to an intent of [`Kind::Push`], where it was not a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Run again what was stopped or has ended.
    Start,
    /// End its runs, and keep it.
    Stop,
    /// End its runs and begin anew.
    Restart,
}

/// The payload of [`Kind::Push`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// What should run.
    pub component: ComponentSpec,
    /// What was typed; none: a push. With [`Verb::Stop`] the component is shown as stopped, not as staged.
    pub verb: Option<Verb>,
}

/// The payload of [`Kind::Remove`]. It stays in the state map, so that no older push brings the name back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// What should not be anywhere any more.
    pub name: ComponentName,
}

/// What an intent of one kind carries.
pub trait Content: Serialize + DeserializeOwned {
    /// That kind.
    const KIND: Kind;

    /// Whether the intent chooses the nodes that it is meant for; otherwise its audience must be empty.
    const HAS_AUDIENCE: bool = true;

    /// The entry of the state map that such an intent replaces.
    fn key(&self) -> IntentKey;

    /// Checks the bounds that the field types do not.
    ///
    /// # Errors
    /// A text that names the field, its size and what is allowed.
    fn check(&self) -> Result<(), String>;

    /// One of all kinds.
    fn into_payload(self) -> Payload;
}

impl Content for Push {
    const KIND: Kind = Kind::Push;

    fn key(&self) -> IntentKey {
        IntentKey::Component(self.component.name.clone())
    }

    fn check(&self) -> Result<(), String> {
        self.component.check().map_err(|error| error.to_string())
    }

    fn into_payload(self) -> Payload {
        Payload::Push(self)
    }
}

impl Content for Remove {
    const KIND: Kind = Kind::Remove;

    fn key(&self) -> IntentKey {
        IntentKey::Component(self.name.clone())
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn into_payload(self) -> Payload {
        Payload::Remove(self)
    }
}

impl Content for Apply {
    const KIND: Kind = Kind::Apply;
    /// Each of its components has one of its own.
    const HAS_AUDIENCE: bool = false;

    fn key(&self) -> IntentKey {
        IntentKey::Manifest
    }

    fn check(&self) -> Result<(), String> {
        Apply::check(self)
    }

    fn into_payload(self) -> Payload {
        Payload::Apply(self)
    }
}

/// What an intent carries, whatever its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Of [`Kind::Push`].
    Push(Push),
    /// Of [`Kind::Remove`].
    Remove(Remove),
    /// Of [`Kind::Apply`].
    Apply(Apply),
}

impl Payload {
    /// The kind of an intent that carries it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Payload::Push(_) => Kind::Push,
            Payload::Remove(_) => Kind::Remove,
            Payload::Apply(_) => Kind::Apply,
        }
    }

    /// The entry of the state map that such an intent replaces.
    #[must_use]
    pub fn key(&self) -> IntentKey {
        match self {
            Payload::Push(push) => push.key(),
            Payload::Remove(remove) => remove.key(),
            Payload::Apply(apply) => apply.key(),
        }
    }

    /// The component that it wants by itself, if it wants one.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentSpec> {
        match self {
            Payload::Push(push) => Some(&push.component),
            Payload::Remove(_) | Payload::Apply(_) => None,
        }
    }

    /// The artifacts that it names: a component, or a manifest and those before it.
    #[must_use]
    pub fn artifacts(&self) -> Vec<Artifact> {
        match self {
            Payload::Push(push) => vec![push.component.artifact],
            Payload::Remove(_) => Vec::new(),
            Payload::Apply(apply) => apply.documents().copied().collect(),
        }
    }
}

/// Everything that is signed. Encoded once, by the signer; receivers keep the bytes as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body<P = Payload> {
    /// The realm it is for.
    pub realm: RealmId,
    /// Its place in the order of intents under the same key; the higher one counts.
    pub seq: u64,
    /// When it was signed, in Unix milliseconds by the signer's clock. For people only.
    pub issued_at: u64,
    /// From when on it must not be accepted any more, in Unix milliseconds; left out, it stays good.
    pub not_after: Option<u64>,
    /// Whom it is meant for.
    pub audience: Audience,
    /// A word from the operator.
    pub note: String,
    /// What is wanted.
    pub payload: P,
}

impl<P: Content> Body<P> {
    /// Checks the bounds that the field types do not.
    ///
    /// # Errors
    /// A text that names the field, its size and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        if self.note.len() > MAX_NOTE_BYTES {
            return Err(format!("the note has {} bytes, at most {MAX_NOTE_BYTES} are allowed", self.note.len()));
        }
        self.audience.check()?;
        if !P::HAS_AUDIENCE && self.audience != Audience::default() {
            return Err("it has an audience; in a manifest each component has its own".into());
        }
        self.payload.check()
    }

    /// The same with a payload of all kinds.
    #[must_use]
    pub fn of_all_kinds(self) -> Body {
        self.map(P::into_payload)
    }
}

impl<P> Body<P> {
    /// The same with another payload.
    #[must_use]
    pub fn map<Q>(self, payload: impl FnOnce(P) -> Q) -> Body<Q> {
        Body {
            realm: self.realm,
            seq: self.seq,
            issued_at: self.issued_at,
            not_after: self.not_after,
            audience: self.audience,
            note: self.note,
            payload: payload(self.payload),
        }
    }
}

/// A key of the state map. Text form `component/NAME` or `manifest`; later kinds bring keys of their own. The order is that
/// of the texts, which summaries depend on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntentKey {
    /// A component by its name: pushed, or removed.
    Component(ComponentName),
    /// The manifest.
    Manifest,
}

impl IntentKey {
    /// The component that it is about, if it is about one.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentName> {
        match self {
            IntentKey::Component(name) => Some(name),
            IntentKey::Manifest => None,
        }
    }
}

impl fmt::Display for IntentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntentKey::Component(name) => write!(f, "component/{name}"),
            IntentKey::Manifest => f.write_str(MANIFEST_KEY),
        }
    }
}

impl FromStr for IntentKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<IntentKey, ParseError> {
        if text == MANIFEST_KEY {
            return Ok(IntentKey::Manifest);
        }
        let name = text.strip_prefix("component/").and_then(|name| name.parse().ok());
        let fault = || ParseError::new("`component/NAME` or `manifest`", format!("`{}` is no key", excerpt(text)));
        name.map(IntentKey::Component).ok_or_else(fault)
    }
}

serde_text!(IntentKey);
