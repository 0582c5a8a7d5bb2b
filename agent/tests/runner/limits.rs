//! The limits of a run, one by one and against guests that go around them.

use crate::support::*;
use agent::ipc::{RunSpec, ToRunner};
use shared::Outcome;
use std::time::{Duration, Instant};

/// More guests that never give way by themselves than the executor has threads.
const SPINNERS: usize = 8;

/// By how much a deadline may be missed beside them: ten times what it is.
const DEADLINE_LATER: Duration = Duration::from_secs(1);

#[test]
fn small_guests_run_beside_spinning_ones() {
    let mut runner = Runner::start();
    let placed = runner.place(&wasm(&spinner()), false);
    let spinners: Vec<u64> = (0..SPINNERS).map(|_| runner.begin_placed(placed.clone(), spec())).collect();
    for spinner in &spinners {
        runner.wait_until(*spinner, |seen| seen.started);
    }
    let small = bare_command(r#"(func (export "run") (result i32) (i32.const 0))"#);
    for _ in 0..3 {
        assert_eq!(runner.run(&small, spec()).outcome(), &Outcome::Completed);
    }
    let sleeper = command(r#"(func (export "run") (result i32) (call $sleep (i64.const 100000000)) (i32.const 0))"#);
    for (guest, fuel) in [(spinner(), None), (spinner(), Some(u64::MAX)), (sleeper, None)] {
        let instance = runner.begin(&guest, RunSpec { deadline_ms: Some(200), fuel, ..spec() });
        runner.wait_until(instance, |seen| seen.started);
        let started = Instant::now();
        assert_eq!(runner.end(instance).outcome(), &Outcome::DeadlineExceeded);
        println!("a deadline of 200 ms beside {SPINNERS} spinners: {:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_millis(200) + DEADLINE_LATER, "{:?}", started.elapsed());
    }
    for spinner in spinners {
        assert!(runner.seen[&spinner].end.is_none(), "a spinner has ended by itself");
        runner.tell(&ToRunner::Stop { instance: spinner });
        let seen = runner.end(spinner);
        assert_eq!(seen.outcome(), &Outcome::Stopped);
        assert!(seen.usage().cpu_ms > 0);
    }
}

#[test]
fn a_deadline_ends_a_spinner_and_a_sleeper() {
    let mut runner = Runner::start();
    let late = || RunSpec { deadline_ms: Some(100), ..spec() };
    assert_eq!(runner.run(&spinner(), late()).outcome(), &Outcome::DeadlineExceeded);
    // With a stretch that is longer than the test may take: the deadline counts all the same.
    let stretched = RunSpec { epoch_ms: 60_000_000, ..late() };
    assert_eq!(runner.run(&spinner(), stretched).outcome(), &Outcome::DeadlineExceeded);
    let sleeper = command(r#"(func (export "run") (result i32) (call $sleep (i64.const 100000000)) (i32.const 0))"#);
    assert_eq!(runner.run(&sleeper, late()).outcome(), &Outcome::DeadlineExceeded);
    let brief = command(r#"(func (export "run") (result i32) (call $sleep (i64.const 20)) (i32.const 0))"#);
    let in_time = RunSpec { deadline_ms: Some(60_000), ..spec() };
    assert_eq!(runner.run(&brief, in_time).outcome(), &Outcome::Completed, "in time");
}

#[test]
fn a_stop_ends_a_sleeper() {
    let mut runner = Runner::start();
    let sleeper = runner.begin(
        &command(
            r#"(data (i32.const 1024) "z") (func (export "run") (result i32)
            (call $print (i32.const 1024) (i32.const 1)) (call $sleep (i64.const 100000000)) (i32.const 0))"#,
        ),
        spec(),
    );
    runner.wait_until(sleeper, |seen| seen.stdout == b"z");
    runner.tell(&ToRunner::Stop { instance: sleeper });
    assert_eq!(runner.end(sleeper).outcome(), &Outcome::Stopped);
}

#[test]
fn fuel_runs_out_and_is_counted() {
    let mut runner = Runner::start();
    let fuel = |fuel| RunSpec { fuel: Some(fuel), ..spec() };
    let spent = runner.run(&spinner(), fuel(1_000_000));
    assert_eq!(spent.outcome(), &Outcome::OutOfFuel);
    assert_eq!(spent.usage().fuel_used, 1_000_000);

    let small = bare_command(r#"(func (export "run") (result i32) (i32.const 0))"#);
    let seen = runner.run(&small, fuel(1_000_000));
    assert_eq!(seen.outcome(), &Outcome::Completed);
    assert!((1..1000).contains(&seen.usage().fuel_used), "{:?}", seen.usage());

    let late = RunSpec { deadline_ms: Some(50), ..fuel(u64::MAX) };
    let calling =
        bare_command(r#"(func $f) (func (export "run") (result i32) (loop $l (call $f) (br $l)) (i32.const 0))"#);
    let seen = runner.run(&calling, late);
    assert_eq!(seen.outcome(), &Outcome::DeadlineExceeded);
    assert!(seen.usage().fuel_used > 0, "what was dropped in the middle is counted too");
}

#[test]
fn growth_beyond_the_cap_is_refused_and_a_guest_may_handle_that() {
    let mut runner = Runner::start();
    // Grows to 2 MiB and does `then` when that is refused.
    let grows = |then: &str| {
        bare_command(&format!(
            r#"(memory 1) (func (export "run") (result i32)
              (if (i32.eq (memory.grow (i32.const 31)) (i32.const -1)) (then {then})) (i32.const 0))"#
        ))
    };
    let small = || RunSpec { memory_max_bytes: MIB, ..spec() };
    let seen = runner.run(&grows("unreachable"), small());
    assert_eq!(seen.outcome(), &Outcome::OutOfMemory);
    assert!(seen.detail().contains("`unreachable`") && seen.detail().contains("backtrace"), "{}", seen.detail());
    assert_eq!(seen.usage().memory_peak_bytes, 65536);
    let failing = runner.run(&grows("(return (i32.const 1))"), small());
    assert_eq!(failing.outcome(), &Outcome::OutOfMemory, "an error exit after a refusal");
    assert_eq!(runner.run(&grows("nop"), small()).outcome(), &Outcome::Completed, "handled");
    let roomy = runner.run(&grows("unreachable"), RunSpec { memory_max_bytes: 2 * MIB, ..spec() });
    assert_eq!(roomy.outcome(), &Outcome::Completed);
    assert_eq!(roomy.usage().memory_peak_bytes, 2 * MIB);
}

#[test]
fn a_minimum_over_the_cap_is_out_of_memory() {
    let wat = bare_command(r#"(memory 17) (func (export "run") (result i32) (i32.const 0))"#);
    let seen = Runner::start().run(&wat, RunSpec { memory_max_bytes: MIB, ..spec() });
    assert_eq!(seen.outcome(), &Outcome::OutOfMemory);
}

#[test]
fn a_growth_that_the_guest_forbids_itself_is_no_refusal() {
    let wat = bare_command(
        r#"(memory 1 2) (func (export "run") (result i32)
        (if (i32.ne (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable)) (i32.const 1))"#,
    );
    let seen = Runner::start().run(&wat, RunSpec { memory_max_bytes: MIB, ..spec() });
    assert_eq!(seen.outcome(), &Outcome::Exit(1));
}

#[test]
fn eight_memories_together_do_not_pass_the_cap() {
    let mut runner = Runner::start();
    let eight = include_str!("../wat/eight_memories.wat");
    let seen = runner.run(eight, RunSpec { memory_max_bytes: MIB, ..spec() });
    assert_eq!(seen.outcome(), &Outcome::OutOfMemory);
    let enough = runner.run(eight, RunSpec { memory_max_bytes: 4 * MIB, ..spec() });
    assert_eq!((enough.outcome(), enough.usage().memory_peak_bytes), (&Outcome::Completed, 4 * MIB));
}

#[test]
fn tables_count_as_memory() {
    let mut runner = Runner::start();
    let wat = bare_command(
        r#"(table $t 0 funcref) (func (export "run") (result i32)
        (if (i32.eq (table.grow $t (ref.null func) (i32.const 131072)) (i32.const -1)) (then unreachable))
        (if (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1)) (then unreachable))
        (i32.const 0))"#,
    );
    let exact = runner.run(&wat, RunSpec { memory_max_bytes: MIB, ..spec() });
    assert_eq!((exact.outcome(), exact.usage().memory_peak_bytes), (&Outcome::Completed, MIB));
    let short = runner.run(&wat, RunSpec { memory_max_bytes: MIB - 8, ..spec() });
    assert_eq!(short.outcome(), &Outcome::OutOfMemory);
}

#[test]
fn a_table_whose_growth_overflows_gives_nothing_back() {
    let wat = include_str!("../wat/table64.wat");
    let seen = Runner::start().run(wat, RunSpec { memory_max_bytes: MIB, ..spec() });
    assert_eq!(seen.outcome(), &Outcome::OutOfMemory);
    assert_eq!(seen.usage().memory_peak_bytes, MIB);
}
