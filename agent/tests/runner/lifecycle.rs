//! What the runner says and when: output, floods, faults of what it is given, and its own end.

use crate::support::*;
use agent::ipc::{Flood, RunSpec, ToRunner};
use agent::runner::RunnerError;
use shared::Outcome;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;

/// Prints `lines` lines of 1 KiB, numbered by their first byte.
fn printer(lines: u32, then: &str) -> String {
    command(&format!(
        r#"(func (export "run") (result i32)
          (local $left i32)
          (local.set $left (i32.const {lines}))
          (loop $again
            (i32.store8 (i32.const 2048) (i32.add (i32.const 33) (i32.rem_u (local.get $left) (i32.const 90))))
            (i32.store8 (i32.const 3071) (i32.const 10))
            (call $print (i32.const 2048) (i32.const 1024))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          {then}
          (i32.const 0))"#
    ))
}

#[test]
fn output_arrives_whole_and_before_the_exit() {
    let mut runner = Runner::start();
    let placed = runner.place(&wasm(&printer(100, "")), false);
    let instances: Vec<u64> = (0..4).map(|_| runner.begin_placed(placed.clone(), spec())).collect();
    let expected: Vec<u8> = (1..=100_u8).rev().map(|left| 33 + left % 90).collect();
    for instance in instances {
        let seen = runner.end(instance);
        let firsts: Vec<u8> = seen.stdout.chunks(1024).map(|line| line[0]).collect();
        assert_eq!(firsts, expected);
        assert_eq!((seen.dropped, seen.outcome()), (0, &Outcome::Completed));
    }
}

#[test]
fn a_flood_is_cut_and_counted() {
    let seen = Runner::start().run(&printer(4096, ""), spec());
    assert_eq!(seen.outcome(), &Outcome::Completed);
    assert_eq!(seen.stdout.len() as u64 + seen.dropped, 4 * MIB, "every byte is there or counted");
    assert!(seen.dropped > 0 && seen.stdout.len() >= 200 * 1024, "{} passed", seen.stdout.len());
}

#[test]
fn a_flood_is_waited_for_where_all_of_it_is_wanted() {
    let waiting = RunSpec { flood: Flood::Wait, ..spec() };
    let seen = Runner::start().run(&printer(16 * 1024, ""), waiting.clone());
    assert_eq!((seen.outcome(), seen.dropped), (&Outcome::Completed, 0));
    let firsts = seen.stdout.chunks(1024).map(|line| u32::from(line[0]));
    assert!(firsts.eq((1..=16 * 1024_u32).rev().map(|left| 33 + left % 90)), "all of it, in order");
    // Waiting holds neither a deadline nor a stop.
    let late = RunSpec { deadline_ms: Some(100), ..waiting.clone() };
    let seen = Runner::start().run(&printer(u32::MAX, ""), late);
    assert_eq!((seen.outcome(), seen.dropped), (&Outcome::DeadlineExceeded, 0));
    let mut runner = Runner::start();
    let instance = runner.begin(&printer(u32::MAX, ""), waiting);
    runner.wait_until(instance, |seen| seen.started);
    runner.tell(&ToRunner::Stop { instance });
    assert_eq!(runner.end(instance).outcome(), &Outcome::Stopped);
}

#[test]
fn a_flood_is_told_while_the_guest_is_silent() {
    let mut runner = Runner::start();
    let instance = runner.begin(&printer(1024, "(call $sleep (i64.const 100000000))"), spec());
    runner.wait_until(instance, |seen| seen.stdout.len() as u64 + seen.dropped == MIB);
    assert!(runner.seen[&instance].end.is_none());
}

#[test]
fn compiled_code_that_is_not_what_it_should_be_is_not_loaded() {
    let mut runner = Runner::start();
    let (path, digest) = runner.place(&wasm(&spinner()), false);
    let fault = |seen: Seen, words: &str| {
        let Outcome::Trap(text) = seen.outcome() else { panic!("{:?}", seen.outcome()) };
        assert!(!seen.started && text.starts_with("unloadable: ") && text.contains(words), "{text}");
    };
    let other = runner.begin_placed((path.clone(), [7; 32]), spec());
    fault(runner.end(other), "not the one that was compiled");
    let absent = runner.begin_placed((path.with_extension("gone"), digest), spec());
    fault(runner.end(absent), "cannot be read");
    // The right bytes, of the other flavour.
    let flavour = runner.begin_placed((path, digest), RunSpec { fuel: Some(1), ..spec() });
    fault(runner.end(flavour), "does not load");
    assert_eq!(runner.run("(component)", spec()).outcome(), &Outcome::Completed, "it goes on");
}

