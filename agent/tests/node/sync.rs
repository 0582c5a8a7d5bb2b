//! Agreeing with neighbours: asked on every connect and on every difference, and not for ever about the same one.

use crate::bench::*;
use agent::control::node::{Effect, Input};
use serde_bytes::ByteBuf;
use shared::{IndexEntry, Role, SignedReport, Summary, SyncReply, SyncRequest};

fn entry(bytes: &[u8]) -> IndexEntry {
    let opened = held(bytes).opened;
    IndexEntry { key: opened.key(), seq: opened.body().seq, id: opened.id() }
}

fn answer(bench: &mut Bench, number: u8, reply: SyncReply) -> Vec<Effect> {
    bench.give(Input::SyncAnswered { peer: peer(number), result: Ok(reply) })
}

fn pulls(effects: &[Effect]) -> usize {
    asked(effects).iter().filter(|(_, request)| matches!(request, SyncRequest::Pull(_))).count()
}

fn compares(effects: &[Effect]) -> usize {
    asked(effects).iter().filter(|(_, request)| matches!(request, SyncRequest::Compare(_))).count()
}

/// A report of neighbour `number`, who holds `entries`.
fn holding(number: u8, count: u64, entries: &[IndexEntry]) -> SignedReport {
    let held = entries.iter().map(|entry| (&entry.key, entry.seq, entry.id));
    report(number, count, |report| report.summary = Summary::of(held))
}

#[test]
fn on_connect_two_round_trips_bring_what_is_newer() {
    let mut bench = Bench::new();
    bench.accept(&named("same", 1));
    bench.accept(&named("older", 1));
    assert_eq!(compares(&bench.meet(1, Role::Node, true)), 1);
    let theirs = [named("older", 2), named("same", 1), named("unknown", 3)];
    let effects = answer(&mut bench, 1, SyncReply::Index(theirs.iter().map(|bytes| entry(bytes)).collect()));
    let keys = vec![entry(&theirs[0]).key, entry(&theirs[2]).key];
    assert_eq!(asked(&effects), [(peer(1), SyncRequest::Pull(keys))]);
    let sealed = [&theirs[0], &theirs[2]].map(|bytes| ByteBuf::from(bytes.clone())).to_vec();
    let effects = answer(&mut bench, 1, SyncReply::Intents(sealed));
    assert_eq!(persists(&effects).len(), 2);
    assert!(asked(&effects).is_empty());
    // It is on its way to the disk: nobody else is asked for it.
    bench.meet(2, Role::Node, true);
    let effects = answer(&mut bench, 2, SyncReply::Index(theirs.iter().map(|bytes| entry(bytes)).collect()));
    assert_eq!(pulls(&effects), 0);
}

#[test]
fn an_answer_that_has_no_room_for_all_is_followed_by_another() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    let theirs = [named("one", 1), named("two", 2)];
    answer(&mut bench, 1, SyncReply::Index(theirs.iter().map(|bytes| entry(bytes)).collect()));
    let effects = answer(&mut bench, 1, SyncReply::Intents(vec![ByteBuf::from(theirs[0].clone())]));
    assert_eq!(asked(&effects), [(peer(1), SyncRequest::Pull(vec![entry(&theirs[1]).key]))]);
    // One that brings nothing ends it.
    assert!(asked(&answer(&mut bench, 1, SyncReply::Intents(Vec::new()))).is_empty());
}

#[test]
fn one_question_at_a_time_and_none_stuck() {
    let mut bench = Bench::new();
    let differs = [entry(&named("other", 1))];
    assert_eq!(compares(&bench.meet(1, Role::Node, true)), 1);
    let hear = |bench: &mut Bench, count| {
        compares(&bench.give(Input::Reported { ticket: None, report: holding(1, count, &differs) }))
    };
    assert_eq!(hear(&mut bench, 1), 0, "an answer is awaited");
    bench.give(Input::SyncAnswered { peer: peer(1), result: Err("no answer".into()) });
    assert_eq!(hear(&mut bench, 2), 1, "and did not come");
    bench.give(Input::Gone { peer: peer(1) });
    assert_eq!(compares(&bench.meet(1, Role::Node, true)), 1, "another connection, another question");
}

#[test]
fn what_was_refused_for_good_is_not_pulled_again() {
    let mut bench = Bench::new();
    let expired = push(1, |body| body.not_after = Some(EPOCH - 1));
    let index = || SyncReply::Index(vec![entry(&expired)]);
    for number in 1..=3 {
        bench.meet(number, Role::Node, true);
        let pulled = pulls(&answer(&mut bench, number, index()));
        assert_eq!(pulled, usize::from(number == 1), "neighbour {number}");
        if pulled > 0 {
            answer(&mut bench, number, SyncReply::Intents(vec![ByteBuf::from(expired.clone())]));
        }
    }
    assert_eq!(bench.refused("expired"), 1);
}

