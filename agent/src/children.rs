//! Starting children and hearing of their end. Each runs this same binary, in a process group of its own, so that a
//! ctrl-c on the terminal reaches their parent alone. Apart from guard and adhoc, which both have children.

use crate::args::AgentArgs;
use crate::ipc::Tenants;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use shared::Digest;
use std::cell::RefCell;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;

/// The most that a compile child may say.
const MAX_STDOUT: u64 = 64 * 1024;

/// A child that has not been reaped, so that its process id is still its own. One that nobody holds is ended.
pub(crate) struct Spawned(RefCell<Child>);

impl Spawned {
    pub(crate) fn pid(&self) -> u32 {
        self.0.borrow().id()
    }

    /// Ends it at once; does nothing when it has ended.
    pub(crate) fn kill(&self) {
        let _ = self.0.borrow_mut().kill();
    }

    /// Waits for its end and gives its exit code, if it exited.
    pub(crate) fn reap(&self) -> Option<u8> {
        let status = self.0.borrow_mut().wait().ok()?;
        status.code().and_then(|code| u8::try_from(code).ok())
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // Both do nothing once it has been reaped: the standard library remembers that.
        self.kill();
        self.reap();
    }
}

/// A compile child. It ends when `_stdin` closes.
pub(crate) struct Compile {
    pub(crate) child: Spawned,
    _stdin: Option<ChildStdin>,
}

fn this_binary(role: &str) -> io::Result<Command> {
    // The link of the kernel, not a path: it stays right when the file has been replaced by an upgrade.
    let path = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let mut command = Command::new(path);
    command.arg0("realm-agent").arg(role).process_group(0);
    Ok(command)
}

/// Starts control; `ended` hears its process id and how it ended.
pub(crate) fn spawn_control(
    args: &AgentArgs,
    socket: UnixStream,
    ended: impl FnOnce(u32, String) + Send + 'static,
) -> io::Result<Spawned> {
    let mut command = this_binary("control")?;
    command.args(args.to_words()).stdin(Stdio::from(OwnedFd::from(socket)));
    watched(command.spawn()?, ended)
}

/// Starts a runner; `ended` hears its process id and how it ended.
pub(crate) fn spawn_runner(
    socket: UnixStream,
    tenants: &Tenants,
    ended: impl FnOnce(u32, String) + Send + 'static,
) -> io::Result<Spawned> {
    let mut command = this_binary("runner")?;
    if let Tenants::Only(component, _) = tenants {
        command.arg(component.as_str());
    }
    command.stdin(Stdio::from(OwnedFd::from(socket))).stdout(Stdio::null()).env_clear();
    watched(command.spawn()?, ended)
}

fn watched(child: Child, ended: impl FnOnce(u32, String) + Send + 'static) -> io::Result<Spawned> {
    let child = Spawned(RefCell::new(child));
    let pid = child.pid();
    thread::Builder::new().name("wait".into()).spawn(move || ended(pid, wait_unreaped(pid)))?;
    Ok(child)
}

/// Starts a compile child; `ended` hears its process id, how it ended, and what it said. With a digest, no other file is
/// compiled, and only into so many bytes.
pub(crate) fn spawn_compile(
    input: &Path,
    output: &Path,
    fuel: bool,
    meant: Option<(Digest, u64)>,
    ended: impl FnOnce(u32, String, Vec<u8>) + Send + 'static,
) -> io::Result<Compile> {
    let mut command = this_binary("compile")?;
    command.arg("--input").arg(input).arg("--output").arg(output);
    if fuel {
        command.arg("--fuel");
    }
    let words = |(sha256, room): &(Digest, u64)| {
        ["--sha256".to_owned(), sha256.to_string(), "--room".to_owned(), room.to_string()]
    };
    command.args(meant.iter().flat_map(words));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).env_clear().spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let child = Spawned(RefCell::new(child));
    let pid = child.pid();
    thread::Builder::new().name("wait".into()).spawn(move || {
        let mut said = Vec::new();
        if let Some(stdout) = stdout {
            // What is unreadable shows as a report that is missing.
            let _ = stdout.take(MAX_STDOUT).read_to_end(&mut said);
        }
        ended(pid, wait_unreaped(pid), said);
    })?;
    Ok(Compile { child, _stdin: stdin })
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
