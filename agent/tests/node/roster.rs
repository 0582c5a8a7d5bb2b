//! What a node knows of others: who is there, who is away, and what is worth a write to the disk.

use crate::bench::*;
use agent::control::node::{Effect, Input, Restored, Verdict};
use shared::{NodeView, Outcome, Phase, RealmId, Role, SignedReport, SyncReply, Verb};

fn hear(bench: &mut Bench, report: SignedReport) -> Vec<Effect> {
    bench.give(Input::Reported { ticket: Some(1), report })
}

fn alive(bench: &Bench, number: u8) -> Option<bool> {
    bench.node.views().iter().find(|view| view.report.node == peer(number)).map(|view| view.alive)
}

fn members(effects: &[Effect]) -> Vec<usize> {
    let saved = |effect: &Effect| match effect {
        Effect::SaveMembers(members) => Some(members.len()),
        _ => None,
    };
    effects.iter().filter_map(saved).collect()
}

#[test]
fn only_the_newest_counts_and_only_when_it_is_genuine() {
    let mut bench = Bench::new();
    let effects = hear(&mut bench, report(1, 5, |_| {}));
    assert_eq!((judged(&effects), changed(&effects)), (vec![Verdict::Forward], vec![(peer(1), true)]));
    for old in [5, 4] {
        let effects = hear(&mut bench, report(1, old, |_| {}));
        assert_eq!((judged(&effects), changed(&effects)), (vec![Verdict::Ignore], vec![]));
    }
    assert_eq!(
        judged(&hear(&mut bench, report(1, 1, |report| report.boot = 2))),
        [Verdict::Forward],
        "it was restarted"
    );
    let mut forged = report(1, 9, |report| report.boot = 2);
    forged.body = report(1, 9, |report| (report.boot, report.clock_behind) = (2, true)).body;
    assert_eq!(judged(&hear(&mut bench, forged)), [Verdict::Reject]);
    let other = report(1, 9, |report| (report.boot, report.realm) = (2, RealmId::from_bytes([3; 32])));
    assert_eq!(judged(&hear(&mut bench, other)), [Verdict::Reject]);
    assert_eq!(bench.node.figures().reports_refused, 2);
}

#[test]
fn away_after_missed_heartbeats_and_back_with_the_next() {
    let mut bench = Bench::new();
    hear(&mut bench, report(1, 1, |_| {}));
    assert!(changed(&bench.wait(31_000)).iter().all(|(node, _)| *node != peer(1)));
    assert_eq!(alive(&bench, 1), Some(true));
    assert!(changed(&bench.wait(1_500)).contains(&(peer(1), false)));
    assert_eq!(bench.node.figures().nodes_alive, 1);
    hear(&mut bench, report(1, 2, |_| {}));
    assert_eq!((alive(&bench, 1), bench.node.figures().nodes_alive), (Some(true), 2));
}

#[test]
fn away_soon_when_the_connection_breaks() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    hear(&mut bench, report(1, 1, |_| {}));
    assert!(changed(&bench.give(Input::Gone { peer: peer(1) })).is_empty());
    assert!(changed(&bench.wait(2_000)).is_empty());
    assert_eq!(changed(&bench.wait(1_000)), [(peer(1), false)]);
    // Others pass on what is known already: that proves nothing.
    let told = NodeView { report: report(1, 1, |_| {}), alive: true };
    let reports = || Ok(SyncReply::Reports(vec![told.clone()]));
    bench.give(Input::SyncAnswered { peer: peer(2), result: reports() });
    assert_eq!(alive(&bench, 1), Some(false));
    // It says so itself, after a short break.
    bench.meet(1, Role::Node, true);
    bench.give(Input::SyncAnswered { peer: peer(1), result: reports() });
    assert_eq!(alive(&bench, 1), Some(true));
}

#[test]
fn a_link_that_comes_and_goes_makes_nobody_come_and_go() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    hear(&mut bench, report(1, 1, |_| {}));
    for _ in 0..3 {
        bench.give(Input::Gone { peer: peer(1) });
        assert!(changed(&bench.wait(2_000)).iter().all(|(node, _)| *node != peer(1)));
        bench.meet(1, Role::Node, true);
        assert!(changed(&bench.wait(5_000)).iter().all(|(node, _)| *node != peer(1)));
        assert_eq!(alive(&bench, 1), Some(true));
    }
}

#[test]
fn away_when_it_leaves_or_others_say_so() {
    let mut bench = Bench::new();
    hear(&mut bench, report(1, 1, |_| {}));
    hear(&mut bench, report(1, 2, |report| report.leaving = true));
    assert_eq!(alive(&bench, 1), Some(false));
    let told = NodeView { report: report(2, 1, |_| {}), alive: false };
    bench.give(Input::SyncAnswered { peer: peer(3), result: Ok(SyncReply::Reports(vec![told])) });
    assert_eq!(alive(&bench, 2), Some(false));
}

