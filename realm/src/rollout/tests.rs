//! The decisions of a push: matching, settling, verdicts.

mod declared;
mod verbs;

use super::*;
use crate::cli::PeerRef;
use shared::{ComponentName, ComponentReport, Digest, IntentId, Isolation, Outcome, Phase, RealmId, Summary};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn node(byte: u8) -> NodeId {
    NodeId::of_seed(&[byte; 32])
}

pub(crate) fn intent(byte: u8) -> IntentId {
    IntentId::from_bytes([byte; 32])
}

fn name(text: &str) -> ComponentName {
    text.parse().unwrap()
}

pub(crate) fn goal() -> Goal {
    Goal {
        name: name("hello"),
        size: 1,
        intent: intent(1),
        seq: 5,
        wanted: Wanted::Running,
        require_all: false,
        until: Until::Running,
    }
}

fn rollout(goal: Goal, nodes: &[(u8, bool)]) -> Rollout {
    Rollout::new(goal, nodes.iter().map(|(byte, alive)| (node(*byte), Vec::new(), *alive)))
}

pub(crate) fn component(intent: IntentId, phase: Phase) -> ComponentReport {
    ComponentReport {
        name: name("hello"),
        intent,
        digest: Digest::of(b"x"),
        phase,
        replicas: 1,
        running: u16::from(phase == Phase::Running),
        restarts: 0,
        last_outcome: None,
        reason: None,
        fetched: None,
        declared: false,
        serving: 0,
    }
}

/// A report of node `byte`; `count` orders the reports of a test.
pub(crate) fn report(byte: u8, count: u64, components: Vec<ComponentReport>) -> NodeReport {
    NodeReport {
        node: node(byte),
        realm: RealmId::from_bytes([9; 32]),
        boot: 1,
        count,
        at: 0,
        heartbeat_ms: 10_000,
        tags: Vec::new(),
        version: "0.1.0".into(),
        platform: "linux/x86_64".into(),
        addrs: Vec::new(),
        clock_behind: false,
        leaving: false,
        summary: Summary { digest: Digest::of(b""), count: 0, highest_seq: 0 },
        manifest: None,
        components,
        omitted: 0,
        alarms: Vec::new(),
        fault: None,
    }
}

fn see(rollout: &mut Rollout, at: u64, byte: u8, phase: Phase) -> bool {
    rollout.observe(MS(at), &report(byte, at, vec![component(intent(1), phase)]), true)
}

fn say(rollout: &mut Rollout, at: u64, byte: u8, word: ComponentReport) {
    rollout.observe(MS(at), &report(byte, at, vec![word]), true);
}

fn fail(rollout: &mut Rollout, at: u64, byte: u8, outcome: Outcome) {
    let failed = ComponentReport { last_outcome: Some(outcome), ..component(intent(1), Phase::Backoff) };
    rollout.observe(MS(at), &report(byte, at, vec![failed]), true);
}

fn step(rollout: &Rollout) -> Step {
    rollout.step(HandOver::default())
}

#[test]
fn completed_on_every_live_node_is_good_at_once() {
    let mut push = rollout(goal(), &[(1, true), (2, true), (3, false)]);
    assert_eq!(step(&push), Step::Wait(None));
    assert!(see(&mut push, 10, 1, Phase::Completed));
    assert_eq!(step(&push), Step::Wait(None));
    see(&mut push, 20, 2, Phase::Completed);
    assert_eq!(step(&push), Step::Done(Verdict::Good));
    assert_eq!(push.targets()[&node(3)].result(), Result::Away);
    assert_eq!(Verdict::Good.exit().code(), 0);
}

#[test]
fn running_counts_after_the_settle_window_only() {
    let mut push = rollout(goal(), &[(1, true)]);
    see(&mut push, 100, 1, Phase::Running);
    assert_eq!(step(&push), Step::Wait(Some(MS(100) + SETTLE)));
    assert!(push.tick(MS(599)).is_empty());
    assert!(!see(&mut push, 590, 1, Phase::Running), "the same again is no change");
    assert_eq!(push.tick(MS(600)), vec![node(1)]);
    assert_eq!(step(&push), Step::Done(Verdict::Good));
}

