//! Several runners: which run is in which, and that none of them has to do with the others.

use crate::bench::{Bench, begins, digest, spec, start};
use agent::control::host::{HostEvent, HostOrder};
use agent::ipc::{self, FromGuard, FromRunner, OutputStream, Tenants, ToGuard, ToRunner, Usage};
use shared::{Artifact, ComponentName, ComponentSpec, Isolation, Outcome};
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Components with a runner of their own at once.
const MAX_OWN: u64 = 64;

fn only(name: &str) -> Tenants {
    Tenants::Only(name.parse().unwrap(), digest(1))
}

/// Starts a run of the first artifact, under a name, in a runner of its own.
fn start_own(instance: u64, name: &str) -> HostOrder {
    let name: ComponentName = name.parse().unwrap();
    let spec = Arc::new(ComponentSpec { name, isolation: Isolation::Process, ..spec() });
    HostOrder::Start { instance, spec, memory_max_bytes: 1 << 20 }
}

fn exited(instance: u64) -> FromRunner {
    FromRunner::Exited { instance, outcome: Outcome::Completed, detail: Vec::new(), usage: Usage::default() }
}

fn usage(memory_bytes: u64) -> Usage {
    Usage { memory_bytes, memory_peak_bytes: 9, fuel_used: 3, cpu_ms: 4 }
}

/// Run 1 is in the runner that is shared, run 2 in one of its own; that one's number.
fn one_of_each() -> (Bench, UnixStream, UnixStream, u64) {
    let (mut bench, mut shared) = Bench::with_code();
    bench.start_run(&mut shared, 1);
    bench.host.order(start_own(2, "own")).unwrap();
    let (number, mut own) = bench.runner_for(&only("own"));
    begins(&mut own, 2);
    (bench, shared, own, number)
}

fn is_exit(event: &HostEvent, of: u64) -> bool {
    matches!(event, HostEvent::Exited { instance, outcome: Outcome::Completed, .. } if *instance == of)
}

/// What run `of` writes is heard next.
#[track_caller]
fn is_heard(bench: &Bench, runner: &mut UnixStream, of: u64) {
    let output = FromRunner::Output { instance: of, stream: OutputStream::Stdout, bytes: b"x".to_vec() };
    ipc::write_frame(runner, &output).unwrap();
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Output { instance, .. } if *instance == of), "{event:?}");
}

#[test]
fn replicas_share_the_runner_of_their_component_and_it_ends_with_the_last() {
    let (mut bench, mut shared, mut own, number) = one_of_each();
    bench.host.order(start_own(3, "own")).unwrap();
    begins(&mut own, 3);
    bench.start_run(&mut shared, 4);
    for (instance, mut runner) in [(1, &shared), (2, &own), (4, &shared), (3, &own)] {
        ipc::write_frame(&mut runner, &exited(instance)).unwrap();
        let event = bench.event();
        assert!(is_exit(&event, instance), "{event:?}");
    }
    assert_eq!(bench.order(), ToGuard::StopRunner { runner: number }, "the shared one stays");
    // That it ends is no news, and the next run has another one.
    bench.host.order(start_own(5, "own")).unwrap();
    bench.guard_says(&FromGuard::RunnerExited { runner: number, how: "killed by signal 9".into() });
    let (next, mut own) = bench.runner_for(&only("own"));
    assert_ne!(next, number);
    begins(&mut own, 5);
    bench.start_run(&mut shared, 6);
}

#[test]
fn a_new_version_does_not_share_the_runner_of_the_one_that_it_replaces() {
    let (mut bench, _shared, mut own, number) = one_of_each();
    bench.prepare(2);
    let (job, output) = bench.compile();
    bench.compiled(job, &output);
    assert!(matches!(bench.event(), HostEvent::Prepared { result: Ok(()), .. }));
    let artifact = Artifact { digest: digest(2), ..spec().artifact };
    let name: ComponentName = "own".parse().unwrap();
    let spec = Arc::new(ComponentSpec { name: name.clone(), artifact, isolation: Isolation::Process, ..spec() });
    bench.host.order(HostOrder::Start { instance: 3, spec, memory_max_bytes: 1 << 20 }).unwrap();
    let (_, mut new) = bench.runner_for(&Tenants::Only(name, digest(2)));
    begins(&mut new, 3);
    ipc::write_frame(&mut own, &exited(2)).unwrap();
    let event = bench.event();
    assert!(is_exit(&event, 2), "{event:?}");
    assert_eq!(bench.order(), ToGuard::StopRunner { runner: number });
    is_heard(&bench, &mut new, 3);
}

