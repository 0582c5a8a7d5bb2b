//! Whom a node dials: its bootstrap addresses for ever, members while it has few connections.

use crate::bench::*;
use agent::control::node::{Effect, Input, Member, Restored};
use shared::{Role, Trust};
use std::collections::BTreeSet;

fn fail(bench: &mut Bench, addr: &str) -> Vec<Effect> {
    bench.give(Input::DialFailed { addr: addr.into(), reason: "no answer".into() })
}

fn with_bootstrap(addr: &str) -> Bench {
    Bench::with(nothing(), |config| config.bootstrap = vec![addr.to_owned()])
}

/// When dials are made, in milliseconds since the first, while none of them leads anywhere.
fn attempts(bench: &mut Bench, for_ms: u64) -> Vec<u64> {
    let (begun, mut made) = (bench.now.mono_ms, Vec::new());
    while bench.now.mono_ms < begun + for_ms {
        if !dials(&bench.wait(50)).is_empty() {
            made.push(bench.now.mono_ms - begun);
        }
    }
    made
}

fn pauses(made: &[u64]) -> Vec<u64> {
    made.windows(2).map(|two| two[1] - two[0]).collect()
}

#[test]
fn pauses_are_short_for_two_minutes_and_grow_to_half_a_minute() {
    let mut bench = Bench::off(nothing(), |config| config.bootstrap = vec![addr(1)]);
    assert_eq!(dials(&bench.give(Input::Booted)), [addr(1)]);
    bench.meet(2, Role::Node, true);
    assert!(dials(&bench.wait(300)).is_empty());
    // Nothing is heard of any of them: attempts overlap.
    let made = attempts(&mut bench, 1_800_000);
    let soon: Vec<u64> = made.iter().copied().filter(|at| *at < 120_000).collect();
    assert!(pauses(&soon).iter().all(|pause| (1_100..=1_950).contains(pause)), "{soon:?}");
    assert!(soon.len() > 60, "{soon:?}");
    let late = pauses(&made).into_iter().rev().take(20);
    assert!(late.clone().all(|pause| (22_500..=37_600).contains(&pause)), "{:?}", late.collect::<Vec<_>>());
}

#[test]
fn who_is_alone_goes_on_looking() {
    let mut bench = with_bootstrap(&addr(1));
    let made = attempts(&mut bench, 1_800_000);
    assert!(pauses(&made).iter().all(|pause| *pause <= 1_950), "a link may be back at any time");
}

#[test]
fn a_bootstrap_address_of_somebody_who_is_connected_is_left_alone() {
    const NAME: &str = "/dns4/first.example/udp/4001/quic-v1";
    let mut bench = with_bootstrap(NAME);
    // It came by itself, from another address.
    bench.meet(2, Role::Node, true);
    assert!(!attempts(&mut bench, 10_000).is_empty());
    bench.give(Input::Leads { addr: NAME.into(), peer: peer(2) });
    assert_eq!(attempts(&mut bench, 600_000), [0_u64; 0]);
    bench.give(Input::Gone { peer: peer(2) });
    assert!((0..200).any(|_| dials(&bench.wait(50)).contains(&NAME.to_owned())));
}

#[test]
fn a_new_address_is_a_reason_to_try_everybody_again() {
    let mut bench = Bench::off(nothing(), |config| config.bootstrap = vec![addr(1)]);
    bench.give(Input::Booted);
    bench.meet(2, Role::Node, true);
    attempts(&mut bench, 600_000);
    let effects = bench.give(Input::Listening { addr: addr(100).replace("/10.", "/11.") });
    assert_eq!(dials(&effects), [addr(1)]);
    assert!(bench.node.hello().addrs.contains(&addr(100).replace("/10.", "/11.")));
    bench.give(Input::NotListening { addr: addr(100).replace("/10.", "/11.") });
    assert!(!bench.node.hello().addrs.contains(&addr(100).replace("/10.", "/11.")));
}

#[test]
fn only_the_first_failure_in_a_row_is_told() {
    let mut bench = with_bootstrap(&addr(1));
    assert_eq!(logs(&fail(&mut bench, &addr(1))).len(), 1);
    for _ in 0..10 {
        bench.wait(2_000);
        assert!(logs(&fail(&mut bench, &addr(1))).is_empty());
    }
    bench.meet_with(1, Role::Node, true, Vec::new());
    bench.give(Input::Gone { peer: peer(1) });
    bench.wait(300);
    assert_eq!(logs(&fail(&mut bench, &addr(1))).len(), 1, "it was there in between");
}

