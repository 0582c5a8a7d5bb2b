//! What follows a run that has ended, and after which pause.

use crate::bench::*;
use agent::control::node::{Effect, Input, RunRecord};
use shared::{Outcome, Phase, Replicas, Restart};

fn policy(restart: Restart) -> Vec<u8> {
    push(1, |body| body.payload.component.restart = restart)
}

#[test]
fn policies() {
    let failed = || Outcome::Exit(3);
    let table = [
        (Restart::Never, Outcome::Completed, false, Phase::Completed),
        (Restart::Never, failed(), false, Phase::Failed),
        (Restart::OnFailure, Outcome::Completed, false, Phase::Completed),
        (Restart::OnFailure, failed(), true, Phase::Backoff),
        (Restart::OnFailure, Outcome::OutOfMemory, true, Phase::Backoff),
        (Restart::Always, Outcome::Completed, true, Phase::Completed),
        (Restart::Always, failed(), true, Phase::Backoff),
    ];
    for (restart, outcome, again, phase) in table {
        let mut bench = Bench::new();
        let instance = bench.run(&policy(restart))[0];
        let effects = bench.exit(instance, outcome.clone());
        let component = bench.component("hello");
        assert_eq!((component.phase, component.last_outcome), (phase, Some(outcome.clone())), "{restart:?}");
        assert_eq!(saved(&effects).len(), usize::from(!again), "an end for good is kept");
        assert_eq!(starts(&bench.wait(10_000)).len(), usize::from(again), "{restart:?} after {outcome}");
        assert_eq!(bench.component("hello").restarts, u32::from(again));
    }
}

#[test]
fn pauses_double_from_a_second_to_five_minutes() {
    let mut bench = Bench::new();
    let mut instance = bench.run(&policy(Restart::OnFailure))[0];
    let mut pauses = Vec::new();
    for _ in 0..12 {
        bench.give(Input::Started { instance });
        bench.exit(instance, Outcome::Exit(1));
        let ended = bench.now.mono_ms;
        assert_eq!(bench.component("hello").phase, Phase::Backoff, "a crash loop is shown");
        instance = loop {
            if let Some(started) = starts(&bench.wait(100)).first() {
                break *started;
            }
        };
        assert_eq!(bench.component("hello").phase, Phase::Backoff, "until it runs");
        pauses.push(bench.now.mono_ms - ended);
    }
    for (at, pause) in pauses.iter().enumerate() {
        let wanted = (1_000 << at).min(300_000);
        assert!((wanted * 3 / 4..=wanted * 5 / 4 + 100).contains(pause), "pause {at}: {pause}");
    }
    assert!(pauses.iter().any(|pause| pause % 1_000 > 100), "with jitter: {pauses:?}");
    // A minute of health, and it begins with the first pause again.
    bench.give(Input::Started { instance });
    bench.wait(60_000);
    bench.exit(instance, Outcome::Exit(1));
    assert_eq!(starts(&bench.wait(1_300)).len(), 1);
}

#[test]
fn an_end_is_kept_over_a_restart_of_the_agent() {
    let ended =
        |bytes: &[u8], outcome| RunRecord { intent: held(bytes).opened.id(), outcomes: vec![outcome], no_room: false };
    let table = [
        (Restart::OnFailure, Outcome::Completed, Phase::Completed, 0),
        (Restart::Never, Outcome::Exit(3), Phase::Failed, 0),
        (Restart::Always, Outcome::Completed, Phase::Compiling, 1),
    ];
    for (restart, outcome, phase, prepared) in table {
        let bytes = policy(restart);
        let mut bench = Bench::off(after(&bytes, Some(ended(&bytes, outcome.clone()))), |_| {});
        assert_eq!(prepares(&bench.give(Input::Booted)).len(), prepared, "{restart:?}");
        assert_eq!(bench.component("hello").phase, phase);
    }
    // Without a record it is started again, with no network.
    let mut bench = Bench::off(after(&policy(Restart::Never), None), |_| {});
    assert_eq!(prepares(&bench.give(Input::Booted)).len(), 1);
    let effects = bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    assert_eq!(starts(&effects).len(), 1);
}

