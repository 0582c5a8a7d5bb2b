//! Vectors of the document that an apply pins.

use super::cbor::{Cbor, array, bytes, map, text};
use super::fields::{everybody, pae, push_body};
use super::intents::{env, full, highest};
use super::vector::{Vector, hex};
use shared::Digest;

/// What names a declaration.
const DECLARATION: &str = "realm/component/v1";

/// How a manifest spreads, by default.
fn rollout() -> Cbor {
    map([
        ("max_parallel", Cbor::Null),
        ("min_healthy_s", Cbor::Uint(5)),
        ("max_failures", Cbor::Uint(1)),
        ("auto_rollback", Cbor::Bool(false)),
    ])
}

/// A document of these entries.
pub(crate) fn document(entries: impl IntoIterator<Item = Cbor>) -> Cbor {
    map([("rollout", rollout()), ("components", array(entries))])
}

/// The entry of a component for everybody.
pub(crate) fn entry(component: &Cbor) -> Cbor {
    map([("component", bytes(&component.encode())), ("audience", everybody()), ("strategy", text("start-first"))])
}

/// The component of the plainest push.
pub(crate) fn component() -> Cbor {
    push_body().at("payload.component").clone()
}

/// The same under another name.
pub(crate) fn named(name: &str) -> Cbor {
    component().with("name", text(name))
}

/// The id of a declaration.
pub(crate) fn id_of(component: &Cbor) -> String {
    hex(Digest::of(&pae(DECLARATION, &component.encode())).as_bytes())
}

/// What must be read of an entry for everybody that starts first.
fn plain(name: &str, component: &Cbor) -> String {
    format!("{name} start-first 0//any {}", id_of(component))
}

fn ok<const N: usize>(name: &str, what: &str, document: &Cbor, declares: [String; N]) -> Vector {
    let bytes = document.encode();
    let digest = Digest::of(&bytes);
    let mut vector = Vector::new(&format!("ok_manifest_{name}"), what, "manifest", bytes);
    // One chunk.
    vector.push("digest", &format!("sha256:{}", hex(digest.as_bytes())));
    vector.push("chunks", &format!("sha256:{}", hex(Digest::of(digest.as_bytes()).as_bytes())));
    vector.push("rollout", "all-or-a-third 5 1 keep");
    vector.push("declares", &declares.join(", "));
    vector
}

/// A document of one component that spreads otherwise.
fn ok_rollout(name: &str, what: &str, rollout: Cbor, expected: &str) -> Vector {
    let document = document([entry(&component())]).with("rollout", rollout);
    let mut vector = ok(&format!("rollout_{name}"), what, &document, [plain("hello", &component())]);
    vector.fields.iter_mut().filter(|(key, _)| key == "rollout").for_each(|(_, value)| *value = expected.into());
    vector
}

fn fail(name: &str, what: &str, bytes: Vec<u8>) -> Vector {
    let mut vector = Vector::new(&format!("fail_manifest_{name}"), what, "manifest", bytes);
    vector.push("code", "malformed");
    vector
}

pub(crate) fn manifests() -> Vec<Vector> {
    [accepted(), bad_documents(), rollouts(), bad_entries(), bad_components()].concat()
}

fn rollouts() -> Vec<Vector> {
    let with = |field: &str, item: Cbor| rollout().with(field, item);
    let bad = |name: &str, what: &str, rollout: Cbor| {
        fail(&format!("rollout_{name}"), what, document([]).with("rollout", rollout).encode())
    };
    let lowest = with("max_parallel", Cbor::Uint(1)).with("min_healthy_s", Cbor::Uint(0));
    let highest = with("max_parallel", Cbor::Uint(0xffff))
        .with("min_healthy_s", Cbor::Uint(3_600))
        .with("max_failures", Cbor::Uint(0xffff))
        .with("auto_rollback", Cbor::Bool(true));
    let left_out = rollout().without("max_parallel").and("", "pause_s", Cbor::Uint(60));
    vec![
        ok_rollout("lowest", "every number at its lower bound", lowest, "1 0 1 keep"),
        ok_rollout("highest", "every number at its upper bound", highest, "65535 3600 65535 go-back"),
        ok_rollout("later", "null is left out, and a later field skipped", left_out, "all-or-a-third 5 1 keep"),
        bad("max_parallel_zero", "nobody may change", with("max_parallel", Cbor::Uint(0))),
        bad("max_parallel_17_bits", "2^16 + 1 must not be taken for 1", with("max_parallel", Cbor::Uint(0x1_0001))),
        bad("min_healthy_s_too_high", "an hour and a second", with("min_healthy_s", Cbor::Uint(3_601))),
        bad("min_healthy_s_null", "null, where there is a default", with("min_healthy_s", Cbor::Null)),
        bad("max_failures_zero", "it would halt before it begins", with("max_failures", Cbor::Uint(0))),
        bad("without_max_failures", "a field is missing", rollout().without("max_failures")),
        bad("auto_rollback_number", "1 is not true", with("auto_rollback", Cbor::Uint(1))),
        fail("without_rollout", "how it spreads is not said", document([]).without("rollout").encode()),
        fail("rollout_null", "null in its place", document([]).with("rollout", Cbor::Null).encode()),
    ]
}

