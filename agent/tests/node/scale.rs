//! Another number of instances by the next manifest: those that are to stay do not notice.

use crate::bench::*;
use crate::pinned::*;
use agent::control::node::{Input, Instance};
use shared::{Audience, ManifestState, Mebibytes, Outcome, Phase, Restart, Takeover};

fn of(replicas: u16, strategy: Takeover) -> Declared {
    let mut spec = spec("web", 1);
    spec.replicas = u64::from(replicas).try_into().unwrap();
    spec.limits.memory_max_mb = Some(Mebibytes::try_from(100u64).unwrap());
    (spec, Audience::default(), strategy)
}

/// A version of the manifest with so many instances of `web`.
fn version(number: u32, replicas: u16) -> Pinned {
    Pinned::new(number, &[of(replicas, Takeover::StartFirst)])
}

/// A bench that runs the first version, for no time yet.
fn running(replicas: u16) -> (Bench, Vec<Instance>) {
    let mut bench = Bench::new();
    bench.apply(&version(1, replicas));
    let run = bench.ready(1);
    assert_eq!(run.len(), usize::from(replicas));
    (bench, run)
}

/// How many run of how many.
fn count(bench: &Bench) -> (u16, u16) {
    let component = bench.component("web");
    (component.running, component.replicas)
}

#[test]
fn more_start_beside_those_that_run() {
    let (mut bench, _) = running(2);
    bench.wait(60_000);
    let second = version(2, 3);
    let effects = bench.apply(&second);
    let new = starts(&effects);
    assert_eq!((new.len(), stops(&effects), prepares(&effects)), (1, Vec::new(), Vec::new()));
    assert_eq!(bench.component("web").intent, second.manifest.components()[&name("web")].id);
    bench.give(Input::Started { instance: new[0] });
    assert_eq!((count(&bench), told(&bench).well), ((3, 3), 0), "the new one has yet to show that it is healthy");
    assert!(stops(&bench.wait(HEALTHY_MS)).is_empty());
    assert_eq!(told(&bench).well, 1);
}

#[test]
fn fewer_go_on_and_the_others_end() {
    let (mut bench, run) = running(3);
    bench.wait(HEALTHY_MS);
    let effects = bench.apply(&version(2, 1));
    assert_eq!((stops(&effects), starts(&effects)), (run[1..].to_vec(), Vec::new()));
    for ended in &run[1..] {
        assert!(starts(&bench.exit(*ended, Outcome::Stopped)).is_empty());
    }
    assert_eq!((count(&bench), told(&bench).well), ((1, 1), 1));
    bench.exit(run[0], Outcome::Exit(1));
    assert_eq!(starts(&bench.wait(60_000)).len(), 1, "as many as are wanted by now");
}

#[test]
fn what_runs_for_the_longest_time_stays() {
    let (mut bench, run) = running(2);
    bench.wait(HEALTHY_MS);
    bench.exit(run[0], Outcome::Exit(1));
    let again = starts(&bench.wait(2_000));
    bench.give(Input::Started { instance: again[0] });
    let effects = bench.apply(&version(2, 1));
    assert_eq!(stops(&effects), again, "the other one is healthy by now");
}

#[test]
fn what_is_too_much_serves_until_the_others_are_healthy() {
    let (mut bench, run) = running(3);
    assert!(stops(&bench.apply(&version(2, 1))).is_empty());
    assert!(stops(&bench.wait(HEALTHY_MS - 1)).is_empty());
    assert_eq!(stops(&bench.wait(1)), run[1..]);
    // Wanted again before that, they are taken back.
    let (mut bench, _) = running(3);
    bench.apply(&version(2, 1));
    let effects = bench.apply(&version(3, 3));
    assert!(stops(&effects).is_empty() && starts(&effects).is_empty());
    assert!(stops(&bench.wait(60_000)).is_empty());
    assert_eq!(count(&bench), (3, 3));
    // One that is to end before another one starts ends at once.
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[of(2, Takeover::StopFirst)]));
    let run = bench.ready(1);
    assert_eq!(stops(&bench.apply(&Pinned::new(2, &[of(1, Takeover::StopFirst)]))), run[1..]);
}

#[test]
fn without_room_for_more_those_that_run_go_on() {
    let (mut bench, run) = running(2);
    let effects = bench.apply(&version(2, 100));
    assert!(stops(&effects).is_empty() && starts(&effects).is_empty());
    let component = bench.component("web");
    assert!(component.phase == Phase::Failed && component.reason.unwrap().contains("needs 10000 MiB"));
    assert_eq!(told(&bench).state, ManifestState::Failing);
    assert!(stops(&bench.wait(60_000)).is_empty());
    // The way back takes them as they are.
    let effects = bench.apply(&version(3, 2));
    assert!(stops(&effects).is_empty() && starts(&effects).is_empty());
    bench.ready(1);
    assert_eq!((count(&bench), told(&bench).well), ((2, 2), 1));
    assert_eq!(stops(&bench.apply(&version(4, 1))), run[1..]);
}

