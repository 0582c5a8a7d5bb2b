//! How runs end, and what they are given.

use crate::support::*;
use agent::ipc::RunSpec;
use shared::Outcome;

#[test]
fn a_guest_prints_and_completes() {
    let seen = Runner::start().run(
        &command(
            r#"(data (i32.const 1024) "hello, realm\nbeware\n")
            (func (export "run") (result i32)
              (call $print (i32.const 1024) (i32.const 13))
              (call $eprint (i32.const 1037) (i32.const 7))
              (i32.const 0))"#,
        ),
        spec(),
    );
    assert!(seen.started);
    assert_eq!((seen.stdout(), &seen.stderr[..]), ("hello, realm\n", &b"beware\n"[..]));
    assert_eq!(seen.outcome(), &Outcome::Completed);
    assert_eq!(seen.usage().memory_peak_bytes, 2 * 65536);
}

#[test]
fn exit_codes_are_told_and_exit_0_is_success() {
    let mut runner = Runner::start();
    let exit = |code: u32| {
        command(&format!(r#"(func (export "run") (result i32) (call $exit (i32.const {code})) unreachable)"#))
    };
    assert_eq!(runner.run(&exit(0), spec()).outcome(), &Outcome::Completed);
    assert_eq!(runner.run(&exit(1), spec()).outcome(), &Outcome::Exit(1));
    let error = bare_command(r#"(func (export "run") (result i32) (i32.const 1))"#);
    assert_eq!(runner.run(&error, spec()).outcome(), &Outcome::Exit(1), "`run` returned an error");
}

#[test]
fn a_trap_is_told_with_its_backtrace() {
    let seen = Runner::start().run(
        &bare_command(
            r#"(func $inner (drop (i32.div_u (i32.const 1) (i32.const 0))))
            (func $outer (export "run") (result i32) (call $inner) (i32.const 0))"#,
        ),
        spec(),
    );
    assert_eq!(seen.outcome(), &Outcome::Trap("integer divide by zero".to_owned()));
    let detail = seen.detail();
    assert!(
        detail.starts_with("wasm backtrace:\n") && detail.contains("inner") && detail.contains("outer"),
        "{detail}"
    );
}

#[test]
fn recursion_without_end_is_a_trap() {
    let wat = bare_command(r#"(func $f (export "run") (result i32) (i32.add (call $f) (i32.const 1)))"#);
    assert_eq!(Runner::start().run(&wat, spec()).outcome(), &Outcome::Trap("call stack exhausted".to_owned()));
}

#[test]
fn the_entry_is_found_by_semver() {
    let wat = bare_command(r#"(func (export "run") (result i32) (i32.const 1))"#);
    let later = wat.replace("wasi:cli/run@0.2.0", "wasi:cli/run@0.2.99");
    assert_eq!(Runner::start().run(&later, spec()).outcome(), &Outcome::Exit(1));
}

#[test]
fn a_bare_run_is_called_whatever_it_returns() {
    let mut runner = Runner::start();
    let bare = |returns: &str, core: &str| {
        format!(
            r#"(component (core module $m {core}) (core instance $m (instantiate $m))
              (func (export "run") {returns} (canon lift (core func $m "run"))))"#
        )
    };
    let unit = bare("", r#"(func (export "run") unreachable)"#);
    assert!(matches!(runner.run(&unit, spec()).outcome(), Outcome::Trap(_)), "it was called");
    let number = bare("(result u32)", r#"(func (export "run") (result i32) (i32.const 7))"#);
    assert_eq!(runner.run(&number, spec()).outcome(), &Outcome::Completed);
    let result =
        |is_err: u8| bare("(result (result))", &format!(r#"(func (export "run") (result i32) (i32.const {is_err}))"#));
    assert_eq!(runner.run(&result(0), spec()).outcome(), &Outcome::Completed);
    assert_eq!(runner.run(&result(1), spec()).outcome(), &Outcome::Exit(1));
}

#[test]
fn a_component_with_neither_completes_and_the_log_says_so() {
    let mut runner = Runner::start();
    let parameters = r#"(component (core module $m (func (export "run") (param i32)))
        (core instance $m (instantiate $m))
        (func (export "run") (param "n" u32) (canon lift (core func $m "run"))))"#;
    for wat in ["(component)", parameters] {
        let seen = runner.run(wat, spec());
        assert_eq!(seen.outcome(), &Outcome::Completed);
        assert!(seen.detail().contains("exports neither `wasi:cli/run` nor"), "{}", seen.detail());
    }
}

#[test]
fn arguments_and_environment_are_those_of_the_spec() {
    // Prints each string of the list at 16, of which there are `per` in an item.
    let list = |source: &str, per: u32| {
        command(&format!(
            r#"(data (i32.const 1024) "\n")
            (func (export "run") (result i32)
              (local $at i32) (local $end i32)
              (call ${source} (i32.const 16))
              (local.set $at (i32.load (i32.const 16)))
              (local.set $end (i32.add (local.get $at) (i32.mul (i32.load (i32.const 20)) (i32.const {bytes}))))
              (block $done (loop $next
                (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
                (call $print (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
                (call $print (i32.const 1024) (i32.const 1))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br $next)))
              (i32.const 0))"#,
            bytes = per * 8
        ))
    };
    let given = RunSpec {
        args: vec!["--name".to_owned(), "Zoë".to_owned()],
        env: vec![("HOME".to_owned(), "nowhere".to_owned()), ("EMPTY".to_owned(), String::new())],
        ..spec()
    };
    let mut runner = Runner::start();
    assert_eq!(runner.run(&list("args", 1), given.clone()).stdout(), "guest\n--name\nZoë\n");
    assert_eq!(runner.run(&list("env", 2), given).stdout(), "HOME\nnowhere\nEMPTY\n\n");
    assert_eq!(runner.run(&list("args", 1), spec()).stdout(), "guest\n");
    assert_eq!(runner.run(&list("env", 2), spec()).stdout(), "", "nothing of the agent's own");
}

#[test]
fn wasi_that_is_not_given_is_denied_when_it_is_called() {
    let seen = Runner::start().run(include_str!("../wat/http_import.wat"), spec());
    let Outcome::Trap(text) = seen.outcome() else { panic!("{:?}", seen.outcome()) };
    assert!(text.contains("`wasi:http/types@0.2.4` is not given to this component"), "{text}");
}
