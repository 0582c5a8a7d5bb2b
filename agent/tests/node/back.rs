//! The way back, after versions that failed: what is kept for it, and what can still be looked at.

use crate::bench::*;
use crate::pinned::*;
use agent::control::node::{Effect, Forces, Input, Restored};
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

fn forces(effects: &[Effect]) -> Vec<u32> {
    let pick = |effect: &Effect| match effect {
        Effect::SaveManifest { file, .. } => Some(file.failed.clone()),
        _ => None,
    };
    effects.iter().filter_map(pick).last().unwrap()
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
    assert_eq!(forces(&effects), [2]);
    let file = effects.iter().find_map(|effect| match effect {
        Effect::SaveManifest { file, .. } => Some(file.clone()),
        _ => None,
    });
    let file = file.unwrap();
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

/// A component that is new in version 2, which fails and is taken back; gives what that orders.
fn taken_back(bench: &mut Bench) -> (Pinned, Vec<Effect>) {
    bench.apply(&version(1, 1));
    bench.ready(1);
    bench.wait(HEALTHY_MS);
    let rollout = Rollout { auto_rollback: true, ..Rollout::default() };
    let second = Pinned::signed(2, 2_000, rollout, &[declare("web", 1), declare("bad", 2)]);
    let mut effects = fails(bench, &second, 2);
    assert_eq!(forces(&effects), [2], "it goes back");
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
    // The next one has it again: it goes on with what there is.
    let mut bench = Bench::new();
    taken_back(&mut bench);
    let third = Pinned::signed(3, 3_000, Rollout::default(), &[declare("web", 1), declare("bad", 3)]);
    assert_eq!(forgotten(&bench.apply(&third)), [""; 0]);
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
    let restored = |held_now: &Pinned| Restored {
        intents: vec![held(&held_now.sealed)],
        in_force: Forces { rejected: Some(second.id()), ..version(1, 1).in_force() },
        blobs: [artifact(1).digest, held_now.document().digest].into(),
        kept: [name("bad"), name("web")].into(),
        ..nothing()
    };
    let mut bench = Bench::off(restored(&second), |_| {});
    assert_eq!(forgotten(&bench.give(Input::Booted)), [""; 0]);
    assert_eq!(forgotten(&bench.apply(&Pinned::signed(3, 3_000, Rollout::default(), &[declare("web", 3)]))), ["bad"]);
    // Another one is held already.
    let mut bench = Bench::off(restored(&version(4, 4)), |_| {});
    assert_eq!(forgotten(&bench.give(Input::Booted)), ["bad"]);
}
