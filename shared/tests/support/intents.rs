//! Vectors of intents that must be accepted, and of bodies that the true owner signed although they are out of bounds.

use super::cbor::{Cbor, array, bytes, filled, text};
use super::fields::{
    OWNER, PUSH, REMOVE, fail, fail_body, key_of, key_text, owner_text, pae, push_body, remove_body, sealed, sealed_as,
};
use super::vector::{Vector, hex};
use shared::Digest;

pub(crate) fn accepted() -> Vec<Vector> {
    let extra_in_envelope = sealed(&push_body().encode()).and("", "later", array([text("x"), Cbor::Null]));
    let newer = push_body().and("", "not_before", Cbor::Uint(7)).and("payload.component", "priority", text("low")).and(
        "payload.component.limits",
        "handles_max",
        Cbor::Raw(vec![0xc1, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0]),
    );
    let swapped = {
        let mut body = push_body();
        body.pairs().reverse();
        body
    };
    let nulls_left_out = push_body()
        .without("not_after")
        .without("audience.platform")
        .without("payload.component.limits.fuel")
        .without("payload.component.limits.deadline_ms");
    let empty = push_body()
        .with("payload.component.artifact.size", Cbor::Uint(0))
        .with("payload.component.artifact.digest", bytes(Digest::of(b"").as_bytes()))
        .with("payload.component.artifact.chunks", bytes(Digest::of(b"").as_bytes()));
    let wide = push_body().with("seq", Cbor::Raw(vec![0x1b, 0, 0, 0, 0, 0, 0, 0, 1]));
    let mut vectors = vec![
        ok("minimal", "a push to everybody with every default", &push_body()),
        ok("full", "a push with every field set", &full()),
        ok("unicode_note", "a note in several scripts", &push_body().with("note", text("größer 🚀 やあ"))),
        ok("lowest", "every limit at its lower bound", &lowest()),
        ok("highest", "every limit, list and text at its upper bound", &highest()),
        ok("empty_artifact", "an artifact without bytes has no chunks", &empty),
        ok("unknown_fields_in_body", "fields of a later version are skipped, a tagged number among them", &newer),
        ok("other_field_order", "a reader takes the fields in any order", &swapped),
        ok("nulls_left_out", "a field that may be null may be left out", &nulls_left_out),
        ok("body_at_cap", "a body of 28 KiB", &filled(&push_body(), 28 * 1024)),
        ok("long_integer", "a number in more bytes than it needs", &wide),
    ];
    let with_extra = sealed_vector(
        "unknown_field_in_envelope",
        "a field of a later version is skipped",
        &push_body(),
        &extra_in_envelope,
    );
    vectors.push(with_extra);
    for verb in ["start", "stop", "restart"] {
        let body = push_body().with("payload.verb", text(verb));
        vectors.push(ok(verb, "what was typed is signed with the component", &body));
    }
    vectors.push(removal("remove", "a removal names the component alone", &remove_body()));
    let extra = remove_body().and("payload", "keep_logs", Cbor::Bool(true));
    vectors.push(removal("remove_unknown_field", "a field of a later version is skipped", &extra));
    let longest = filled(&sealed(&push_body().encode()), 28 * 1024 + 512);
    vectors.push(sealed_vector("envelope_at_cap", "an envelope of 28 KiB and 512 bytes", &push_body(), &longest));
    let mut first_use = ok("first_use", "an unclaimed node takes the first owner", &push_body());
    first_use.fields.iter_mut().filter(|(key, _)| key == "trust").for_each(|(_, trust)| *trust = "first-use".into());
    vectors.push(first_use);
    vectors
}

fn ok(name: &str, what: &str, body: &Cbor) -> Vector {
    sealed_vector(name, what, body, &sealed_as(OWNER, PUSH, &body.encode()))
}

fn removal(name: &str, what: &str, body: &Cbor) -> Vector {
    let envelope = sealed_as(OWNER, REMOVE, &body.encode());
    let key = format!("component/{}", text_at(body, "payload.name"));
    vector_of(REMOVE, &key, name, what, body, &envelope)
}

fn sealed_vector(name: &str, what: &str, body: &Cbor, envelope: &Cbor) -> Vector {
    let key = format!("component/{}", text_at(body, "payload.component.name"));
    vector_of(PUSH, &key, name, what, body, envelope)
}

/// What is under a path of a body, as a file says it.
fn text_at(body: &Cbor, path: &str) -> String {
    match body.clone().at(path) {
        Cbor::Text(text) => text.clone(),
        Cbor::Uint(number) => number.to_string(),
        Cbor::Raw(head) => head[head.len() - 1].to_string(),
        other => panic!("{path} is {other:?}"),
    }
}

