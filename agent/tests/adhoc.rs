//! `realm-agent --wasm FILE` as its user sees it: output, exit code, words, and that nothing of it stays behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that a test waits for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for everything that a run may leave behind: it gets no other one.
struct Place(TempDir);

struct Ended {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

/// A run that ends with the test, however that ends.
struct Running(Option<Child>);

impl Running {
    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(self.child()), signal).unwrap();
    }

    /// Waits until the guest has written something.
    fn first_byte(&mut self) {
        self.child().stdout.as_mut().unwrap().read_exact(&mut [0; 1]).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_realm-agent"));
        command.args(words).env_clear().env("TMPDIR", self.0.path()).env("HOME", self.0.path());
        // Variables of a node, which mean nothing here.
        command.env("REALM_AGENT_DATA", self.0.path().join("data")).env("REALM_AGENT_BOOTSTRAP", "nonsense");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Ended {
        self.end(self.start(words))
    }

    fn start(&self, words: &[&str]) -> Running {
        Running(Some(self.command(words).spawn().unwrap()))
    }

    /// Waits for the end, and insists that nothing is left.
    fn end(&self, mut running: Running) -> Ended {
        let output = running.0.take().unwrap().wait_with_output().unwrap();
        assert_eq!(self.left(), Vec::<PathBuf>::new(), "left behind");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { code: output.status.code().unwrap(), stdout: output.stdout, stderr }
    }

    /// Compiled code goes once it is loaded, and not only at the end.
    fn until_empty(&self) {
        let until = Instant::now() + PATIENCE;
        while !self.left().is_empty() {
            assert!(Instant::now() < until, "{:?} is still there", self.left());
            std::thread::yield_now();
        }
    }

    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn guest(name: &str) -> String {
    format!("{}/../guests/{name}.wasm", env!("CARGO_MANIFEST_DIR"))
}

/// A component that runs the core functions in `body`; see `wat/command.wat` for what they can call.
fn command(body: &str) -> Vec<u8> {
    wat::parse_str(include_str!("wat/command.wat").replace("(;BODY;)", body)).unwrap()
}

/// Writes a file beside the place of a run.
fn file(dir: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_component_gets_what_is_typed_and_its_output_is_the_agents() {
    let ended = Place::new().run(&["--wasm", &guest("hello"), "--arg", "--x", "--arg=y", "--env", "A=b=c"]);
    let expected = "hello from a wasm component\narg 0: hello\narg 1: --x\narg 2: y\nenv A=b=c\n";
    assert_eq!((ended.code, String::from_utf8(ended.stdout).unwrap().as_str()), (0, expected));
    assert_eq!(ended.stderr, "");
}

#[test]
fn bytes_pass_unchanged_on_both_outputs() {
    // 0 to 255, four times: once on the standard output, once on the standard error output.
    let fill = r"(local $at i32) (loop $again
        (i32.store8 offset=2048 (local.get $at) (local.get $at))
        (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 1024))))";
    let body = format!(
        r#"(func (export "run") (result i32) {fill}
        (call $print (i32.const 2048) (i32.const 1024)) (call $eprint (i32.const 2048) (i32.const 1024)) (i32.const 0))"#
    );
    let dir = TempDir::new().unwrap();
    let (path, place) = (file(&dir, "bytes.wasm", &command(&body)), Place::new());
    let output = place.command(&["--wasm", &path]).output().unwrap();
    let expected: Vec<u8> = (0..1024).map(|at| (at % 256) as u8).collect();
    assert!(output.status.success());
    assert_eq!((output.stdout, output.stderr), (expected.clone(), expected));
}

#[test]
fn a_flood_arrives_whole() {
    // Far more than a node lets pass at once.
    let ended = Place::new().run(&["--wasm", &guest("print"), "--arg", "100000"]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (0, 10_000));
    assert_eq!(String::from_utf8(ended.stdout).unwrap().lines().count(), 90_000);
}

