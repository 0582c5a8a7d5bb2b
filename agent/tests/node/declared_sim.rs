//! What the simulation of manifests found: each in the fewest steps that show it.

use crate::bench::*;
use crate::pinned::{HEALTHY_MS, Pinned, declare, elsewhere, saves};
use agent::control::node::{Effect, Input, Restored, Source};
use shared::{Outcome, Phase, Restart, Role, Rollout, Verb};

#[test]
fn an_operator_is_not_forgotten_for_neighbours_that_pass_the_manifest_on() {
    let mut bench = Bench::new();
    // Offers come from there.
    bench.meet(50, Role::Operator, true);
    bench.meet(1, Role::Node, true);
    let pinned = Pinned::new(1, &[elsewhere("far", 2)]);
    bench.accept(&pinned.sealed);
    let source = Source::Stream { ticket: bench.ticket(), peer: peer(1) };
    bench.give(Input::Offered { source, bytes: pinned.sealed.clone() });
    bench.give(Input::Stored { digest: pinned.document().digest });
    let effects = bench.give(pinned.read());
    assert!(fetches(&effects).contains(&artifact(2).digest), "it is taken from the operator, for the others");
}

#[test]
fn what_completes_and_begins_anew_is_healthy() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    let old = bench.ready(1)[0];
    let mut job = declare("web", 2);
    job.0.restart = Restart::Always;
    bench.apply(&Pinned::new(2, &[job]));
    let new = bench.ready(2)[0];
    assert_eq!(stops(&bench.exit(new, Outcome::Completed)), [old]);
}

#[test]
fn what_is_wanted_again_before_it_was_stopped_runs_on() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    let old = bench.ready(1)[0];
    bench.apply(&Pinned::new(2, &[declare("web", 2)]));
    let new = bench.ready(2)[0];
    let effects = bench.apply(&Pinned::new(3, &[declare("web", 1)]));
    assert!(stops(&effects).is_empty());
    bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    let effects = bench.wait(HEALTHY_MS);
    assert_eq!((starts(&effects), stops(&effects)), (vec![], vec![new]));
    let web = bench.component("web");
    assert_eq!((web.phase, web.running), (Phase::Running, 1));
    // It is looked after as before.
    bench.exit(old, Outcome::Exit(3));
    assert_eq!(starts(&bench.wait(3_000)).len(), 1);
}

#[test]
fn what_was_being_started_when_it_was_replaced_runs_on_too() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    let digest = artifact(1).digest;
    bench.give(Input::Stored { digest });
    let old = starts(&bench.give(Input::Prepared { digest, fuel: false, result: Ok(()) }))[0];
    bench.apply(&Pinned::new(2, &[declare("web", 2)]));
    bench.give(Input::Started { instance: old });
    bench.apply(&Pinned::new(3, &[declare("web", 1)]));
    bench.give(Input::Prepared { digest, fuel: false, result: Ok(()) });
    assert_eq!(bench.component("web").phase, Phase::Running);
}

#[test]
fn a_document_that_is_damaged_on_the_disk_is_fetched_again() {
    let mut bench = Bench::new();
    let pinned = Pinned::new(1, &[declare("web", 1)]);
    let document = pinned.document().digest;
    bench.accept(&pinned.sealed);
    bench.give(Input::Stored { digest: document });
    let damaged = Input::ManifestRead { digest: document, result: Ok(pinned.manifest.bytes()[1..].to_vec()) };
    assert_eq!(drops(&bench.give(damaged)), [document]);
    assert_eq!(fetches(&bench.wait(3_000)), [document]);
    bench.give(Input::Stored { digest: document });
    assert_eq!(saves(&bench.give(pinned.read())), [pinned.id()]);
}

#[test]
fn a_part_of_what_is_not_fetched_any_more_goes_with_the_last_manifest_that_names_it() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    let effects = bench.apply(&Pinned::new(2, &[declare("web", 2)]));
    assert_eq!((cancels(&effects), drops(&effects)), (vec![artifact(1).digest], vec![]));
    bench.ready(2);
    bench.wait(HEALTHY_MS);
    let effects = bench.apply(&Pinned::new(3, &[declare("web", 2), declare("more", 3)]));
    assert_eq!(drops(&effects), [artifact(1).digest]);
}

