//! Vectors of intents that nobody may obey: altered, relabelled, signed otherwise, by somebody else, or for another realm.

use super::cbor::{Cbor, bytes, text};
use super::fields::{
    OWNER, PUSH, REMOVE, STRANGER, envelope, fail, fail_body, fail_for, key_of, pae, push_body, realm_of, remove_body,
    sealed, sealed_as, sign,
};
use super::vector::Vector;

pub(crate) fn forgeries() -> Vec<Vector> {
    [bit_flips(), relabelled(), signed_otherwise(), bent_signatures(), strangers()].concat()
}

fn bit_flips() -> Vec<Vector> {
    let body = push_body().encode();
    let (last, middle) = (body.len() - 1, body.len() / 2);
    let flipped = |path: &str, at: usize, bit: u8| {
        let mut sealed = sealed(&body);
        match sealed.at(path) {
            Cbor::Bytes(bytes) => bytes[at] ^= 1 << bit,
            Cbor::Text(text) => {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                *text = String::from_utf8(bytes).unwrap();
            }
            other => panic!("no bits in {other:?}"),
        }
        sealed.encode()
    };
    vec![
        fail("flip_typ_first", "unknown-kind", "one bit of the type: `sealm/push/v1`", flipped("typ", 0, 0)),
        fail("flip_typ_version", "unknown-kind", "one bit of the type: `realm/push/v3`", flipped("typ", 12, 1)),
        fail("flip_key", "other-owner", "one bit of the key", flipped("key", 17, 3)),
        fail_for(
            "first-use",
            "flip_key_first_use",
            "bad-signature",
            "no bit of the key is free",
            flipped("key", 17, 3),
        ),
        fail_for("first-use", "flip_key_sign", "bad-signature", "nor is the sign of the point", flipped("key", 31, 7)),
        fail("flip_body_first", "bad-signature", "one bit of the head of the body", flipped("body", 0, 0)),
        fail("flip_body_realm", "bad-signature", "one bit of the realm", flipped("body", 12, 0)),
        fail("flip_body_middle", "bad-signature", "one bit in the middle of the body", flipped("body", middle, 4)),
        fail("flip_body_last", "bad-signature", "one bit of the last byte of the body", flipped("body", last, 0)),
        fail("flip_sig_first", "bad-signature", "one bit of the first half of the signature", flipped("sig", 0, 0)),
        fail("flip_sig_second_half", "bad-signature", "one bit of the second half", flipped("sig", 32, 0)),
        fail("flip_sig_last", "bad-signature", "the highest bit of the signature", flipped("sig", 63, 7)),
    ]
}

fn relabelled() -> Vec<Vector> {
    let body = push_body().encode();
    // The owner signed `body` as `signed`; somebody says it is `claimed`.
    let claimed = |signed: &str, claimed: &str| sealed_as(OWNER, signed, &body).with("typ", text(claimed)).encode();
    let shifted = {
        // `... 13 realm/push/v1 N BODY` read as a longer type and a shorter body.
        let typ = format!("{PUSH} {} ", body.len());
        sealed(&body).with("typ", text(&typ)).encode()
    };
    let other_cut = [b"1".as_slice(), &body].concat();
    vec![
        fail("push_as_apply", "bad-signature", "a push relabelled as another kind", claimed(PUSH, "realm/apply/v1")),
        fail("push_as_upgrade", "unknown-kind", "a push relabelled as an upgrade", claimed(PUSH, "realm/upgrade/v1")),
        fail("push_as_report", "unknown-kind", "a report is no intent", claimed(PUSH, "realm/report/v1")),
        fail("apply_as_push", "bad-signature", "the owner signed it as another kind", claimed("realm/apply/v1", PUSH)),
        fail(
            "upgrade_as_push",
            "bad-signature",
            "the owner signed it as an upgrade",
            claimed("realm/upgrade/v1", PUSH),
        ),
        fail(
            "report_as_push",
            "bad-signature",
            "signed by the owner's key as a report",
            claimed("realm/report/v1", PUSH),
        ),
        fail("push_as_remove", "bad-signature", "a push relabelled as a removal", claimed(PUSH, REMOVE)),
        fail("remove_as_push", "bad-signature", "a removal relabelled as a push", {
            sealed_as(OWNER, REMOVE, &remove_body().encode()).with("typ", text(PUSH)).encode()
        }),
        fail("push_v2", "unknown-kind", "a later version, correctly signed", claimed("realm/push/v2", "realm/push/v2")),
        fail("typ_empty", "unknown-kind", "no type at all", claimed("", "")),
        fail(
            "typ_upper_case",
            "unknown-kind",
            "types are compared byte by byte",
            claimed("Realm/push/v1", "Realm/push/v1"),
        ),
        fail("typ_space_behind", "unknown-kind", "no space is cut off", claimed("realm/push/v1 ", "realm/push/v1 ")),
        fail("typ_64_bytes", "unknown-kind", "the longest type that is looked at", claimed(PUSH, &"t".repeat(64))),
        fail("typ_too_long", "too-long", "a type of 65 bytes", claimed(PUSH, &"t".repeat(65))),
        fail("typ_body_boundary", "unknown-kind", "bytes moved from the head of the body into the type", shifted),
        fail(
            "body_typ_boundary",
            "bad-signature",
            "the last byte of the type moved into the body before it was signed",
            envelope(PUSH, &key_of(OWNER), &body, &sign(OWNER, &pae("realm/push/v", &other_cut))).encode(),
        ),
    ]
}

