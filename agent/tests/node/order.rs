//! Which of two intents is newer, and what a clock has to do with it.

use crate::bench::*;
use crate::pinned::*;
use agent::control::node::{FUTURE_MS, Input};
use shared::{Alarm, BUILD_FLOOR_UNIX_MS, IntentKey, Rollout, Verdict};

#[test]
fn nothing_older_replaces_something_newer() {
    let mut bench = Bench::new();
    bench.accept(&push(5, |_| {}));
    assert!(refused_with(&bench.offer(&push(4, |_| {})), "stale"));
    assert_eq!(receipts(&bench.offer(&push(5, |_| {}))), [Verdict::AlreadyHeld]);
    assert_eq!(receipts(&bench.accept(&push(6, |_| {}))), [Verdict::Accepted]);
    // Nor what is still on its way to the disk.
    let (ticket, _) = persist(&bench.offer(&push(8, |_| {}))).unwrap();
    assert!(refused_with(&bench.offer(&push(7, |_| {})), "stale"));
    bench.give(Input::Persisted { ticket, result: Ok(()) });
    // Another name has an order of its own.
    assert_eq!(receipts(&bench.accept(&named("other", 1))), [Verdict::Accepted]);
    assert_eq!(bench.refused("stale"), 2);
    // And a restart changes nothing.
    let mut bench = Bench::with(after(&push(8, |_| {}), None), |_| {});
    assert!(refused_with(&bench.offer(&push(7, |_| {})), "stale"));
}

#[test]
fn two_with_one_sequence_are_an_alarm_and_the_higher_id_wins() {
    let mut twins = [push(5, |_| {}), push(5, |body| body.note = "another".into())];
    twins.sort_by_key(|bytes| held(bytes).opened.id());
    let [low, high] = twins;
    for (first, second, accepted) in [(&low, &high, true), (&high, &low, false)] {
        let mut bench = Bench::new();
        bench.accept(first);
        let effects = bench.offer(second);
        assert!(logs(&effects).iter().any(|line| line.contains("ALARM")), "{effects:?}");
        assert_eq!(bench.node.figures().alarms, 1);
        assert_eq!(persist(&effects).is_some(), accepted);
        if let Some((ticket, _)) = persist(&effects) {
            bench.give(Input::Persisted { ticket, result: Ok(()) });
        }
        assert_eq!(bench.component("hello").intent, held(&high).opened.id());
        // Everybody hears of it, once, until the owner has said what is meant.
        let alarm = Alarm { key: IntentKey::Component(name("hello")), seq: EPOCH + 5 };
        assert_eq!(alarms(&mut bench), std::slice::from_ref(&alarm));
        bench.offer(&low);
        assert_eq!(alarms(&mut bench), std::slice::from_ref(&alarm));
        bench.accept(&named("other", 9));
        assert_eq!(alarms(&mut bench), [alarm], "another name is none of its business");
        bench.accept(&push(6, |_| {}));
        assert_eq!(alarms(&mut bench), []);
        // Nor does a replay of what is past raise it again.
        bench.offer(&low);
        assert_eq!(alarms(&mut bench), []);
    }
}

/// The alarms in its report.
fn alarms(bench: &mut Bench) -> Vec<Alarm> {
    // Many changes at once are told together.
    bench.wait(1_000);
    bench.node.own_report().unwrap().open(&bench.node.realm().unwrap()).unwrap().alarms
}

#[test]
fn two_manifests_with_one_sequence_are_an_alarm_until_a_higher_one_is_on_the_disk() {
    let mut bench = Bench::new();
    let [one, other] = ["one", "other"].map(|text| Pinned::signed(1, 5, Rollout::default(), &[declare(text, 1)]));
    bench.accept(&one.sealed);
    bench.offer(&other.sealed);
    let alarm = Alarm { key: IntentKey::Manifest, seq: EPOCH + 5 };
    assert_eq!(alarms(&mut bench), std::slice::from_ref(&alarm));
    let next = Pinned::signed(2, 6, Rollout::default(), &[declare("one", 1)]);
    let (ticket, _) = persist(&bench.offer(&next.sealed)).unwrap();
    bench.give(Input::Persisted { ticket, result: Err("the disk is full".into()) });
    assert_eq!(alarms(&mut bench), [alarm], "it is not held");
    bench.accept(&next.sealed);
    assert_eq!(alarms(&mut bench), []);
}

#[test]
fn the_future_is_refused_by_who_can_judge_it() {
    let mut bench = Bench::new();
    assert!(persist(&bench.offer(&push(FUTURE_MS, |_| {}))).is_some());
    assert!(refused_with(&bench.offer(&named("other", FUTURE_MS + 1)), "from-the-future"));
    // A board in 1970 cannot, and says so.
    let mut bench = Bench::new();
    bench.now.unix_ms = 1_000;
    bench.accept(&push(FUTURE_MS * 100, |_| {}));
    let report = bench.node.own_report().unwrap().open(&bench.node.realm().unwrap()).unwrap();
    assert!(report.clock_behind);
    // Nor one whose clock is behind what it holds.
    bench.now.unix_ms = EPOCH;
    assert!(persist(&bench.offer(&named("other", FUTURE_MS * 200))).is_some());
}

#[test]
fn expiry_counts_by_a_clock_that_can_be_believed() {
    let until = |at: u64| push(1, move |body| body.not_after = Some(at));
    let mut bench = Bench::new();
    assert!(refused_with(&bench.offer(&until(EPOCH - 1)), "expired"));
    assert!(persist(&bench.offer(&until(EPOCH))).is_some());
    let mut bench = Bench::new();
    bench.now.synchronised = false;
    assert!(persist(&bench.offer(&until(EPOCH - 1))).is_some(), "its clock may be wrong");
    assert!(refused_with(&bench.offer(&push(2, |body| body.not_after = Some(BUILD_FLOOR_UNIX_MS - 1))), "expired"));
}

#[test]
fn answers_of_the_disk_may_come_in_any_order() {
    let mut bench = Bench::new();
    let (first, _) = persist(&bench.offer(&push(5, |_| {}))).unwrap();
    let (second, _) = persist(&bench.offer(&push(6, |_| {}))).unwrap();
    for ticket in [second, first] {
        bench.give(Input::Persisted { ticket, result: Ok(()) });
    }
    assert_eq!(bench.component("hello").intent, held(&push(6, |_| {})).opened.id());
    assert!(refused_with(&bench.offer(&push(4, |_| {})), "stale"));
    assert_eq!(receipts(&bench.offer(&push(6, |_| {}))), [Verdict::AlreadyHeld]);
}
