//! Vectors of reports: what a node says about itself, and what somebody else says in its name.

use super::cbor::{Cbor, array, bytes, filled, map, text};
use super::fields::{OWNER, STRANGER, key_of, pae, push_body, realm_of, sign};
use super::vector::{Vector, hex};
use shared::Digest;

const NODE: [u8; 32] = [11; 32];
const OTHER_NODE: [u8; 32] = [12; 32];
const REPORT: &str = "realm/report/v1";

fn peer_id(seed: [u8; 32]) -> String {
    let prefix = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bs58::encode([prefix.as_slice(), &key_of(seed)].concat()).into_string()
}

fn component(name: &str, phase: &str) -> Cbor {
    map([
        ("name", text(name)),
        ("intent", bytes(&[21; 32])),
        ("digest", bytes(Digest::of(b"hello").as_bytes())),
        ("phase", text(phase)),
        ("replicas", Cbor::Uint(1)),
        ("running", Cbor::Uint(0)),
        ("restarts", Cbor::Uint(2)),
        ("last_outcome", text("exit 3")),
        ("reason", Cbor::Null),
        ("fetched", Cbor::Null),
        ("declared", Cbor::Bool(false)),
    ])
}

fn report_body() -> Cbor {
    let summary =
        map([("digest", bytes(Digest::of(b"").as_bytes())), ("count", Cbor::Uint(0)), ("highest_seq", Cbor::Uint(0))]);
    map([
        ("node", bytes(&key_of(NODE))),
        ("realm", bytes(&realm_of(&key_of(OWNER)))),
        ("boot", Cbor::Uint(3)),
        ("count", Cbor::Uint(17)),
        ("at", Cbor::Uint(1_800_000_000_000)),
        ("heartbeat_ms", Cbor::Uint(10_000)),
        ("tags", array([text("dev")])),
        ("version", text("0.1.0")),
        ("platform", text("linux/aarch64")),
        ("addrs", array([text("/ip4/10.0.0.1/udp/4001/quic-v1"), text("/ip4/10.0.0.1/tcp/4001")])),
        ("clock_behind", Cbor::Bool(false)),
        ("leaving", Cbor::Bool(false)),
        ("summary", summary),
        ("manifest", Cbor::Null),
        ("components", array([component("hello", "backoff")])),
        ("omitted", Cbor::Uint(0)),
    ])
}

/// Version 3 is held, and 2 in force.
fn manifest() -> Cbor {
    map([
        ("version", Cbor::Uint(3)),
        ("intent", bytes(&[22; 32])),
        ("state", text("waiting")),
        ("in_force", Cbor::Uint(2)),
        ("wanted", Cbor::Uint(5)),
        ("well", Cbor::Uint(4)),
        ("failed", Cbor::Uint(1)),
        ("reason", Cbor::Null),
    ])
}

fn signed_by(seed: [u8; 32], typ: &str, body: &[u8]) -> Cbor {
    map([("node", bytes(&key_of(seed))), ("body", bytes(body)), ("sig", bytes(&sign(seed, &pae(typ, body))))])
}

fn signed(body: &Cbor) -> Cbor {
    signed_by(NODE, REPORT, &body.encode())
}

fn vector(name: &str, what: &str, report: Cbor) -> Vector {
    let mut vector = Vector::new(name, what, "report", report.encode());
    vector.push("realm", &hex(&realm_of(&key_of(OWNER))));
    vector
}

fn ok(name: &str, what: &str, report: Cbor, components: &str) -> Vector {
    let mut vector = vector(&format!("ok_report_{name}"), what, report);
    vector.push("node", &peer_id(NODE));
    vector.push("rank", "3 17");
    vector.push("components", components);
    vector.push("manifest", "none");
    vector.push("alarms", "none");
    vector.push("fault", "none");
    vector
}

/// A vector of a report that says something of the manifest.
fn ok_manifest(name: &str, what: &str, manifest: &Cbor, expected: String) -> Vector {
    let mut vector = ok(name, what, signed(&report_body().with("manifest", manifest.clone())), "hello backoff");
    vector.fields.iter_mut().filter(|(key, _)| key == "manifest").for_each(|(_, value)| *value = expected.clone());
    vector
}