#[test]
fn what_is_declared_no_more_ends_although_the_push_below_it_has_ended_for_good() {
    let mut bench = Bench::new();
    let once = push(1, |body| body.payload.component.restart = Restart::Never);
    let run = bench.run(&once)[0];
    bench.exit(run, Outcome::Completed);
    // By an operator in another part of the realm, for here he would have been refused.
    bench.apply(&Pinned::new(1, &[declare("hello", 2)]));
    let declared = bench.ready(2)[0];
    let effects = bench.apply(&Pinned::new(2, &[]));
    assert_eq!((stops(&effects), starts(&effects)), (vec![declared], vec![]));
    assert_eq!(bench.component("hello").phase, Phase::Completed);
}

#[test]
fn a_push_of_what_was_declared_meanwhile_is_kept_for_others() {
    let mut bench = Bench::new();
    bench.meet(50, Role::Operator, true);
    let pushed = push(9, |body| body.payload.component.artifact = artifact(3));
    let (ticket, _) = persist(&bench.offer(&pushed)).unwrap();
    bench.apply(&Pinned::signed(1, 1, Rollout::default(), &[declare("hello", 1)]));
    let effects = bench.give(Input::Persisted { ticket, result: Ok(()) });
    assert_eq!(fetches(&effects), [artifact(3).digest]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start { .. })));
}

#[test]
fn bytes_of_a_push_that_is_declared_while_they_come_are_fetched_on() {
    let mut bench = Bench::new();
    bench.meet(50, Role::Operator, true);
    let pushed = push(9, |body| body.payload.component.artifact = artifact(3));
    assert_eq!(fetches(&bench.accept(&pushed)), [artifact(3).digest]);
    // By an operator in another part of the realm, for here he would have been refused.
    let effects = bench.apply(&Pinned::signed(1, 1, Rollout::default(), &[declare("hello", 1)]));
    assert!(cancels(&effects).is_empty() && drops(&effects).is_empty(), "{effects:?}");
    // Also when it is interrupted.
    let reason = "the disk is full".to_owned();
    bench.give(Input::FetchFailed { digest: artifact(3).digest, reason });
    assert_eq!(fetches(&bench.wait(3_000)), [artifact(3).digest]);
    assert!(prepares(&bench.give(Input::Stored { digest: artifact(3).digest })).is_empty());
    bench.ready(1);
    // The push counts again, and needs nobody who has its bytes.
    let effects = bench.apply(&Pinned::signed(2, 2, Rollout::default(), &[]));
    assert_eq!((fetches(&effects), prepares(&effects)), (vec![], vec![(artifact(3).digest, false)]));
}

#[test]
fn what_runs_on_for_a_push_is_not_declared_any_more() {
    let mut bench = Bench::new();
    let started = push(1, |body| body.payload.verb = Some(Verb::Start));
    bench.run(&started);
    bench.apply(&Pinned::new(1, &[declare("hello", 1)]));
    bench.ready(1);
    let effects = bench.apply(&Pinned::new(2, &[]));
    assert_eq!((starts(&effects), bench.component("hello").declared), (vec![], false));
}

#[test]
fn what_only_a_rejected_manifest_names_is_fetched_no_further() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    bench.ready(1);
    let rollout = Rollout { auto_rollback: true, ..Rollout::default() };
    let next = Pinned::signed(2, 2, rollout, &[declare("web", 2), declare("more", 3)]);
    bench.apply(&next);
    let run = bench.ready(2)[0];
    assert_eq!(saves(&bench.exit(run, Outcome::Exit(3))), [next.id()], "it goes back");
    let dropped = drops(&bench.give(next.saved()));
    assert!(dropped.contains(&artifact(2).digest) && dropped.contains(&artifact(3).digest), "{dropped:?}");
}