#[test]
fn what_one_leaves_is_there_for_another_one_that_the_same_manifest_lets_grow() {
    for names in [["a", "b"], ["b", "a"]] {
        // Of 1,024 MiB nine hundred are taken, before and after.
        let of = |shrinks: u16, grows: u16| {
            [shrinks, grows].into_iter().zip(names).map(|(replicas, text)| {
                let mut declared = of(replicas, Takeover::StartFirst);
                declared.0.name = name(text);
                declared
            })
        };
        let mut bench = Bench::new();
        bench.apply(&Pinned::new(1, &of(6, 3).collect::<Vec<_>>()));
        assert_eq!(bench.ready(1).len(), 9);
        bench.wait(HEALTHY_MS);
        let effects = bench.apply(&Pinned::new(2, &of(2, 7).collect::<Vec<_>>()));
        assert_eq!((stops(&effects).len(), starts(&effects).len()), (4, 1), "the others start when four have ended");
        let ended = stops(&effects);
        let begun: usize = ended.iter().map(|instance| starts(&bench.exit(*instance, Outcome::Stopped)).len()).sum();
        assert_eq!((begun, told(&bench).state), (3, ManifestState::Changing));
    }
}

#[test]
fn the_way_back_from_more_of_which_one_fails_touches_no_other() {
    let (mut bench, run) = running(2);
    bench.wait(HEALTHY_MS);
    let new = starts(&bench.apply(&version(2, 3)));
    bench.give(Input::Started { instance: new[0] });
    bench.exit(new[0], Outcome::Exit(1));
    assert_eq!(told(&bench).state, ManifestState::Failing);
    let effects = bench.apply(&version(3, 2));
    assert!(stops(&effects).is_empty() && starts(&effects).is_empty());
    assert_eq!((count(&bench), told(&bench).well), ((2, 2), 1));
    assert!(starts(&bench.wait(60_000)).is_empty(), "nor does the one that failed begin again");
    // Nor is one that pauses by then a failure of what is to come: it begins anew.
    bench.exit(run[0], Outcome::Exit(1));
    assert_eq!(starts(&bench.apply(&version(4, 3))).len(), 2);
    assert_eq!(told(&bench).state, ManifestState::Changing);
}

#[test]
fn when_there_is_room_at_last_those_that_run_go_on() {
    for strategy in [Takeover::StartFirst, Takeover::StopFirst] {
        let web = |version, replicas| Pinned::new(version, &[of(replicas, strategy)]);
        let mut bench = Bench::new();
        let large = push(1, |body| {
            body.payload.component.name = name("hello");
            body.payload.component.limits.memory_max_mb = Some(Mebibytes::try_from(800u64).unwrap());
        });
        let other = bench.run(&large)[0];
        bench.apply(&web(1, 2));
        bench.ready(1);
        for (version, replicas) in [(2, 4), (3, 100), (4, 3)] {
            let effects = bench.apply(&web(version, replicas));
            assert!(stops(&effects).is_empty() && starts(&effects).is_empty(), "{version}");
            assert_eq!(bench.component("web").phase, Phase::Failed);
        }
        bench.accept(&removal(9));
        let effects = bench.exit(other, Outcome::Stopped);
        assert_eq!((stops(&effects), starts(&effects).len()), (Vec::new(), 1));
        assert_eq!(count(&bench).1, 3);
    }
}

#[test]
fn another_one_that_has_no_room_leaves_the_old_one_serving() {
    let mut bench = Bench::new();
    bench.apply(&version(1, 2));
    let old = bench.ready(1);
    let mut large = declare("web", 2);
    large.0.limits.memory_max_mb = Some(Mebibytes::try_from(2_000u64).unwrap());
    let effects = bench.apply(&Pinned::new(2, &[large]));
    assert!(stops(&effects).is_empty() && stops(&bench.wait(60_000)).is_empty());
    let web = bench.component("web");
    assert_eq!((web.phase, web.running, web.serving), (Phase::Failed, 0, 2));
    let reason = web.reason.unwrap();
    assert!(reason.starts_with("what it is to replace runs on; needs 2000 MiB"), "{reason}");
    let effects = bench.apply(&version(3, 1));
    assert_eq!((stops(&effects), starts(&effects)), (old[1..].to_vec(), Vec::new()));
}

#[test]
fn what_serves_and_has_lost_its_artifact_is_taken_over_and_the_artifact_fetched() {
    let (mut bench, run) = running(2);
    bench.apply(&Pinned::new(2, &[declare("web", 2)]));
    let effects = bench.give(Input::Torn { digest: artifact(1).digest });
    assert!(stops(&effects).is_empty() && fetches(&effects).is_empty());
    // The next start, without a network, needs it.
    let effects = bench.apply(&version(3, 3));
    assert_eq!(fetches(&effects), [artifact(1).digest]);
    assert!(stops(&effects).is_empty() && starts(&effects).is_empty());
    assert_eq!(bench.ready(1).len(), 1);
    assert!(stops(&bench.wait(60_000)).is_empty() && run.len() == 2);
    assert_eq!(count(&bench), (3, 3));
}

#[test]
fn where_one_has_ended_for_good_or_more_is_changed_all_begin_anew() {
    let job = |replicas| {
        let mut job = of(replicas, Takeover::StartFirst);
        job.0.restart = Restart::Never;
        job
    };
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[job(2)]));
    bench.ready(1).into_iter().for_each(|instance| _ = bench.exit(instance, Outcome::Completed));
    bench.apply(&Pinned::new(2, &[job(3)]));
    let three = bench.ready(1);
    assert_eq!(three.len(), 3);
    // Of the two it is known that they have ended.
    assert_eq!(stops(&bench.apply(&Pinned::new(3, &[job(2)]))), three);
    assert_eq!(bench.component("web").phase, Phase::Completed);

    let (mut bench, _) = running(2);
    let mut other = of(3, Takeover::StartFirst);
    other.0.args.push("--new".into());
    bench.apply(&Pinned::new(2, &[other]));
    assert_eq!(bench.ready(1).len(), 3);
}
