//! What is refused before anything is sent, and how it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod common;

use common::{Desk, repository};
use std::fs;

/// A desk with a key, whose only node is a closed port: whatever gets as far as the network fails there.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.run("init").assert(0);
    desk.set("REALM_VIA", "/ip4/127.0.0.1/tcp/1");
    desk
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

const ACCEPTED: &str = "no node answered";

/// A function `$f`, as an entry point has to be.
const RUN: &str = r#"(core module $m (func (export "run"))) (core instance $m (instantiate $m))
    (func $f (canon lift (core func $m "run")))"#;

/// A component with an entry point.
fn with_run(imports: &str, more: &str) -> String {
    format!(r#"(component {imports} {RUN} {more} (export "run" (func $f)))"#)
}

#[test]
fn what_agents_can_run_gets_as_far_as_the_network() {
    let desk = desk();
    desk.write("bare.wat", with_run("", ""));
    desk.write("offered.wat", with_run(r#"(import "wasi:cli/environment@0.2.3" (instance))"#, ""));
    desk.write("binary.wasm", component(&with_run("", r#"(core module (func (export "f") nop))"#)));
    let exported = r#"(instance $i (export "run" (func $f))) (export "wasi:cli/run@0.2.9" (instance $i))"#;
    desk.write("command.wat", format!("(component {RUN} {exported})"));
    // Its type may say less than it has.
    let ascribed = r#"(instance $i (export "run" (func $f))) (export "wasi:cli/run@0.2.0" (instance $i) (instance))"#;
    desk.write("ascribed.wat", format!("(component {RUN} {ascribed})"));
    for file in ["bare.wat", "offered.wat", "binary.wasm", "command.wat", "ascribed.wat"] {
        desk.run_words(&["push", file]).assert(1).says(ACCEPTED);
    }
}

#[test]
fn what_has_no_entry_point_is_refused_with_what_it_has_instead() {
    let desk = desk();
    let push = |text: &str| {
        desk.write("it.wat", text);
        desk.run("push it.wat")
            .assert(1)
            .says("has nothing that agents would call")
            .says("hint: agents call `wasi:cli/run`")
    };
    push("(component)").says("it exports nothing at all");
    let instance = r#"(instance $i (export "handle" (func $f)))"#;
    let handler = r#"(export "wasi:http/incoming-handler@0.2.3" (instance $i)) (export "walk" (func $f))"#;
    let ended = push(&format!("(component {RUN} {instance} {handler})"));
    let named: Vec<&str> = ended.err.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(named, ["  walk", "  wasi:http/incoming-handler@0.2.3"]);
    // A function that wants to be given something.
    push(
        r#"(component (core module $m (func (export "run") (param i32))) (core instance $m (instantiate $m))
            (func (export "run") (param "n" u32) (canon lift (core func $m "run"))))"#,
    )
    .says("\n  run\n");
}

#[test]
fn an_instance_of_nothing_but_types_needs_nobody() {
    let desk = desk();
    let types = r#"(import "acme:names/types@1.0.0" (instance (type $t (list u8)) (export "id" (type (eq $t)))))"#;
    desk.write("types.wat", with_run(types, ""));
    desk.run("push types.wat").assert(1).says(ACCEPTED);
    let resource =
        r#"(component (import "acme:names/types@1.0.0" (instance (export "handle" (type (sub resource))))))"#;
    desk.write("resource.wat", resource);
    desk.run("push resource.wat").assert(1).says("\n  acme:names/types@1.0.0\n");
}

#[test]
fn imports_that_nobody_offers_are_named_one_per_line() {
    let desk = desk();
    desk.write(
        "strange.wat",
        r#"(component
            (import "wasi:cli/exit@0.2.0" (instance))
            (import "acme:db/store@1.2.0" (instance (export "get" (func))))
            (import "wasi:nn/graph@0.2.0-rc" (instance (export "load" (func))))
            (import "log" (func)))"#,
    );
    let ended = desk.run("push strange.wat").assert(1).says("hint: agents offer WASI 0.2");
    let named: Vec<&str> = ended.err.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(named, ["  acme:db/store@1.2.0", "  log", "  wasi:nn/graph@0.2.0-rc"]);
}

#[test]
fn wasi_03_is_refused_by_name() {
    let desk = desk();
    desk.write(
        "next.wat",
        r#"(component
            (import "wasi:cli/exit@0.2.0" (instance))
            (import "wasi:clocks/types@0.3.0" (instance (export "now" (func)))))"#,
    );
    let ended = desk.run("push next.wat").assert(1).says("needs WASI 0.3").says("hint: agents host WASI 0.2");
    assert!(ended.err.contains("\n  wasi:clocks/types@0.3.0\n") && !ended.err.contains("exit@0.2.0"));
    desk.write("export.wat", r#"(component (instance $i) (export "wasi:cli/run@0.3.0" (instance $i)))"#);
    desk.run("push export.wat").assert(1).says("needs WASI 0.3");
}

#[test]
fn core_modules_are_refused_with_the_way_out() {
    let desk = desk();
    desk.write("core.wasm", component("(module (func (export \"f\")))"));
    desk.run("push core.wasm").assert(1).says("is a core module").says("`wasm-tools component new");
    desk.write(
        "preview1.wasm",
        component(r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#),
    );
    desk.run("push preview1.wasm").assert(1).says("--adapt wasi_snapshot_preview1=");
    desk.write("bare.wasm", b"\0asm\x01\0\0\0");
    desk.run("push bare.wasm").assert(1).says("is a core module");
}

#[test]
fn what_is_no_component_is_said_plainly() {
    let desk = desk();
    let whole = component("(component (core module (func (export \"f\") i32.const 1 drop)))");
    desk.write("empty.wasm", []);
    desk.run("push empty.wasm").assert(1).says("is empty").says("hint: ");
    desk.write("noise.wasm", "#!/bin/sh\n");
    desk.run("push noise.wasm").assert(1).says("is not WebAssembly").says("hint: ");
    for cut in [2, 6, 9, whole.len() - 1] {
        desk.write("cut.wasm", &whole[..cut]);
        desk.run("push cut.wasm").assert(1).says("ends in the middle").says("hint: ");
    }
    desk.write("long.wasm", [&whole[..], &[0, 0, 0]].concat());
    desk.run("push long.wasm").assert(1).says("is not a valid component").says("hint: ");
    // `i32.const 1; drop` becomes `i32.const 1; nop`, which leaves a value on the stack.
    let mut bent = whole.clone();
    let at = bent.iter().rposition(|byte| *byte == 0x1a).unwrap();
    bent[at] = 0x01;
    desk.write("bent.wasm", &bent);
    desk.run("push bent.wasm").assert(1).says("is not a valid component");
    desk.write("bad.wat", "(component (import))");
    desk.run("push bad.wat").assert(1).says("is not a text component").says("bad.wat:1");
}

#[test]
fn what_is_no_file_is_said_plainly() {
    let desk = desk();
    desk.run("push missing.wasm").assert(1).says("missing.wasm").says("hint: ");
    fs::create_dir(desk.path("dir.wasm")).unwrap();
    desk.run("push dir.wasm").assert(1).says("is not a file");
    let huge = fs::File::create(desk.path("huge.wasm")).unwrap();
    huge.set_len(shared::MAX_ARTIFACT_BYTES + 1).unwrap();
    desk.run("push huge.wasm").assert(1).says("at most 1073741824 are allowed");
}

#[test]
fn the_sample_guests_can_be_pushed() {
    let desk = desk();
    let mut tried = 0;
    for entry in fs::read_dir(repository("guests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            desk.run_words(&["push", "--name", "guest", "--file", path.to_str().unwrap()]).assert(1).says(ACCEPTED);
            tried += 1;
        }
    }
    assert!(tried >= 9, "the guests are part of the repository; {tried} were found");
}