#[test]
fn a_runner_that_dies_takes_its_own_runs_and_no_others() {
    let lost =
        |event: &HostEvent, of: u64| matches!(event, HostEvent::RunnerLost { instances, .. } if *instances == [of]);
    let how = || "killed by signal 9".to_owned();
    let (mut bench, mut shared, own, number) = one_of_each();
    drop(own);
    bench.guard_says(&FromGuard::RunnerExited { runner: number, how: how() });
    let event = bench.event();
    assert!(lost(&event, 2), "{event:?}");
    is_heard(&bench, &mut shared, 1);
    bench.host.order(start_own(3, "own")).unwrap();
    let (_, mut own) = bench.runner_for(&only("own"));
    begins(&mut own, 3);

    drop(shared);
    bench.guard_says(&FromGuard::RunnerExited { runner: 1, how: how() });
    let event = bench.event();
    assert!(lost(&event, 1), "{event:?}");
    is_heard(&bench, &mut own, 3);
    bench.host.order(start(4)).unwrap();
    let (_, mut shared) = bench.runner_for(&Tenants::Shared);
    begins(&mut shared, 4);
}

#[test]
fn a_runner_is_believed_about_its_own_runs_alone() {
    let (bench, mut shared, mut own, _) = one_of_each();
    let lies = [
        FromRunner::Started { instance: 1 },
        FromRunner::Output { instance: 1, stream: OutputStream::Stderr, bytes: b"x".to_vec() },
        FromRunner::Dropped { instance: 1, bytes: 1 },
        FromRunner::Unloadable { instance: 1, reason: "torn".into() },
        FromRunner::Ready { compat: "..".into(), compat_fuel: "..".into() },
        exited(1),
        // Nobody's.
        exited(7),
    ];
    lies.iter().for_each(|lie| ipc::write_frame(&mut own, lie).unwrap());
    is_heard(&bench, &mut own, 2);
    is_heard(&bench, &mut shared, 1);
    bench.host.order(HostOrder::AskUsage).unwrap();
    assert_eq!(ipc::read_frame(&mut own).unwrap(), Some(ToRunner::Usage));
    ipc::write_frame(&mut own, &FromRunner::Usages { of: vec![(1, usage(5)), (2, usage(6))] }).unwrap();
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Usages { of, .. } if *of == [(2, usage(6))]), "{event:?}");
}

#[test]
fn what_code_has_to_be_like_is_the_word_of_the_first_runner() {
    let (mut bench, _shared) = Bench::with_code();
    bench.host.order(start_own(1, "own")).unwrap();
    let number = bench.wanted_for(&only("own"));
    let mut own = bench.hand_over(number);
    let ready = FromRunner::Ready { compat: "..".into(), compat_fuel: "..".into() };
    ipc::write_frame(&mut own, &ready).unwrap();
    begins(&mut own, 1);
    // It is found where it is.
    bench.prepare(1);
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Prepared { result: Ok(()), .. }), "{event:?}");
}

#[test]
fn usage_is_asked_of_every_runner_and_there_is_none_without_one() {
    let told = |event: &HostEvent, expected: &[(u64, Usage)], is_all: bool| {
        assert!(
            matches!(event, HostEvent::Usages { of, complete } if of == expected && *complete == is_all),
            "{event:?}"
        );
    };
    let bench = Bench::start();
    bench.host.order(HostOrder::AskUsage).unwrap();
    told(&bench.event(), &[], true);

    let (mut bench, mut shared, mut own, number) = one_of_each();
    let asked = |runner: &mut UnixStream| assert_eq!(ipc::read_frame(runner).unwrap(), Some(ToRunner::Usage));
    let answer = |runner: &mut UnixStream, of: u64| {
        ipc::write_frame(runner, &FromRunner::Usages { of: vec![(of, usage(of))] }).unwrap();
    };
    bench.host.order(HostOrder::AskUsage).unwrap();
    asked(&mut shared);
    asked(&mut own);
    answer(&mut own, 2);
    told(&bench.event(), &[(2, usage(2))], false);
    // One that is stuck hides nothing of the others, and is not asked over and over.
    bench.host.order(HostOrder::AskUsage).unwrap();
    asked(&mut own);
    answer(&mut own, 2);
    told(&bench.event(), &[(2, usage(2))], false);
    answer(&mut shared, 1);
    told(&bench.event(), &[(1, usage(1))], true);

    bench.start_run(&mut shared, 3);
    // One that is gone owes nothing.
    bench.host.order(HostOrder::AskUsage).unwrap();
    asked(&mut shared);
    answer(&mut shared, 1);
    told(&bench.event(), &[(1, usage(1))], false);
    bench.guard_says(&FromGuard::RunnerExited { runner: number, how: "exit 1".into() });
    told(&bench.event(), &[], true);
    // What a run has used is told with its end.
    let ended = FromRunner::Exited { instance: 1, outcome: Outcome::Exit(3), detail: Vec::new(), usage: usage(8) };
    assert!(matches!(bench.event(), HostEvent::RunnerLost { .. }));
    ipc::write_frame(&mut shared, &ended).unwrap();
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Exited { instance: 1, usage: told, .. } if *told == usage(8)), "{event:?}");
}

