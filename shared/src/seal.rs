//! Signing intents and opening them. [`open`] is the one way to hold an [`Opened`] intent: only the check makes
//! the type. The signature is over the bytes as received, which are kept and never encoded again.

use crate::apply::Apply;
use crate::digest::Digest;
use crate::frame::{self, FrameError};
use crate::intent::{Body, Content, IntentKey, Kind, Push, Remove};
use crate::name::ComponentName;
use crate::owner::{OwnerId, OwnerKey, Signature};
use crate::realm_id::RealmId;
use crate::spec::ComponentSpec;
use crate::text::{ParseError, bytes32, excerpt, hex, unhex};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The largest signed body. With its envelope it fits a gossip message of 32 KiB.
pub const MAX_BODY_BYTES: usize = 28 * 1024;

/// The largest sealed intent: body, key, signature, type string and their CBOR heads.
pub const MAX_SEALED_BYTES: usize = MAX_BODY_BYTES + 512;

/// The longest type string that is looked at.
const MAX_TYPE_BYTES: usize = 64;

bytes32! {
    /// Names an intent: SHA-256 of what was signed. Text form: 64 hexadecimal digits.
    IntentId
}

impl IntentId {
    /// The first twelve digits, to be shown to a person.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..6])
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for IntentId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<IntentId, ParseError> {
        let fault = || ParseError::new("64 hexadecimal digits", format!("`{}` is no intent id", excerpt(text)));
        unhex(text).map(IntentId).ok_or_else(fault)
    }
}

/// The pre-authentication encoding of DSSE (v1): what is signed, so that type and body cannot be shifted into
/// one another.
#[must_use]
pub fn pae(type_name: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {type_name} {} ", type_name.len(), body.len());
    [head.as_bytes(), body].concat()
}

/// The envelope as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Type string of the kind.
    pub typ: String,
    /// Whose signature it is. Outside the signature, and safe there: another key makes the signature invalid.
    pub key: OwnerId,
    /// The CBOR of a [`Body`], as the signer encoded it.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// Ed25519 over [`pae`]`(typ, body)`.
    pub sig: Signature,
}

/// Signs `body` as its kind and gives the bytes of the envelope.
///
/// # Errors
/// When the body is outside its bounds; nothing that [`open`] would refuse for its size is ever signed.
pub fn seal<P: Content>(key: &OwnerKey, body: &Body<P>) -> Result<Vec<u8>, Refused> {
    body.check().map_err(Refused::Bounds)?;
    let body = frame::to_bytes(body, MAX_BODY_BYTES).map_err(Refused::of_frame)?;
    let typ = P::KIND.type_name();
    let sig = key.sign(&pae(typ, &body));
    let sealed = Sealed { typ: typ.into(), key: key.id(), body, sig };
    frame::to_bytes(&sealed, MAX_SEALED_BYTES).map_err(Refused::of_frame)
}

/// Whose intents are obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// This owner's, and nobody else's.
    Owner(OwnerId),
    /// Trust on first use: whoever signs the first valid intent becomes the owner.
    FirstUse,
    /// Nobody's, until an owner is configured.
    Nobody,
}

impl Trust {
    /// The realm that follows from it.
    #[must_use]
    pub fn realm(&self) -> Option<RealmId> {
        match self {
            Trust::Owner(owner) => Some(RealmId::of_owner(owner)),
            Trust::FirstUse | Trust::Nobody => None,
        }
    }
}

/// An intent whose size, type, signature, realm and bounds have been checked. Sequence and expiry are compared by
/// whoever holds the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    id: IntentId,
    owner: OwnerId,
    body: Body,
}

impl Opened {
    /// SHA-256 of what was signed.
    #[must_use]
    pub fn id(&self) -> IntentId {
        self.id
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.body.payload.kind()
    }

    /// Who signed it.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    /// What was signed.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The entry of the state map that it replaces.
    #[must_use]
    pub fn key(&self) -> IntentKey {
        self.body.payload.key()
    }

    /// The component that it wants by itself, if it wants one.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentSpec> {
        self.body.payload.component()
    }

    /// Its place in the order under its key: the sequence, and between equal ones the id, so that every node
    /// comes to the same choice.
    #[must_use]
    pub fn rank(&self) -> (u64, IntentId) {
        (self.body.seq, self.id)
    }
}

/// Why an intent is not obeyed. [`Refused::code`] is for machines, `Display` for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Larger than any intent may be.
    TooLong(String),
    /// Not an envelope, or not a body.
    Malformed(String),
    /// A kind that this version does not know.
    UnknownKind(String),
    /// Signed by somebody else than the owner.
    OtherOwner(OwnerId),
    /// Altered, or relabelled as another kind.
    BadSignature,
    /// For another realm.
    OtherRealm(RealmId),
    /// A field is outside its bounds.
    Bounds(String),
    /// A newer intent under the same key is held: its sequence.
    Stale {
        /// The sequence that is held.
        held: u64,
        /// The sequence that was offered.
        offered: u64,
    },
    /// Its `not_after` has passed.
    Expired,
    /// Its sequence is too far ahead of every clock that can be believed.
    FromTheFuture,
    /// The node has no owner, and trust on first use is off.
    Unclaimed,
    /// The node could not store it.
    Storage(String),
    /// The node holds as many keys as it may.
    Full(usize),
    /// The manifest declares this name: it is changed there.
    Declared(ComponentName),
    /// A manifest with this number, or a higher one, is held.
    Version {
        /// The number that is held.
        held: u32,
        /// The number that was offered.
        offered: u32,
    },
}