/// An intent of the type `typ` that must be accepted, and what must be read.
pub(crate) fn vector_of(typ: &str, key: &str, name: &str, what: &str, body: &Cbor, envelope: &Cbor) -> Vector {
    let id = Digest::of(&pae(typ, &body.encode()));
    let mut vector = Vector::new(&format!("ok_{name}"), what, "intent", envelope.encode());
    vector.push("trust", &owner_text());
    vector.push("id", &hex(id.as_bytes()));
    vector.push("owner", &key_text(&key_of(OWNER)));
    vector.push("type", typ);
    vector.push("key", key);
    vector.push("seq", &text_at(body, "seq"));
    vector.push("note", &text_at(body, "note"));
    vector
}

/// A push with every field set.
pub(crate) fn full() -> Cbor {
    push_body()
        .with("not_after", Cbor::Uint(1_800_000_600_000))
        .with("audience.peers", array([bytes(&[7; 32]), bytes(&[8; 32])]))
        .with("audience.tags", array([text("dev"), text("arm-board_2.0")]))
        .with("audience.platform", text("linux/aarch64"))
        .with("note", text("the one that fixes the clock"))
        .with("payload.component.limits.memory_max_mb", Cbor::Uint(64))
        .with("payload.component.limits.fuel", Cbor::Uint(1_000_000_000))
        .with("payload.component.limits.epoch_ms", Cbor::Uint(10))
        .with("payload.component.limits.deadline_ms", Cbor::Uint(60_000))
        .with("payload.component.limits.log_max_kb", Cbor::Uint(64))
        .with("payload.component.replicas", Cbor::Uint(3))
        .with("payload.component.restart", text("always"))
        .with("payload.component.start", Cbor::Bool(false))
        .with("payload.component.args", array([text("--port"), text("80"), text("")]))
        .with("payload.component.env", array([env("RUST_LOG", "debug"), env("EMPTY", "")]))
        .with("payload.component.isolation", text("process"))
}

fn lowest() -> Cbor {
    with_limits([1, 1, 10, 1, 16])
        .with("seq", Cbor::Uint(0))
        .with("issued_at", Cbor::Uint(0))
        .with("not_after", Cbor::Uint(0))
        .with("payload.component.name", text("0"))
        .with("payload.component.restart", text("never"))
}

/// Everything at its upper bound.
pub(crate) fn highest() -> Cbor {
    let longest = "x".repeat(63);
    // 63 empty arguments, 64 variables with names of two bytes, and one argument that fills what is left of 8 KiB.
    let args = (0..63).map(|_| text("")).chain([text(&"a".repeat(8192 - 128))]);
    let vars = (0..64).map(|at| env(&format!("{at:02}"), ""));
    with_limits([65_536, u64::MAX, 60_000, 31_536_000_000, 1_048_576])
        .with("seq", Cbor::Uint(u64::MAX))
        .with("issued_at", Cbor::Uint(u64::MAX))
        .with("not_after", Cbor::Uint(u64::MAX))
        .with("note", text(&"n".repeat(512)))
        .with("audience.peers", array((0..=255).map(|at| bytes(&[at; 32]))))
        .with("audience.tags", array((0..16).map(|_| text(&longest))))
        .with("audience.platform", text(&"p".repeat(64)))
        .with("payload.component.name", text(&longest))
        .with("payload.component.artifact.size", Cbor::Uint(1 << 30))
        .with("payload.component.replicas", Cbor::Uint(1000))
        .with("payload.component.args", array(args))
        .with("payload.component.env", array(vars))
}

/// Memory, fuel, epoch, deadline, log.
fn with_limits([memory, fuel, epoch, deadline, log]: [u64; 5]) -> Cbor {
    push_body()
        .with("payload.component.limits.memory_max_mb", Cbor::Uint(memory))
        .with("payload.component.limits.fuel", Cbor::Uint(fuel))
        .with("payload.component.limits.epoch_ms", Cbor::Uint(epoch))
        .with("payload.component.limits.deadline_ms", Cbor::Uint(deadline))
        .with("payload.component.limits.log_max_kb", Cbor::Uint(log))
}

pub(crate) fn env(name: &str, value: &str) -> Cbor {
    array([text(name), text(value)])
}

/// Bounds that a type of its own keeps are refused while the body is read (`malformed`), the others after it (`bounds`).
pub(crate) fn out_of_bounds() -> Vec<Vector> {
    [too_long(), out_of_range(), of_kinds()].concat()
}

fn of_kinds() -> Vec<Vector> {
    let removal =
        |name: &str| sealed_as(OWNER, REMOVE, &remove_body().with("payload.name", text(name)).encode()).encode();
    vec![
        fail_body("verb_unknown", "malformed", "no such verb", push_body().with("payload.verb", text("pause"))),
        fail("remove_path", "malformed", "a name that is a path", removal("../hello")),
        fail("remove_empty", "malformed", "a removal without a name", removal("")),
        fail("remove_as_component", "malformed", "a removal with a component in place of a name", {
            sealed_as(OWNER, REMOVE, &push_body().encode()).encode()
        }),
    ]
}

