//! The node's memory: no more is given than there is, who waits gets it when it is free, and who had it keeps it.

use crate::bench::*;
use agent::control::node::{Effect, Input, Instance, Restored, RunRecord};
use shared::{Isolation, Mebibytes, Outcome, Phase, Push, Replicas, Restart, Verb};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A push that needs this much of the gibibyte that the bench's node has.
fn needs(text: &str, seq: u64, mebibytes: u64, change: impl FnOnce(&mut Push)) -> Vec<u8> {
    push(seq, |body| {
        body.payload.component.name = name(text);
        body.payload.component.limits.memory_max_mb = Some(Mebibytes::try_from(mebibytes).unwrap());
        change(&mut body.payload);
    })
}

fn compiled(bench: &mut Bench) -> Vec<Instance> {
    starts(&bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) }))
}

/// How a component stands, and why.
fn stands(bench: &Bench, text: &str) -> (Phase, String) {
    let component = bench.component(text);
    (component.phase, component.reason.unwrap_or_default())
}

#[test]
fn who_waits_for_room_starts_when_it_is_free() {
    let mut bench = Bench::new();
    let first = bench.run(&needs("first", 1, 1_000, |_| {}))[0];
    bench.accept(&needs("second", 2, 25, |_| {}));
    bench.accept(&needs("third", 3, 1_000, |_| {}));
    assert_eq!(stands(&bench, "second").0, Phase::Failed);
    let effects = bench.accept(&needs("first", 4, 1_000, |push| push.verb = Some(Verb::Stop)));
    assert_eq!((stops(&effects), prepares(&effects).len()), (vec![first], 1), "the place is given, oldest first");
    assert!(stands(&bench, "third").1.contains("the node has 999 MiB left"), "{:?}", stands(&bench, "third"));
    assert!(compiled(&mut bench).is_empty(), "what ends has its memory until it has ended");
    let (phase, reason) = stands(&bench, "second");
    assert!(phase == Phase::Compiling && reason.contains("when others have ended"), "{phase} {reason}");
    assert_eq!(starts(&bench.exit(first, Outcome::Stopped)).len(), 1);
    assert_eq!(stands(&bench, "second"), (Phase::Compiling, String::new()));
    // One that ends for good makes room too, and so does one that is removed.
    let mut bench = Bench::new();
    let once = |push: &mut Push| push.component.restart = Restart::Never;
    let first = bench.run(&needs("hello", 1, 1_000, once))[0];
    bench.accept(&needs("second", 2, 900, |_| {}));
    bench.accept(&needs("third", 3, 900, |_| {}));
    assert_eq!(prepares(&bench.exit(first, Outcome::Completed)).len(), 1);
    assert_eq!((stands(&bench, "second").0, stands(&bench, "third").0), (Phase::Compiling, Phase::Failed));
}

#[test]
fn instances_that_end_elsewhere_or_are_replaced_count_until_they_have_ended() {
    // Moved to other nodes.
    let mut bench = Bench::new();
    let first = bench.run(&needs("hello", 1, 1_000, |_| {}))[0];
    bench.accept(&push(2, |body| body.audience.tags = vec!["arm".parse().unwrap()]));
    bench.accept(&needs("second", 3, 1_000, |_| {}));
    assert!(compiled(&mut bench).is_empty());
    assert_eq!(starts(&bench.exit(first, Outcome::Stopped)).len(), 1);
    // Removed.
    let mut bench = Bench::new();
    let first = bench.run(&needs("hello", 1, 1_000, |_| {}))[0];
    bench.accept(&removal(2));
    bench.accept(&needs("second", 3, 1_000, |body| body.component.artifact = artifact(2)));
    let digest = artifact(2).digest;
    bench.give(Input::Stored { digest });
    assert!(starts(&bench.give(Input::Prepared { digest, fuel: false, result: Ok(()) })).is_empty());
    assert_eq!(starts(&bench.exit(first, Outcome::Stopped)).len(), 1);
    // Replaced by less: the old one serves until the new one is there, and what it has is given to nobody.
    let mut bench = Bench::new();
    let old = bench.run(&needs("first", 1, 1_000, |_| {}))[0];
    bench.accept(&needs("first", 2, 100, |push| push.component.artifact = artifact(2)));
    bench.accept(&needs("other", 3, 900, |_| {}));
    assert_eq!(stands(&bench, "other").0, Phase::Failed);
    bench.give(Input::Stored { digest });
    let effects = bench.give(Input::Prepared { digest, fuel: false, result: Ok(()) });
    assert_eq!((stops(&effects), starts(&effects), fetches(&effects)), (vec![old], vec![], vec![artifact(1).digest]));
    bench.give(Input::Stored { digest: artifact(1).digest });
    assert!(compiled(&mut bench).is_empty());
    assert_eq!(starts(&bench.exit(old, Outcome::Stopped)).len(), 2);
}

