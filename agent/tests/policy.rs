//! Rules of one node of the pure core, each in a few inputs: what comes before what, who is obeyed, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

use agent::control::node::{Config, Effect, FUTURE_MS, Held, Input, Node, Now, Restored, RunRecord, Source};
use shared::{
    Audience, BUILD_FLOOR_UNIX_MS, Body, ComponentSpec, Hasher, Kind, Limits, NodeId, Outcome, OwnerKey, Phase, Push,
    RealmId, Receipt, Replicas, Restart, Trust, Verdict, open, seal,
};
use std::collections::{BTreeMap, BTreeSet};

const SEQ: u64 = BUILD_FLOOR_UNIX_MS + 1_000_000;

fn now(mono_ms: u64) -> Now {
    Now { mono_ms, unix_ms: SEQ + mono_ms, synchronised: true }
}

fn owner(number: u8) -> OwnerKey {
    OwnerKey::of_seed(&[number; 32])
}

fn spec(name: &str, bytes: &[u8]) -> ComponentSpec {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    ComponentSpec {
        name: name.parse().unwrap(),
        artifact: hasher.finish().0,
        limits: Limits::default(),
        replicas: Replicas::default(),
        restart: Restart::OnFailure,
        start: true,
        args: Vec::new(),
        env: Vec::new(),
    }
}

fn sealed(key: &OwnerKey, seq: u64, component: ComponentSpec, change: impl FnOnce(&mut Body)) -> Vec<u8> {
    let realm = RealmId::of_owner(&key.id());
    let audience = Audience::default();
    let payload = Push { component };
    let mut body = Body { realm, seq, issued_at: seq, not_after: None, audience, note: String::new(), payload };
    change(&mut body);
    seal(key, Kind::Push, &body).unwrap()
}

/// A node with what it is given on its disk.
fn restored(trust: Trust, held: &[Vec<u8>], runs: BTreeMap<shared::ComponentName, RunRecord>) -> Node {
    let hold = |bytes: &Vec<u8>| Held { bytes: bytes.clone().into(), opened: open(bytes, &trust).unwrap() };
    let intents: Vec<Held> = held.iter().map(hold).collect();
    let blobs = intents.iter().map(|held| held.opened.body().payload.component.artifact.digest).collect();
    let config = Config {
        seed: [9; 32],
        tags: vec!["dev".parse().unwrap()],
        version: "1.0.0".into(),
        platform: "linux/x86_64".into(),
        boot: 1,
        budget_bytes: 200 << 20,
        default_memory_mb: 64,
        bootstrap: Vec::new(),
        random_seed: 1,
    };
    Node::new(config, Restored { trust, intents, runs, members: Vec::new(), blobs })
}

fn node(trust: Trust) -> Node {
    restored(trust, &[], BTreeMap::new())
}

fn offer(node: &mut Node, ticket: u64, bytes: &[u8]) -> Vec<Effect> {
    let source = Source::Stream { ticket, peer: NodeId::from_bytes([1; 32]) };
    node.handle(Input::Offered { source, bytes: bytes.to_vec() }, now(0))
}

fn persist_ticket(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Persist { ticket, .. } => Some(*ticket),
        _ => None,
    })
}

fn verdict(effects: &[Effect]) -> Option<Verdict> {
    effects.iter().find_map(|effect| match effect {
        Effect::Receipt { receipt: Receipt { verdict, .. }, .. } => Some(verdict.clone()),
        _ => None,
    })
}

fn refused_code(effects: &[Effect]) -> Option<String> {
    match verdict(effects)? {
        Verdict::Refused { code, .. } => Some(code),
        Verdict::Accepted | Verdict::AlreadyHeld => None,
    }
}

fn started(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Start { instance, .. } => Some(*instance),
        _ => None,
    })
}

/// Has an intent accepted, with its write.
fn accept(node: &mut Node, bytes: &[u8]) -> Vec<Effect> {
    let ticket = persist_ticket(&offer(node, 7, bytes)).expect("it is to be written");
    node.handle(Input::Persisted { ticket, result: Ok(()) }, now(1))
}

/// Brings an accepted component to its first start.
fn bring_up(node: &mut Node, spec: &ComponentSpec, at: u64) -> u64 {
    let digest = spec.artifact.digest;
    node.handle(Input::Stored { digest }, now(at));
    let fuel = spec.limits.fuel.is_some();
    let effects = node.handle(Input::Prepared { digest, fuel, result: Ok(()) }, now(at));
    let instance = started(&effects).expect("it is to be started");
    node.handle(Input::Started { instance }, now(at));
    instance
}

fn phase(node: &Node) -> Phase {
    node.components()[0].phase
}