fn component(field: &str, item: Cbor) -> Cbor {
    push_body().with(&format!("payload.component.{field}"), item)
}

fn too_long() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut too_long = |name: &str, what: &str, body: Cbor| vectors.push(fail_body(name, "bounds", what, body));
    too_long("note_too_long", "513 bytes", push_body().with("note", text(&"n".repeat(513))));
    too_long("note_too_long_in_bytes", "400 characters of two bytes", push_body().with("note", text(&"ü".repeat(400))));
    too_long(
        "peers_too_many",
        "257 peers",
        push_body().with("audience.peers", array((0..257).map(|_| bytes(&[7; 32])))),
    );
    too_long("tags_too_many", "17 tags", push_body().with("audience.tags", array((0..17).map(|_| text("t")))));
    too_long("platform_too_long", "65 bytes", push_body().with("audience.platform", text(&"p".repeat(65))));
    too_long("args_too_many", "65 arguments", component("args", array((0..65).map(|_| text("")))));
    too_long("args_too_long", "8193 bytes of arguments", component("args", array([text(&"a".repeat(8193))])));
    too_long("env_too_many", "65 variables", component("env", array((0..65).map(|at| env(&at.to_string(), "")))));
    too_long("env_and_args_too_long", "each within 8 KiB, both together not", {
        component("args", array([text(&"a".repeat(8190))])).with("payload.component.env", array([env("A", "bc")]))
    });
    too_long("env_without_name", "a variable without a name", component("env", array([env("", "x")])));
    too_long("env_equals_in_name", "`A=B` is no name", component("env", array([env("A=B", "x")])));
    too_long("args_nul", "a NUL byte would end the argument", component("args", array([text("a\0b")])));
    too_long("artifact_too_large", "one byte more than 1 GiB", component("artifact.size", Cbor::Uint((1 << 30) + 1)));
    vectors
}

fn out_of_range() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut no_value = |name: &str, what: &str, body: Cbor| vectors.push(fail_body(name, "malformed", what, body));
    for (limit, bound, above) in [
        ("memory_max_mb", 1, 65_537),
        ("epoch_ms", 10, 60_001),
        ("log_max_kb", 16, 1_048_577),
        ("deadline_ms", 1, 31_536_000_001),
    ] {
        let with = |number| component(&format!("limits.{limit}"), Cbor::Uint(number));
        no_value(&format!("{limit}_too_low"), "one below the lower bound", with(bound - 1));
        no_value(&format!("{limit}_too_high"), "one above the upper bound", with(above));
    }
    no_value("fuel_zero", "a run without fuel", component("limits.fuel", Cbor::Uint(0)));
    no_value("fuel_negative", "minus one", component("limits.fuel", Cbor::Negative(0)));
    no_value(
        "memory_32_bits_over",
        "2^32 must not be taken for 0",
        component("limits.memory_max_mb", Cbor::Uint(1 << 32)),
    );
    no_value("memory_negative", "minus one", component("limits.memory_max_mb", Cbor::Negative(0)));
    no_value("replicas_zero", "no replica", component("replicas", Cbor::Uint(0)));
    no_value("replicas_too_many", "1001 replicas", component("replicas", Cbor::Uint(1001)));
    no_value("replicas_16_bits_over", "2^16 + 1 must not be taken for 1", component("replicas", Cbor::Uint(65_537)));
    no_value("seq_negative", "minus one", push_body().with("seq", Cbor::Negative(0)));
    for (case, name) in [
        ("empty", String::new()),
        ("too_long", "x".repeat(64)),
        ("parent_dir", "../hello".into()),
        ("dots", "..".into()),
        ("slash", "a/../../b".into()),
        ("upper_case", "Hello".into()),
        ("space", "hello world".into()),
        ("nul", "hello\0".into()),
        ("unicode", "hellö".into()),
        ("flag", "-rf".into()),
    ] {
        no_value(&format!("name_{case}"), "not a component's name", component("name", text(&name)));
    }
    let tags = |tag: &str| push_body().with("audience.tags", array([text("dev"), text(tag)]));
    no_value("tag_empty", "not a tag", tags(""));
    no_value("tag_too_long", "64 bytes", tags(&"t".repeat(64)));
    no_value("tag_comma", "two tags in one", tags("a,b"));
    no_value("peer_too_short", "a peer of 31 bytes", push_body().with("audience.peers", array([bytes(&[7; 31])])));
    no_value("restart_unknown", "a policy that nobody knows", component("restart", text("sometimes")));
    no_value("isolation_unknown", "a process that nobody knows how to make", component("isolation", text("vm")));
    no_value("isolation_missing", "which process is not guessed", push_body().without("payload.component.isolation"));
    no_value(
        "restart_long",
        "an unknown policy of 20 KiB is not repeated in the reason",
        component("restart", text(&"\x1b".repeat(20_000))),
    );
    vectors
}