fn accepted() -> Vec<Vector> {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let turned = |item: &Cbor| {
        let mut item = item.clone();
        item.pairs().reverse();
        item
    };
    // Another encoding of the same spec is another declaration: what is hashed are the bytes as they came.
    let turned_b = turned(&b);
    let any_order = turned(&document([turned(&entry(&c)), entry(&turned_b), turned(&entry(&a))]));
    let (c_text, b_text, a_text) = (plain("c", &c), plain("b", &turned_b), plain("a", &a));
    let newer = component().and("", "priority", text("low")).and("limits", "handles_max", Cbor::Uint(3));
    let later = document([entry(&newer).and("", "max_parallel", Cbor::Uint(2))]).and("", "later", map([]));
    let full = full().at("payload.component").clone();
    let for_some = map([
        ("peers", array([bytes(&[7; 32]), bytes(&[8; 32])])),
        ("tags", array([text("dev"), text("arm-board_2.0")])),
        ("platform", text("linux/aarch64")),
    ]);
    let chosen = document([entry(&full).with("audience", for_some).with("strategy", text("stop-first"))]);
    let mut highest = highest();
    let audience = highest.at("audience").clone();
    let highest = highest.at("payload.component").clone();
    let tags = ["x".repeat(63).as_str(); 16].join("+");
    let highest_text = format!("{} start-first 256/{tags}/{} {}", "x".repeat(63), "p".repeat(64), id_of(&highest));
    let without_platform = entry(&component()).without("audience.platform");
    vec![
        ok("empty", "nothing is declared: what was, ends", &document([]), []),
        ok("one", "a component for everybody", &document([entry(&component())]), [plain("hello", &component())]),
        ok("several", "in the order of their names", &document([&a, &b, &c].map(entry)), {
            [plain("a", &a), plain("b", &b), plain("c", &c)]
        }),
        ok("any_order", "entries and fields in any order", &any_order, [a_text, b_text, c_text]),
        ok("later_fields", "fields of a later version are skipped, and count for the id", &later, {
            [plain("hello", &newer)]
        }),
        ok("chosen", "every field set, for some nodes, the old one ends first", &chosen, {
            [format!("hello stop-first 2/dev+arm-board_2.0/linux/aarch64 {}", id_of(&full))]
        }),
        ok("highest", "everything at its upper bound", &document([entry(&highest).with("audience", audience)]), {
            [highest_text]
        }),
        ok("null_left_out", "a field that may be null may be left out", &document([without_platform]), {
            [plain("hello", &component())]
        }),
    ]
}