#[test]
fn the_disk_comes_before_the_receipt_and_both_before_everything_else() {
    let (mut node, spec) = (node(Trust::Owner(owner(1).id())), spec("a", b"a"));
    let effects = offer(&mut node, 7, &sealed(&owner(1), SEQ, spec.clone(), |_| ()));
    let ticket = persist_ticket(&effects).unwrap();
    let early = |effect: &Effect| matches!(effect, Effect::Receipt { .. } | Effect::Announce(_) | Effect::Fetch { .. });
    assert!(!effects.iter().any(early), "{effects:?}");
    let effects = node.handle(Input::Persisted { ticket, result: Ok(()) }, now(1));
    let at = |wanted: fn(&Effect) -> bool| effects.iter().position(wanted).unwrap();
    assert_eq!(verdict(&effects), Some(Verdict::Accepted));
    let receipt = at(|effect| matches!(effect, Effect::Receipt { .. }));
    assert!(receipt < at(|effect| matches!(effect, Effect::Fetch { .. })));
    assert!(receipt < at(|effect| matches!(effect, Effect::Announce(_))));
}

#[test]
fn what_the_disk_refuses_is_refused() {
    let mut node = node(Trust::Owner(owner(1).id()));
    let bytes = sealed(&owner(1), SEQ, spec("a", b"a"), |_| ());
    let ticket = persist_ticket(&offer(&mut node, 7, &bytes)).unwrap();
    let effects = node.handle(Input::Persisted { ticket, result: Err("no space left".into()) }, now(1));
    assert_eq!(refused_code(&effects).as_deref(), Some("storage"));
    assert!(node.components().is_empty());
    assert_eq!(verdict(&accept(&mut node, &bytes)), Some(Verdict::Accepted), "it can be handed over again");
}

#[test]
fn the_first_valid_push_binds_an_unclaimed_node() {
    let mut node = node(Trust::FirstUse);
    let effects = offer(&mut node, 7, &sealed(&owner(1), SEQ, spec("a", b"a"), |_| ()));
    let claims = |effect: &Effect| matches!(effect, Effect::Persist { claim, .. } if *claim == Some(owner(1).id()));
    assert!(effects.iter().any(claims), "{effects:?}");
    // While the claim is on its way to the disk nobody else can slip in.
    let second = sealed(&owner(2), SEQ, spec("b", b"b"), |_| ());
    assert_eq!(refused_code(&offer(&mut node, 8, &second)).as_deref(), Some("other-owner"));
    assert_eq!(node.realm(), None, "not bound before it is on the disk");
    let ticket = persist_ticket(&effects).unwrap();
    node.handle(Input::Persisted { ticket, result: Err("no space left".into()) }, now(1));
    accept(&mut node, &second);
    assert_eq!(node.realm(), Some(RealmId::of_owner(&owner(2).id())), "a claim that failed binds nobody");
    assert_eq!(node.components().len(), 1, "applied, not swallowed");
}

#[test]
fn what_is_not_to_be_obeyed_is_refused_by_name() {
    let key = owner(1);
    let mut alone = node(Trust::Nobody);
    let plain = sealed(&key, SEQ, spec("a", b"a"), |_| ());
    assert_eq!(refused_code(&offer(&mut alone, 1, &plain)).as_deref(), Some("unclaimed"));
    let mut node = node(Trust::Owner(key.id()));
    accept(&mut node, &plain);
    assert_eq!(verdict(&offer(&mut node, 2, &plain)), Some(Verdict::AlreadyHeld));
    let older = sealed(&key, SEQ - 1, spec("a", b"x"), |_| ());
    let future = sealed(&key, SEQ + FUTURE_MS + 1_000, spec("a", b"x"), |_| ());
    let expired = sealed(&key, SEQ + 1, spec("a", b"x"), |body| body.not_after = Some(SEQ - 1));
    let foreign = sealed(&owner(2), SEQ + 1, spec("a", b"x"), |_| ());
    let cases = [(older, "stale"), (future, "from-the-future"), (expired, "expired"), (foreign, "other-owner")];
    for (bytes, code) in &cases {
        assert_eq!(refused_code(&offer(&mut node, 3, bytes)).as_deref(), Some(*code));
        assert_eq!(node.figures().intents_refused[code], 1);
    }
}

#[test]
fn of_two_intents_with_one_sequence_every_node_takes_the_same() {
    let (key, mut ends) = (owner(1), BTreeSet::new());
    let one = sealed(&key, SEQ, spec("a", b"one"), |_| ());
    let two = sealed(&key, SEQ, spec("a", b"two"), |_| ());
    for order in [[&one, &two], [&two, &one]] {
        let mut node = node(Trust::Owner(key.id()));
        for bytes in order {
            if let Some(ticket) = persist_ticket(&offer(&mut node, 7, bytes)) {
                node.handle(Input::Persisted { ticket, result: Ok(()) }, now(1));
            }
        }
        assert_eq!(node.figures().alarms, 1);
        ends.insert(node.components()[0].digest);
    }
    assert_eq!(ends.len(), 1);
}

#[test]
fn a_clock_that_is_behind_cannot_judge_the_future() {
    let mut node = node(Trust::Owner(owner(1).id()));
    let source = Source::Stream { ticket: 1, peer: NodeId::from_bytes([1; 32]) };
    let bytes = sealed(&owner(1), SEQ, spec("a", b"a"), |_| ());
    let in_1970 = Now { mono_ms: 0, unix_ms: 5_000, synchronised: false };
    assert!(persist_ticket(&node.handle(Input::Offered { source, bytes }, in_1970)).is_some());
}

