//! The way back, after versions that failed: what is kept for it, and what can still be looked at.

use crate::bench::*;
use crate::pinned::*;
use agent::control::node::{Effect, Forces, Input, ManifestFile, Restored};
use shared::{Digest, Outcome, Rollout};

fn version(version: u32, number: u8) -> Pinned {
    Pinned::new(version, &[declare("web", number)])
}

/// Has a version come into force whose component fails at once.
fn fails(bench: &mut Bench, version: &Pinned, number: u8) -> Vec<Effect> {
    let mut effects = bench.apply(version);
    // Where the one before it pauses after a failure, nothing has to end first.
    for run in bench.ready(number) {
        effects.extend(bench.exit(run, Outcome::Exit(3)));
    }
    effects
}

/// What is to be on the disk of manifests, by the last order.
fn file(effects: &[Effect]) -> ManifestFile {
    let pick = |effect: &Effect| match effect {
        Effect::SaveManifest { file, .. } => Some(file.clone()),
        _ => None,
    };
    effects.iter().rev().find_map(pick).unwrap()
}

#[test]
fn however_many_fail_in_a_row_the_last_that_did_not_is_kept() {
    let mut bench = Bench::new();
    bench.apply(&version(1, 1));
    bench.ready(1);
    bench.wait(HEALTHY_MS);
    let mut dropped: Vec<Digest> = Vec::new();
    for number in 2..=5 {
        dropped.extend(drops(&fails(&mut bench, &version(number.into(), number), number)));
        // So many reports in a row wait for one another.
        bench.wait(1_000);
        assert_eq!(told(&bench).past_failed, (2..u32::from(number)).collect::<Vec<_>>());
    }
    assert!(!dropped.contains(&artifact(1).digest), "it is the only way back");
    assert!(!dropped.contains(&artifact(4).digest), "the one before");
    assert!(dropped.contains(&artifact(2).digest) && dropped.contains(&artifact(3).digest));
    // Back there, and on: nothing is left of those that failed.
    let effects = bench.apply(&version(6, 1));
    assert!(fetches(&effects).is_empty(), "all of it is here");
    bench.ready(1);
    bench.wait(HEALTHY_MS);
    let effects = bench.apply(&version(7, 7));
    assert!(!drops(&effects).contains(&artifact(1).digest) && drops(&effects).contains(&artifact(5).digest));
    assert_eq!(told(&bench).past_failed, [2, 3, 4, 5]);
}

#[test]
fn what_failed_on_others_is_no_way_back_either_and_all_of_that_is_known_after_a_start() {
    let mut bench = Bench::new();
    let versions = [version(1, 1), version(2, 2), version(3, 3)];
    for (at, pinned) in (1..).zip(&versions[..2]) {
        bench.apply(pinned);
        bench.ready(at);
        bench.wait(HEALTHY_MS);
    }
    let mut manifest = told(&bench);
    manifest.state = shared::ManifestState::Failing;
    let of_other = report(1, 1, |report| report.manifest = Some(manifest));
    bench.give(Input::Reported { ticket: None, report: of_other });
    bench.accept(&versions[2].sealed);
    bench.give(Input::Stored { digest: versions[2].document().digest });
    let effects = bench.give(versions[2].read());
    assert_eq!(file(&effects).failed, [2]);
    let file = file(&effects);
    assert_eq!(file.good.as_ref().map(|good| &good.sealed), Some(&versions[0].sealed));
    let trust = shared::Trust::Owner(owner().id());
    let restored = Restored {
        intents: vec![held(&versions[2].sealed)],
        in_force: Forces::open(&file, &trust).unwrap(),
        blobs: (1..=3).map(|number| artifact(number).digest).collect(),
        strays: [artifact(1).digest].into(),
        ..nothing()
    };
    let mut bench = Bench::off(restored, |_| {});
    assert!(drops(&bench.give(Input::Booted)).is_empty());
    assert_eq!(told(&bench).past_failed, [2]);
}