#[test]
fn what_could_not_be_taken_for_now_is_pulled_later() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    let bytes = push(1, |_| {});
    let index = || SyncReply::Index(vec![entry(&bytes)]);
    answer(&mut bench, 1, index());
    let effects = answer(&mut bench, 1, SyncReply::Intents(vec![ByteBuf::from(bytes.clone())]));
    let (ticket, _) = persist(&effects).unwrap();
    bench.give(Input::Persisted { ticket, result: Err("the disk is full".into()) });
    bench.wait(61_000);
    assert_eq!(pulls(&answer(&mut bench, 1, index())), 1);
    // So is what the clock says is from the future, once the clock has been set.
    let mut bench = Bench::new();
    bench.now.unix_ms = EPOCH - 3_600_000;
    bench.meet(1, Role::Node, true);
    assert_eq!(pulls(&answer(&mut bench, 1, index())), 0);
    bench.now.unix_ms = EPOCH;
    bench.wait(61_000);
    assert_eq!(pulls(&answer(&mut bench, 1, index())), 1);
}

#[test]
fn a_difference_that_stays_is_left_alone() {
    let mut bench = Bench::new();
    bench.accept(&push(9, |_| {}));
    bench.meet(1, Role::Node, true);
    // It is behind, and will pull by itself.
    let behind = [entry(&push(1, |_| {}))];
    answer(&mut bench, 1, SyncReply::Index(behind.to_vec()));
    let heard: usize = (1..=5)
        .map(|count| {
            bench.pass(10_000);
            compares(&bench.give(Input::Reported { ticket: None, report: holding(1, count, &behind) }))
        })
        .sum();
    assert_eq!(heard, 0);
    let other = [entry(&push(2, |_| {}))];
    let effects = bench.give(Input::Reported { ticket: None, report: holding(1, 6, &other) });
    assert_eq!(compares(&effects), 1, "another difference is another matter");
}

#[test]
fn a_neighbour_that_serves_junk_is_asked_once_a_minute() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    let promised = [entry(&push(5, |_| {}))];
    let mut pulled = 0;
    let ended = bench.now.mono_ms + 300_000;
    while bench.now.mono_ms < ended {
        let pull = pulls(&answer(&mut bench, 1, SyncReply::Index(promised.to_vec())));
        pulled += pull;
        if pull > 0 {
            answer(&mut bench, 1, SyncReply::Intents(vec![ByteBuf::from(b"junk".to_vec())]));
        }
        bench.pass(1_000);
    }
    assert!((4..=6).contains(&pulled), "{pulled}");
    // It does not keep the node from getting it elsewhere.
    bench.meet(2, Role::Node, true);
    assert_eq!(pulls(&answer(&mut bench, 2, SyncReply::Index(promised.to_vec()))), 1);
}

#[test]
fn a_random_neighbour_is_asked_from_time_to_time() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Operator, true);
    assert!(asked(&bench.wait(300_000)).is_empty(), "an operator holds nothing");
    let mut bench = Bench::new();
    let met = compares(&bench.meet(1, Role::Node, true));
    assert_eq!(met, 1);
    let mut questions = 0;
    for _ in 0..600 {
        answer(&mut bench, 1, SyncReply::Same);
        questions += compares(&bench.wait(1_000));
    }
    assert!((9..=25).contains(&questions), "{questions} in ten minutes");
}

#[test]
fn a_neighbour_whose_reports_say_that_it_holds_the_same_is_not_asked() {
    let mut bench = Bench::new();
    let ours = push(1, |_| {});
    bench.accept(&ours);
    bench.meet(1, Role::Node, true);
    answer(&mut bench, 1, SyncReply::Same);
    let listen = |bench: &mut Bench, held: &[IndexEntry], counts: std::ops::Range<u64>| {
        let mut questions = 0;
        for count in counts {
            bench.give(Input::Reported { ticket: None, report: holding(1, count, held) });
            questions += compares(&bench.wait(10_000));
        }
        questions
    };
    let same = [entry(&ours)];
    assert_eq!(listen(&mut bench, &same, 1..31), 0, "in five minutes");
    // It has fallen silent: that may be because nothing of it comes here any more.
    let mut questions = 0;
    for _ in 0..300 {
        questions += compares(&bench.wait(1_000));
        answer(&mut bench, 1, SyncReply::Same);
    }
    assert!((2..=8).contains(&questions), "{questions} in five minutes of silence");
    // What it said of an earlier state does not count for the one that is held now.
    listen(&mut bench, &same, 31..32);
    bench.accept(&named("other", 2));
    assert!(compares(&bench.wait(91_000)) > 0);
}

#[test]
fn a_peer_that_is_not_admitted_is_asked_nothing() {
    let mut bench = Bench::new();
    assert!(asked(&bench.meet(1, Role::Node, false)).is_empty());
    assert!(asked(&bench.give(Input::Subscribed { peer: peer(1) })).is_empty());
    assert!(bench.node.neighbours().is_empty());
}

#[test]
fn reports_are_asked_for_once_a_peer_listens() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    let effects = bench.give(Input::Subscribed { peer: peer(1) });
    assert!(asked(&effects).contains(&(peer(1), SyncRequest::Reports)));
}
