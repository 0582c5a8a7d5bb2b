//! Places at a node that everybody knows: who is crowded says so, and who knows enough others leaves it.

use crate::bench::*;
use agent::control::node::{Effect, Input};
use shared::{Phase, Role};

/// As `node::dialer::WANTED_PEERS`.
const ENOUGH: u8 = 16;

fn left(effects: &[Effect]) -> Vec<u8> {
    let leaves =
        |number: &u8| effects.iter().any(|effect| matches!(effect, Effect::Leave(whom) if *whom == peer(*number)));
    (1..=200).filter(leaves).collect()
}

/// A node that has a bootstrap address and has reached it: it is crowded, and it reports every ten minutes.
fn newcomer() -> Bench {
    let mut bench = Bench::with(nothing(), |config| config.bootstrap = vec![addr(1)]);
    bench.meet_crowded(1);
    let seldom = report(1, 1, |report| report.heartbeat_ms = 600_000);
    bench.give(Input::Reported { ticket: None, report: seldom });
    bench
}

#[test]
fn who_knows_enough_others_leaves_a_crowded_node_to_those_who_do_not() {
    let mut bench = newcomer();
    for number in 2..ENOUGH {
        bench.meet(number, Role::Node, true);
    }
    assert_eq!(left(&bench.wait(600_000)), [0_u8; 0], "it has nobody to spare");
    assert_eq!(left(&bench.meet(ENOUGH, Role::Node, true)), [0_u8; 0]);
    assert_eq!(left(&bench.wait(1_000)), [1], "it has stayed long enough");

    // It is there as before, is not dialled again, and soon hears of the one that has left.
    bench.give(Input::Gone { peer: peer(1) });
    let effects = bench.wait(2_000);
    assert_eq!(published(&effects).len(), 1, "before it would be away for its neighbour");
    let effects = [effects, bench.wait(100_000)].concat();
    assert!(!dials(&effects).contains(&addr(1)) && !changed(&effects).iter().any(|(node, _)| *node == peer(1)));

    // Nor is anybody else left, whatever ends.
    bench.give(Input::Gone { peer: peer(2) });
    assert_eq!(left(&bench.wait(10_000)), [0_u8; 0]);
    assert!(bench.wait(10_000).iter().all(|effect| !matches!(effect, Effect::Leave(_))));
}

#[test]
fn a_newcomer_stays_until_it_has_heard_of_the_others() {
    let mut bench = Bench::new();
    for number in 2..=ENOUGH + 4 {
        bench.meet(number, Role::Node, true);
    }
    bench.meet_crowded(1);
    assert_eq!(left(&bench.wait(4_900)), [0_u8; 0]);
    assert_eq!(left(&bench.wait(200)), [1]);
    // Of two one, where there are not enough others for both.
    (1..=6).for_each(|number| drop(bench.give(Input::Gone { peer: peer(number) })));
    (28..=29).for_each(|number| drop(bench.meet_crowded(number)));
    assert_eq!(left(&bench.wait(60_000)).len(), 1, "with both there were 16");
    assert_eq!(left(&bench.meet(7, Role::Node, true)).len(), 0, "that is nobody new");
    bench.meet(40, Role::Node, true);
    assert_eq!(left(&bench.wait(1_000)).len(), 1);
    // One that has room again by then is not left.
    bench.meet_crowded(30);
    bench.meet(30, Role::Node, true);
    assert_eq!(left(&bench.wait(60_000)), [0_u8; 0]);
}

#[test]
fn who_was_there_before_the_crowd_stays() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    bench.meet_crowded(1);
    (2..=ENOUGH + 4).for_each(|number| drop(bench.meet(number, Role::Node, true)));
    assert_eq!(left(&bench.wait(60_000)), [0_u8; 0]);
}

#[test]
fn nobody_leaves_while_something_is_fetched() {
    let mut bench = newcomer();
    (2..=ENOUGH + 4).for_each(|number| drop(bench.meet(number, Role::Node, true)));
    bench.accept(&push(1, |_| {}));
    assert_eq!(bench.component("hello").phase, Phase::Fetching);
    assert_eq!(left(&bench.wait(60_000)), [0_u8; 0], "it may be the only one that has it");
    let effects = bench.give(Input::Stored { digest: artifact(1).digest });
    assert_eq!(left(&[effects, bench.wait(100)].concat()), [1]);
}

