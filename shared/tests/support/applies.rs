//! Vectors of applies: intents that pin a manifest.

use super::cbor::{Cbor, array, bytes, map, text};
use super::fields::{
    APPLY, OWNER, PUSH, REMOVE, STRANGER, apply_body, envelope, fail, fail_for, key_of, pae, pinned, push_body,
    realm_of, sealed_as, sign,
};
use super::intents::vector_of;
use super::manifests::{document, entry};
use super::vector::Vector;
use shared::Digest;

pub(crate) fn applies() -> Vec<Vector> {
    [accepted(), out_of_bounds(), not_applies(), forged()].concat()
}

/// An apply of a manifest with one component, as version 1.
fn body() -> Cbor {
    apply_body(&document([entry(push_body().at("payload.component"))]).encode())
}

/// The same as version `version`, after those in `past`.
fn numbered(version: u64, past: impl IntoIterator<Item = Cbor>) -> Cbor {
    body().with("payload.version", Cbor::Uint(version)).with("payload.past", array(past))
}

fn past(version: u64, note: &str) -> Cbor {
    map([
        ("version", Cbor::Uint(version)),
        ("manifest", pinned(format!("version {version}").as_bytes())),
        ("issued_at", Cbor::Uint(1_800_000_000_000 + version)),
        ("note", text(note)),
    ])
}

fn seal(body: &Cbor) -> Cbor {
    sealed_as(OWNER, APPLY, &body.encode())
}

/// What must be read is written from the fields of the body.
fn ok(name: &str, what: &str, body: &Cbor) -> Vector {
    let mut payload = body.clone().at("payload").clone();
    let mut manifests = vec![manifest_text(&mut payload)];
    if let Cbor::Array(past) = payload.at("past") {
        for past in past {
            let (at, note) = (number(past.at("issued_at")), past.at("note").clone());
            let Cbor::Text(note) = note else { panic!("a note is {note:?}") };
            manifests.push(format!("{} {at} \"{note}\"", manifest_text(past)));
        }
    }
    let mut vector = vector_of(APPLY, "manifest", &format!("apply_{name}"), what, body, &seal(body));
    vector.push("manifests", &manifests.join(", "));
    vector
}

fn number(item: &Cbor) -> u64 {
    match item {
        Cbor::Uint(number) => *number,
        other => panic!("no number: {other:?}"),
    }
}

/// Version, digest and size of what a map pins.
fn manifest_text(map: &mut Cbor) -> String {
    let Cbor::Bytes(digest) = map.at("manifest.digest").clone() else { panic!("no digest") };
    let (version, size) = (number(map.at("version")), number(map.at("manifest.size")));
    format!("{version} sha256:{} {size}", super::vector::hex(&digest))
}

fn accepted() -> Vec<Vector> {
    let with_past = numbered(7, [past(6, "after the holidays"), past(4, ""), past(1, "größer 🚀")]);
    let highest = {
        let longest = "n".repeat(128);
        let past = (0..16).map(|at| {
            let past = past(0xffff_fffe - at, &longest).with("issued_at", Cbor::Uint(u64::MAX));
            past.with("manifest.size", Cbor::Uint(1 << 20))
        });
        numbered(0xffff_ffff, past)
            .with("seq", Cbor::Uint(u64::MAX))
            .with("note", text(&"n".repeat(512)))
            .with("payload.manifest.size", Cbor::Uint(1 << 20))
    };
    let later = numbered(2, [past(1, "").and("", "halted", Cbor::Bool(true))])
        .and("payload", "max_parallel", Cbor::Uint(3))
        .and("", "not_before", Cbor::Null);
    let mut turned = numbered(2, [past(1, "")]);
    turned.at("payload").pairs().reverse();
    turned.pairs().reverse();
    let nulls_left_out = body().without("not_after").without("audience.platform");
    let mut first_use = ok("first_use", "an unclaimed node takes the first owner", &body());
    first_use.fields.iter_mut().filter(|(key, _)| key == "trust").for_each(|(_, trust)| *trust = "first-use".into());
    vec![
        ok("minimal", "the first manifest", &body()),
        ok("past", "earlier ones, the newest first; numbers may be left out", &with_past),
        ok("highest", "every number and text at its upper bound, and 16 earlier ones", &highest),
        ok("later_fields", "fields of a later version are skipped", &later),
        ok("field_order", "a reader takes the fields in any order", &turned),
        ok("nulls_left_out", "a field that may be null may be left out", &nulls_left_out),
        first_use,
    ]
}

/// One that the owner signed correctly, and that must be refused with `code` all the same.
fn refused(name: &str, code: &str, what: &str, body: &Cbor) -> Vector {
    fail(&format!("apply_{name}"), code, what, seal(body).encode())
}