#[test]
fn whoever_is_found_on_the_network_is_dialled_and_a_stranger_left_alone() {
    let mut bench = Bench::new();
    let found = |number| Input::Found { addrs: vec![addr(number)] };
    assert_eq!(dials(&bench.give(found(1))), [addr(1)]);
    bench.meet(1, Role::Node, false);
    assert!(dials(&bench.wait(9 * 60_000)).is_empty(), "it is of another realm");
    assert!(dials(&bench.wait(2 * 60_000)).contains(&addr(1)), "it may have changed its mind");
    bench.meet(1, Role::Node, false);
    // One that is of this realm is a member from then on.
    assert_eq!(dials(&bench.give(found(2))), [addr(2)]);
    bench.meet_with(2, Role::Node, true, Vec::new());
    bench.give(Input::Gone { peer: peer(2) });
    assert_eq!(dials(&bench.wait(300)), [addr(2)]);
    // What is not announced any more is not dialled.
    bench.give(found(3));
    bench.give(Input::Lost { addr: addr(3) });
    fail(&mut bench, &addr(3));
    assert!(!dials(&bench.wait(10_000)).contains(&addr(3)));
    assert!(dials(&bench.give(Input::Found { addrs: vec![addr(100)] })).is_empty(), "itself");
}

#[test]
fn a_network_full_of_names_is_dialled_a_few_at_a_time() {
    let mut bench = Bench::new();
    let mut dialled = 0;
    for number in 1..=255 {
        dialled += dials(&bench.give(Input::Found { addrs: vec![addr(number)] })).len();
    }
    assert_eq!(dialled, 16);
}

/// When the local network is asked, in milliseconds since now.
fn questions(bench: &mut Bench, for_ms: u64) -> Vec<u64> {
    let begun = bench.now.mono_ms;
    let mut asked = Vec::new();
    while bench.now.mono_ms < begun + for_ms {
        if bench.wait(50).contains(&Effect::AskLan) {
            asked.push(bench.now.mono_ms - begun);
        }
    }
    asked
}

#[test]
fn whoever_is_alone_asks_the_network_again_and_again() {
    let mut bench = Bench::with(nothing(), |config| config.lan = true);
    let asked = questions(&mut bench, 600_000);
    assert!((1_000..=1_050).contains(&asked[0]), "{asked:?}");
    let pauses = pauses(&asked);
    assert!((1_500..=2_550).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 75_050), "{pauses:?}");
    assert!(pauses.iter().skip(6).all(|pause| *pause >= 45_000), "{pauses:?}");
    // An address may be that of another network.
    bench.give(Input::Listening { addr: addr(100) });
    assert!((1_000..=1_050).contains(&questions(&mut bench, 10_000)[0]), "nobody there has been asked");
    // A stranger is nobody, and one of this realm is enough.
    bench.meet(1, Role::Node, false);
    assert!(!questions(&mut bench, 80_000).is_empty());
    bench.meet_with(2, Role::Node, true, Vec::new());
    assert_eq!(questions(&mut bench, 600_000), [] as [u64; 0]);
    bench.give(Input::Gone { peer: peer(2) });
    assert!((1_000..=1_050).contains(&questions(&mut bench, 10_000)[0]), "it is alone anew");
}

#[test]
fn where_many_would_answer_they_are_asked_seldom() {
    let mut bench = Bench::with(nothing(), |config| config.lan = true);
    (1..=99).for_each(|number| _ = bench.give(Input::Found { addrs: vec![addr(number)] }));
    let asked = questions(&mut bench, 3_600_000);
    assert!(pauses(&asked).iter().skip(9).all(|pause| (222_000..=372_000).contains(pause)), "{asked:?}");
}

#[test]
fn nobody_is_asked_by_a_node_without_an_owner_or_off_the_network() {
    for (trust, lan) in [(Trust::FirstUse, true), (Trust::Owner(owner().id()), false)] {
        let mut bench = Bench::with(Restored { trust, ..nothing() }, |config| config.lan = lan);
        assert_eq!(questions(&mut bench, 600_000), [] as [u64; 0]);
    }
    let mut bench = Bench::with(Restored { trust: Trust::FirstUse, ..nothing() }, |config| config.lan = true);
    assert_eq!(bench.node.next_wake(), None, "it is not woken for nothing");
    questions(&mut bench, 600_000);
    bench.accept(&push(1, |_| {}));
    assert!((1_000..=1_050).contains(&questions(&mut bench, 10_000)[0]), "it has an owner now");
}

#[test]
fn a_node_without_an_owner_waits_to_be_found() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    assert!(dials(&bench.give(Input::Found { addrs: vec![addr(1)] })).is_empty());
    assert_eq!(dials(&bench.accept(&push(1, |_| {}))), [addr(1)]);
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
            store_max_bytes: u64::MAX,
            default_memory_mb: 64,
            bootstrap: vec![addr(1)],
            lan: false,
            max_peers: 256,
            random_seed: 5,
        },
        Restored { trust: Trust::FirstUse, ..nothing() },
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
fn all_addresses_of_a_member_are_dialled_at_once() {
    let other = addr(2).replace("10.0.0.2", "10.9.9.2");
    let mut bench = Bench::new();
    let effects = bench.meet_with(1, Role::Node, true, vec![addr(2), other.clone()]);
    let both = |effect: &Effect| matches!(effect, Effect::Dial(addrs) if *addrs == [addr(2), other.clone()]);
    assert!(dials(&effects).len() == 1 && effects.iter().any(both), "{effects:?}");
}

