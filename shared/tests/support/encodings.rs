//! Vectors of bytes that are no envelope or no body. Bodies here are correctly signed: the reader alone must refuse.

use super::cbor::{Cbor, array, bytes, filled, head, map, text};
use super::fields::{OWNER, PUSH, envelope, fail, fail_body, key_of, push_body, sealed, sign};
use super::vector::Vector;

pub(crate) fn encodings() -> Vec<Vector> {
    [trailing(), truncated(), missing_and_duplicate(), wrong_types(), lenient(), bombs()].concat()
}

fn good() -> Vec<u8> {
    sealed(&push_body().encode()).encode()
}

/// A signed body that is given as bytes.
fn body(name: &str, what: &str, body: Vec<u8>) -> Vector {
    fail_body(name, "malformed", what, Cbor::Raw(body))
}

fn trailing() -> Vec<Vector> {
    let good_body = push_body().encode();
    vec![
        fail("trailing_byte", "malformed", "a byte behind the envelope", [good(), vec![0]].concat()),
        fail("trailing_envelope", "malformed", "two envelopes", [good(), good()].concat()),
        body(
            "trailing_byte_in_body",
            "a byte behind the body, signed with it",
            [good_body.clone(), vec![0xf6]].concat(),
        ),
        body("trailing_body", "two bodies in one, signed together", [good_body.clone(), good_body].concat()),
    ]
}

fn truncated() -> Vec<Vector> {
    let good = good();
    let good_body = push_body().encode();
    let cut = |name: &str, what: &str, length: usize| fail(name, "malformed", what, good[..length].to_vec());
    vec![
        cut("empty", "no bytes at all", 0),
        cut("truncated_after_head", "the head of the envelope alone", 1),
        cut("truncated_in_typ", "cut within the type", 10),
        cut("truncated_in_key", "cut within the key", 40),
        cut("truncated_in_body", "cut within the body", good.len() / 2),
        cut("truncated_in_sig", "the last byte is missing", good.len() - 1),
        body("body_empty", "a signed body without bytes", Vec::new()),
        body("body_truncated_in_realm", "a signed body, cut within the realm", good_body[..20].to_vec()),
        body("body_truncated_last", "a signed body without its last byte", good_body[..good_body.len() - 1].to_vec()),
    ]
}

fn missing_and_duplicate() -> Vec<Vector> {
    let envelope = sealed(&push_body().encode());
    let mut vectors = Vec::new();
    for field in ["typ", "key", "body", "sig"] {
        let name = format!("missing_{field}");
        vectors.push(fail(
            &name,
            "malformed",
            "an envelope without this field",
            envelope.clone().without(field).encode(),
        ));
        let name = format!("duplicate_{field}");
        let again = envelope.clone().at(field).clone();
        vectors.push(fail(
            &name,
            "malformed",
            "an envelope with this field twice",
            envelope.clone().and("", field, again).encode(),
        ));
    }
    for field in ["realm", "seq", "issued_at", "audience", "note", "payload", "payload.component.artifact.size"] {
        let name = format!("body_missing_{}", field.rsplit('.').next().unwrap());
        vectors.push(fail_body(&name, "malformed", "a body without this field", push_body().without(field)));
    }
    for (map, field, item) in [
        ("", "realm", bytes(&[9; 32])),
        ("", "seq", Cbor::Uint(u64::MAX)),
        ("payload.component", "name", text("other")),
        ("audience", "tags", array([])),
    ] {
        let name = format!("body_duplicate_{field}");
        vectors.push(fail_body(&name, "malformed", "a body with this field twice", push_body().and(map, field, item)));
    }
    vectors
}

