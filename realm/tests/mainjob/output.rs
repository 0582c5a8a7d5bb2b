//! A guest that writes without an end of line: what it takes is bounded, its output is cut and counted, and nobody else
//! suffers.

use crate::process::family;
use crate::shell::realm;
use crate::support::{Agent, eventually};
use std::fs;

/// What the guest writes before its first end of line.
const BYTES: usize = 1 << 20;

/// The longest line that is kept of any output.
const MAX_LINE: usize = 8 * 1024;

/// By how much the processes of an agent may grow meanwhile, together: what waits for a slow disk, several times over.
const GROWTH_KIB: u64 = 16 * 1024;

/// A guest that writes it all at once, and an ordinary line when its output is let through again.
const GUEST: &str = r#"
  (data (i32.const 2048) "\nafter\n")
  (func (export "run") (result i32)
    (local $left i32)
    (memory.fill (i32.const 4096) (i32.const 120) (i32.const 4096))
    (local.set $left (i32.const 256))
    (loop $again
      (call $print (i32.const 4096) (i32.const 4096))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $sleep (i64.const 3000))
    (call $print (i32.const 2048) (i32.const 7))
    (i32.const 0))"#;

/// The most memory that control and runner have had, in KiB.
fn peak_kib(agent: &Agent) -> u64 {
    let peak = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    // Compile children come and go, and have nothing to do with it.
    let is_meant = |pid: &&u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.contains("\0compile\0"))
    };
    family(agent.pid()).iter().filter(is_meant).filter_map(peak).sum()
}

#[test]
fn a_line_without_end_is_cut_and_holds_up_nobody() {
    let (shell, agents) = realm(&[&[]]);
    let agent = &agents[0];
    assert_eq!(shell.push("ticker", "ticker", &[]).0, Some(0));
    let file = shell.home.path().join("endless.wat");
    let command = include_str!("../../../agent/tests/wat/command.wat");
    fs::write(&file, command.replace("(;BODY;)", GUEST)).unwrap();
    let push = |name: &str, more: &[&str]| {
        let words = ["push", "--name", name, "--file", file.to_str().unwrap(), "--restart", "never"];
        shell.good(&[&words, more].concat());
    };
    // The first one has everything loaded and every buffer at its size.
    push("before", &[]);
    agent.until("before", "completed");
    let before = peak_kib(agent);
    push("endless", &["--detach"]);
    agent.until("endless", "running");
    // Beside it, another one is pushed, writes and ends.
    assert_eq!(shell.push("hello", "hello", &[]).0, Some(0));
    assert!(agent.output("hello").contains(&"hello from a wasm component".to_owned()));
    agent.until("endless", "completed");
    assert_eq!(agent.until("ticker", "running")["restarts"], 0);
    let lines = eventually("its last line", || match agent.output("endless") {
        lines if lines.last().is_some_and(|line| line == "after") => Ok(lines),
        lines => Err(format!("{} lines", lines.len())),
    });
    let cut = &lines[..lines.len() - 1];
    assert!(cut.iter().all(|line| line.len() <= MAX_LINE && line.bytes().all(|byte| byte == b'x')));
    let kept: usize = cut.iter().map(String::len).sum();
    let notes = agent.get("/logs?component=endless&tail=10000");
    let dropped =
        |line: &str| line.split_once(" bytes of output were dropped")?.0.rsplit(' ').next()?.parse::<usize>().ok();
    let dropped: usize = notes.lines().filter_map(dropped).sum::<usize>();
    assert_eq!(kept + dropped, BYTES, "every byte is kept or counted");
    assert!(kept >= 200 * 1024 && cut.len() <= kept / MAX_LINE + 4, "{kept} bytes in {} lines", cut.len());
    let after = peak_kib(agent);
    println!("{kept} bytes kept in {} lines, {dropped} dropped; {before} KiB, then {after} KiB", cut.len());
    assert!(after <= before + GROWTH_KIB, "{before} KiB, then {after} KiB");
}