#[test]
fn not_everybody_is_dialled_at_once() {
    let mut bench = Bench::new();
    let mut dialled = BTreeSet::new();
    for from in (1..90).step_by(10) {
        let addrs = (from..from + 10).map(addr).collect();
        dialled.extend(dials(&bench.meet_with(200, Role::Node, true, addrs)));
    }
    dialled.extend(dials(&bench.wait(5_000)));
    assert_eq!(dialled.len(), 15, "sixteen with the one that is connected, each a few times");
    // What fails makes room for others.
    (1..=90).for_each(|number| _ = fail(&mut bench, &addr(number)));
    let others: BTreeSet<String> = dials(&bench.wait(100)).into_iter().collect();
    assert_eq!(others.len(), 15);
    assert!(!others.is_subset(&dialled));
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

#[test]
fn an_address_that_is_lost_is_told_no_longer_and_makes_room() {
    let mut bench = Bench::new();
    let addr = |port: u32| format!("/ip4/10.0.0.100/udp/{port}/quic-v1/p2p/{}", peer(100));
    for port in 0..40 {
        let effects = bench.give(Input::Listening { addr: addr(port) });
        let told = effects.iter().find_map(|effect| match effect {
            Effect::SetHello(hello) => Some(hello.addrs.clone()),
            _ => None,
        });
        assert_eq!(told, Some(vec![addr(port)]), "{port}");
        bench.give(Input::NotListening { addr: addr(port) });
        assert!(bench.node.own_addrs().is_empty());
    }
}

#[test]
fn loopback_of_another_machine_is_not_dialled() {
    let mut bench = Bench::new();
    let local = format!("/ip4/127.0.0.1/udp/1/quic-v1/p2p/{}", peer(4));
    let effects = bench.meet_with(3, Role::Node, true, vec![local, addr(5)]);
    assert_eq!(dials(&effects), [addr(5)]);
}

#[test]
fn of_two_that_hear_of_one_another_the_lower_dials_and_then_the_higher() {
    let mut waited = 0;
    for number in 1..=20 {
        for found in [false, true] {
            let mut bench = Bench::new();
            let heard = match found {
                true => bench.give(Input::Found { addrs: vec![addr(number)] }),
                false => bench.meet_with(50, Role::Node, true, vec![addr(number)]),
            };
            let is_lower = bench.node.me() < peer(number);
            assert_eq!(dials(&heard), if is_lower { vec![addr(number)] } else { Vec::new() });
            if !is_lower {
                waited += 1;
                assert!(dials(&bench.wait(240)).is_empty(), "the other one dials first");
                assert_eq!(dials(&bench.wait(20)), [addr(number)], "and may not reach this node");
            }
        }
    }
    assert!(waited > 0 && waited < 40, "both happen: {waited}");
}

/// A number whose node has a lower id than the one on the bench, which lets it go first.
fn lower() -> u8 {
    (1..50).find(|number| peer(*number) < peer(100)).unwrap()
}

#[test]
fn whom_a_node_has_found_before_it_was_claimed_may_be_claimed_too_and_goes_first() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    bench.give(Input::Found { addrs: vec![addr(lower())] });
    bench.wait(60_000);
    assert!(dials(&bench.accept(&push(1, |_| {}))).is_empty());
    assert!(dials(&bench.wait(200)).is_empty());
    assert_eq!(dials(&bench.wait(60)), [addr(lower())]);
}

#[test]
fn who_was_connected_goes_first_when_both_ends_see_the_end() {
    let mut bench = Bench::new();
    bench.meet_with(lower(), Role::Node, true, vec![addr(lower())]);
    bench.wait(10_000);
    assert!(dials(&bench.give(Input::Gone { peer: peer(lower()) })).is_empty());
    assert!(dials(&bench.wait(240)).is_empty());
    assert_eq!(dials(&bench.wait(280)), [addr(lower())]);
}

#[test]
fn who_has_come_meanwhile_is_not_dialled() {
    let mut bench = Bench::new();
    assert!(dials(&bench.meet_with(50, Role::Node, true, vec![addr(lower())])).is_empty());
    bench.meet(lower(), Role::Node, true);
    assert!(dials(&bench.wait(2_000)).is_empty());
}

#[test]
fn who_is_remembered_is_dialled_at_once() {
    let member = Member { report: report(lower(), 1, |_| {}), addrs: vec![addr(lower())] };
    let mut bench = Bench::off(Restored { members: vec![member], ..nothing() }, |_| {});
    assert_eq!(dials(&bench.give(Input::Booted)), [addr(lower())]);
}