fn fail(name: &str, code: &str, what: &str, report: Cbor) -> Vector {
    let mut vector = vector(&format!("fail_report_{name}"), what, report);
    vector.push("code", code);
    vector
}

pub(crate) fn reports() -> Vec<Vector> {
    [of_components(), by_others(), of_manifests(), of_alarms(), of_faults()].concat()
}

fn of_faults() -> Vec<Vector> {
    let with = |fault: Cbor| signed(&report_body().and("", "fault", fault));
    let ok = |name: &str, what: &str, fault: Cbor, expected: &str| {
        let mut vector = ok(name, what, with(fault), "hello backoff");
        vector.fields.iter_mut().filter(|(key, _)| key == "fault").for_each(|(_, value)| *value = expected.into());
        vector
    };
    let longest = "f".repeat(240);
    vec![
        ok("fault", "its disk did not keep what arrived", text("the disk is full"), "the disk is full"),
        ok("fault_longest", "240 bytes", text(&longest), &longest),
        ok("fault_null", "null is none", Cbor::Null, "none"),
        fail("fault_too_long", "malformed", "241 bytes", with(text(&"f".repeat(241)))),
        fail("fault_number", "malformed", "a number is no text", with(Cbor::Uint(28))),
    ]
}

fn of_alarms() -> Vec<Vector> {
    let alarm = |key: &str, seq: u64| map([("key", text(key)), ("seq", Cbor::Uint(seq))]);
    let with = |alarms: Cbor| signed(&report_body().and("", "alarms", alarms));
    let ok = |name: &str, what: &str, alarms: Cbor, expected: &str| {
        let mut vector = ok(name, what, with(alarms), "hello backoff");
        vector.fields.iter_mut().filter(|(key, _)| key == "alarms").for_each(|(_, value)| *value = expected.into());
        vector
    };
    let fail = |name: &str, what: &str, alarms: Cbor| fail(name, "malformed", what, with(alarms));
    let longest = format!("component/{}", "a".repeat(63));
    let expected = format!("manifest 7, component/a 0, component/b 18446744073709551615, {longest} 1");
    let most = [alarm("manifest", 7), alarm("component/a", 0), alarm("component/b", u64::MAX), alarm(&longest, 1)];
    vec![
        ok(
            "alarms",
            "two intents for `hello` had one sequence",
            array([alarm("component/hello", 1_790_000_000_000)]),
            "component/hello 1790000000000",
        ),
        ok("alarms_most", "four, the longest name, the highest sequence", array(most), &expected),
        ok("alarms_empty", "an empty list is none", array([]), "none"),
        ok(
            "alarms_later",
            "a later field of an alarm is skipped",
            array([alarm("manifest", 7).and("", "later", text("x"))]),
            "manifest 7",
        ),
        fail("alarms_too_many", "five", array((0..5).map(|_| alarm("manifest", 7)))),
        fail("alarms_null", "null is no list", Cbor::Null),
        fail("alarm_key_unknown", "a key that nobody knows", array([alarm("hello", 7)])),
        fail("alarm_without_seq", "which sequence is not said", array([alarm("manifest", 7).without("seq")])),
        fail("alarm_seq_negative", "minus one", array([alarm("manifest", 7).with("seq", Cbor::Negative(0))])),
    ]
}