#[test]
fn what_a_manifest_may_need_that_is_not_read_yet_is_kept_over_a_start() {
    let pinned = Pinned::new(1, &[declare("web", 1)]);
    let (needed, useless) = (artifact(1).digest, artifact(2).digest);
    let restored = Restored {
        intents: vec![held(&pinned.sealed)],
        blobs: [pinned.document().digest, needed, useless].into(),
        ..nothing()
    };
    let mut bench = Bench::off(restored, |_| {});
    assert!(drops(&bench.give(Input::Booted)).is_empty(), "whoever brought it may be gone");
    assert_eq!(drops(&bench.give(pinned.read())), [useless]);
}

/// An operator has brought a manifest, and what it names is here while the disk still writes it; and the next one.
fn while_the_disk_writes() -> (Bench, Pinned, Pinned) {
    let mut bench = Bench::new();
    let (first, next) = (Pinned::new(1, &[declare("web", 1)]), Pinned::new(2, &[declare("web", 2)]));
    bench.meet(50, Role::Operator, true);
    bench.accept(&first.sealed);
    bench.give(Input::Stored { digest: first.document().digest });
    bench.give(first.read());
    bench.give(Input::Stored { digest: artifact(1).digest });
    (bench, first, next)
}

#[test]
fn what_the_disk_refused_goes_with_all_that_it_names_when_a_newer_one_is_held() {
    let (mut bench, first, next) = while_the_disk_writes();
    bench.give(Input::ManifestSaved { id: first.id(), result: Err("the disk is full".into()) });
    let mut effects = bench.accept(&next.sealed);
    effects.extend(bench.give(Input::Stored { digest: next.document().digest }));
    effects.extend(bench.give(next.read()));
    assert!(drops(&effects).contains(&artifact(1).digest), "{effects:?}");
    assert_eq!(saves(&effects), [next.id()], "the new one does not wait for the pause of the other");
}

#[test]
fn what_comes_unasked_before_a_manifest_is_read_may_be_what_it_needs() {
    let mut bench = Bench::new();
    let pinned = Pinned::new(1, &[declare("web", 1)]);
    bench.accept(&pinned.sealed);
    bench.give(Input::Stored { digest: pinned.document().digest });
    // Of a push that was replaced meanwhile.
    assert!(drops(&bench.give(Input::Stored { digest: artifact(1).digest })).is_empty());
    assert!(drops(&bench.give(Input::Stored { digest: artifact(2).digest })).is_empty());
    assert_eq!(drops(&bench.give(pinned.read())), [artifact(2).digest]);
    let effects = bench.give(pinned.saved());
    assert_eq!((fetches(&effects), prepares(&effects)), (vec![], vec![(artifact(1).digest, false)]));
}

#[test]
fn what_is_fetched_here_and_declared_for_others_from_now_on_is_still_taken_from_the_operator() {
    let mut bench = Bench::new();
    bench.meet(50, Role::Operator, true);
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    let next = Pinned::new(2, &[elsewhere("web", 1)]);
    bench.accept(&next.sealed);
    let source = Source::Stream { ticket: bench.ticket(), peer: peer(50) };
    bench.give(Input::Offered { source, bytes: next.sealed.clone() });
    bench.give(Input::Stored { digest: next.document().digest });
    assert_eq!(fetches(&bench.give(next.read())), [artifact(1).digest]);
    let effects = bench.give(next.saved());
    assert_eq!((cancels(&effects), drops(&effects)), (vec![], vec![]));
}

#[test]
fn what_the_disk_refused_goes_with_all_that_it_names_also_when_the_newer_one_came_meanwhile() {
    let (mut bench, first, next) = while_the_disk_writes();
    bench.accept(&next.sealed);
    bench.give(Input::ManifestSaved { id: first.id(), result: Err("the disk is full".into()) });
    let mut effects = bench.give(Input::Stored { digest: next.document().digest });
    effects.extend(bench.give(next.read()));
    assert!(drops(&effects).contains(&artifact(1).digest), "{effects:?}");
}
