//! Starting children and hearing of their end. Each runs this same binary, in a process group of its own, so that a
//! ctrl-c on the terminal reaches the guard alone.

use super::Event;
use crate::args::AgentArgs;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::cell::RefCell;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread;

/// The most that a compile child may say.
const MAX_STDOUT: u64 = 64 * 1024;

/// A child that has not been reaped, so that its process id is still its own.
pub(super) struct Spawned(RefCell<Child>);

impl Spawned {
    pub(super) fn pid(&self) -> u32 {
        self.0.borrow().id()
    }

    /// Ends it at once; does nothing when it has ended.
    pub(super) fn kill(&self) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Waits for its end and gives its exit code, if it exited.
    pub(super) fn reap(&self) -> Option<u8> {
        let status = self.0.borrow_mut().wait().ok()?;
        status.code().and_then(|code| u8::try_from(code).ok())
    }
}

/// A compile child. It ends when `_stdin` closes.
pub(super) struct Compile {
    pub(super) child: Spawned,
    _stdin: Option<ChildStdin>,
}

fn this_binary(role: &str) -> io::Result<Command> {
    // The link of the kernel, not a path: it stays right when the file has been replaced by an upgrade.
    let path = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let mut command = Command::new(path);
    command.arg0("realm-agent").arg(role).process_group(0);
    Ok(command)
}

pub(super) fn spawn_control(args: &AgentArgs, socket: UnixStream, events: &SyncSender<Event>) -> io::Result<Spawned> {
    let mut command = this_binary("control")?;
    command.args(args.to_words()).stdin(Stdio::from(OwnedFd::from(socket)));
    watched(command.spawn()?, events)
}

pub(super) fn spawn_runner(socket: UnixStream, events: &SyncSender<Event>) -> io::Result<Spawned> {
    let mut command = this_binary("runner")?;
    command.stdin(Stdio::from(OwnedFd::from(socket))).stdout(Stdio::null()).env_clear();
    watched(command.spawn()?, events)
}

fn watched(child: Child, events: &SyncSender<Event>) -> io::Result<Spawned> {
    let (events, pid) = (events.clone(), child.id());
    thread::Builder::new().name("wait".into()).spawn(move || {
        let status = wait_unreaped(pid);
        let _ = events.send(Event::Ended { pid, status });
    })?;
    Ok(Spawned(RefCell::new(child)))
}

pub(super) fn spawn_compile(
    input: &Path,
    output: &Path,
    fuel: bool,
    events: &SyncSender<Event>,
) -> io::Result<Compile> {
    let mut command = this_binary("compile")?;
    command.arg("--input").arg(input).arg("--output").arg(output);
    if fuel {
        command.arg("--fuel");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).env_clear().spawn()?;
    let (stdin, stdout, pid) = (child.stdin.take(), child.stdout.take(), child.id());
    let events = events.clone();
    thread::Builder::new().name("wait".into()).spawn(move || {
        let mut said = Vec::new();
        if let Some(stdout) = stdout {
            // What is unreadable shows as a report that is missing.
            let _ = stdout.take(MAX_STDOUT).read_to_end(&mut said);
        }
        let status = wait_unreaped(pid);
        let _ = events.send(Event::CompileEnded { pid, status, stdout: said });
    })?;
    Ok(Compile { child: Spawned(RefCell::new(child)), _stdin: stdin })
}

/// Waits for the end of a child and leaves it to be reaped, so that nobody signals a process id that is not its own.
fn wait_unreaped(pid: u32) -> String {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return "unknown".into() };
    let ended = loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other,
        }
    };
    match ended {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => describe(ExitStatus::from_raw(code << 8)),
            (_, Some(signal)) => describe(ExitStatus::from_raw(signal)),
            _ => "ended".into(),
        },
        _ => "ended".into(),
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (_, Some(signal)) => format!("killed by signal {signal}"),
        _ => "ended".into(),
    }
}
