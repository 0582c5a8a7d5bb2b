//! When a node tells how it is: on change, at the latest with the next heartbeat, and never in a flood.

use crate::bench::*;
use agent::control::node::{Input, Restored};
use shared::{NodeReport, NodeView, Outcome, Restart, SignedReport, SyncReply, Trust};

fn open(bench: &Bench, signed: &SignedReport) -> NodeReport {
    signed.open(&bench.node.realm().unwrap()).unwrap()
}

#[test]
fn at_the_start_on_change_and_as_a_heartbeat() {
    let mut bench = Bench::off(nothing(), |_| {});
    assert!(
        published(&bench.give(Input::Listening { addr: addr(100) })).is_empty(),
        "nothing is known before the boot"
    );
    assert_eq!(published(&bench.give(Input::Booted)).len(), 1);
    assert_eq!(published(&bench.accept(&push(1, |_| {}))).len(), 1);
    assert!(published(&bench.offer(&push(1, |_| {}))).is_empty(), "nothing has changed");
    let heartbeats = published(&bench.wait(60_000));
    assert!((6..=8).contains(&heartbeats.len()), "{}", heartbeats.len());
    let reports: Vec<NodeReport> = heartbeats.iter().map(|signed| open(&bench, signed)).collect();
    assert!(reports.is_sorted_by_key(|report| report.rank()) && reports[0].components.len() == 1);
    assert_eq!(reports[0].heartbeat_ms, 10_000);
}

#[test]
fn a_burst_has_an_end_and_the_last_word_is_told() {
    let mut bench = Bench::new();
    let sent: usize = (1..=40).map(|seq| published(&bench.accept(&push(seq, |_| {}))).len()).sum();
    assert!(sent <= 12, "{sent}");
    let last = published(&bench.wait(1_000));
    assert!((1..=4).contains(&last.len()));
    assert_eq!(open(&bench, last.last().unwrap()).summary.highest_seq, EPOCH + 40);
}

#[test]
fn what_changes_and_changes_back_does_not_wake_for_ever() {
    let mut bench = Bench::new();
    // A clock that flips to and fro, with no token left.
    bench.accept(&push(1, |_| {}));
    for turn in 0..60 {
        bench.now.unix_ms = if turn % 2 == 0 { 1_000 } else { EPOCH };
        bench.give(Input::Subscribed { peer: peer(1) });
    }
    assert!(bench.wait(9_000).len() < 50);
}

#[test]
fn progress_is_told_once_a_second() {
    let mut bench = Bench::new();
    bench.accept(&push(1, |_| {}));
    let (mut sent, mut last) = (0, None);
    for bytes in 0..110 {
        bench.pass(50);
        let told = published(&bench.give(Input::Fetched { digest: artifact(1).digest, bytes }));
        sent += told.len();
        last = told.into_iter().next_back().or(last);
    }
    assert!((4..=6).contains(&sent), "{sent}");
    assert_eq!(bench.component("hello").fetched, Some(109));
    let last = published(&bench.wait(2_000)).into_iter().next_back().or(last).unwrap();
    assert_eq!(open(&bench, &last).components[0].fetched, Some(109));
}

#[test]
fn a_crash_loop_is_no_flood() {
    let mut bench = Bench::new();
    let mut instance = bench.run(&push(1, |body| body.payload.component.restart = Restart::Always))[0];
    let mut sent = 0;
    while bench.now.mono_ms < 600_000 {
        sent += published(&bench.exit(instance, Outcome::Exit(1))).len();
        loop {
            let effects = bench.wait(100);
            sent += published(&effects).len();
            if let Some(started) = starts(&effects).first() {
                instance = *started;
                break;
            }
        }
    }
    assert!(sent < 110, "{sent} in ten minutes");
}

#[test]
fn a_node_that_leaves_says_so_even_after_a_burst() {
    let mut bench = Bench::new();
    (1..=40).for_each(|seq| _ = bench.accept(&push(seq, |_| {})));
    let reports = published(&bench.give(Input::Leaving));
    assert!(open(&bench, &reports[0]).leaving);
}

#[test]
fn an_unclaimed_node_tells_nothing() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    assert!(published(&bench.wait(60_000)).is_empty());
}

/// Others tell what they know of this node itself.
fn hear_of_itself(bench: &mut Bench, report: SignedReport) -> Vec<SignedReport> {
    let told = NodeView { report, alive: false };
    let mut effects = bench.give(Input::SyncAnswered { peer: peer(1), result: Ok(SyncReply::Reports(vec![told])) });
    effects.extend(bench.wait(1));
    published(&effects)
}

#[test]
fn a_node_whose_data_is_older_than_what_others_know_counts_on_from_there() {
    let mut bench = Bench::with(Restored { trust: Trust::Owner(owner().id()), ..nothing() }, |config| config.boot = 3);
    let own = |boot, count| report(100, count, |report| report.boot = boot);
    for old in [own(2, 900), own(3, 1)] {
        assert!(hear_of_itself(&mut bench, old).is_empty());
    }
    let told = hear_of_itself(&mut bench, own(3, 2));
    assert_eq!(
        told.iter().map(|told| open(&bench, told).boot).collect::<Vec<_>>(),
        [4],
        "of a start that was forgotten"
    );
    let mut forged = own(7, 1);
    forged.body = report(100, 1, |report| (report.boot, report.leaving) = (7, true)).body;
    bench.wait(30_000);
    assert!(hear_of_itself(&mut bench, forged).iter().all(|told| open(&bench, told).boot == 4));
    let told = hear_of_itself(&mut bench, own(9, 4));
    assert_eq!(open(&bench, told.last().unwrap()).boot, 10);
    // Another agent with this one's key outdoes it in turn: not without an end.
    assert!(hear_of_itself(&mut bench, own(11, 1)).is_empty());
    bench.wait(30_000);
    let told = hear_of_itself(&mut bench, own(11, 1));
    assert_eq!(open(&bench, told.last().unwrap()).boot, 12);
}