#[test]
fn a_reader_that_leaves_ends_the_run_without_a_word() {
    let place = Place::new();
    let mut running = place.start(&["--wasm", &guest("print"), "--arg", "1000000000"]);
    let (mut first, mut stdout) = ([0; 13], running.child().stdout.take().unwrap());
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"stdout line 1");
    drop(stdout);
    let ended = place.end(running);
    let words: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with("stderr line")).collect();
    assert_eq!((ended.code, words), (141, Vec::<&str>::new()));
}

#[test]
fn every_end_has_its_code_and_its_line() {
    let place = Place::new();
    for (name, words, code, said) in [
        ("finish", &[][..], 0, ""),
        ("exit-code", &["--arg", "7"], 7, ""),
        ("exit-code", &["--arg", "255"], 255, ""),
        ("crash", &[], 1, "crash.wasm: trap: wasm `unreachable` instruction executed\n"),
        (
            "grow",
            &["--memory-max-mb", "8"],
            1,
            "grow.wasm: out of memory\nhint: it may have 8 MiB; raise `--memory-max-mb`\n",
        ),
        ("grow", &["--memory-max-mb", "8", "--arg", "try"], 0, ""),
        ("spin", &["--fuel", "1000000"], 1, "spin.wasm: out of fuel\nhint: it may use 1000000 units; raise `--fuel`"),
        ("spin", &["--deadline-ms", "50"], 1, "spin.wasm: deadline exceeded\nhint: it may take 50 ms; raise"),
        ("sleep", &["--deadline-ms", "50"], 1, "sleep.wasm: deadline exceeded\nhint: "),
    ] {
        let ended = place.run(&[&["--wasm", &guest(name)][..], words].concat());
        let stderr = &ended.stderr;
        assert_eq!(ended.code, code, "{name} {words:?}: {stderr}");
        assert!(stderr.contains(said) && (!said.is_empty() || stderr.is_empty()), "{name} {words:?}: {stderr}");
    }
}

#[test]
fn a_trap_shows_the_last_words_then_the_backtrace_then_the_outcome() {
    let stderr = Place::new().run(&["--wasm", &guest("crash")]).stderr;
    let at = |words: &str| stderr.find(words).unwrap_or_else(|| panic!("no `{words}` in {stderr}"));
    assert!(at("panicked at") < at("wasm backtrace:") && at("innermost") < at("realm-agent: "), "{stderr}");
    assert_eq!(stderr.matches("realm-agent: ").count(), 1);
}

#[test]
fn the_outcome_begins_a_line_of_its_own() {
    let body = r#"(data (i32.const 2048) "half") (func (export "run") (result i32)
        (call $eprint (i32.const 2048) (i32.const 4)) unreachable)"#;
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "half.wasm", &command(body));
    let stderr = Place::new().run(&["--wasm", &path]).stderr;
    assert!(stderr.starts_with("half\nwasm backtrace:\n"), "{stderr}");
}

