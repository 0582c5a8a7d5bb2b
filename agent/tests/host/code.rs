//! Compiled code: who has it compiled, when it is compiled anew, and what becomes of runs that wait for it.

use crate::bench::{Bench, MAX_EVENTS, digest, start, unloadable};
use agent::control::host::{HostEvent, HostOrder};
use agent::ipc::{self, CompileReport, FromRunner, OutputStream, Tenants, ToGuard, ToRunner};
use shared::Outcome;
use std::path::{Path, PathBuf};

#[test]
fn a_stop_is_obeyed_though_there_is_no_room_for_an_order() {
    let (bench, mut runner) = Bench::with_code();
    bench.start_run(&mut runner, 1);
    // Nobody takes events, so that a guest that writes holds up the edge, until it has no room for orders either.
    let output = FromRunner::Output { instance: 1, stream: OutputStream::Stdout, bytes: b"x".to_vec() };
    for _ in 0..2 * MAX_EVENTS {
        ipc::write_frame(&mut runner, &output).unwrap();
    }
    while bench.events.len() < MAX_EVENTS {
        std::thread::yield_now();
    }
    bench.host.order(start(2)).unwrap();
    while bench.host.order(HostOrder::Forget(digest(7))).is_ok() {}
    bench.host.stop(2);
    bench.host.stop(1);
    for _ in 0..2 * MAX_EVENTS {
        assert!(matches!(bench.event(), HostEvent::Output { .. }));
    }
    let mut told: Vec<ToRunner> = Vec::new();
    while told.len() < 3 {
        told.push(ipc::read_frame(&mut runner).unwrap().unwrap());
    }
    let at = |wanted: &ToRunner| told.iter().position(|order| order == wanted);
    let started = told.iter().position(|order| matches!(order, ToRunner::Start { instance: 2, .. }));
    assert!(at(&ToRunner::Stop { instance: 1 }).is_some(), "{told:?}");
    assert!(
        started.is_some() && at(&ToRunner::Stop { instance: 2 }) > started,
        "first started, then stopped: {told:?}"
    );
}

#[test]
fn a_run_that_is_to_end_does_not_start_anew_when_its_code_does_not_load() {
    let (mut bench, mut runner) = Bench::with_code();
    bench.start_run(&mut runner, 1);
    bench.host.stop(1);
    assert_eq!(ipc::read_frame(&mut runner).unwrap(), Some(ToRunner::Stop { instance: 1 }));
    // That was said before the stop came, and the runner knows nothing of the run by then.
    ipc::write_frame(&mut runner, &unloadable(1)).unwrap();
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Exited { instance: 1, outcome: Outcome::Stopped, .. }), "{event:?}");
    // The next one has the code compiled anew.
    bench.start_run(&mut runner, 2);
    ipc::write_frame(&mut runner, &unloadable(2)).unwrap();
    assert!(matches!(bench.event(), HostEvent::CodeTorn { .. }));
    bench.compile();
}

#[test]
fn a_run_whose_artifact_is_forgotten_before_it_begins_is_stopped() {
    let (mut bench, mut runner) = Bench::with_code();
    let is_stopped = |event: &HostEvent, of: u64| matches!(event, HostEvent::Exited { instance, outcome: Outcome::Stopped, .. } if *instance == of);
    // While its code is compiled anew.
    bench.start_run(&mut runner, 1);
    ipc::write_frame(&mut runner, &unloadable(1)).unwrap();
    assert!(matches!(bench.event(), HostEvent::CodeTorn { .. }));
    let (job, output) = bench.compile();
    bench.host.order(HostOrder::Forget(digest(1))).unwrap();
    assert_eq!(bench.order(), ToGuard::StopCompile { job });
    let event = bench.event();
    assert!(is_stopped(&event, 1), "{event:?}");
    bench.compiled(job, &output);
    // And when the runner finds that the code is gone.
    bench.prepare(1);
    let (job, output) = bench.compile();
    bench.compiled(job, &output);
    assert!(matches!(bench.event(), HostEvent::Prepared { result: Ok(()), .. }));
    bench.start_run(&mut runner, 2);
    bench.host.order(HostOrder::Forget(digest(1))).unwrap();
    ipc::write_frame(&mut runner, &unloadable(2)).unwrap();
    let event = bench.event();
    assert!(is_stopped(&event, 2), "{event:?}");
}