#[test]
fn of_nodes_that_all_know_one_another_some_stay() {
    let mut stay = 0;
    for me in 1..=ENOUGH + 4 {
        let mut bench = Bench::with(nothing(), |config| config.seed = [me; 32]);
        (1..=ENOUGH + 4).filter(|number| *number != me).for_each(|number| drop(bench.meet(number, Role::Node, true)));
        bench.meet_crowded(101);
        let effects = bench.wait(60_000);
        stay += usize::from(!effects.iter().any(|effect| matches!(effect, Effect::Leave(_))));
    }
    assert_eq!(stay, 2);
}

#[test]
fn who_was_cut_off_by_leaving_stays_the_next_time() {
    let mut bench = newcomer();
    (2..=ENOUGH + 4).for_each(|number| drop(bench.meet(number, Role::Node, true)));
    assert_eq!(left(&bench.wait(6_000)), [1]);
    bench.give(Input::Gone { peer: peer(1) });
    // Nobody hears of it for three of its heartbeats, and then it is dialled again.
    assert!(!dials(&bench.wait(1_700_000)).contains(&addr(1)));
    assert!(dials(&bench.wait(300_000)).contains(&addr(1)));
    bench.meet_crowded(1);
    assert_eq!(left(&bench.wait(60_000)), [0_u8; 0]);
}

#[test]
fn a_connection_that_did_not_end_when_it_was_left_is_one_like_others() {
    let mut bench = newcomer();
    (2..=ENOUGH + 4).for_each(|number| drop(bench.meet(number, Role::Node, true)));
    assert_eq!(left(&bench.wait(6_000)), [1]);
    bench.wait(10_000);
    bench.give(Input::Gone { peer: peer(1) });
    assert!(changed(&bench.wait(3_000)).contains(&(peer(1), false)), "it is away as any other");
}

#[test]
fn a_bootstrap_address_that_nobody_hears_of_is_dialled_however_many_others_there_are() {
    let mut bench = newcomer();
    (2..=ENOUGH + 1).for_each(|number| drop(bench.meet(number, Role::Node, true)));
    bench.give(Input::Gone { peer: peer(1) });
    let dialled = |effects: &[Effect]| dials(effects).contains(&addr(1));
    assert!(!dialled(&bench.wait(2_000)), "it may be back, or others hear of it");
    assert!(dialled(&bench.wait(3_000)), "it is away");
    // With few others it is dialled at once.
    let mut bench = newcomer();
    (2..6).for_each(|number| drop(bench.meet(number, Role::Node, true)));
    bench.give(Input::Gone { peer: peer(1) });
    assert!(dialled(&bench.wait(400)));
}

#[test]
fn half_of_the_connections_make_a_crowd_and_some_less_make_none() {
    let mut bench = Bench::with(nothing(), |config| config.max_peers = 100);
    let crowded = |bench: &Bench| bench.node.hello().crowded;
    // Operators do not count.
    (1..=30).for_each(|number| drop(bench.meet(number, Role::Operator, true)));
    (31..80).for_each(|number| drop(bench.meet(number, Role::Node, true)));
    assert!(!crowded(&bench));
    let says = |effects: &[Effect]| {
        let hello = |effect: &Effect| match effect {
            Effect::SetHello(hello) => Some(hello.crowded),
            _ => None,
        };
        effects.iter().filter_map(hello).next_back()
    };
    assert_eq!(says(&bench.meet(80, Role::Node, true)), Some(true));
    let gone = |bench: &mut Bench, number| bench.give(Input::Gone { peer: peer(number) });
    for number in 31..41 {
        assert_ne!(says(&gone(&mut bench, number)), Some(false), "{number}");
    }
    assert!(crowded(&bench));
    assert_eq!(says(&gone(&mut bench, 41)), Some(false));
}
