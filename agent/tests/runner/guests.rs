//! Components as real toolchains make them: the committed ones of `guests/`.

use crate::support::*;
use agent::ipc::{RunSpec, ToRunner};
use shared::Outcome;

macro_rules! guest {
    ($name:literal) => {
        include_bytes!(concat!("../../../guests/", $name, ".wasm"))
    };
}

fn with_args(args: &[&str]) -> RunSpec {
    RunSpec { args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..spec() }
}

fn run(runner: &mut Runner, wasm: &[u8], spec: RunSpec) -> Seen {
    let placed = runner.place(wasm, spec.fuel.is_some());
    let instance = runner.begin_placed(placed, spec);
    runner.end(instance)
}

#[test]
fn rust_and_c_greet() {
    let mut runner = Runner::start();
    // The one in C does not show its environment.
    for (wasm, place) in [(&guest!("hello")[..], "here"), (guest!("hello-c"), "")] {
        for fuel in [None, Some(1 << 40)] {
            let env = vec![("PLACE".to_owned(), "here".to_owned())];
            let seen = run(&mut runner, wasm, RunSpec { fuel, env, ..with_args(&["operator"]) });
            assert_eq!(seen.outcome(), &Outcome::Completed, "{}", seen.detail());
            assert!(seen.stdout().contains("operator") && seen.stdout().contains(place), "{}", seen.stdout());
            assert_eq!(seen.usage().fuel_used > 0, fuel.is_some());
        }
    }
}

#[test]
fn rust_ends_in_every_way() {
    let mut runner = Runner::start();
    assert_eq!(run(&mut runner, guest!("finish"), spec()).outcome(), &Outcome::Completed);
    assert_eq!(run(&mut runner, guest!("exit-code"), with_args(&["7"])).outcome(), &Outcome::Exit(7));
    assert_eq!(run(&mut runner, guest!("exit-code"), with_args(&["7", "std"])).outcome(), &Outcome::Exit(1));
    let crash = run(&mut runner, guest!("crash"), spec());
    assert_eq!(crash.outcome(), &Outcome::Trap("wasm `unreachable` instruction executed".to_owned()));
    assert!(String::from_utf8_lossy(&crash.stderr).contains("panicked at"), "its last words come before its end");
    assert!(crash.detail().starts_with("wasm backtrace:"), "{}", crash.detail());
}

#[test]
fn rust_prints_in_order() {
    let seen = run(&mut Runner::start(), guest!("print"), with_args(&["500"]));
    assert_eq!((seen.outcome(), seen.dropped), (&Outcome::Completed, 0));
    assert_eq!(seen.stdout().lines().count() + seen.stderr.split_inclusive(|byte| *byte == b'\n').count(), 500);
}

#[test]
fn rust_meets_the_memory_cap() {
    let mut runner = Runner::start();
    let capped = |args: &[&str]| RunSpec { memory_max_bytes: 8 * MIB, ..with_args(args) };
    let aborts = run(&mut runner, guest!("grow"), capped(&[]));
    assert_eq!(aborts.outcome(), &Outcome::OutOfMemory);
    let peak = aborts.usage().memory_peak_bytes;
    assert!((4 * MIB..=8 * MIB).contains(&peak), "{peak}");
    let handles = run(&mut runner, guest!("grow"), capped(&["try"]));
    assert_eq!(handles.outcome(), &Outcome::Completed);
}

#[test]
fn rust_sleeps_and_spins_until_it_is_ended() {
    let mut runner = Runner::start();
    let late = RunSpec { deadline_ms: Some(200), ..spec() };
    assert_eq!(run(&mut runner, guest!("sleep"), late.clone()).outcome(), &Outcome::DeadlineExceeded);
    assert_eq!(run(&mut runner, guest!("spin"), late).outcome(), &Outcome::DeadlineExceeded);
    let placed = runner.place(guest!("ticker"), false);
    let ticker = runner.begin_placed(placed, spec());
    runner.wait_until(ticker, |seen| !seen.stdout.is_empty());
    runner.tell(&ToRunner::Stop { instance: ticker });
    assert_eq!(runner.end(ticker).outcome(), &Outcome::Stopped);
}
