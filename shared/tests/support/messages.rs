//! Vectors of frames and of the hello.

use super::cbor::{Cbor, array, bytes, map, text};
use super::fields::{OWNER, key_of, realm_of};
use super::vector::{Vector, hex};

fn framed(item: &[u8]) -> Vec<u8> {
    [&u32::try_from(item.len()).unwrap().to_be_bytes(), item].concat()
}

fn frame(name: &str, what: &str, bytes: Vec<u8>, expected: (&str, &str)) -> Vector {
    let mut vector = Vector::new(name, what, "frame", bytes);
    vector.push("cap", "64");
    vector.push(expected.0, expected.1);
    vector
}

pub(crate) fn frames() -> Vec<Vector> {
    let longest = "x".repeat(62);
    vec![
        frame("ok_frame", "length and one text", framed(&text("hello").encode()), ("text", "hello")),
        frame("ok_frame_at_cap", "64 bytes, which is the cap", framed(&text(&longest).encode()), ("text", &longest)),
        frame("fail_frame_above_cap", "65 bytes", framed(&text(&"x".repeat(63)).encode()), ("code", "too-long")),
        frame("fail_frame_huge", "4 GiB announced, and nothing sent", vec![0xff; 4], ("code", "too-long")),
        frame("fail_frame_little_endian", "the length in the wrong order", vec![6, 0, 0, 0], ("code", "too-long")),
        frame("fail_frame_empty", "a frame without a value", framed(&[]), ("code", "malformed")),
        frame("fail_frame_trailing", "a byte behind the value", framed(b"\x65hello\x00"), ("code", "malformed")),
        frame(
            "fail_frame_short_value",
            "the value is longer than its frame",
            framed(b"\x66hello"),
            ("code", "malformed"),
        ),
        frame("fail_frame_other_type", "a number where a text belongs", framed(&[0x18, 0x20]), ("code", "malformed")),
    ]
}

fn hello_map(realm: Cbor, role: &str, addrs: usize) -> Cbor {
    let addr = "/ip4/192.0.2.1/udp/4001/quic-v1";
    map([
        ("realm", realm),
        ("role", text(role)),
        ("version", text("0.1.0")),
        ("platform", text("linux/x86_64")),
        ("tags", array([text("dev")])),
        ("addrs", array((0..addrs).map(|_| text(addr)))),
        ("boot", Cbor::Uint(3)),
        ("highest_seq", Cbor::Uint(1_800_000_000_000)),
    ])
}

fn hello(name: &str, what: &str, hello: Cbor, expected: (&str, &str)) -> Vector {
    let mut vector = Vector::new(name, what, "hello", hello.encode());
    vector.push(expected.0, expected.1);
    if expected.0 == "realm" {
        vector.push("highest_seq", "1800000000000");
    }
    vector
}

pub(crate) fn hellos() -> Vec<Vector> {
    let ours = realm_of(&key_of(OWNER));
    let realm = || bytes(&ours);
    let many_tags = array((0..17).map(|_| text("t")));
    vec![
        hello("ok_hello_member", "a node of a realm", hello_map(realm(), "node", 2), ("realm", &hex(&ours))),
        hello("ok_hello_operator", "an operator", hello_map(realm(), "operator", 0), ("realm", &hex(&ours))),
        hello("ok_hello_unclaimed", "a node of no realm", hello_map(Cbor::Null, "node", 16), ("realm", "none")),
        hello("fail_hello_addrs", "17 addresses", hello_map(realm(), "node", 17), ("code", "bounds")),
        hello(
            "fail_hello_addr_long",
            "an address of 321 bytes",
            hello_map(realm(), "node", 1).with("addrs", array([text(&"a".repeat(321))])),
            ("code", "bounds"),
        ),
        hello("fail_hello_tags", "17 tags", hello_map(realm(), "node", 0).with("tags", many_tags), ("code", "bounds")),
        hello(
            "fail_hello_version",
            "a version of 65 bytes",
            hello_map(realm(), "node", 0).with("version", text(&"1".repeat(65))),
            ("code", "bounds"),
        ),
        hello("fail_hello_role", "a role that nobody knows", hello_map(realm(), "owner", 0), ("code", "malformed")),
        hello(
            "fail_hello_realm_short",
            "a realm of 31 bytes",
            hello_map(bytes(&[0; 31]), "node", 0),
            ("code", "malformed"),
        ),
        hello(
            "fail_hello_missing",
            "a hello without `highest_seq`",
            hello_map(realm(), "node", 0).without("highest_seq"),
            ("code", "malformed"),
        ),
    ]
}