#[test]
fn the_same_digest_pushed_again_is_a_new_run() {
    let mut bench = Bench::new();
    let instance = bench.run(&policy(Restart::Never))[0];
    bench.exit(instance, Outcome::Completed);
    let effects = bench.accept(&push(2, |_| {}));
    assert_eq!(prepares(&effects).len(), 1, "its bytes are here");
    let effects = bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    assert_eq!(starts(&effects).len(), 1);
    // The record of the first run says nothing about the second.
    let record = RunRecord {
        intent: held(&policy(Restart::Never)).opened.id(),
        outcomes: vec![Outcome::Completed],
        no_room: false,
    };
    let mut bench = Bench::off(after(&push(2, |_| {}), Some(record)), |_| {});
    assert_eq!(prepares(&bench.give(Input::Booted)).len(), 1);
}

#[test]
fn replicas_and_the_worst_phase() {
    let mut bench = Bench::new();
    let bytes = push(1, |body| body.payload.component.replicas = Replicas::try_from(3).unwrap());
    let instances = bench.run(&bytes);
    assert_eq!(instances.len(), 3);
    let component = bench.component("hello");
    assert_eq!((component.replicas, component.running, component.phase), (3, 3, Phase::Running));
    assert!(saved(&bench.exit(instances[0], Outcome::Completed)).is_empty(), "the others run still");
    assert_eq!(bench.component("hello").phase, Phase::Running);
    bench.exit(instances[1], Outcome::Exit(2));
    let component = bench.component("hello");
    assert_eq!((component.running, component.phase), (1, Phase::Backoff));
    assert_eq!(starts(&bench.wait(5_000)).len(), 1);
}

#[test]
fn a_lost_runner_takes_its_instances_and_no_others() {
    let lost = |bench: &mut Bench, instances: Vec<u64>| {
        bench.give(Input::RunnerLost { instances, reason: "killed by signal 9".into() })
    };
    let mut bench = Bench::new();
    let instances = bench.run(&push(1, |body| body.payload.component.replicas = Replicas::try_from(2).unwrap()));
    lost(&mut bench, vec![instances[0]]);
    let component = bench.component("hello");
    assert_eq!((component.running, component.phase), (1, Phase::Backoff));
    assert!(component.last_outcome.is_some_and(|outcome| outcome.to_string().contains("killed by signal 9")));
    assert_eq!(starts(&bench.wait(5_000)).len(), 1);
    let mut bench = Bench::new();
    let instances = bench.run(&policy(Restart::Never));
    lost(&mut bench, instances);
    assert!(starts(&bench.wait(60_000)).is_empty(), "it was to run once");
}

#[test]
fn being_stopped_with_the_agent_is_no_end() {
    let mut bench = Bench::new();
    let instance = bench.run(&policy(Restart::OnFailure))[0];
    let effects = bench.give(Input::Leaving);
    let report = published(&effects).pop().unwrap().open(&bench.node.realm().unwrap()).unwrap();
    assert!(report.leaving);
    assert!(saved(&bench.exit(instance, Outcome::Stopped)).is_empty(), "it is to be there again after the restart");
    let mut bench = Bench::new();
    let instance = bench.run(&policy(Restart::OnFailure))[0];
    bench.give(Input::Leaving);
    assert_eq!(saved(&bench.exit(instance, Outcome::Completed)).len(), 1, "it did end by itself");
    let mut bench = Bench::new();
    let instance = bench.run(&policy(Restart::Always))[0];
    bench.exit(instance, Outcome::Exit(1));
    bench.give(Input::Leaving);
    assert!(!bench.wait(60_000).iter().any(|effect| matches!(effect, Effect::Start { .. } | Effect::Dial(_))));
}