#[test]
fn code_that_does_not_load_is_compiled_anew_once_and_again_when_that_failed() {
    let (mut bench, mut runner) = Bench::with_code();
    let event = Bench::event;
    let is_torn = |event: &HostEvent| matches!(event, HostEvent::CodeTorn { digest: of, .. } if *of == digest(1));
    bench.host.order(start(1)).unwrap();
    for round in 0..2 {
        let order = ipc::read_frame(&mut runner).unwrap();
        assert!(matches!(order, Some(ToRunner::Start { instance: 1, .. })), "{round}: {order:?}");
        ipc::write_frame(&mut runner, &unloadable(1)).unwrap();
        assert!(is_torn(&event(&bench)));
        if round == 0 {
            let (job, output) = bench.compile();
            assert_eq!(bench.code(), [] as [PathBuf; 0], "it is not found a second time");
            bench.compiled(job, &output);
            assert!(matches!(event(&bench), HostEvent::Prepared { result: Ok(()), .. }));
        }
    }
    // A disk that tears everything does not keep the machine busy.
    let ended = event(&bench);
    assert!(matches!(&ended, HostEvent::Exited { instance: 1, outcome: Outcome::Trap(_), .. }), "{ended:?}");

    // The next run has it compiled; when that fails, the run ends, and the one after it tries again.
    for instance in [2, 3] {
        bench.host.order(start(instance)).unwrap();
        let (job, _) = bench.compile();
        bench.reported(job, &CompileReport::Failed { reason: "the disk is full".into() });
        let HostEvent::Exited { instance: of, outcome: Outcome::Trap(why), .. } = event(&bench) else { panic!() };
        assert!(of == instance && why.contains("the disk is full"), "{why}");
        assert!(matches!(event(&bench), HostEvent::Prepared { result: Err(failed), .. } if !failed.for_good));
    }
    bench.host.order(start(4)).unwrap();
    bench.compile();
    // Nobody waits for it any more.
    bench.host.stop(4);
    assert!(matches!(event(&bench), HostEvent::Exited { instance: 4, outcome: Outcome::Stopped, .. }));
}

#[test]
fn what_nobody_wants_any_more_is_neither_compiled_nor_kept() {
    let mut bench = Bench::start();
    let _runner = bench.runner();
    let (job, output) = bench.compile();
    bench.prepare(2);
    bench.prepare(3);
    for number in [1, 2] {
        bench.host.order(HostOrder::Forget(digest(number))).unwrap();
    }
    assert_eq!(bench.order(), ToGuard::StopCompile { job });
    // It had done its work already.
    bench.compiled(job, &output);
    let (job, output) = bench.compile();
    assert_eq!(bench.code(), [] as [PathBuf; 0]);
    bench.compiled(job, &output);
    let event = bench.event();
    assert!(matches!(&event, HostEvent::Prepared { digest: of, result: Ok(()), .. } if *of == digest(3)), "{event:?}");
    // Wanted again, it is compiled anew.
    bench.prepare(1);
    bench.compile();
}

#[test]
fn what_a_former_agent_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join("1.compiling");
    std::fs::write(&unfinished, b"co").unwrap();
    let _bench = Bench::start_in(dir);
    assert!(!unfinished.exists());
}

#[test]
fn code_of_another_engine_is_kept_until_there_is_code_of_this_one() {
    let mut bench = Bench::start();
    let (old, metered) = (bench.dir.path().join("0bad5"), bench.dir.path().join("fuelled"));
    for (dir, number) in [(&old, 1), (&old, 2), (&metered, 1)] {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join(digest(number).hex()), b"code").unwrap();
    }
    let _runner = bench.runner();
    let (job, _) = bench.compile();
    bench.reported(job, &CompileReport::Failed { reason: "the disk is full".into() });
    assert!(matches!(bench.event(), HostEvent::Prepared { result: Err(_), .. }));
    let there = |dir: &Path, number| dir.join(digest(number).hex()).exists();
    assert!(there(&old, 1), "its agent may come back");
    bench.prepare(1);
    let (job, output) = bench.compile();
    bench.compiled(job, &output);
    assert!(matches!(bench.event(), HostEvent::Prepared { result: Ok(()), .. }));
    assert!(!there(&old, 1) && there(&old, 2) && there(&metered, 1));
    bench.prepare(2);
    let (job, output) = bench.compile();
    bench.compiled(job, &output);
    assert!(matches!(bench.event(), HostEvent::Prepared { result: Ok(()), .. }));
    assert!(!old.exists(), "nothing is left of it");
}

#[test]
fn code_is_compiled_into_the_room_that_it_was_given() {
    let mut bench = Bench::start();
    bench.prepare(1);
    let (_, _runner) = bench.runner_for(&Tenants::Shared);
    let job = match bench.order() {
        ToGuard::Compile { job, room, .. } => {
            assert_eq!(room, 1 << 30);
            job
        }
        other => panic!("{other:?}"),
    };
    bench.reported(job, &CompileReport::TooLarge { bytes: 2 << 30 });
    let event = bench.event();
    let HostEvent::Prepared { result: Err(failed), code_bytes: 0, .. } = &event else { panic!("{event:?}") };
    assert_eq!((failed.takes, failed.for_good), (Some(2 << 30), false));
    // What is there counts with its seal, until it is forgotten.
    bench.prepare(1);
    let (job, output) = bench.compile();
    bench.compiled(job, &output);
    let event = bench.event();
    let HostEvent::Prepared { result: Ok(()), code_bytes, .. } = event else { panic!("{event:?}") };
    let sizes = |bench: &Bench| bench.code().iter().map(|path| std::fs::metadata(path).unwrap().len()).sum::<u64>();
    assert!(code_bytes > 4 && code_bytes == sizes(&bench), "{code_bytes} {:?}", bench.code());
    assert_eq!(agent::control::host::usage(bench.dir.path())[&digest(1)], code_bytes);
    bench.host.order(HostOrder::Forget(digest(1))).unwrap();
    bench.prepare(1);
    bench.compile();
    assert_eq!(sizes(&bench), 0);
}
