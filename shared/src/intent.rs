//! What an owner wants: the signed part of an intent, and the key of the state map that it is an entry of.

use crate::audience::Audience;
use crate::name::ComponentName;
use crate::realm_id::RealmId;
use crate::spec::ComponentSpec;
use crate::text::{ParseError, excerpt, serde_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest note that an operator can attach.
pub const MAX_NOTE_BYTES: usize = 512;

/// A kind of intent. Each has a type string of its own inside the signature, so that a signature for one kind
/// is worthless for every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One component, pushed by hand.
    Push,
}

impl Kind {
    /// The type string, as it is signed.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Kind::Push => "realm/push/v1",
        }
    }

    /// The kind that a type string names.
    #[must_use]
    pub fn of_type_name(text: &str) -> Option<Kind> {
        (text == Kind::Push.type_name()).then_some(Kind::Push)
    }
}

/// The payload of [`Kind::Push`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// What should run.
    pub component: ComponentSpec,
}

/// Everything that is signed. Encoded once, by the signer; receivers keep the bytes as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
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
    pub payload: Push,
}

impl Body {
    /// The entry of the state map that this intent replaces.
    #[must_use]
    pub fn key(&self) -> IntentKey {
        IntentKey::Component(self.payload.component.name.clone())
    }

    /// Checks the bounds that the field types do not.
    ///
    /// # Errors
    /// A text that names the field, its size and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        if self.note.len() > MAX_NOTE_BYTES {
            return Err(format!("the note has {} bytes, at most {MAX_NOTE_BYTES} are allowed", self.note.len()));
        }
        self.audience.check()?;
        self.payload.component.check().map_err(|error| error.to_string())
    }
}

/// A key of the state map. Text form `component/NAME`; later kinds bring keys of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntentKey {
    /// A component that was pushed by hand.
    Component(ComponentName),
}

impl fmt::Display for IntentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntentKey::Component(name) => write!(f, "component/{name}"),
        }
    }
}

impl FromStr for IntentKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<IntentKey, ParseError> {
        let name = text.strip_prefix("component/").and_then(|name| name.parse().ok());
        let fault = || ParseError::new("`component/NAME`", format!("`{}` is no key", excerpt(text)));
        name.map(IntentKey::Component).ok_or_else(fault)
    }
}

serde_text!(IntentKey);