fn of_manifests() -> Vec<Vector> {
    let id = "16".repeat(32);
    let fail = |name: &str, what: &str, manifest: Cbor| {
        fail(name, "malformed", what, signed(&report_body().with("manifest", manifest)))
    };
    let longest = "r".repeat(240);
    let first = manifest().with("state", text("coming")).with("in_force", Cbor::Null).with("reason", text(&longest));
    let highest =
        ["version", "in_force"].iter().fold(manifest(), |map, field| map.with(field, Cbor::Uint(0xffff_ffff)));
    let highest = ["wanted", "well", "failed"].iter().fold(highest, |map, field| map.with(field, Cbor::Uint(0xffff)));
    let left_out = manifest().without("in_force").without("reason").and("", "later", text("x"));
    let past_failed = |versions: Cbor| manifest().and("", "past_failed", versions);
    let numbers = |count: u64| array((1..=count).map(Cbor::Uint));
    let sixteen = (1..=16).map(|version| format!(" {version}")).collect::<String>();
    let declared =
        report_body().with("components", array([component("hello", "running").with("declared", Cbor::Bool(true))]));
    let states = ["changing", "healthy", "failing", "halted", "rolled-back"].map(|state| {
        let (name, manifest) = (format!("manifest_{}", state.replace('-', "_")), manifest().with("state", text(state)));
        ok_manifest(&name, "where a node stands", &manifest, format!("3 {id} {state} 2 5 4 1 none"))
    });
    let mut vectors = vec![
        ok_manifest("manifest", "one version is held, the one before it is in force", &manifest(), {
            format!("3 {id} waiting 2 5 4 1 none")
        }),
        ok_manifest(
            "manifest_not_in_force",
            "the first one is held, and a reason of 240 bytes",
            &first,
            format!("3 {id} coming none 5 4 1 {longest}"),
        ),
        ok_manifest("manifest_highest", "every number at its upper bound", &highest, {
            format!("4294967295 {id} waiting 4294967295 65535 65535 65535 none")
        }),
        ok_manifest("manifest_later", "what may be null is left out, and a later field is skipped", &left_out, {
            format!("3 {id} waiting none 5 4 1 none")
        }),
        ok("declared", "a component that the manifest declares", signed(&declared), "hello running"),
        fail("manifest_reason_too_long", "a reason of 241 bytes", manifest().with("reason", text(&"r".repeat(241)))),
        fail("manifest_without_intent", "which apply is not said", manifest().without("intent")),
        fail("manifest_intent_short", "an id of 31 bytes", manifest().with("intent", bytes(&[22; 31]))),
        fail(
            "manifest_version_33_bits",
            "2^32 must not be taken for 0",
            manifest().with("version", Cbor::Uint(1 << 32)),
        ),
        fail("manifest_wanted_17_bits", "2^16 must not be taken for 0", manifest().with("wanted", Cbor::Uint(1 << 16))),
        fail("manifest_well_negative", "minus one", manifest().with("well", Cbor::Negative(0))),
        fail("manifest_state_unknown", "a state that nobody knows", manifest().with("state", text("stuck"))),
        fail("manifest_without_state", "where it stands is not said", manifest().without("state")),
        fail("manifest_number", "the version alone", Cbor::Uint(3)),
        ok_manifest("manifest_past_failed", "the one before it failed", &past_failed(array([Cbor::Uint(2)])), {
            format!("3 {id} waiting 2 5 4 1 none past-failed 2")
        }),
        ok_manifest("manifest_past_failed_none", "an empty list is none", &past_failed(array([])), {
            format!("3 {id} waiting 2 5 4 1 none")
        }),
        ok_manifest("manifest_past_failed_most", "sixteen", &past_failed(numbers(16)), {
            format!("3 {id} waiting 2 5 4 1 none past-failed{sixteen}")
        }),
        fail("manifest_past_failed_too_many", "seventeen", past_failed(numbers(17))),
        fail("manifest_past_failed_33_bits", "2^32", past_failed(array([Cbor::Uint(1 << 32)]))),
        fail("manifest_past_failed_null", "null is no list", past_failed(Cbor::Null)),
    ];
    vectors.extend(states);
    vectors
}

fn by_others() -> Vec<Vector> {
    let good = signed(&report_body());
    let flipped = |field: &str, at: usize| {
        let mut report = good.clone();
        match report.at(field) {
            Cbor::Bytes(bytes) => bytes[at] ^= 1,
            other => panic!("no bits in {other:?}"),
        }
        report
    };
    let of_other = report_body().with("node", bytes(&key_of(OTHER_NODE)));
    let strangers_realm = report_body().with("realm", bytes(&realm_of(&key_of(STRANGER))));
    vec![
        fail("flip_node", "bad-signature", "one bit of the key", flipped("node", 5)),
        fail("flip_body", "bad-signature", "one bit of the body", flipped("body", 60)),
        fail("flip_sig", "bad-signature", "one bit of the signature", flipped("sig", 40)),
        fail("by_other_node", "bad-signature", "another node's correct signature under what we said", {
            signed_by(OTHER_NODE, REPORT, &report_body().encode())
        }),
        fail("about_other_node", "bad-signature", "a node speaks about another", signed(&of_other)),
        fail("other_realm", "other-realm", "a node of another realm", signed(&strangers_realm)),
        fail("signed_body_only", "bad-signature", "the signature is over the body without its type", {
            good.clone().with("sig", bytes(&sign(NODE, &report_body().encode())))
        }),
        fail("signed_as_push", "bad-signature", "signed as another kind", {
            signed_by(NODE, "realm/push/v1", &report_body().encode())
        }),
        fail("a_push", "bad-signature", "the signed bytes of a push", {
            signed_by(OWNER, "realm/push/v1", &push_body().encode())
        }),
    ]
}