fn out_of_bounds() -> Vec<Vector> {
    let bounds = |name: &str, what: &str, body: Cbor| refused(name, "bounds", what, &body);
    let audience = |field: &str, item: Cbor| body().with(&format!("audience.{field}"), item);
    let large = past(1, "").with("manifest.size", Cbor::Uint((1 << 20) + 1));
    vec![
        bounds("version_zero", "the first version is 1", numbered(0, [])),
        bounds("document_too_large", "a document of 1 MiB and a byte", {
            body().with("payload.manifest.size", Cbor::Uint((1 << 20) + 1))
        }),
        bounds("past_too_large", "an earlier document of 1 MiB and a byte", numbered(2, [large])),
        bounds("past_too_many", "17 earlier ones", numbered(18, (1..=17).rev().map(|at| past(at, "")))),
        bounds("past_note_too_long", "a note of 129 bytes", numbered(2, [past(1, &"n".repeat(129))])),
        bounds("past_version_zero", "an earlier one with the number 0", numbered(2, [past(1, ""), past(0, "")])),
        bounds("past_itself", "an earlier one with the number that the apply has", numbered(2, [past(2, "")])),
        bounds("past_twice", "one number twice", numbered(3, [past(2, ""), past(2, "")])),
        bounds("past_oldest_first", "earlier ones in the wrong order", numbered(3, [past(1, ""), past(2, "")])),
        bounds("note_too_long", "513 bytes", body().with("note", text(&"n".repeat(513)))),
        bounds("for_peers", "an audience: one peer", audience("peers", array([bytes(&[7; 32])]))),
        bounds("for_tags", "an audience: one tag", audience("tags", array([text("dev")]))),
        bounds("for_platform", "an audience: a platform", audience("platform", text("linux/x86_64"))),
    ]
}

fn not_applies() -> Vec<Vector> {
    let malformed = |name: &str, what: &str, body: Cbor| refused(name, "malformed", what, &body);
    let good = body().encode();
    vec![
        malformed("version_33_bits", "2^32 must not be taken for 0", numbered(1 << 32, [])),
        malformed("version_negative", "minus one", body().with("payload.version", Cbor::Negative(0))),
        malformed("without_version", "a version is missing", body().without("payload.version")),
        malformed("without_manifest", "nothing is pinned", body().without("payload.manifest")),
        malformed("without_past", "no list of earlier ones, not even an empty one", body().without("payload.past")),
        malformed("past_null", "null instead of an empty list", body().with("payload.past", Cbor::Null)),
        malformed("past_without_note", "an earlier one without a note", numbered(2, [past(1, "").without("note")])),
        malformed("version_twice", "a field twice", body().and("payload", "version", Cbor::Uint(1))),
        malformed("digest_short", "a digest of 31 bytes", body().with("payload.manifest.digest", bytes(&[7; 31]))),
        malformed("of_a_component", "the payload of a push", push_body()),
        malformed("trailing_in_body", "a byte behind the body, signed with it", Cbor::Raw([good, vec![0]].concat())),
        fail("apply_trailing", "malformed", "a byte behind the envelope", [seal(&body()).encode(), vec![0]].concat()),
        fail("push_of_a_manifest", "malformed", "the payload of an apply, signed as a push", {
            sealed_as(OWNER, PUSH, &body().encode()).encode()
        }),
    ]
}

fn forged() -> Vec<Vector> {
    let good = body().encode();
    let labelled = |signed: &str, claimed: &str| sealed_as(OWNER, signed, &good).with("typ", text(claimed)).encode();
    let flipped = |path: &str, at: usize| {
        let mut sealed = seal(&body());
        match sealed.at(path) {
            Cbor::Bytes(bytes) => bytes[at] ^= 1,
            other => panic!("no bits in {other:?}"),
        }
        sealed.encode()
    };
    // Where the version is: the one byte behind its key.
    let version = good.windows(8).position(|bytes| bytes == b"\x67version").unwrap() + 8;
    let digest = good.windows(6).position(|bytes| bytes == b"digest").unwrap() + 8;
    let strangers = body().with("realm", bytes(&realm_of(&key_of(STRANGER))));
    let bad = |name: &str, what: &str, bytes: Vec<u8>| fail(&format!("apply_{name}"), "bad-signature", what, bytes);
    vec![
        bad("labelled_push", "an apply relabelled as a push", labelled(APPLY, PUSH)),
        bad("labelled_remove", "an apply relabelled as a removal", labelled(APPLY, REMOVE)),
        bad("signed_as_push", "signed as a push, and relabelled as an apply", labelled(PUSH, APPLY)),
        bad("signed_as_component", "signed as what names a declaration", labelled("realm/component/v1", APPLY)),
        fail("apply_v2", "unknown-kind", "a later version, correctly signed", {
            labelled("realm/apply/v2", "realm/apply/v2")
        }),
        fail("component_as_intent", "unknown-kind", "a declaration is no intent", {
            labelled("realm/component/v1", "realm/component/v1")
        }),
        bad("flip_version", "one bit of the version", flipped("body", version)),
        bad("flip_digest", "one bit of what is pinned", flipped("body", digest)),
        bad("flip_last", "one bit of the last byte", flipped("body", good.len() - 1)),
        bad("flip_sig", "one bit of the signature", flipped("sig", 40)),
        fail("apply_flip_key", "other-owner", "one bit of the key", flipped("key", 5)),
        bad("signed_digest", "over the digest of what should be signed", {
            let digest = Digest::of(&pae(APPLY, &good));
            envelope(APPLY, &key_of(OWNER), &good, &sign(OWNER, digest.as_bytes())).encode()
        }),
        refused("other_realm", "other-realm", "our owner's apply for another realm", &strangers),
        fail("apply_other_owner", "other-owner", "another owner's apply for its own realm", {
            sealed_as(STRANGER, APPLY, &strangers.encode()).encode()
        }),
        fail_for("nobody", "apply_unclaimed", "unclaimed", "a node that does not trust on first use", {
            seal(&body()).encode()
        }),
    ]
}