impl Refused {
    /// A short stable word, used as a metric label and on the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refused::TooLong(_) => "too-long",
            Refused::Malformed(_) => "malformed",
            Refused::UnknownKind(_) => "unknown-kind",
            Refused::OtherOwner(_) => "other-owner",
            Refused::BadSignature => "bad-signature",
            Refused::OtherRealm(_) => "other-realm",
            Refused::Bounds(_) => "bounds",
            Refused::Stale { .. } => "stale",
            Refused::Expired => "expired",
            Refused::FromTheFuture => "from-the-future",
            Refused::Unclaimed => "unclaimed",
            Refused::Storage(_) => "storage",
            Refused::Full(_) => "full",
            Refused::Declared(_) => "declared",
            Refused::Version { .. } => "version",
        }
    }

    fn of_frame(error: FrameError) -> Refused {
        match error {
            FrameError::TooLong { .. } => Refused::TooLong(error.to_string()),
            FrameError::Malformed(_) | FrameError::Trailing => Refused::Malformed(error.to_string()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::TooLong(why) | Refused::Malformed(why) | Refused::Bounds(why) => f.write_str(why),
            Refused::UnknownKind(typ) => write!(f, "unknown kind of intent `{typ}`"),
            Refused::OtherOwner(owner) => write!(f, "signed by `{owner}`, who is not the owner of this node"),
            Refused::BadSignature => {
                f.write_str("the signature does not fit: altered on the way, or meant as another kind")
            }
            Refused::OtherRealm(realm) => write!(f, "meant for another realm, `{realm}`"),
            Refused::Stale { held, offered } => write!(f, "older than what is held (sequence {offered}, held {held})"),
            Refused::Expired => f.write_str("its time has passed"),
            Refused::FromTheFuture => f.write_str("its sequence is more than ten minutes ahead of the clock"),
            Refused::Unclaimed => f.write_str("the node has no owner and does not trust on first use"),
            Refused::Storage(why) => write!(f, "could not be stored: {why}"),
            Refused::Full(keys) => write!(f, "the realm already has {keys} names, which is the most"),
            Refused::Declared(name) => write!(f, "the manifest declares `{name}`: it is changed there"),
            Refused::Version { held, offered } => {
                write!(f, "version {held} of the manifest is in force or on its way; {offered} is not newer")
            }
        }
    }
}

impl std::error::Error for Refused {}

/// Checks the bytes of an envelope: size, known type, owner, signature over the bytes as received, realm, bounds.
///
/// # Errors
/// The first of these that does not hold.
pub fn open(bytes: &[u8], trust: &Trust) -> Result<Opened, Refused> {
    if bytes.len() > MAX_SEALED_BYTES {
        return Err(Refused::of_frame(FrameError::TooLong { size: bytes.len(), cap: MAX_SEALED_BYTES }));
    }
    let sealed: Sealed = frame::decode(bytes).map_err(Refused::of_frame)?;
    for (size, cap) in [(sealed.body.len(), MAX_BODY_BYTES), (sealed.typ.len(), MAX_TYPE_BYTES)] {
        if size > cap {
            return Err(Refused::of_frame(FrameError::TooLong { size, cap }));
        }
    }
    let kind = Kind::of_type_name(&sealed.typ).ok_or_else(|| Refused::UnknownKind(excerpt(&sealed.typ)))?;
    match trust {
        Trust::Owner(owner) if *owner != sealed.key => return Err(Refused::OtherOwner(sealed.key)),
        Trust::Nobody => return Err(Refused::Unclaimed),
        Trust::Owner(_) | Trust::FirstUse => {}
    }
    let signed = pae(kind.type_name(), &sealed.body);
    if !sealed.key.verify(&signed, &sealed.sig) {
        return Err(Refused::BadSignature);
    }
    let realm = RealmId::of_owner(&sealed.key);
    let body = match kind {
        Kind::Push => checked::<Push>(&sealed.body, realm)?,
        Kind::Remove => checked::<Remove>(&sealed.body, realm)?,
        Kind::Apply => checked::<Apply>(&sealed.body, realm)?,
    };
    let id = IntentId::from_bytes(*Digest::of(&signed).as_bytes());
    Ok(Opened { id, owner: sealed.key, body })
}

/// A body whose realm and bounds hold.
fn checked<P: Content>(bytes: &[u8], realm: RealmId) -> Result<Body, Refused> {
    let body: Body<P> = frame::decode(bytes).map_err(Refused::of_frame)?;
    if body.realm != realm {
        return Err(Refused::OtherRealm(body.realm));
    }
    body.check().map_err(Refused::Bounds)?;
    Ok(body.of_all_kinds())
}