fn signed_otherwise() -> Vec<Vector> {
    let body = push_body().encode();
    let over = |message: &[u8]| envelope(PUSH, &key_of(OWNER), &body, &sign(OWNER, message)).encode();
    let signed = pae(PUSH, &body);
    vec![
        fail("signed_body_only", "bad-signature", "the signature is over the body without its type", over(&body)),
        fail("signed_concatenation", "bad-signature", "over type and body without lengths", {
            over(&[PUSH.as_bytes(), &body].concat())
        }),
        fail("signed_digest", "bad-signature", "over the digest of what should be signed", {
            over(shared::Digest::of(&signed).as_bytes())
        }),
        fail("signed_pae_twice", "bad-signature", "over the encoding of the encoding", over(&pae(PUSH, &signed))),
        fail("signed_shorter_body", "bad-signature", "over the body without its last byte", {
            over(&pae(PUSH, &body[..body.len() - 1]))
        }),
        fail("signed_nothing", "bad-signature", "over no bytes", over(b"")),
        fail("sig_zero", "bad-signature", "64 zero bytes", envelope(PUSH, &key_of(OWNER), &body, &[0; 64]).encode()),
    ]
}

fn bent_signatures() -> Vec<Vector> {
    /// The order of the base point, little endian (RFC 8032, section 5.1).
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let body = push_body().encode();
    let mut malleable = sign(OWNER, &pae(PUSH, &body));
    let mut carry = 0;
    for (byte, order) in malleable[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    // With a key of small order, a signature that was made without any secret fits every message.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut identity_not_reduced = [0xff; 32];
    (identity_not_reduced[0], identity_not_reduced[31]) = (0xee, 0x7f);
    let by_small_key = |key: [u8; 32]| {
        let body = push_body().with("realm", bytes(&realm_of(&key))).encode();
        envelope(PUSH, &key, &body, &[identity, [0; 32]].concat()).encode()
    };
    vec![
        fail("sig_s_plus_order", "bad-signature", "S + L: the same signature in another form", {
            envelope(PUSH, &key_of(OWNER), &body, &malleable).encode()
        }),
        fail_for("first-use", "key_identity", "bad-signature", "the neutral point as a key", by_small_key(identity)),
        fail_for(
            "first-use",
            "key_identity_not_reduced",
            "bad-signature",
            "the neutral point, written as y = p + 1",
            by_small_key(identity_not_reduced),
        ),
        fail_for("first-use", "key_order_four", "bad-signature", "a key of order 4", by_small_key([0; 32])),
    ]
}

fn strangers() -> Vec<Vector> {
    let strangers_realm = push_body().with("realm", bytes(&realm_of(&key_of(STRANGER))));
    let by_stranger = |body: &Cbor| sealed_as(STRANGER, PUSH, &body.encode());
    let hash_of_key = shared::Digest::of(&key_of(OWNER));
    vec![
        fail(
            "other_owner",
            "other-owner",
            "another owner's push for its own realm",
            by_stranger(&strangers_realm).encode(),
        ),
        fail(
            "other_owner_our_realm",
            "other-owner",
            "another owner's push for our realm",
            by_stranger(&push_body()).encode(),
        ),
        fail("other_owner_our_key", "bad-signature", "another owner's signature under our owner's key", {
            by_stranger(&push_body()).with("key", bytes(&key_of(OWNER))).encode()
        }),
        fail_for("nobody", "unclaimed", "unclaimed", "a node without owner that does not trust on first use", {
            sealed(&push_body().encode()).encode()
        }),
        fail_for("first-use", "first_use_other_realm", "other-realm", "a realm that is not the signer's", {
            by_stranger(&push_body()).encode()
        }),
        fail_for("first-use", "first_use_altered", "bad-signature", "trust on first use checks the signature too", {
            sealed(&push_body().encode()).with("body", bytes(&push_body().with("seq", Cbor::Uint(1)).encode())).encode()
        }),
        fail_for("first-use", "first_use_out_of_bounds", "bounds", "and the bounds", {
            sealed(&push_body().with("note", text(&"n".repeat(513))).encode()).encode()
        }),
        fail_body("other_realm", "other-realm", "our owner's push for another realm", strangers_realm),
        fail_body("realm_without_domain", "other-realm", "the hash of the key alone is not the realm", {
            push_body().with("realm", bytes(hash_of_key.as_bytes()))
        }),
        fail_body(
            "realm_zero",
            "other-realm",
            "32 zero bytes are no wildcard",
            push_body().with("realm", bytes(&[0; 32])),
        ),
    ]
}