#[test]
fn so_many_components_have_a_runner_of_their_own_and_no_more() {
    let (mut bench, mut shared) = Bench::with_code();
    for number in 1..=MAX_OWN {
        bench.host.order(start_own(number, &format!("own-{number}"))).unwrap();
        bench.wanted_for(&only(&format!("own-{number}")));
    }
    bench.host.order(start_own(100, "too-many")).unwrap();
    let HostEvent::Exited { instance: 100, outcome: Outcome::Trap(why), .. } = bench.event() else { panic!() };
    assert!(why.contains("64 components") && why.contains("hint: "), "{why}");
    // The others are not concerned, and there is room for a replica.
    bench.start_run(&mut shared, 101);
    bench.host.order(start_own(102, "own-1")).unwrap();
    // Once one of them has ended, there is room.
    bench.host.stop(5);
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Exited { instance: 5, outcome: Outcome::Stopped, .. }), "{event:?}");
    assert!(matches!(bench.order(), ToGuard::StopRunner { .. }));
    bench.host.order(start_own(103, "too-many")).unwrap();
    bench.wanted_for(&only("too-many"));
}

#[test]
fn a_run_that_is_stopped_before_its_runner_is_there_leaves_none() {
    let (mut bench, _shared) = Bench::with_code();
    bench.host.order(start_own(1, "own")).unwrap();
    let number = bench.wanted_for(&only("own"));
    bench.host.stop(1);
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Exited { instance: 1, outcome: Outcome::Stopped, .. }), "{event:?}");
    assert_eq!(bench.order(), ToGuard::StopRunner { runner: number });
    // It was on its way: nobody keeps its socket, so that it ends in any case.
    let mut late = bench.hand_over(number);
    assert_eq!(late.read(&mut [0; 1]).unwrap(), 0);
    bench.host.order(start_own(2, "own")).unwrap();
    let (_, mut own) = bench.runner_for(&only("own"));
    begins(&mut own, 2);
}

#[test]
fn a_runner_that_cannot_be_started_fails_its_runs_and_is_asked_for_again() {
    let (mut bench, mut shared) = Bench::with_code();
    bench.host.order(start_own(1, "own")).unwrap();
    let runner = bench.wanted_for(&only("own"));
    bench.guard_says(&FromGuard::RunnerFailed { runner, reason: "no more processes".into() });
    let HostEvent::Exited { instance: 1, outcome: Outcome::Trap(why), .. } = bench.event() else { panic!() };
    assert!(why.contains("no more processes"), "{why}");
    bench.start_run(&mut shared, 2);
    bench.host.order(start_own(3, "own")).unwrap();
    bench.wanted_for(&only("own"));
}

#[test]
fn the_edge_is_drained_when_all_runners_have_ended() {
    let (mut bench, mut shared, mut own, number) = one_of_each();
    bench.host.order(start_own(3, "late")).unwrap();
    let late = bench.wanted_for(&only("late"));
    bench.host.order(HostOrder::Shutdown).unwrap();
    for (runner, instance) in [(&mut shared, 1), (&mut own, 2)] {
        assert_eq!(ipc::read_frame(runner).unwrap(), Some(ToRunner::Shutdown));
        ipc::write_frame(runner, &exited(instance)).unwrap();
        let event = bench.event();
        assert!(is_exit(&event, instance), "{event:?}");
    }
    // One that was asked for before is told when it is there.
    let mut late_runner = bench.hand_over(late);
    let ready = FromRunner::Ready { compat: "plain".into(), compat_fuel: "fuelled".into() };
    ipc::write_frame(&mut late_runner, &ready).unwrap();
    assert_eq!(ipc::read_frame(&mut late_runner).unwrap(), Some(ToRunner::Shutdown));
    for runner in [1, number] {
        bench.guard_says(&FromGuard::RunnerExited { runner, how: "exit 0".into() });
    }
    // Nothing is drained before the last: the next event would be too early.
    ipc::write_frame(&mut late_runner, &FromRunner::Started { instance: 3 }).unwrap();
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Started { instance: 3 }), "{event:?}");
    bench.guard_says(&FromGuard::RunnerExited { runner: late, how: "exit 0".into() });
    assert!(matches!(bench.event(), HostEvent::Drained));
    bench.host.order(HostOrder::AskUsage).unwrap();
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Usages { .. }), "said once: {event:?}");
}
