//! Guests that take more of the host than they may: its tables, its buffers, its descriptors. Each limit lies below what
//! Wasmtime sets by itself, so that a test fails when ours is not set.

use crate::support::*;
use agent::ipc::RunSpec;
use shared::Outcome;

/// Handles of one guest.
const MAX_HANDLES: u32 = 4096;

/// A component with so many instances of a core module.
fn instances(count: usize, module: &str) -> String {
    format!("(component (core module $m {module}) {})", "(core instance (instantiate $m))".repeat(count))
}

/// The text of the trap that it ends with.
fn trap(runner: &mut Runner, wat: &str) -> String {
    match runner.run(wat, spec()).outcome() {
        Outcome::Trap(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn instances_memories_and_tables_are_counted() {
    let mut runner = Runner::start();
    let ten_tables = "(table 0 funcref)".repeat(10);
    for (most, module, what) in [(512, "", "instance"), (32, "(memory 0)", "memory"), (102, &ten_tables, "table")] {
        assert_eq!(runner.run(&instances(most, module), spec()).outcome(), &Outcome::Completed, "{what}");
        let text = trap(&mut runner, &instances(most + 1, module));
        assert!(text.contains(&format!("{what} count too high")), "{text}");
    }
}

#[test]
fn handles_on_what_the_host_keeps_are_counted() {
    let mut runner = Runner::start();
    // Each of these calls leaves a pollable behind.
    let pollables = |count: u32| {
        command(&format!(
            r#"(func (export "run") (result i32)
              (local $left i32)
              (local.set $left (i32.const {count}))
              (loop $again
                (call $sleep (i64.const 0))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
              (i32.const 0))"#
        ))
    };
    assert_eq!(runner.run(&pollables(MAX_HANDLES / 2), spec()).outcome(), &Outcome::Completed);
    let text = trap(&mut runner, &pollables(MAX_HANDLES + 1));
    assert!(text.contains("resource table"), "{text}");
}

#[test]
fn handles_on_what_the_guest_keeps_are_counted() {
    let mut runner = Runner::start();
    let own = |count: u32| include_str!("../wat/resources.wat").replace("COUNT", &count.to_string());
    assert_eq!(runner.run(&own(MAX_HANDLES / 2), spec()).outcome(), &Outcome::Completed);
    let text = trap(&mut runner, &own(MAX_HANDLES + 1));
    assert!(text.contains("handle limit"), "{text}");
}

#[test]
fn a_call_does_not_carry_more_than_the_host_wants_to_hold() {
    let mut runner = Runner::start();
    let writes = |bytes: u64| {
        command(&format!(
            r#"(func (export "run") (result i32) (drop (memory.grow (i32.const 64)))
              (call $print (i32.const 0) (i32.const {bytes})) (i32.const 0))"#
        ))
    };
    assert_eq!(runner.run(&writes(4096), spec()).outcome(), &Outcome::Completed);
    let text = trap(&mut runner, &writes(MIB + 1));
    assert!(text.contains("fuel"), "{text}");
}

#[test]
fn one_call_gives_no_more_random_bytes_than_a_key_needs() {
    let mut runner = Runner::start();
    let random = |bytes: u64| {
        command(&format!(r#"(func (export "run") (result i32) (call $random (i64.const {bytes})) (i32.const 0))"#))
    };
    assert_eq!(runner.run(&random(64 * 1024 - 64), spec()).outcome(), &Outcome::Completed);
    for bytes in [64 * 1024 + 1, 1 << 40] {
        let text = trap(&mut runner, &random(bytes));
        assert!(text.contains("exceeds limit"), "{text}");
    }
}

#[test]
fn no_socket_is_opened_for_a_guest() {
    let seen = Runner::start().run(include_str!("../wat/tcp_socket.wat"), spec());
    assert_eq!(seen.outcome(), &Outcome::Completed, "it is denied: {}", seen.detail());
}

#[test]
fn a_guest_that_computes_before_it_is_called_has_the_same_limits() {
    let mut runner = Runner::start();
    let starts = bare_command(
        r#"(func $spin (loop $l (br $l))) (start $spin) (func (export "run") (result i32) (i32.const 0))"#,
    );
    let late = runner.run(&starts, RunSpec { deadline_ms: Some(100), ..spec() });
    assert_eq!(late.outcome(), &Outcome::DeadlineExceeded);
    let spent = runner.run(&starts, RunSpec { fuel: Some(1_000_000), ..spec() });
    assert_eq!((spent.outcome(), spent.usage().fuel_used), (&Outcome::OutOfFuel, 1_000_000));
}