#[test]
fn a_crash_within_the_window_is_a_failure_at_once() {
    let mut push = rollout(goal(), &[(1, true)]);
    see(&mut push, 100, 1, Phase::Running);
    fail(&mut push, 130, 1, Outcome::Trap("unreachable".into()));
    assert_eq!(step(&push), Step::Done(Verdict::Failed));
    assert_eq!(Verdict::Failed.exit().code(), 3);
}

#[test]
fn a_restart_begins_the_window_anew() {
    let mut push = rollout(goal(), &[(1, true)]);
    see(&mut push, 100, 1, Phase::Running);
    let again = ComponentReport { restarts: 1, ..component(intent(1), Phase::Running) };
    push.observe(MS(400), &report(1, 400, vec![again]), true);
    assert!(push.tick(MS(600)).is_empty());
    assert_eq!(push.tick(MS(900)), vec![node(1)]);
}

#[test]
fn what_ran_and_then_failed_while_others_were_awaited_has_failed() {
    let mut push = rollout(goal(), &[(1, true), (2, true)]);
    see(&mut push, 0, 1, Phase::Running);
    push.tick(MS(500));
    assert_eq!(push.targets()[&node(1)].result(), Result::Good);
    fail(&mut push, 800, 1, Outcome::Exit(3));
    see(&mut push, 900, 2, Phase::Completed);
    assert_eq!(step(&push), Step::Done(Verdict::Part));
    assert_eq!(Verdict::Part.exit().code(), 5);
}

#[test]
fn the_clock_is_not_waited_out_when_all_have_failed() {
    let mut push = rollout(goal(), &[(1, true), (2, true), (3, false)]);
    fail(&mut push, 1, 1, Outcome::Exit(3));
    assert_eq!(step(&push), Step::Wait(None));
    fail(&mut push, 2, 2, Outcome::OutOfMemory);
    assert_eq!(step(&push), Step::Done(Verdict::Failed));
}

#[test]
fn a_disk_that_keeps_nothing_is_news_once_and_until_the_node_has_it() {
    let full = |count| NodeReport { fault: Some("the disk is full".into()), ..report(1, count, Vec::new()) };
    let fault = |push: &Rollout| push.targets()[&node(1)].fault().map(str::to_owned);
    let mut push = rollout(goal(), &[(1, true)]);
    assert!(push.observe(MS(1), &full(1), true) && !push.observe(MS(2), &full(2), true));
    assert_eq!((fault(&push).as_deref(), step(&push)), (Some("the disk is full"), Step::Wait(None)), "it may pass");
    assert!(push.observe(MS(3), &full(3), false));
    assert_eq!(fault(&push), None, "that it is away says more");
    assert!(push.observe(MS(4), &full(4), true) && see(&mut push, 5, 1, Phase::Fetching));
    push.observe(
        MS(6),
        &NodeReport { fault: full(6).fault, ..report(1, 6, vec![component(intent(1), Phase::Fetching)]) },
        true,
    );
    assert_eq!(fault(&push), None, "it was something else that it did not keep");
    // What it said before the change was made is in the way, too.
    let mut push = rollout(goal(), &[(1, true)]);
    push.foresee(&full(1));
    push.foresee(&NodeReport { node: node(2), ..full(1) });
    assert_eq!((fault(&push).as_deref(), push.targets().len()), (Some("the disk is full"), 1));
    assert!(push.observe(MS(1), &report(1, 2, Vec::new()), true));
    assert_eq!(fault(&push), None);
}

#[test]
fn only_this_push_counts() {
    let mut push = rollout(goal(), &[(1, true)]);
    push.observe(MS(1), &report(1, 1, vec![component(intent(7), Phase::Completed)]), true);
    assert_eq!(step(&push), Step::Wait(None), "the earlier push of the name is still there");
    see(&mut push, 2, 1, Phase::Fetching);
    push.observe(MS(3), &report(1, 3, vec![component(intent(8), Phase::Completed)]), true);
    assert_eq!(step(&push), Step::Done(Verdict::Failed), "a later push took its place");
}