#[test]
fn compiled_code_that_cannot_be_read_is_not_blamed() {
    let mut runner = Runner::start();
    let (path, digest) = runner.place(&wasm(&spinner()), false);
    // A directory opens, and reading it fails, as of a disk with a fault.
    let directory = path.parent().unwrap().to_owned();
    let instance = runner.begin_placed((directory, digest), spec());
    let seen = runner.end(instance);
    let Outcome::Trap(text) = seen.outcome() else { panic!("{:?}", seen.outcome()) };
    assert!(!seen.started && text.starts_with("host fault: the compiled component cannot be read"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_stopped_while_it_is_loaded_is_stopped_though_its_code_does_not_load() {
    let mut runner = Runner::start();
    let (path, digest) = runner.place(&wasm(&spinner()), false);
    let slow = path.with_extension("fifo");
    fifo(&slow);
    let instance = runner.begin_placed((slow.clone(), digest), spec());
    // Opens once the loader reads.
    let mut held = std::fs::OpenOptions::new().write(true).open(&slow).unwrap();
    runner.tell(&ToRunner::Stop { instance });
    // The answer comes after the stop.
    runner.usages();
    held.write_all(b"garbage").unwrap();
    drop(held);
    let seen = runner.end(instance);
    assert_eq!((seen.started, seen.outcome()), (false, &Outcome::Stopped));
}

#[test]
fn a_start_that_is_stopped_at_once_is_reported_once() {
    let mut runner = Runner::start();
    let placed = runner.place(&wasm(&spinner()), false);
    for _ in 0..20 {
        let instance = runner.begin_placed(placed.clone(), spec());
        runner.tell(&ToRunner::Stop { instance });
        assert_eq!(runner.end(instance).outcome(), &Outcome::Stopped);
    }
    runner.tell(&ToRunner::Stop { instance: 1 });
    runner.tell(&ToRunner::Stop { instance: 999 });
    assert_eq!(runner.run("(component)", spec()).outcome(), &Outcome::Completed);
}

#[test]
fn a_shutdown_stops_and_reports_everything() {
    let mut runner = Runner::start();
    let placed = runner.place(&wasm(&spinner()), false);
    let instances: Vec<u64> = (0..6).map(|_| runner.begin_placed(placed.clone(), spec())).collect();
    runner.tell(&ToRunner::Shutdown);
    while runner.listen() {}
    for instance in instances {
        assert_eq!(runner.seen[&instance].outcome(), &Outcome::Stopped);
    }
    assert!(matches!(runner.thread.join(), Ok(Ok(()))));
}

#[test]
fn the_end_of_the_socket_ends_the_runner_whatever_runs() {
    let mut runner = Runner::start();
    let instance = runner.begin(&spinner(), spec());
    runner.wait_until(instance, |seen| seen.started);
    let Runner { socket, thread, .. } = runner;
    drop(socket);
    assert!(matches!(thread.join(), Ok(Ok(()))));
}

#[test]
fn noise_on_the_socket_ends_the_runner() {
    let mut runner = Runner::start();
    runner.socket.write_all(&[0, 0, 0, 3, 1, 2, 3]).unwrap();
    assert!(matches!(runner.thread.join(), Ok(Err(RunnerError::Channel(_)))));
}

#[test]
fn a_control_that_does_not_read_does_not_hold_the_guests() {
    let mut runner = Runner::start();
    // Far more than the socket and the queue hold together, without anybody reading.
    let placed = runner.place(&wasm(&printer(1024, "")), false);
    let floods: Vec<u64> = (0..40).map(|_| runner.begin_placed(placed.clone(), spec())).collect();
    let last = runner.begin("(component)", spec());
    assert_eq!(runner.end(last).outcome(), &Outcome::Completed);
    for flood in floods {
        let seen = runner.end(flood);
        assert_eq!(seen.outcome(), &Outcome::Completed);
        assert_eq!(seen.stdout.len() as u64 + seen.dropped, MIB);
    }
    runner.socket.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(runner.thread.join(), Ok(Ok(()))));
    assert_eq!(runner.socket.read(&mut [0]).unwrap(), 0);
}