fn of_components() -> Vec<Vector> {
    let in_component = |field: &str, item: Cbor| {
        signed(&report_body().with("components", array([component("hello", "failed").with(field, item)])))
    };
    let serving = |count: Cbor| {
        signed(&report_body().with("components", array([component("hello", "failed").and("", "serving", count)])))
    };
    let with_addrs = |addrs: &[&str]| signed(&report_body().with("addrs", array(addrs.iter().map(|addr| text(addr)))));
    let many = |count: usize| report_body().with("components", array((0..count).map(|_| component("a", "running"))));
    let names = ["a running"; 128].join(", ");
    let newer = report_body().and("", "temperature", Cbor::Raw(vec![0xf9, 0x51, 0x10]));
    let nothing = report_body().with("components", array([])).with("tags", array([]));
    vec![
        ok(
            "one_component",
            "a component that failed and will be started again",
            signed(&report_body()),
            "hello backoff",
        ),
        ok("nothing", "no component and no tag", signed(&nothing), ""),
        ok("unknown_field", "a field of a later version is skipped", signed(&newer), "hello backoff"),
        ok("many_components", "128 components", signed(&many(128)), &names),
        ok("at_cap", "a body of 31 KiB", signed(&filled(&report_body(), 31 * 1024)), "hello backoff"),
        ok("serving", "one of what it replaces serves", serving(Cbor::Uint(1)), "hello failed serving 1"),
        ok("serving_none", "as if it were left out", serving(Cbor::Uint(0)), "hello failed"),
        ok("serving_most", "2^16 - 1", serving(Cbor::Uint(65_535)), "hello failed serving 65535"),
        fail("serving_too_many", "malformed", "2^16", serving(Cbor::Uint(65_536))),
        fail("serving_negative", "malformed", "minus one", serving(Cbor::Negative(0))),
        fail("serving_null", "malformed", "null is no number", serving(Cbor::Null)),
        ok("longest_reason", "a reason of 240 bytes", in_component("reason", text(&"r".repeat(240))), "hello failed"),
        fail("trailing", "malformed", "a byte behind the signed body", {
            signed_by(NODE, REPORT, &[report_body().encode(), vec![0]].concat())
        }),
        fail("empty_body", "malformed", "a signed body without bytes", signed_by(NODE, REPORT, &[])),
        fail("too_long", "malformed", "a body of 31 KiB and a byte", signed(&filled(&report_body(), 31 * 1024 + 1))),
        fail("components_too_many", "malformed", "129 components", signed(&many(129))),
        fail("tags_too_many", "malformed", "17 tags", {
            signed(&report_body().with("tags", array((0..17).map(|_| text("t")))))
        }),
        fail("addrs_too_many", "malformed", "five addresses", with_addrs(&["/ip4/10.0.0.1/tcp/1"; 5])),
        fail("addr_too_long", "malformed", "an address of 81 bytes", with_addrs(&[&"a".repeat(81)])),
        fail("reason_too_long", "malformed", "a reason of 241 bytes", in_component("reason", text(&"r".repeat(241)))),
        fail("trap_too_long", "malformed", "a trap text of 241 bytes", {
            in_component("last_outcome", text(&format!("trap: {}", "t".repeat(241))))
        }),
        fail("version_too_long", "malformed", "a version of 65 bytes", {
            signed(&report_body().with("version", text(&"1".repeat(65))))
        }),
        fail("phase_unknown", "malformed", "a phase that nobody knows", in_component("phase", text("asleep"))),
        fail(
            "outcome_unknown",
            "malformed",
            "an outcome that nobody knows",
            in_component("last_outcome", text("exit")),
        ),
        fail("missing_declared", "malformed", "declared or pushed is not said", {
            signed(&report_body().with("components", array([component("hello", "failed").without("declared")])))
        }),
        fail("missing_count", "malformed", "half a rank", signed(&report_body().without("count"))),
    ]
}