#[test]
fn what_is_replaced_before_it_was_well_does_not_take_the_last_that_was_with_it() {
    let mut bench = Bench::new();
    bench.apply(&version(1, 1));
    bench.ready(1);
    bench.wait(HEALTHY_MS);
    let mut dropped = drops(&bench.apply(&version(2, 2)));
    // Nothing of these comes.
    dropped.extend(drops(&bench.apply(&version(3, 3))));
    dropped.extend(drops(&bench.apply(&version(4, 4))));
    assert!(!dropped.contains(&artifact(1).digest), "the last that was well");
    assert_eq!(told(&bench).past_failed, [0_u32; 0], "and nothing has failed");
    bench.ready(4);
    bench.wait(HEALTHY_MS);
    assert!(drops(&bench.apply(&version(5, 5))).contains(&artifact(1).digest), "another one was well");
}

#[test]
fn one_failure_is_enough_however_many_the_rollout_bears_and_whatever_is_held_by_then() {
    let patient = Rollout { max_failures: 3, ..Rollout::default() };
    let mut bench = Bench::new();
    bench.apply(&version(1, 1));
    bench.ready(1);
    bench.wait(HEALTHY_MS);
    bench.apply(&Pinned::signed(2, 2, patient, &[declare("web", 2)]));
    let run = bench.ready(2)[0];
    let third = version(3, 3);
    // Its document does not come, and then the one in force fails.
    bench.accept(&third.sealed);
    bench.exit(run, Outcome::Exit(3));
    bench.wait(1_000);
    assert_eq!(told(&bench).past_failed, [2]);
    bench.give(Input::Stored { digest: third.document().digest });
    assert_eq!(file(&bench.give(third.read())).failed, [2]);
}

#[test]
fn what_leaves_alone_what_the_one_before_has_broken_has_failed_too() {
    let mut bench = Bench::new();
    let both = |version, web, api| Pinned::new(version, &[declare("web", web), declare("api", api)]);
    bench.apply(&both(1, 1, 7));
    bench.ready(1);
    bench.ready(7);
    bench.wait(HEALTHY_MS);
    fails(&mut bench, &both(2, 2, 7), 2);
    bench.apply(&both(3, 2, 8));
    bench.ready(8);
    bench.pass(HEALTHY_MS);
    bench.give(Input::Woke);
    let effects = bench.apply(&both(4, 3, 8));
    bench.wait(1_000);
    assert_eq!(told(&bench).past_failed, [2, 3]);
    assert!(!drops(&effects).contains(&artifact(1).digest), "version 1 is the last that was well");
}

#[test]
fn what_fails_now_and_then_makes_no_later_version_one_that_failed() {
    let mut bench = Bench::new();
    let both = |version, web| Pinned::new(version, &[declare("web", web), declare("api", 7)]);
    bench.apply(&both(1, 1));
    bench.ready(1);
    let api = bench.ready(7)[0];
    bench.wait(HEALTHY_MS);
    fails(&mut bench, &both(2, 2), 2);
    bench.apply(&both(3, 3));
    bench.ready(3);
    bench.pass(HEALTHY_MS);
    bench.give(Input::Woke);
    bench.exit(api, Outcome::Exit(3));
    bench.apply(&both(4, 4));
    bench.wait(1_000);
    assert_eq!(told(&bench).past_failed, [2]);
}

/// A component that is new in version 2, which fails and is taken back; gives what that orders.
fn taken_back(bench: &mut Bench) -> (Pinned, Vec<Effect>) {
    bench.apply(&version(1, 1));
    bench.ready(1);
    bench.wait(HEALTHY_MS);
    let rollout = Rollout { auto_rollback: true, ..Rollout::default() };
    let second = Pinned::signed(2, 2_000, rollout, &[declare("web", 1), declare("bad", 2)]);
    let mut effects = fails(bench, &second, 2);
    assert_eq!(file(&effects).failed, [2], "it goes back");
    effects.extend(bench.give(second.saved()));
    (second, effects)
}