#[test]
fn what_is_well_and_not_listed_is_well() {
    let others = |phase| ComponentReport { name: name("a"), ..component(intent(7), phase) };
    let crowded = |count, phase| NodeReport { omitted: 300, ..report(1, count, vec![others(phase)]) };
    let mut push = rollout(goal(), &[(1, true)]);
    push.observe(MS(0), &crowded(1, Phase::Running), true);
    assert_eq!(step(&push), Step::Wait(None), "it may be the push before");
    see(&mut push, 2, 1, Phase::Compiling);
    push.observe(MS(3), &crowded(3, Phase::Failed), true);
    assert_eq!(step(&push), Step::Wait(None), "it may not be well either");
    push.observe(MS(4), &crowded(4, Phase::Running), true);
    assert_eq!(step(&push), Step::Wait(Some(MS(4) + SETTLE)));
    push.tick(MS(4) + SETTLE);
    assert_eq!(step(&push), Step::Done(Verdict::Good));
    // Where it is so fast that it was never listed, what the node holds shows that it has taken it.
    let holding = |count, phase| {
        let report = crowded(count, phase);
        NodeReport { summary: Summary { highest_seq: 5, ..report.summary }, ..report }
    };
    let mut push = rollout(goal(), &[(1, true)]);
    push.observe(MS(1), &holding(1, Phase::Failed), true);
    assert_eq!(step(&push), Step::Wait(None), "it may not be well");
    push.observe(MS(2), &holding(2, Phase::Running), true);
    assert_eq!(step(&push), Step::Wait(Some(MS(2) + SETTLE)));
    let mut removal = rollout(Goal { wanted: Wanted::Gone, ..goal() }, &[(1, true)]);
    removal.observe(MS(1), &crowded(1, Phase::Running), true);
    assert_eq!(*removal.targets()[&node(1)].state(), State::Waiting);
    removal.observe(MS(2), &holding(2, Phase::Running), true);
    assert_eq!(*removal.targets()[&node(1)].state(), State::Gone);
}

#[test]
fn a_manifest_that_takes_its_place_is_named() {
    let declared = || vec![ComponentReport { declared: true, ..component(intent(8), Phase::Running) }];
    let mut push = rollout(goal(), &[(1, true)]);
    push.observe(MS(1), &report(1, 1, declared()), true);
    assert_eq!(step(&push), Step::Wait(None), "it may be about to go");
    see(&mut push, 2, 1, Phase::Fetching);
    push.observe(MS(3), &report(1, 3, declared()), true);
    assert_eq!(step(&push), Step::Done(Verdict::Failed));
    let State::Failed { reason: Some(reason), .. } = push.targets()[&node(1)].state() else { panic!("{push:?}") };
    assert!(reason.contains("a manifest that declares `hello`") && reason.contains("(hint: "), "{reason}");
    // What was pushed is gone, whatever is declared.
    let mut removal = rollout(Goal { wanted: Wanted::Gone, ..goal() }, &[(1, true)]);
    removal.observe(MS(1), &report(1, 1, vec![component(intent(1), Phase::Running)]), true);
    removal.observe(MS(2), &report(1, 2, declared()), true);
    assert_eq!(*removal.targets()[&node(1)].state(), State::Gone);
}

#[test]
fn an_older_report_changes_nothing() {
    let mut push = rollout(goal(), &[(1, true)]);
    see(&mut push, 9, 1, Phase::Completed);
    assert!(!push.observe(MS(10), &report(1, 8, vec![component(intent(1), Phase::Fetching)]), true));
    assert_eq!(step(&push), Step::Done(Verdict::Good));
}

#[test]
fn staged_is_the_end_only_when_nothing_is_to_be_started() {
    let mut push = rollout(goal(), &[(1, true)]);
    see(&mut push, 1, 1, Phase::Staged);
    assert_eq!(step(&push), Step::Wait(None));
    let mut push = rollout(Goal { wanted: Wanted::Staged, ..goal() }, &[(1, true)]);
    see(&mut push, 1, 1, Phase::Staged);
    assert_eq!(step(&push), Step::Done(Verdict::Good));
}

#[test]
fn a_pause_after_a_completed_run_is_no_failure() {
    let mut push = rollout(goal(), &[(1, true)]);
    fail(&mut push, 1, 1, Outcome::Completed);
    assert_eq!(step(&push), Step::Done(Verdict::Good));
}

#[test]
fn nobody_there_waits_for_an_agent_to_hold_it() {
    let push = rollout(goal(), &[(1, false), (2, false)]);
    assert_eq!(step(&push), Step::Wait(None));
    assert_eq!(push.step(HandOver { held: true, ..HandOver::default() }), Step::Done(Verdict::NoneLive));
    let late = HandOver { timed_out: true, ..HandOver::default() };
    assert_eq!(push.step(late), Step::Done(Verdict::TimedOut), "nobody has it who could give it to them");
    assert_eq!(push.step(HandOver { held: true, ..late }), Step::Done(Verdict::NoneLive));
    assert_eq!(Verdict::NoneLive.exit().code(), 5);
}

