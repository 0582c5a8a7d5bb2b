//! Whom a node dials: its bootstrap addresses for ever, members while it has few connections.

use crate::bench::*;
use agent::control::node::{Effect, Input};
use shared::{Role, Trust};

fn fail(bench: &mut Bench, addr: &str) -> Vec<Effect> {
    bench.give(Input::DialFailed { addr: addr.into(), reason: "no answer".into() })
}

fn with_bootstrap(addr: &str) -> Bench {
    Bench::with(nothing(), |config| config.bootstrap = vec![addr.to_owned()])
}

#[test]
fn pauses_grow_to_half_a_minute() {
    let mut bench = Bench::off(nothing(), |config| config.bootstrap = vec![addr(1)]);
    assert_eq!(dials(&bench.give(Input::Booted)), [addr(1)]);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        fail(&mut bench, &addr(1));
        let failed = bench.now.mono_ms;
        while dials(&bench.wait(50)).is_empty() {}
        pauses.push(bench.now.mono_ms - failed);
    }
    for (at, pause) in pauses.iter().enumerate() {
        let wanted = (500 << at).min(30_000);
        assert!((wanted * 3 / 4..=wanted * 5 / 4 + 50).contains(pause), "pause {at}: {pauses:?}");
    }
}

#[test]
fn a_dial_that_nothing_is_heard_of_is_over_some_time() {
    let mut bench = with_bootstrap(&addr(1));
    assert!(dials(&bench.wait(14_000)).is_empty());
    assert_eq!(dials(&bench.wait(2_000)), [addr(1)]);
}

#[test]
fn a_bootstrap_address_is_left_alone_while_connected_and_dialled_at_once_after() {
    let short = addr(1).split("/p2p/").next().unwrap().to_owned();
    for bootstrap in [addr(1), short] {
        let mut bench = with_bootstrap(&bootstrap);
        bench.meet_with(1, Role::Node, true, Vec::new());
        assert!(dials(&bench.wait(600_000)).is_empty(), "{bootstrap}");
        bench.give(Input::Gone { peer: peer(1) });
        assert_eq!(dials(&bench.wait(300)), [bootstrap]);
    }
}

#[test]
fn a_node_that_joins_a_realm_dials_again() {
    let mut bench = Bench::off(nothing(), |_| {});
    bench.node = agent::control::node::Node::new(
        agent::control::node::Config {
            seed: [100; 32],
            tags: Vec::new(),
            version: "0.1.0".into(),
            platform: "linux/x86_64".into(),
            boot: 1,
            budget_bytes: 1 << 30,
            default_memory_mb: 64,
            bootstrap: vec![addr(1)],
            random_seed: 5,
        },
        agent::control::node::Restored { trust: Trust::FirstUse, ..nothing() },
    );
    bench.give(Input::Booted);
    bench.meet(1, Role::Node, false);
    assert_eq!(dials(&bench.accept(&push(1, |_| {}))), [addr(1)], "it was sent away as a stranger");
}

#[test]
fn members_are_learned_from_hellos() {
    let mut bench = Bench::new();
    let effects = bench.meet_with(1, Role::Node, true, vec![addr(1), addr(2), addr(100), "/ip4/1.2.3.4/tcp/1".into()]);
    assert_eq!(dials(&effects), [addr(2)], "neither itself, nor who is connected, nor nobody");
    let said = |effect: &Effect| match effect {
        Effect::SetHello(hello) => Some(hello.addrs.clone()),
        _ => None,
    };
    assert_eq!(effects.iter().find_map(said), Some(vec![addr(1)]), "connected members are told of");
    // A stranger's hello teaches nothing.
    assert!(dials(&bench.meet_with(3, Role::Node, false, vec![addr(4)])).is_empty());
}

#[test]
fn one_address_of_many_that_fails_is_no_failure() {
    let other = addr(2).replace("10.0.0.2", "10.9.9.2");
    let mut bench = Bench::new();
    let effects = bench.meet_with(1, Role::Node, true, vec![addr(2), other.clone()]);
    assert_eq!(dials(&effects).len(), 2);
    fail(&mut bench, &addr(2));
    assert!(dials(&bench.wait(2_000)).is_empty(), "the other one is still being dialled");
    fail(&mut bench, &other);
    assert_eq!(dials(&bench.wait(700)).len(), 2);
}

#[test]
fn not_everybody_is_dialled_at_once() {
    let mut bench = Bench::new();
    let mut dialled = 0;
    for from in (1..90).step_by(10) {
        let addrs = (from..from + 10).map(addr).collect();
        dialled += dials(&bench.meet_with(200, Role::Node, true, addrs)).len();
    }
    dialled += dials(&bench.wait(1_000)).len();
    assert_eq!(dialled, 15, "sixteen with the one that is connected");
    // What fails makes room for others.
    (1..=90).for_each(|number| _ = fail(&mut bench, &addr(number)));
    assert_eq!(dials(&bench.wait(1_000)).len(), 15);
}

#[test]
fn with_connections_enough_only_the_unheard_are_tried_and_seldom() {
    let mut bench = Bench::new();
    for number in 1..=16 {
        bench.meet(number, Role::Node, true);
    }
    bench.meet_with(17, Role::Node, true, vec![addr(40), addr(41)]);
    let mut dialled = 0;
    for _ in 0..600 {
        let due = dials(&bench.wait(1_000));
        dialled += due.len();
        due.iter().for_each(|addr| _ = fail(&mut bench, addr));
    }
    assert!((12..=42).contains(&dialled), "{dialled} in ten minutes");
}