fn bad_documents() -> Vec<Vector> {
    let good = document([entry(&component())]).encode();
    let list = array([entry(&component())]);
    let as_map = map([("hello", entry(&component()))]);
    let same_but_for_a_limit = component().with("replicas", Cbor::Uint(2));
    vec![
        fail("no_bytes", "a document has a byte at least", Vec::new()),
        fail("not_cbor", "text", b"[components.hello]".to_vec()),
        fail("json", "in JSON", br#"{"components":[]}"#.to_vec()),
        fail("null", "null", Cbor::Null.encode()),
        fail("empty_map", "without its fields", map([]).encode()),
        fail("without_components", "nothing is said of components", document([]).without("components").encode()),
        fail("list", "the list without the map around it", list.encode()),
        fail("components_null", "null instead of an empty list", document([]).with("components", Cbor::Null).encode()),
        fail("components_map", "components by name", document([]).with("components", as_map).encode()),
        fail("components_twice", "the list twice", document([]).and("", "components", list).encode()),
        fail("trailing", "a byte behind it", [good.clone(), vec![0]].concat()),
        fail("two", "two documents", [good.clone(), good.clone()].concat()),
        fail("truncated", "its last byte is missing", good[..good.len() - 1].to_vec()),
        fail("endless", "a list of indefinite length", {
            document([]).with("components", Cbor::Raw(vec![0x9f, 0xff])).encode()
        }),
        fail("huge", "2^40 components are announced", {
            document([]).with("components", Cbor::Raw(vec![0x9b, 0, 0, 1, 0, 0, 0, 0, 0])).encode()
        }),
        fail("deep", "an unknown field, nested too deep", {
            document([]).and("", "later", Cbor::Raw([vec![0x81; 32], vec![0xf6]].concat())).encode()
        }),
        fail("name_twice", "one name twice", document([&component(), &same_but_for_a_limit].map(entry)).encode()),
        fail("entry_twice", "one entry twice", document([&component(), &component()].map(entry)).encode()),
    ]
}

fn bad_entries() -> Vec<Vector> {
    let with = |name: &str, what: &str, entry: Cbor| fail(name, what, document([entry]).encode());
    let good = entry(&component());
    let strategy = |item: Cbor| good.clone().with("strategy", item);
    let audience = |field: &str, item: Cbor| good.clone().with(&format!("audience.{field}"), item);
    vec![
        with("without_component", "no component", good.clone().without("component")),
        with("without_audience", "no audience, not even an empty one", good.clone().without("audience")),
        with("without_strategy", "no strategy", good.clone().without("strategy")),
        with("strategy_unknown", "a strategy that nobody knows", strategy(text("all-at-once"))),
        with("strategy_null", "null is no strategy", strategy(Cbor::Null)),
        with("strategy_in_map", "a value where none belongs", strategy(map([("start-first", Cbor::Null)]))),
        with("peers_too_many", "257 peers", audience("peers", array((0..257).map(|_| bytes(&[7; 32]))))),
        with("tags_too_many", "17 tags", audience("tags", array((0..17).map(|_| text("t"))))),
        with("tag_empty", "not a tag", audience("tags", array([text("")]))),
        with("platform_too_long", "65 bytes", audience("platform", text(&"p".repeat(65)))),
        with(
            "component_map",
            "the component as a map instead of its bytes",
            good.clone().with("component", component()),
        ),
        with("component_empty", "a component without bytes", good.clone().with("component", bytes(&[]))),
        with("component_null", "null in place of a component", entry(&Cbor::Null)),
        with("component_trailing", "a byte behind the component", {
            entry(&Cbor::Raw([component().encode(), vec![0]].concat()))
        }),
        with("component_a_push", "the payload of a push in its place", entry(push_body().at("payload"))),
    ]
}

/// What [`super::intents::out_of_bounds`] says of pushes.
fn bad_components() -> Vec<Vector> {
    let with = |name: &str, what: &str, path: &str, item: Cbor| {
        // The fault is in the second one.
        let bad = component().with(path, item);
        fail(name, what, document([entry(&named("a")), entry(&bad)]).encode())
    };
    let mut vectors = vec![
        with("name_empty", "no name", "name", text("")),
        with("name_path", "a name that is a path", "name", text("../hello")),
        with("name_too_long", "a name of 64 bytes", "name", text(&"x".repeat(64))),
        with("replicas_zero", "no replica", "replicas", Cbor::Uint(0)),
        with("replicas_too_many", "1001 replicas", "replicas", Cbor::Uint(1001)),
        with("fuel_zero", "a run without fuel", "limits.fuel", Cbor::Uint(0)),
        with("restart_unknown", "a policy that nobody knows", "restart", text("sometimes")),
        with("artifact_too_large", "one byte more than 1 GiB", "artifact.size", Cbor::Uint((1 << 30) + 1)),
        with("args_too_many", "65 arguments", "args", array((0..65).map(|_| text("")))),
        with("args_too_long", "8193 bytes of arguments", "args", array([text(&"a".repeat(8193))])),
        with("args_nul", "a NUL byte would end the argument", "args", array([text("a\0b")])),
        with("env_too_many", "65 variables", "env", array((0..65).map(|at| env(&at.to_string(), "")))),
        with("env_equals_in_name", "`A=B` is no name", "env", array([env("A=B", "x")])),
    ];
    for (limit, bound, above) in [
        ("memory_max_mb", 1, 65_537),
        ("epoch_ms", 10, 60_001),
        ("log_max_kb", 16, 1_048_577),
        ("deadline_ms", 1, 31_536_000_001),
    ] {
        let path = format!("limits.{limit}");
        let low = with(&format!("{limit}_too_low"), "one below the lower bound", &path, Cbor::Uint(bound - 1));
        vectors
            .extend([low, with(&format!("{limit}_too_high"), "one above the upper bound", &path, Cbor::Uint(above))]);
    }
    vectors
}
