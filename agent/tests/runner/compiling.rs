//! What the compile child takes, and in which words it refuses the rest.

use crate::support::*;
use agent::runner::compile::{Refusal, compile};

fn refused(wasm: &[u8]) -> Refusal {
    compile(wasm, false).unwrap_err()
}

#[test]
fn code_is_named_as_the_runner_asks_for_it() {
    let runner = Runner::start();
    let wasm = wasm("(component)");
    assert_eq!(compile(&wasm, false).unwrap().compat, runner.compat.0);
    assert_eq!(compile(&wasm, true).unwrap().compat, runner.compat.1);
}

#[test]
fn a_core_module_is_refused_with_the_command_that_helps() {
    let refusal = refused(&wasm("(module)"));
    assert_eq!(refusal.reason, "the file is a core module, not a component");
    assert!(refusal.hint.contains("wasm-tools component new module.wasm -o component.wasm"), "{}", refusal.hint);
}

#[test]
fn what_is_no_component_is_refused() {
    assert_eq!(refused(b"").reason, "the file is empty");
    assert_eq!(refused(b"#!/bin/sh\n").reason, "the file is not WebAssembly");
    assert_eq!(refused(b"\0asm\x0d").reason, "the file ends after its first bytes");
    assert!(refused(b"\0asm\xff\xff\xff\xff").reason.contains("version"));
    // One section: wherever it is cut, it is cut in the middle.
    let whole = wasm(r#"(component (core module (memory (export "m") 1) (func (export "f"))))"#);
    for kept in 9..whole.len() {
        let refusal = refused(&whole[..kept]);
        assert!(refusal.reason.starts_with("the component is not valid: "), "{kept} bytes: {}", refusal.reason);
    }
}

#[test]
fn instances_that_no_account_would_see_are_refused() {
    let globals = "(global i32 (i32.const 1))".repeat(10_000);
    let many =
        |count| format!("(component (core module $m {globals}) {})", "(core instance (instantiate $m))".repeat(count));
    assert!(compile(&wasm(&many(100)), false).is_ok(), "16 MB");
    let refusal = refused(&wasm(&many(110)));
    assert!(refusal.reason.contains("take more than 16 MiB beside their memory"), "{}", refusal.reason);
}

#[test]
fn damage_never_gets_further_than_a_refusal() {
    let whole = wasm(include_str!("../wat/http_import.wat"));
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        if let Err(refusal) = compile(&damaged, false) {
            assert!(!refusal.reason.is_empty() && !refusal.hint.is_empty());
            assert!(refusal.reason.len() < 600 && !refusal.reason.contains('\n'), "{}", refusal.reason);
        }
    }
}

#[test]
fn unknown_imports_are_named() {
    let instance = r#"(instance (export "f" (func)))"#;
    let refusal = refused(&wasm(&format!(r#"(component (import "foo:bar/baz@1.0.0" {instance}))"#)));
    assert_eq!(refusal.reason, "it imports `foo:bar/baz@1.0.0`, which this agent does not offer");
    let two = refused(&wasm(&format!(r#"(component (import "b:c/d" {instance}) (import "a" (func)))"#)));
    assert_eq!(two.reason, "it imports `a` (and 1 more), which this agent does not offer");
    let draft = refused(&wasm(&format!(r#"(component (import "wasi:cli/exit@0.2.0-rc-2023-12-05" {instance}))"#)));
    assert!(draft.reason.contains("`wasi:cli/exit@0.2.0-rc-2023-12-05`"), "{}", draft.reason);
}

#[test]
fn an_import_of_nothing_but_types_is_taken() {
    let wat = r#"(component (import "foo:bar/types" (instance (type $r (record (field "x" u8))) (export "r" (type (eq $r))))))"#;
    assert!(compile(&wasm(wat), false).is_ok());
}

#[test]
fn an_import_in_another_form_is_refused_by_name() {
    let wat = r#"(component (import "wasi:cli/exit@0.2.0" (instance (export "exit" (func (param "status" u64))))))"#;
    let refusal = refused(&wasm(wat));
    assert!(refusal.reason.contains("`wasi:cli/exit@0.2.0`"), "{}", refusal.reason);
    let unknown = r#"(component (import "wasi:cli/exit@0.2.99" (instance (export "exit-later" (func)))))"#;
    let refusal = refused(&wasm(unknown));
    assert!(refusal.reason.contains("`wasi:cli/exit@0.2.99`"), "{}", refusal.reason);
}

#[test]
fn wasi_0_3_is_refused_by_name() {
    let asynchronous = r#"(component (import "wasi:cli/stdout@0.3.0" (instance
        (export "write-via-stream" (func (param "data" (stream u8)))))))"#;
    let refusal = refused(&wasm(asynchronous));
    assert_eq!(refusal.reason, "it uses `wasi:cli/stdout@0.3.0`; WASI 0.3 is not offered yet");
    assert!(refusal.hint.contains("wasm32-wasip2"), "{}", refusal.hint);
    let exported = spinner().replace("wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0-rc-2025-09-16");
    assert!(refused(&wasm(&exported)).reason.contains("`wasi:cli/run@0.3.0-rc-2025-09-16`"));
    // Inside of a component that needs nothing of it, the name means nothing.
    let inner = format!(r#"(component (component {asynchronous}))"#).replace("(stream u8)", "u8");
    assert!(compile(&wasm(&inner), false).is_ok());
}