#[test]
fn what_cannot_run_is_refused_with_the_next_step() {
    let (dir, place) = (TempDir::new().unwrap(), Place::new());
    let truncated = fs::read(guest("hello")).unwrap()[..1000].to_vec();
    let importing = wat::parse_str(r#"(component (import "foo:bar/baz@1.0.0" (instance (export "f" (func)))))"#);
    for (name, bytes, said) in [
        ("empty", Vec::new(), "the file is empty\nhint: "),
        ("garbage", b"#!/bin/sh\n".to_vec(), "the file is not WebAssembly\nhint: "),
        (
            "module",
            wat::parse_str("(module)").unwrap(),
            "the file is a core module, not a component\nhint: make it one",
        ),
        ("truncated", truncated, "the component is not valid: "),
        ("importing", importing.unwrap(), "it imports `foo:bar/baz@1.0.0`, which this agent does not offer\nhint: "),
    ] {
        let path = file(&dir, name, &bytes);
        let ended = place.run(&["--wasm", &path]);
        let expected = format!("realm-agent: {path}: {said}");
        assert_eq!((ended.code, ended.stdout.len()), (1, 0), "{name}");
        assert!(ended.stderr.starts_with(&expected) && ended.stderr.contains("\nhint: "), "{}", ended.stderr);
    }
    for path in ["nowhere.wasm", dir.path().to_str().unwrap()] {
        let ended = place.run(&["--wasm", path]);
        assert_eq!(ended.code, 1);
        assert!(ended.stderr.starts_with(&format!("realm-agent: {path}: cannot read it: ")), "{}", ended.stderr);
    }
}

#[test]
fn what_does_not_belong_together_is_an_error_of_usage() {
    let place = Place::new();
    let hello = guest("hello");
    for words in [
        &["--wasm", &hello, "--bootstrap", "/ip4/127.0.0.1/tcp/1"][..],
        &["--fuel", "1"],
        &["--wasm", &hello, "--memory-max-mb", "0"],
        &["--wasm", &hello, "--env", "=x"],
        &["--wasm"],
    ] {
        let ended = place.run(words);
        assert_eq!((ended.code, ended.stdout.len()), (2, 0), "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("realm-agent: "), "{}", ended.stderr);
    }
}

#[test]
fn a_signal_stops_the_guest_and_is_the_exit_code() {
    let place = Place::new();
    for (number, code, name) in [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM")] {
        for guest_name in ["ticker", "spin"] {
            let path = guest(guest_name);
            let mut running = place.start(&["--wasm", &path]);
            running.first_byte();
            place.until_empty();
            running.signal(number);
            let ended = place.end(running);
            let expected = format!("realm-agent: {path}: stopped by {name}\n");
            assert_eq!((ended.code, ended.stderr), (code, expected));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_while_it_compiles_leaves_nothing_behind() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let (dir, place) = (TempDir::new().unwrap(), Place::new());
    let fifo = dir.path().join("fifo.wasm");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let mut running = place.start(&["--wasm", fifo.to_str().unwrap()]);
    // Opens once the compile child reads, which then waits for the rest.
    let held = OpenOptions::new().write(true).open(&fifo).unwrap();
    assert_eq!(place.left().len(), 1);
    running.signal(Signal::TERM);
    let ended = place.end(running);
    assert_eq!(ended.code, 143, "{}", ended.stderr);
    drop(held);
}

/// The one child that an agent has while a component runs.
#[cfg(target_os = "linux")]
fn runner_of(agent: u32) -> Pid {
    let children = fs::read_to_string(format!("/proc/{agent}/task/{agent}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_runner_that_dies_is_told() {
    let place = Place::new();
    let mut running = place.start(&["--wasm", &guest("ticker")]);
    running.first_byte();
    let runner = runner_of(running.child().id());
    kill_process(runner, Signal::KILL).unwrap();
    let ended = place.end(running);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("the runner ended: killed by signal 9"), "{}", ended.stderr);
}

/// Appends a custom section to the component in `path`, of zeros that take no room on the disk.
fn pad(path: &Path, bytes: u32) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    let mut head = vec![0];
    let mut left = bytes;
    while left >= 0x80 {
        head.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    head.push(left as u8);
    file.write_all(&head).unwrap();
    // The section begins with its name: a length of 0, and then nothing.
    let end = file.metadata().unwrap().len() + u64::from(bytes);
    File::set_len(&file, end).unwrap();
}

#[test]
fn a_large_component_runs_like_a_small_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("large.wasm");
    fs::copy(guest("hello"), &path).unwrap();
    pad(&path, 200 << 20);
    let ended = Place::new().run(&["--wasm", path.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with(b"hello from a wasm component\n"));
}

#[test]
fn what_cannot_be_pushed_is_not_run_either() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("huge.wasm");
    fs::copy(guest("hello"), &path).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(shared::MAX_ARTIFACT_BYTES + 1).unwrap();
    let ended = Place::new().run(&["--wasm", path.to_str().unwrap()]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("the component is larger than 1024 MiB\nhint: "), "{}", ended.stderr);
}
