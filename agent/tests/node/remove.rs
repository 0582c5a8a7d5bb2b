//! What an operator does to a component that is there: stop it, start it again, remove it.

use crate::bench::*;
use agent::control::node::{Effect, Input, RunRecord};
use shared::{Outcome, Phase, Verb};

fn with(seq: u64, verb: Verb) -> Vec<u8> {
    push(seq, |body| {
        body.payload.component.start = verb != Verb::Stop;
        body.payload.verb = Some(verb);
    })
}

fn forgets(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Forget { .. })).count()
}

#[test]
fn stopped_at_once_and_shown_as_stopped_when_it_has_ended() {
    let mut bench = Bench::new();
    let old = bench.run(&push(1, |_| {}))[0];
    let effects = bench.accept(&with(2, Verb::Stop));
    assert_eq!((stops(&effects), prepares(&effects)), (vec![old], vec![]));
    assert_eq!(bench.component("hello").phase, Phase::Running, "it has not ended yet");
    assert!(starts(&bench.exit(old, Outcome::Stopped)).is_empty());
    assert_eq!(bench.component("hello").phase, Phase::Stopped);
}

#[test]
fn stopped_it_stays_so_after_a_restart_and_takes_no_room() {
    let mut bench = Bench::with(after(&with(2, Verb::Stop), None), |config| config.budget_bytes = 64 << 20);
    assert_eq!(bench.component("hello").phase, Phase::Stopped);
    assert!(bench.wait(3_600_000).iter().all(|effect| !matches!(effect, Effect::Start { .. })));
    assert_eq!(bench.run(&named("other", 3)).len(), 1, "the whole budget is there for others");
}

#[test]
fn started_again_it_runs_without_fetching_anew() {
    let mut bench = Bench::new();
    let old = bench.run(&push(1, |_| {}))[0];
    bench.accept(&with(2, Verb::Stop));
    bench.exit(old, Outcome::Stopped);
    let effects = bench.accept(&with(3, Verb::Start));
    assert!(fetches(&effects).is_empty() && drops(&effects).is_empty());
    let effects = bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    assert_eq!(starts(&effects).len(), 1);
}

#[test]
fn started_where_it_runs_it_is_left_alone() {
    let mut bench = Bench::new();
    bench.run(&push(1, |_| {}));
    let start = with(2, Verb::Start);
    let effects = bench.accept(&start);
    assert!(stops(&effects).is_empty() && prepares(&effects).is_empty());
    assert_eq!(bench.component("hello").intent, held(&start).opened.id());
    let start = push(3, |body| {
        body.payload.component.args = vec!["other".into()];
        body.payload.verb = Some(Verb::Start);
    });
    assert_eq!(prepares(&bench.accept(&start)).len(), 1, "another spec is another run");
}

#[test]
fn one_that_completed_runs_again_when_it_is_restarted() {
    let mut bench = Bench::new();
    let old = bench.run(&push(1, |_| {}))[0];
    assert_eq!(saved(&bench.exit(old, Outcome::Completed)).len(), 1);
    bench.accept(&with(2, Verb::Restart));
    let effects = bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    assert_eq!(starts(&effects).len(), 1);
}

#[test]
fn removed_it_is_forgotten_once_its_last_instance_has_ended() {
    let mut bench = Bench::new();
    let old = bench.run(&push(1, |_| {}))[0];
    let effects = bench.accept(&removal(2));
    assert_eq!((stops(&effects), drops(&effects)), (vec![old], vec![artifact(1).digest]));
    assert_eq!(forgets(&effects), 0, "what it still writes would come after");
    assert!(bench.node.components().is_empty());
    let effects = bench.exit(old, Outcome::Stopped);
    assert_eq!((forgets(&effects), saved(&effects).len()), (1, 0));
    assert!(bench.node.total_of(&name("hello")).outcomes.is_empty(), "nor do its runs count for a later one");
}

#[test]
fn what_was_removed_does_not_come_back() {
    let mut bench = Bench::new();
    bench.run(&push(1, |_| {}));
    bench.accept(&removal(3));
    assert!(refused_with(&bench.offer(&push(2, |_| {})), "stale"));
    let mut again = Bench::with(after(&removal(3), None), |_| {});
    assert!(again.node.components().is_empty());
    assert!(refused_with(&again.offer(&push(2, |_| {})), "stale"));
    assert_eq!(again.run(&push(4, |_| {})).len(), 1, "a later push may have the name");
}

#[test]
fn a_power_cut_between_removal_and_its_effects_leaves_nothing() {
    let mut bench = Bench::off(after(&removal(2), None), |_| {});
    let effects = bench.give(Input::Booted);
    assert_eq!((forgets(&effects), drops(&effects)), (1, vec![artifact(1).digest]));
}

#[test]
fn a_fetch_that_nobody_waits_for_any_more_ends() {
    let digest = artifact(1).digest;
    let mut bench = Bench::new();
    bench.accept(&push(1, |_| {}));
    bench.accept(&named("other", 2));
    assert!(cancels(&bench.accept(&with(3, Verb::Stop))).is_empty(), "the other one waits for it");
    let effects = bench.accept(&push(4, |body| {
        body.payload.component.name = name("other");
        body.audience.tags = vec!["arm".parse().unwrap()];
    }));
    assert_eq!(cancels(&effects), [digest], "kept as far as it has come: both may come back");
    assert_eq!(fetches(&bench.accept(&with(5, Verb::Start))), [digest]);
    // The last that names it takes all of it along.
    let mut bench = Bench::new();
    bench.accept(&push(1, |_| {}));
    let effects = bench.accept(&removal(2));
    assert_eq!((cancels(&effects), drops(&effects)), (vec![], vec![digest]));
}

#[test]
fn what_nothing_names_goes_when_the_agent_starts() {
    let mut restored = after(&push(2, |_| {}), None);
    let record =
        RunRecord { intent: held(&push(1, |_| {})).opened.id(), outcomes: vec![Outcome::Completed], no_room: false };
    restored.runs = [(name("ran"), record)].into();
    restored.blobs.insert(artifact(2).digest);
    restored.strays = [artifact(1).digest, artifact(3).digest].into();
    restored.kept = [name("hello"), name("ran"), name("spoke")].into();
    let effects = Bench::off(restored, |_| {}).give(Input::Booted);
    let mut dropped = [artifact(2).digest, artifact(3).digest];
    dropped.sort();
    assert_eq!(drops(&effects), dropped);
    let forgotten = |effect: &Effect| match effect {
        Effect::Forget { name, ran } => Some((name.to_string(), *ran)),
        _ => None,
    };
    let forgotten: Vec<_> = effects.iter().filter_map(forgotten).collect();
    assert_eq!(forgotten, [("ran".to_owned(), true), ("spoke".to_owned(), false)]);
}

#[test]
fn a_removal_from_an_operator_fetches_nothing() {
    let mut bench = Bench::new();
    bench.meet(50, shared::Role::Operator, true);
    assert!(fetches(&bench.accept(&removal(1))).is_empty());
    assert!(
        fetches(&bench.accept(&push(2, |body| {
            body.payload.verb = Some(Verb::Stop);
            body.audience.tags = vec!["arm".parse().unwrap()];
        })))
        .is_empty()
    );
}