fn forgotten(effects: &[Effect]) -> Vec<String> {
    let pick = |effect: &Effect| match effect {
        Effect::Forget { name, .. } => Some(name.to_string()),
        _ => None,
    };
    effects.iter().filter_map(pick).collect()
}

#[test]
fn what_was_taken_back_can_be_looked_at_until_another_one_is_in_force() {
    let mut bench = Bench::new();
    let (_, effects) = taken_back(&mut bench);
    assert_eq!(forgotten(&effects), [""; 0]);
    assert_eq!(bench.node.runs(&name("bad")).unwrap().ended.len(), 1, "why it failed");
    let third = Pinned::signed(3, 3_000, Rollout::default(), &[declare("web", 3)]);
    assert_eq!(forgotten(&bench.apply(&third)), ["bad"]);
    // The next one has it again: it goes on with what there is, and runs.
    let mut bench = Bench::new();
    taken_back(&mut bench);
    let third = Pinned::signed(3, 3_000, Rollout::default(), &[declare("web", 1), declare("bad", 3)]);
    assert_eq!(forgotten(&bench.apply(&third)), [""; 0]);
}

#[test]
fn what_was_taken_back_and_is_declared_once_more_runs_once_more() {
    let once = || {
        let mut bad = declare("bad", 2);
        bad.0.restart = shared::Restart::Never;
        [declare("web", 1), bad]
    };
    let mut bench = Bench::new();
    bench.apply(&version(1, 1));
    bench.ready(1);
    bench.wait(HEALTHY_MS);
    let second = Pinned::signed(2, 2_000, Rollout { auto_rollback: true, ..Rollout::default() }, &once());
    fails(&mut bench, &second, 2);
    let effects = bench.give(second.saved());
    assert!(saved(&effects).iter().all(|record| record.outcomes.is_empty()) && forgotten(&effects).is_empty());
    bench.apply(&Pinned::signed(3, 3_000, Rollout::default(), &once()));
    assert_eq!(bench.ready(2).len(), 1, "what it needs may be there by now");
}

#[test]
fn who_takes_the_name_or_has_it_removed_begins_anew() {
    let mut bench = Bench::new();
    taken_back(&mut bench);
    bench.run(&named("bad", 3_000));
    assert_eq!(forgotten(&bench.wait(1_000)), [""; 0]);
    let removal = removal_of("bad", 3_001);
    let run = stops(&bench.accept(&removal))[0];
    assert_eq!(forgotten(&bench.exit(run, Outcome::Stopped)), ["bad"]);
    let mut bench = Bench::new();
    taken_back(&mut bench);
    assert_eq!(forgotten(&bench.accept(&removal)), ["bad"]);
}

#[test]
fn what_was_taken_back_can_be_looked_at_after_a_start() {
    let second = version(2, 2);
    let restored = |intents: &[&[u8]]| Restored {
        intents: intents.iter().map(|bytes| held(bytes)).collect(),
        in_force: Forces { rejected: Some(second.id()), ..version(1, 1).in_force() },
        blobs: [artifact(1).digest, second.document().digest].into(),
        kept: [name("bad"), name("web")].into(),
        ..nothing()
    };
    // It may have been pushed and removed before it was declared.
    let removal = removal_of("bad", 1);
    for intents in [&[&*second.sealed][..], &[&*second.sealed, &*removal]] {
        let mut bench = Bench::off(restored(intents), |_| {});
        assert_eq!(forgotten(&bench.give(Input::Booted)), [""; 0]);
        let third = Pinned::signed(3, 3_000, Rollout::default(), &[declare("web", 3)]);
        assert_eq!(forgotten(&bench.apply(&third)), ["bad"]);
    }
}