fn wrong_types() -> Vec<Vector> {
    let in_envelope = |field: &str, item: Cbor| sealed(&push_body().encode()).with(field, item).encode();
    let good_body = push_body().encode();
    let mut vectors: Vec<Vector> = [
        ("not_cbor", "text", b"realm/push/v1".to_vec()),
        ("json", "an envelope in JSON", br#"{"typ":"realm/push/v1","key":"","body":"","sig":""}"#.to_vec()),
        ("envelope_number", "a number", Cbor::Uint(7).encode()),
        ("envelope_empty_map", "an empty map", map([]).encode()),
        ("envelope_array", "the fields without their names", {
            array([text(PUSH), bytes(&key_of(OWNER)), bytes(&good_body), bytes(&[0; 64])]).encode()
        }),
        ("typ_number", "a number as the type", in_envelope("typ", Cbor::Uint(1))),
        ("typ_bytes", "the type as a byte string", in_envelope("typ", bytes(PUSH.as_bytes()))),
        ("typ_not_utf8", "a type that is no UTF-8", in_envelope("typ", Cbor::Raw(vec![0x62, 0xc3, 0x28]))),
        ("key_short", "a key of 31 bytes", in_envelope("key", bytes(&key_of(OWNER)[..31]))),
        ("key_long", "a key of 33 bytes", in_envelope("key", bytes(&[key_of(OWNER).as_slice(), &[0]].concat()))),
        ("key_text", "the key in its text form", in_envelope("key", text(&super::fields::owner_text()))),
        ("key_array", "the key as an array of numbers", {
            in_envelope("key", array(key_of(OWNER).map(|byte| Cbor::Uint(byte.into()))))
        }),
        ("body_map", "the body as a map instead of its bytes", in_envelope("body", push_body())),
        ("sig_short", "a signature of 63 bytes", in_envelope("sig", bytes(&[0; 63]))),
        ("sig_long", "a signature of 65 bytes", in_envelope("sig", bytes(&[0; 65]))),
        ("sig_null", "null as the signature", in_envelope("sig", Cbor::Null)),
    ]
    .into_iter()
    .map(|(name, what, bytes)| fail(name, "malformed", what, bytes))
    .collect();
    let mut no_body = |name: &str, what: &str, body: Cbor| {
        vectors.push(fail_body(&format!("body_{name}"), "malformed", what, body));
    };
    no_body("null", "null instead of a body", Cbor::Null);
    no_body("seq_text", "a sequence in text", push_body().with("seq", text("1")));
    no_body("seq_null", "null as the sequence", push_body().with("seq", Cbor::Null));
    no_body(
        "seq_float",
        "a sequence as a floating point number",
        push_body().with("seq", Cbor::Raw(vec![0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0])),
    );
    no_body(
        "seq_65_bits",
        "a sequence of 2^64, as a bignum",
        push_body().with("seq", Cbor::Raw(vec![0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
    );
    no_body("realm_text", "the realm in its text form", push_body().with("realm", text(&"00".repeat(32))));
    no_body("realm_short", "a realm of 31 bytes", push_body().with("realm", bytes(&[0; 31])));
    no_body("start_number", "1 is not true", push_body().with("payload.component.start", Cbor::Uint(1)));
    no_body("note_not_utf8", "a note that is no UTF-8", push_body().with("note", Cbor::Raw(vec![0x61, 0xff])));
    no_body("tags_text", "a text instead of a list", push_body().with("audience.tags", text("dev")));
    no_body("args_null", "null instead of an empty list", push_body().with("payload.component.args", Cbor::Null));
    no_body("env_map", "variables as a map", push_body().with("payload.component.env", map([("A", text("b"))])));
    no_body("env_triple", "a variable of three parts", {
        push_body().with("payload.component.env", array([array([text("A"), text("b"), text("c")])]))
    });
    vectors
}

/// Encodings that the codec would take, and that another reader may take for something else.
fn lenient() -> Vec<Vector> {
    let end = |start: u8, inner: Vec<u8>| [vec![start], inner, vec![0xff]].concat();
    let without_head = |item: Cbor| item.encode()[1..].to_vec();
    let endless_tags = Cbor::Raw(end(0x9f, text("dev").encode()));
    let endless_note = Cbor::Raw(end(0x7f, [text("a").encode(), text("b").encode()].concat()));
    let good_body = push_body().encode();
    let endless_bytes = Cbor::Raw(end(0x5f, bytes(&good_body).encode()));
    let endless_extra = push_body().and("", "later", Cbor::Raw(vec![0x9f, 0xff]));
    vec![
        fail("endless_envelope", "malformed", "an envelope of indefinite length", end(0xbf, good()[1..].to_vec())),
        fail("endless_body_bytes", "malformed", "the bytes of the body in chunks", {
            sealed(&good_body).with("body", endless_bytes).encode()
        }),
        body("endless_body", "a body of indefinite length", end(0xbf, without_head(push_body()))),
        fail_body(
            "endless_tags",
            "malformed",
            "a list of indefinite length",
            push_body().with("audience.tags", endless_tags),
        ),
        fail_body("endless_note", "malformed", "a note in chunks", push_body().with("note", endless_note)),
        fail_body("endless_unknown", "malformed", "an unknown field of indefinite length", endless_extra),
        fail_body(
            "undefined",
            "malformed",
            "undefined is not null",
            push_body().with("not_after", Cbor::Raw(vec![0xf7])),
        ),
        fail_body("reserved_head", "malformed", "an unknown field with a head that means nothing", {
            push_body().and("", "later", Cbor::Raw(vec![0x1c]))
        }),
        fail_body("restart_open_map", "malformed", "a map of one pair that lacks its value", {
            push_body().with("payload.component.restart", Cbor::Raw(b"\xa1\x65never".to_vec()))
        }),
        fail_body("restart_in_map", "malformed", "a value where none belongs", {
            push_body().with("payload.component.restart", map([("never", Cbor::Null)]))
        }),
        fail_body("tagged_seq", "malformed", "a tag before a known field", {
            push_body().with("seq", Cbor::Raw(vec![0xc1, 0x07]))
        }),
    ]
}

/// Few bytes that announce much, and many bytes.
fn bombs() -> Vec<Vector> {
    let announced = |major: u8, length: u64| {
        let mut out = Vec::new();
        head(&mut out, major, length);
        Cbor::Raw(out)
    };
    let nested = |depth: usize| Cbor::Raw([vec![0x81; depth], vec![0xf6]].concat());
    let in_envelope = |field: &str, item: Cbor| sealed(&push_body().encode()).with(field, item).encode();
    let long_body = filled(&push_body(), 28 * 1024 + 1).encode();
    let sig = sign(OWNER, &super::fields::pae(PUSH, &long_body));
    vec![
        fail("huge_map", "malformed", "a map of 2^64 - 1 pairs", announced(5, u64::MAX).encode()),
        fail("huge_body", "malformed", "a body of 2^63 bytes", in_envelope("body", announced(2, 1 << 63))),
        fail("huge_typ", "malformed", "a type of 2^32 bytes", in_envelope("typ", announced(3, 1 << 32))),
        fail("huge_unknown", "malformed", "an unknown array of 2^62 items", {
            sealed(&push_body().encode()).and("", "later", announced(4, 1 << 62)).encode()
        }),
        fail_body(
            "huge_peers",
            "malformed",
            "a list of 2^40 peers",
            push_body().with("audience.peers", announced(4, 1 << 40)),
        ),
        fail_body("huge_args", "malformed", "a list of 2^64 - 1 arguments", {
            push_body().with("payload.component.args", announced(4, u64::MAX))
        }),
        fail_body("huge_realm", "malformed", "a realm of 2^32 bytes", push_body().with("realm", announced(2, 1 << 32))),
        fail("deep_envelope", "malformed", "2,000 arrays within one another", nested(2_000).encode()),
        fail("deep_unknown", "malformed", "an unknown field, nested too deep", {
            sealed(&push_body().encode()).and("", "later", nested(32)).encode()
        }),
        fail_body(
            "deep_unknown_in_body",
            "malformed",
            "the same in a signed body",
            push_body().and("", "later", nested(2_000)),
        ),
        fail_body("deep_tags", "malformed", "tags upon tags", {
            push_body().and("", "later", Cbor::Raw([vec![0xc6; 100], vec![0]].concat()))
        }),
        fail("body_too_long", "too-long", "a body of 28 KiB and a byte, in an envelope that is short enough", {
            envelope(PUSH, &key_of(OWNER), &long_body, &sig).encode()
        }),
        fail("envelope_too_long", "too-long", "an envelope of 28 KiB and 513 bytes", {
            filled(&sealed(&push_body().encode()), 28 * 1024 + 513).encode()
        }),
    ]
}
