//! What runs use, told while they run and at their end.

use crate::support::*;
use agent::ipc::{RunSpec, ToRunner};
use shared::Outcome;
use std::time::Instant;

/// Long enough for a spinner to have had many ticks.
const COMPUTED_MS: u64 = 100;

/// Fuel that the account may be behind.
const FUEL_STEP: u64 = 1_000_000;

#[test]
fn memory_is_told_as_it_grows() {
    let mut runner = Runner::start();
    // Two pages in the beginning; three more, and then it waits.
    let waits = command(
        r#"(data (i32.const 1024) "a") (func (export "run") (result i32)
          (drop (memory.grow (i32.const 3))) (call $print (i32.const 1024) (i32.const 1))
          (call $sleep (i64.const 100000000)) (i32.const 0))"#,
    );
    let waits = runner.begin(&waits, spec());
    runner.wait_until(waits, |seen| seen.stdout == b"a");
    let usage = runner.usages()[&waits];
    assert_eq!((usage.memory_bytes, usage.memory_peak_bytes), (5 * 65536, 5 * 65536));
    assert_eq!(usage.fuel_used, 0, "it is not metered");
    runner.tell(&ToRunner::Stop { instance: waits });
    let end = runner.end(waits).usage();
    assert_eq!((end.memory_bytes, end.memory_peak_bytes), (5 * 65536, 5 * 65536));
    assert!(runner.usages().is_empty(), "nothing runs any more");
}

#[test]
fn time_and_fuel_of_a_guest_that_only_computes_are_told_while_it_does() {
    let mut runner = Runner::start();
    let began = Instant::now();
    // A stretch that never ends: what is told does not depend on its giving way.
    let forever = RunSpec { epoch_ms: 60_000_000, ..spec() };
    let plain = runner.begin(&spinner(), forever.clone());
    let first = runner.until_uses(plain, |usage| usage.cpu_ms >= COMPUTED_MS);
    let second = runner.until_uses(plain, |usage| usage.cpu_ms >= first.cpu_ms + COMPUTED_MS);
    assert!(was_once(second.cpu_ms, began), "{second:?}");
    runner.tell(&ToRunner::Stop { instance: plain });
    let end = runner.end(plain).usage();
    assert!(end.cpu_ms >= second.cpu_ms && was_once(end.cpu_ms, began), "{end:?}");

    let metered = runner.begin(&spinner(), RunSpec { fuel: Some(u64::MAX), ..forever });
    let first = runner.until_uses(metered, |usage| usage.fuel_used >= 10 * FUEL_STEP);
    let second = runner.until_uses(metered, |usage| usage.fuel_used >= first.fuel_used + 10 * FUEL_STEP);
    assert!(second.cpu_ms > 0);
    runner.tell(&ToRunner::Stop { instance: metered });
    let seen = runner.end(metered);
    assert_eq!(seen.outcome(), &Outcome::Stopped);
    assert!(seen.usage().fuel_used >= second.fuel_used, "{:?}", seen.usage());
}

/// Whether one thread can have computed for so long since then, and was not counted twice: by half as much again at most,
/// since the clocks of a virtual machine are not of one mind.
fn was_once(cpu_ms: u64, since: Instant) -> bool {
    2 * u128::from(cpu_ms) <= 3 * since.elapsed().as_millis()
}

#[test]
fn a_sleeper_uses_no_processor() {
    let mut runner = Runner::start();
    let sleeper = command(r#"(func (export "run") (result i32) (call $sleep (i64.const 400)) (i32.const 0))"#);
    let seen = runner.run(&sleeper, spec());
    assert!(seen.usage().cpu_ms < 200, "{:?}", seen.usage());
}

#[test]
fn fuel_of_a_run_that_ends_by_itself_is_exact() {
    let mut runner = Runner::start();
    // Ten steps of the account, and a bit.
    let counts = bare_command(
        r#"(func (export "run") (result i32) (local $left i32) (local.set $left (i32.const 2000000))
          (loop $l (br_if $l (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) (i32.const 0))"#,
    );
    let metered = |fuel| RunSpec { fuel: Some(fuel), ..spec() };
    let used = runner.run(&counts, metered(u64::MAX)).usage().fuel_used;
    assert!(used > 5 * FUEL_STEP && !used.is_multiple_of(FUEL_STEP), "{used}");
    assert_eq!(runner.run(&counts, metered(used)).outcome(), &Outcome::Completed);
    // It is looked at once in a round of the loop.
    assert_eq!(runner.run(&counts, metered(used - 20)).outcome(), &Outcome::OutOfFuel);
}

#[test]
fn many_questions_at_once_are_answered() {
    let mut runner = Runner::start();
    let sleeper = runner.begin(&spinner(), spec());
    for _ in 0..1000 {
        runner.tell(&ToRunner::Usage);
    }
    assert!(runner.usages().contains_key(&sleeper));
}
