//! The people of the vectors, each kind of intent in its plainest form, and envelopes around it, signed or forged.

use super::cbor::{Cbor, array, bytes, map, text};
use super::vector::Vector;
use shared::{Digest, OwnerKey};

/// The seed of the owner whom the vectors trust.
pub(crate) const OWNER: [u8; 32] = [1; 32];
/// The seed of somebody else who has a realm too.
pub(crate) const STRANGER: [u8; 32] = [2; 32];

pub(crate) const PUSH: &str = "realm/push/v1";
pub(crate) const REMOVE: &str = "realm/remove/v1";
pub(crate) const APPLY: &str = "realm/apply/v1";

pub(crate) fn key_of(seed: [u8; 32]) -> [u8; 32] {
    *OwnerKey::of_seed(&seed).id().as_bytes()
}

/// SHA-256 of the genesis record of the realm of `owner`, spelt out.
pub(crate) fn realm_of(owner: &[u8; 32]) -> [u8; 32] {
    *Digest::of(&[b"realm/genesis/v1\0", owner.as_slice()].concat()).as_bytes()
}

/// The pre-authentication encoding of DSSE, spelt out.
pub(crate) fn pae(typ: &str, body: &[u8]) -> Vec<u8> {
    [
        b"DSSEv1 ",
        typ.len().to_string().as_bytes(),
        b" ",
        typ.as_bytes(),
        b" ",
        body.len().to_string().as_bytes(),
        b" ",
        body,
    ]
    .concat()
}

pub(crate) fn sign(seed: [u8; 32], message: &[u8]) -> [u8; 64] {
    *OwnerKey::of_seed(&seed).sign(message).as_bytes()
}

/// The body of a push of `hello` to everybody, with the defaults, for the owner's realm.
pub(crate) fn push_body() -> Cbor {
    let limits = map([
        ("memory_max_mb", Cbor::Null),
        ("fuel", Cbor::Null),
        ("epoch_ms", Cbor::Uint(100)),
        ("deadline_ms", Cbor::Null),
        ("log_max_kb", Cbor::Uint(1024)),
    ]);
    let component = map([
        ("name", text("hello")),
        ("artifact", pinned(b"hello")),
        ("limits", limits),
        ("replicas", Cbor::Uint(1)),
        ("restart", text("on-failure")),
        ("start", Cbor::Bool(true)),
        ("args", array([])),
        ("env", array([])),
        ("isolation", text("shared")),
    ]);
    body_of(map([("component", component), ("verb", Cbor::Null)]))
}

/// The body of a removal of `hello` everywhere.
pub(crate) fn remove_body() -> Cbor {
    body_of(map([("name", text("hello"))]))
}

/// The body of an apply of `document` as version 1, the first one.
pub(crate) fn apply_body(document: &[u8]) -> Cbor {
    body_of(map([("version", Cbor::Uint(1)), ("manifest", pinned(document)), ("past", array([]))]))
}

/// An artifact of one chunk: the list has the digest of the whole, and nothing else.
pub(crate) fn pinned(artifact: &[u8]) -> Cbor {
    let digest = Digest::of(artifact);
    map([
        ("digest", bytes(digest.as_bytes())),
        ("size", Cbor::Uint(artifact.len() as u64)),
        ("chunks", bytes(Digest::of(digest.as_bytes()).as_bytes())),
    ])
}

/// An audience that leaves out nobody.
pub(crate) fn everybody() -> Cbor {
    map([("peers", array([])), ("tags", array([])), ("platform", Cbor::Null)])
}

fn body_of(payload: Cbor) -> Cbor {
    map([
        ("realm", bytes(&realm_of(&key_of(OWNER)))),
        ("seq", Cbor::Uint(1_800_000_000_000)),
        ("issued_at", Cbor::Uint(1_800_000_000_000)),
        ("not_after", Cbor::Null),
        ("audience", everybody()),
        ("note", text("")),
        ("payload", payload),
    ])
}

/// An envelope as it is, whoever made the signature.
pub(crate) fn envelope(typ: &str, key: &[u8], body: &[u8], sig: &[u8]) -> Cbor {
    map([("typ", text(typ)), ("key", bytes(key)), ("body", bytes(body)), ("sig", bytes(sig))])
}

/// A body sealed as `typ` by the key of `seed`.
pub(crate) fn sealed_as(seed: [u8; 32], typ: &str, body: &[u8]) -> Cbor {
    envelope(typ, &key_of(seed), body, &sign(seed, &pae(typ, body)))
}

/// A body sealed by the owner as a push.
pub(crate) fn sealed(body: &[u8]) -> Cbor {
    sealed_as(OWNER, PUSH, body)
}

/// `ed25519:` and the key in base 58.
pub(crate) fn key_text(key: &[u8; 32]) -> String {
    format!("ed25519:{}", bs58::encode(key).into_string())
}

/// Whom a vector trusts, as its file says it.
pub(crate) fn owner_text() -> String {
    key_text(&key_of(OWNER))
}

/// A vector that must be refused with `code` by a node that trusts the owner.
pub(crate) fn fail(name: &str, code: &str, what: &str, bytes: Vec<u8>) -> Vector {
    fail_for(&owner_text(), name, code, what, bytes)
}

/// The same for another trust.
pub(crate) fn fail_for(trust: &str, name: &str, code: &str, what: &str, bytes: Vec<u8>) -> Vector {
    let mut vector = Vector::new(&format!("fail_{name}"), what, "intent", bytes);
    vector.push("trust", trust);
    vector.push("code", code);
    vector
}

/// A vector that the owner signed correctly, and whose body must be refused with `code` all the same.
pub(crate) fn fail_body(name: &str, code: &str, what: &str, body: Cbor) -> Vector {
    fail(name, code, what, sealed(&body.encode()).encode())
}