#[test]
fn members_are_written_seldom_and_known_again() {
    let mut bench = Bench::new();
    let mut effects = Vec::new();
    for count in 1..=30 {
        for number in 1..=20 {
            effects.extend(hear(&mut bench, report(number, count, |_| {})));
        }
        effects.extend(bench.wait(10_000));
    }
    assert_eq!(members(&effects), [20], "reports alone are no reason to write");
    hear(&mut bench, report(1, 90, |report| report.tags = vec!["arm".parse().unwrap()]));
    assert_eq!(members(&bench.wait(6_000)), [20], "other tags are");
    hear(&mut bench, report(21, 1, |_| {}));
    assert_eq!(members(&bench.give(Input::Leaving)), [21], "at the end at the latest");

    let members = vec![agent::control::node::Member { report: report(1, 1, |_| {}), addrs: vec![addr(1)] }];
    let mut bench = Bench::off(Restored { members, ..nothing() }, |_| {});
    assert_eq!(alive(&bench, 1), Some(false), "nobody has heard of it yet");
    assert_eq!(dials(&bench.give(Input::Booted)), [addr(1)]);
}

#[test]
fn an_unclaimed_node_takes_no_reports() {
    let mut bench = Bench::trusting(shared::Trust::FirstUse);
    assert_eq!(judged(&hear(&mut bench, report(1, 1, |_| {}))), [Verdict::Ignore]);
    assert!(bench.node.views().is_empty());
}

fn component(phase: Phase, fetched: Option<u64>) -> shared::ComponentReport {
    let id = held(&push(1, |_| {})).opened.id();
    shared::ComponentReport {
        name: name("hello"),
        intent: id,
        digest: artifact(1).digest,
        phase,
        replicas: 1,
        running: 0,
        restarts: 0,
        last_outcome: None,
        reason: None,
        fetched,
        declared: false,
        serving: 0,
    }
}

/// A node that knows members 1 and 2, is connected with sixteen others, and so looks for nobody.
fn settled() -> Bench {
    let known = |number| agent::control::node::Member { report: report(number, 1, |_| {}), addrs: vec![addr(number)] };
    let mut bench = Bench::with(Restored { members: vec![known(1), known(2)], ..nothing() }, |_| {});
    for number in [1, 2] {
        bench.give(Input::DialFailed { addr: addr(number), reason: "no answer".into() });
    }
    (10..26).for_each(|number| _ = bench.meet(number, Role::Node, true));
    bench.wait(600);
    bench
}

#[test]
fn who_has_what_is_fetched_here_is_called() {
    let mut bench = settled();
    bench.accept(&push(1, |_| {}));
    hear(&mut bench, report(1, 2, |report| report.components = vec![component(Phase::Running, None)]));
    hear(&mut bench, report(2, 2, |report| report.components = vec![component(Phase::Fetching, Some(0))]));
    assert_eq!(dials(&bench.wait(3_000)), [addr(1)]);
}

#[test]
fn who_needs_what_is_kept_here_for_others_is_called() {
    let mut bench = settled();
    bench.meet(50, Role::Operator, true);
    bench.accept(&push(1, |body| body.audience.peers = vec![peer(1)]));
    bench.give(Input::Stored { digest: artifact(1).digest });
    let effects = hear(&mut bench, report(2, 2, |report| report.components = vec![component(Phase::Running, None)]));
    assert!(dials(&effects).is_empty());
    let effects =
        hear(&mut bench, report(1, 2, |report| report.components = vec![component(Phase::Fetching, Some(0))]));
    assert_eq!(dials(&effects), [addr(1)]);
}

#[test]
fn whoever_has_stopped_or_has_no_room_says_whether_the_bytes_are_there() {
    let needs = |seq, mebibytes: u64, verb: Option<Verb>| {
        push(seq, |body| {
            body.payload.component.limits.memory_max_mb = Some(mebibytes.try_into().unwrap());
            body.payload.verb = verb;
        })
    };
    // Of hundreds that have stopped it before it was there nobody is to be asked.
    let mut bench = settled();
    bench.accept(&needs(1, 600, None));
    let stopped = |fetched| {
        move |report: &mut shared::NodeReport| {
            report.components = vec![component(Phase::Stopped, fetched)];
        }
    };
    hear(&mut bench, report(1, 2, stopped(Some(0))));
    hear(&mut bench, report(2, 2, stopped(None)));
    assert_eq!(dials(&bench.wait(3_000)), [addr(2)]);
    for (verb, mebibytes, phase) in [(Some(Verb::Stop), 600, Phase::Stopped), (None, 2_000, Phase::Failed)] {
        let mut bench = Bench::new();
        bench.accept(&needs(1, mebibytes, verb));
        assert_eq!((bench.component("hello").phase, bench.component("hello").fetched), (phase, Some(0)));
        let mut bench = Bench::new();
        let run = bench.run(&needs(1, 600, None))[0];
        bench.accept(&needs(2, mebibytes, verb));
        bench.exit(run, Outcome::Stopped);
        assert_eq!((bench.component("hello").phase, bench.component("hello").fetched), (phase, None));
    }
}