#[test]
fn what_is_for_no_known_node_is_not_good_on_none() {
    for wanted in [Wanted::Running, Wanted::Stopped, Wanted::Gone] {
        let change = rollout(Goal { wanted, ..goal() }, &[]);
        let held = HandOver { held: true, ..HandOver::default() };
        assert_eq!(change.step(held), Step::Done(Verdict::NoneLive), "{wanted:?}");
    }
}

#[test]
fn an_absence_spoils_it_when_all_are_required() {
    let mut push = rollout(Goal { require_all: true, ..goal() }, &[(1, true), (2, false)]);
    see(&mut push, 1, 1, Phase::Completed);
    assert_eq!(step(&push), Step::Done(Verdict::Part));
    let mut push = rollout(Goal { require_all: true, ..goal() }, &[(1, true), (2, false)]);
    fail(&mut push, 1, 1, Outcome::Exit(1));
    assert_eq!(step(&push), Step::Done(Verdict::Failed));
}

#[test]
fn a_node_that_goes_is_lost_and_one_that_comes_is_awaited() {
    let mut push = rollout(goal(), &[(1, true), (2, false)]);
    see(&mut push, 1, 1, Phase::Fetching);
    push.observe(MS(2), &report(1, 2, vec![component(intent(1), Phase::Fetching)]), false);
    assert_eq!(push.targets()[&node(1)].result(), Result::Lost);
    assert_eq!(step(&push), Step::Done(Verdict::Part));
    see(&mut push, 3, 2, Phase::Compiling);
    assert_eq!(step(&push), Step::Wait(None));
    see(&mut push, 4, 2, Phase::Completed);
    assert_eq!(step(&push), Step::Done(Verdict::Part));
    let leaving = NodeReport { leaving: true, ..report(2, 5, Vec::new()) };
    push.observe(MS(5), &leaving, true);
    assert_eq!(push.targets()[&node(2)].result(), Result::Good, "it had completed");
}

#[test]
fn out_of_time() {
    let mut push = rollout(goal(), &[(1, true), (2, true)]);
    see(&mut push, 1, 1, Phase::Completed);
    let late = HandOver { held: true, timed_out: true, ..HandOver::default() };
    assert_eq!(push.step(late), Step::Done(Verdict::TimedOut));
    assert_eq!(Verdict::TimedOut.exit().code(), 5);
    see(&mut push, 2, 2, Phase::Completed);
    assert_eq!(push.step(late), Step::Done(Verdict::Good), "what is known counts more than the clock");
}

#[test]
fn detached_leaves_once_it_is_held() {
    let push = rollout(Goal { until: Until::Accepted, ..goal() }, &[(1, true)]);
    assert_eq!(step(&push), Step::Wait(None));
    assert_eq!(push.step(HandOver { held: true, ..HandOver::default() }), Step::Done(Verdict::Detached));
    let nobody = rollout(Goal { until: Until::Accepted, ..goal() }, &[(1, false)]);
    assert_eq!(nobody.step(HandOver { held: true, ..HandOver::default() }), Step::Done(Verdict::NoneLive));
}

#[test]
fn a_refusal_is_a_failure_of_that_node() {
    let mut push = rollout(goal(), &[(1, true)]);
    push.refused(node(1), "other owner");
    push.refused(node(5), "not a target");
    assert_eq!(step(&push), Step::Done(Verdict::Failed));
}

#[test]
fn a_node_past_fetching_has_the_artifact() {
    let mut push = rollout(goal(), &[(1, true)]);
    assert!(!push.is_past_fetching());
    let without = |phase, fetched| ComponentReport { fetched: Some(fetched), ..component(intent(1), phase) };
    let mut at = 1..;
    for phase in [Phase::Fetching, Phase::Failed, Phase::Backoff, Phase::Stopped, Phase::Running] {
        say(&mut push, at.next().unwrap(), 1, without(phase, 0));
        assert!(!push.is_past_fetching(), "{phase}: no room for it, or it has outlived its artifact, perhaps");
    }
    see(&mut push, at.next().unwrap(), 1, Phase::Failed);
    assert!(push.is_past_fetching());
}