#[test]
fn a_pause_that_is_over_does_not_start_what_there_is_no_memory_for() {
    let mut bench = Bench::new();
    let first = bench.run(&needs("first", 1, 600, |_| {}))[0];
    let second = bench.run(&needs("second", 2, 400, |_| {}))[0];
    bench.accept(&needs("first", 3, 600, |push| push.verb = Some(Verb::Stop)));
    bench.accept(&needs("third", 4, 600, |_| {}));
    bench.exit(second, Outcome::Exit(1));
    assert_eq!(compiled(&mut bench).len(), 0, "400 of 1024 are there");
    assert_eq!(starts(&bench.wait(5_000)).len(), 1, "and are for this one");
    assert_eq!(bench.component("second").restarts, 1);
    assert_eq!(starts(&bench.exit(first, Outcome::Stopped)).len(), 1);
}

#[test]
fn after_a_restart_of_the_agent_who_had_room_has_it_again() {
    let mut bench = Bench::new();
    let mut intents = BTreeMap::new();
    let mut runs: BTreeMap<_, RunRecord> = BTreeMap::new();
    let mut accept = |bench: &mut Bench, bytes: &[u8]| {
        let effects = bench.accept(bytes);
        for effect in &effects {
            if let Effect::SaveRun { name, record } = effect {
                runs.insert(name.clone(), record.clone());
            }
        }
        intents.insert(held(bytes).opened.key(), held(bytes));
        (intents.clone(), runs.clone())
    };
    accept(&mut bench, &needs("first", 1, 1_000, |_| {}));
    accept(&mut bench, &needs("second", 2, 100, |_| {}));
    // Which makes it the youngest.
    let (intents, runs) = accept(&mut bench, &needs("first", 3, 1_000, |push| push.verb = Some(Verb::Restart)));
    let restored = || Restored {
        intents: intents.values().cloned().collect(),
        runs: runs.clone(),
        blobs: [artifact(1).digest].into(),
        ..nothing()
    };
    let mut again = Bench::off(restored(), |_| {});
    assert!(saved(&again.give(Input::Booted)).is_empty(), "nothing is new");
    assert_eq!((stands(&again, "first").0, stands(&again, "second").0), (Phase::Compiling, Phase::Failed));
    // A node that was given more memory.
    let mut again = Bench::off(restored(), |config| config.budget_bytes = 2 << 30);
    assert!(!saved(&again.give(Input::Booted))[0].no_room);
    assert_eq!((stands(&again, "first").0, stands(&again, "second").0), (Phase::Compiling, Phase::Compiling));
}

#[test]
fn a_thousand_that_wait_hold_up_neither_a_start_nor_an_end() {
    // It takes a tenth of a second; half a minute where each of them asks all others what is promised to them.
    const PROMPT: Duration = Duration::from_secs(10);
    let intents = (0..1_000).map(|at| held(&needs(&format!("c{at}"), 1 + at, 1_000, |_| {}))).collect();
    let restored = Restored { intents, blobs: [artifact(1).digest].into(), ..nothing() };
    let mut bench = Bench::off(restored, |_| {});
    let begun = Instant::now();
    bench.give(Input::Booted);
    let first = compiled(&mut bench);
    (0..20).for_each(|_| assert!(compiled(&mut bench).is_empty()));
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    assert_eq!((first.len(), stands(&bench, "c1").0, stands(&bench, "c999").0), (1, Phase::Failed, Phase::Failed));
}

#[test]
fn what_can_never_fit_is_told_so() {
    let mut bench = Bench::new();
    bench.accept(&needs("large", 1, 600, |push| push.component.replicas = Replicas::try_from(2).unwrap()));
    let (phase, reason) = stands(&bench, "large");
    assert_eq!(phase, Phase::Failed);
    assert!(reason.contains("needs 1200 MiB") && reason.contains("together may have 1024 MiB"), "{reason}");
    assert!(reason.len() <= shared::MAX_DETAIL_BYTES, "a report has room for it");
}

#[test]
fn a_process_of_its_own_needs_memory_too_and_replicas_share_it() {
    let own = |push: &mut Push| {
        push.component.isolation = Isolation::Process;
        push.component.replicas = Replicas::try_from(2).unwrap();
    };
    let mut bench = Bench::new();
    bench.accept(&needs("large", 1, 512, own));
    let (phase, reason) = stands(&bench, "large");
    assert_eq!(phase, Phase::Failed);
    assert!(reason.contains("needs 1033 MiB"), "{reason}");
    assert_eq!(bench.run(&needs("large", 2, 507, own)).len(), 2);
    bench.accept(&needs("small", 3, 2, |_| {}));
    assert!(stands(&bench, "small").1.contains("the node has 1 MiB left"), "{:?}", stands(&bench, "small"));
}

#[test]
fn what_an_operator_brings_is_kept_though_there_is_no_room_to_run_it() {
    let mut bench = Bench::new();
    bench.meet(50, shared::Role::Operator, true);
    let first = bench.run(&needs("first", 1, 1_000, |_| {}))[0];
    let effects = bench.accept(&needs("second", 2, 100, |push| push.component.artifact = artifact(2)));
    assert_eq!(fetches(&effects), [artifact(2).digest]);
    assert!(prepares(&bench.give(Input::Stored { digest: artifact(2).digest })).is_empty());
    let effects = bench.accept(&needs("first", 3, 1_000, |push| push.verb = Some(Verb::Stop)));
    assert!(fetches(&effects).is_empty(), "it is here");
    assert_eq!(prepares(&effects), [(artifact(2).digest, false)]);
    bench.exit(first, Outcome::Stopped);
}
