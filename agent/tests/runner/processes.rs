//! The two processes around this code: how they are spoken to, which limits they give themselves, when they end.

use crate::support::*;
use agent::ipc::{self, CompileReport, FromRunner};
use shared::Digest;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn agent() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_realm-agent"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn compile(input: &Path, output: &Path, fuel: bool) -> Child {
    compile_with(input, output, if fuel { &["--fuel"] } else { &[] })
}

fn compile_with(input: &Path, output: &Path, more: &[&str]) -> Child {
    let mut command = agent();
    command.arg("compile").arg("--input").arg(input).arg("--output").arg(output).args(more);
    command.spawn().unwrap()
}

/// What a compile child says, and whether it ended well. Its standard input stays open until then.
fn report(mut child: Child) -> (Option<CompileReport>, bool) {
    let stdin = child.stdin.take();
    let report = ipc::read_frame(child.stdout.as_mut().unwrap()).unwrap();
    let success = child.wait().unwrap().success();
    drop(stdin);
    (report, success)
}

#[test]
fn the_compile_child_leaves_what_the_runner_loads() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.wasm"), dir.path().join("out.cwasm"));
    std::fs::write(&input, wasm(&spinner())).unwrap();
    let runner = Runner::start();
    for (fuel, name) in [(false, &runner.compat.0), (true, &runner.compat.1)] {
        let (said, success) = report(compile(&input, &output, fuel));
        let Some(CompileReport::Ok { compat, size, sha256 }) = said else { panic!("{said:?}") };
        let cwasm = std::fs::read(&output).unwrap();
        assert!(success);
        assert_eq!((&compat, size, &sha256), (name, cwasm.len() as u64, Digest::of(&cwasm).as_bytes()));
    }
}

#[test]
fn a_refusal_is_a_report_and_a_missing_file_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.wasm"), dir.path().join("out.cwasm"));
    let (said, success) = report(compile(&input, &output, false));
    let Some(CompileReport::Failed { reason }) = said else { panic!("{said:?}") };
    assert!(!success && reason.contains("No such file"), "{reason}");
    std::fs::write(&input, wasm("(module)")).unwrap();
    let (said, success) = report(compile(&input, &output, false));
    let Some(CompileReport::Refused { reason, hint }) = said else { panic!("{said:?}") };
    assert!(success && reason.contains("core module") && hint.contains("wasm-tools component new"));
    assert!(!output.exists());
}

#[test]
fn another_file_than_the_one_that_is_meant_is_not_compiled() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.wasm"), dir.path().join("out.cwasm"));
    let bytes = wasm(&spinner());
    std::fs::write(&input, &bytes).unwrap();
    for (meant, is_it) in [(Digest::of(&bytes), true), (Digest::of(b"another"), false)] {
        let _ = std::fs::remove_file(&output);
        let (said, success) = report(compile_with(&input, &output, &["--sha256", &meant.to_string()]));
        assert!(success && matches!(said, Some(CompileReport::Ok { .. })) == is_it, "{said:?}");
        assert!(is_it || said == Some(CompileReport::Torn), "{said:?}");
        assert_eq!(output.exists(), is_it);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure_and_no_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.wasm");
    std::fs::write(&input, wasm(&spinner())).unwrap();
    let (said, success) = report(compile(&input, Path::new("/dev/full"), false));
    assert_eq!((said, success), (Some(CompileReport::Failed { reason: "the disk is full".into() }), false));
}

#[cfg(target_os = "linux")]
#[test]
fn the_compile_child_limits_itself_and_ends_with_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("in.wasm");
    crate::support::fifo(&fifo);
    let mut child = compile(&fifo, &dir.path().join("out.cwasm"), false);
    // Opens once the child reads: its limits are set by then, and it waits for the rest of its input.
    let held = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    let of = |what: &str| std::fs::read_to_string(format!("/proc/{}/{what}", child.id())).unwrap();
    let limits = of("limits");
    let limit =
        |name: &str| limits.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().nth(1)).unwrap();
    assert!(limit("Max address space").parse::<u64>().unwrap() <= 2048 * MIB);
    assert!(limit("Max cpu time").parse::<u64>().unwrap() <= 300);
    let stat = of("stat");
    let nice: i32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().parse().unwrap();
    assert!(nice >= 10, "{nice}");
    assert_eq!(of("oom_score_adj").trim(), "1000", "the first to go when memory runs out");
    drop(child.stdin.take());
    assert!(!child.wait().unwrap().success());
    drop(held);
}

#[test]
fn the_runner_process_ends_with_its_socket() {
    let (mut socket, theirs) = UnixStream::pair().unwrap();
    let mut child = agent().arg("runner").stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
    assert!(matches!(ipc::read_frame(&mut socket).unwrap(), Some(FromRunner::Ready { .. })));
    if cfg!(target_os = "linux") {
        let score = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", child.id())).unwrap();
        assert!(score.trim().parse::<i32>().unwrap() >= 500, "it goes before control: {score}");
    }
    drop(socket);
    assert!(child.wait().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn the_runner_process_raises_its_limit_of_descriptors() {
    let (mut socket, theirs) = UnixStream::pair().unwrap();
    let mut low = Command::new("sh");
    low.args(["-c", r#"ulimit -Sn 64 && exec "$0" runner"#]).arg(agent().get_program());
    let mut child = low.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
    // The shell's end of it, or the runner's end would go unnoticed.
    drop(low);
    assert!(matches!(ipc::read_frame(&mut socket).unwrap(), Some(FromRunner::Ready { .. })));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft: u64 = files.split_whitespace().next().unwrap().parse().unwrap();
    assert!(soft > 64, "{files}");
    drop(socket);
    assert!(child.wait().unwrap().success());
}