#[test]
fn a_failing_component_is_started_again_after_growing_pauses() {
    let (key, spec) = (owner(1), spec("a", b"a"));
    let mut node = node(Trust::Owner(key.id()));
    accept(&mut node, &sealed(&key, SEQ, spec.clone(), |_| ()));
    let (mut instance, mut at, mut pauses) = (bring_up(&mut node, &spec, 10), 10, Vec::new());
    for _ in 0..12 {
        let outcome = Outcome::Exit(3);
        node.handle(Input::Exited { instance, outcome, memory_peak_bytes: 0 }, now(at));
        assert_eq!(phase(&node), Phase::Backoff);
        let from = at;
        // Other timers of the node may come first.
        instance = loop {
            at = node.next_wake().unwrap().max(at + 1);
            if let Some(instance) = started(&node.handle(Input::Woke, now(at))) {
                break instance;
            }
        };
        node.handle(Input::Started { instance }, now(at));
        pauses.push(at - from);
    }
    assert!((750..=1_250).contains(&pauses[0]), "{pauses:?}");
    assert!((1_500..=2_500).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses[11] >= 225_000 && pauses.iter().all(|pause| *pause <= 375_000), "{pauses:?}");
    assert_eq!(node.components()[0].restarts, 12);
}

#[test]
fn what_has_completed_is_not_run_again_after_a_restart_unless_it_runs_always() {
    for (restart, runs_again) in [(Restart::Never, false), (Restart::OnFailure, false), (Restart::Always, true)] {
        let (key, mut spec) = (owner(1), spec("a", b"a"));
        spec.restart = restart;
        let bytes = sealed(&key, SEQ, spec.clone(), |_| ());
        let intent = open(&bytes, &Trust::Owner(key.id())).unwrap().id();
        let record = RunRecord { intent, outcomes: vec![Outcome::Completed] };
        let runs = BTreeMap::from([(spec.name.clone(), record)]);
        let mut node = restored(Trust::Owner(key.id()), &[bytes], runs);
        let effects = node.handle(Input::Booted, now(0));
        let prepares = effects.iter().any(|effect| matches!(effect, Effect::Prepare { .. }));
        assert_eq!(prepares, runs_again, "{restart:?}");
        // The same artifact pushed again is another run.
        let again = accept(&mut node, &sealed(&key, SEQ + 1, spec, |_| ()));
        assert!(again.iter().any(|effect| matches!(effect, Effect::Prepare { .. })), "{restart:?}");
    }
}

#[test]
fn a_replaced_component_ends_before_its_successor_starts() {
    let (key, old, new) = (owner(1), spec("a", b"old"), spec("a", b"new"));
    let mut node = node(Trust::Owner(key.id()));
    accept(&mut node, &sealed(&key, SEQ, old.clone(), |_| ()));
    let first = bring_up(&mut node, &old, 10);
    accept(&mut node, &sealed(&key, SEQ + 1, new.clone(), |_| ()));
    node.handle(Input::Stored { digest: new.artifact.digest }, now(20));
    let prepared = Input::Prepared { digest: new.artifact.digest, fuel: false, result: Ok(()) };
    let effects = node.handle(prepared, now(21));
    assert!(effects.contains(&Effect::Stop(first)) && started(&effects).is_none(), "{effects:?}");
    let exited = Input::Exited { instance: first, outcome: Outcome::Stopped, memory_peak_bytes: 0 };
    assert!(started(&node.handle(exited, now(22))).is_some());
}

#[test]
fn a_push_that_moves_a_name_stops_it_here() {
    let (key, spec) = (owner(1), spec("a", b"a"));
    let mut node = node(Trust::Owner(key.id()));
    accept(&mut node, &sealed(&key, SEQ, spec.clone(), |_| ()));
    let instance = bring_up(&mut node, &spec, 10);
    let elsewhere = |body: &mut Body| body.audience.tags = vec!["prod".parse().unwrap()];
    let effects = accept(&mut node, &sealed(&key, SEQ + 1, spec, elsewhere));
    assert!(effects.contains(&Effect::Stop(instance)), "{effects:?}");
    assert!(node.components().is_empty());
}

#[test]
fn what_does_not_fit_the_node_is_refused_with_numbers() {
    let (key, mut spec) = (owner(1), spec("a", b"a"));
    spec.replicas = 4_u64.try_into().unwrap();
    let mut node = node(Trust::Owner(key.id()));
    let effects = accept(&mut node, &sealed(&key, SEQ, spec, |_| ()));
    assert!(started(&effects).is_none());
    let report = &node.components()[0];
    assert_eq!(report.phase, Phase::Failed);
    let reason = report.reason.as_deref().unwrap();
    assert!(reason.contains("256 MiB") && reason.contains("200 MiB"), "{reason}");
}
