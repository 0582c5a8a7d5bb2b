//! A later push of a name takes the place of the earlier one, here and on other nodes.

use crate::bench::*;
use agent::control::node::Input;
use shared::{Outcome, Phase};

fn of(seq: u64, number: u8) -> Vec<u8> {
    push(seq, |body| body.payload.component.artifact = artifact(number))
}

#[test]
fn the_old_one_runs_until_the_other_can_start() {
    let mut bench = Bench::new();
    let old = bench.run(&of(1, 1))[0];
    let effects = bench.accept(&of(2, 2));
    assert!(stops(&effects).is_empty(), "its bytes are still on their way");
    assert!(stops(&bench.give(Input::Stored { digest: artifact(2).digest })).is_empty());
    let effects = bench.give(Input::Prepared { digest: artifact(2).digest, fuel: false, result: Ok(()) });
    assert_eq!(stops(&effects), [old]);
    assert!(starts(&effects).is_empty(), "never two at once");
    let effects = bench.exit(old, Outcome::Stopped);
    assert_eq!(starts(&effects).len(), 1);
    assert!(saved(&effects).is_empty());
}

#[test]
fn what_does_not_come_leaves_the_old_one_serving_and_says_so() {
    let mut bench = Bench::new();
    bench.run(&of(1, 1));
    bench.accept(&of(2, 2));
    assert_eq!(bench.component("hello").serving, 1);
    let (digest, reason) = (artifact(2).digest, "the disk is full".into());
    bench.give(Input::FetchFailed { digest, reason });
    let hello = bench.component("hello");
    assert_eq!((hello.phase, hello.running, hello.serving), (Phase::Backoff, 0, 1));
    assert_eq!(hello.reason.unwrap(), "what it is to replace runs on; the disk is full");
    bench.give(Input::Stored { digest });
    bench.give(Input::Prepared { digest, fuel: false, result: Ok(()) });
    assert_eq!(bench.component("hello").serving, 0, "it has been told to end");
}

#[test]
fn one_that_is_lost_or_ends_by_itself_makes_way_too() {
    for lost in [true, false] {
        let mut bench = Bench::new();
        let old = bench.run(&of(1, 1))[0];
        bench.accept(&of(2, 2));
        bench.give(Input::Stored { digest: artifact(2).digest });
        let effects = match lost {
            true => bench.give(Input::RunnerLost { instances: vec![old], reason: "gone".into() }),
            false => bench.exit(old, Outcome::Exit(1)),
        };
        assert!(starts(&effects).is_empty(), "the old one is not started again");
        let effects = bench.give(Input::Prepared { digest: artifact(2).digest, fuel: false, result: Ok(()) });
        assert_eq!(starts(&effects).len(), 1);
    }
}

#[test]
fn replaced_twice_in_a_row() {
    let mut bench = Bench::new();
    let old = bench.run(&of(1, 1))[0];
    bench.accept(&of(2, 2));
    bench.accept(&of(3, 3));
    // What the second push asked for comes late, and is of no use.
    assert!(prepares(&bench.give(Input::Stored { digest: artifact(2).digest })).is_empty());
    bench.give(Input::Stored { digest: artifact(3).digest });
    let effects = bench.give(Input::Prepared { digest: artifact(3).digest, fuel: false, result: Ok(()) });
    assert_eq!(stops(&effects), [old]);
    assert_eq!(starts(&bench.exit(old, Outcome::Stopped)).len(), 1);
    assert_eq!(bench.component("hello").intent, held(&of(3, 3)).opened.id());
}

#[test]
fn moved_to_other_nodes_it_stops_here() {
    let mut bench = Bench::new();
    let old = bench.run(&of(1, 1))[0];
    let effects = bench.accept(&push(2, |body| body.audience.tags = vec!["arm".parse().unwrap()]));
    assert_eq!(stops(&effects), [old]);
    assert!(bench.node.components().is_empty());
    let effects = bench.exit(old, Outcome::Stopped);
    assert!(saved(&effects).is_empty() && starts(&effects).is_empty());
}

#[test]
fn moved_away_and_back_it_waits_for_what_is_still_ending() {
    let mut bench = Bench::new();
    let old = bench.run(&of(1, 1))[0];
    bench.accept(&push(2, |body| body.audience.tags = vec!["arm".parse().unwrap()]));
    assert_eq!(prepares(&bench.accept(&of(3, 1))).len(), 1);
    let effects = bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    assert!(starts(&effects).is_empty(), "never two at once");
    assert_eq!(starts(&bench.exit(old, Outcome::Stopped)).len(), 1);
}

#[test]
fn what_is_staged_does_not_start_and_stops_the_old_one() {
    let mut bench = Bench::new();
    let old = bench.run(&of(1, 1))[0];
    bench.accept(&push(2, |body| body.payload.component.start = false));
    let effects = bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    assert_eq!((stops(&effects), starts(&effects)), (vec![old], vec![]));
    assert_eq!(bench.component("hello").phase, Phase::Staged);
    assert!(starts(&bench.exit(old, Outcome::Stopped)).is_empty());
}
