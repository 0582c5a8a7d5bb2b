//! Child processes: where they run, the words that start them, and their end, which never depends on the test's own.

use crate::support::eventually;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use tempfile::TempDir;

/// The agent's binary, beside the one that is tested.
pub(crate) fn agent_binary() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_realm")).with_file_name("realm-agent");
    assert!(path.exists(), "no `{}`; build it first: cargo build --workspace --bins", path.display());
    path
}

/// The words that start an agent in `data_dir`, but for its listen addresses.
pub(crate) fn agent_command(place: &Place, data_dir: &Path) -> Command {
    let mut command = place.command(agent_binary());
    command.arg("--data-dir").arg(data_dir).args(["--http", "127.0.0.1:0"]).stdin(Stdio::null());
    command
}

/// Where a process runs: on this machine as it is, in a network namespace of it, or behind a program that becomes it.
#[derive(Clone, Default)]
pub(crate) struct Place {
    namespace: Option<String>,
    /// Words before those of the program. Whatever they start becomes the program without a process between, so that it has
    /// the process id of the child.
    before: Vec<String>,
}

impl Place {
    /// The namespace that `ip netns` knows under this name.
    pub(crate) fn namespace(name: &str) -> Place {
        let before = ["ip", "netns", "exec", name].map(str::to_owned).into();
        Place { namespace: Some(name.to_owned()), before }
    }

    /// Behind these words, such as `nsenter` or `env` with its arguments.
    pub(crate) fn behind(words: &[&str]) -> Place {
        Place { namespace: None, before: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// A program that is going to run there. Variables of the machine do not stand in for flags.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.before.split_first() {
            None => Command::new(program),
            Some((first, words)) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REALM_")) {
            command.env_remove(name);
        }
        if self.namespace.is_none() {
            // A test does not talk to whoever else is on the network of this machine.
            command.env("REALM_NO_MDNS", "1").env("REALM_AGENT_NO_MDNS", "1");
        }
        command
    }

    /// Does something there, such as opening a socket, which stays there for good.
    pub(crate) fn inside<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let Some(namespace) = &self.namespace else { return action() };
        // A namespace is entered by one thread, and this one ends before it can do anything else there.
        let entered = thread::scope(|scope| {
            let thread = scope.spawn(|| enter(namespace).map(|()| action()));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        entered.unwrap_or_else(|error| panic!("cannot enter `{namespace}`: {error}"))
    }
}

#[cfg(target_os = "linux")]
fn enter(namespace: &str) -> io::Result<()> {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd;
    let file = File::open(Path::new("/run/netns").join(namespace))?;
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}

#[cfg(not(target_os = "linux"))]
fn enter(_: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A process, which is ended with -9 when this is dropped.
pub(crate) struct Guard(pub(crate) Child);

impl Guard {
    /// Waits for an end of its own.
    pub(crate) fn until_ended(&mut self, said: &dyn Fn() -> String) -> ExitStatus {
        eventually("the end of a process", || self.0.try_wait().unwrap().ok_or_else(said))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of a stream as they come; the thread ends with the stream.
pub(crate) fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Runs a program to its end: its exit code, and what it said on stdout and on stderr.
pub(crate) fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let dir = TempDir::new().unwrap();
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    command.stdin(Stdio::null()).stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = Guard(command.spawn().unwrap());
    let said = |path| fs::read_to_string(path).unwrap();
    let status = child.until_ended(&|| format!("{}{}", said(&out), said(&err)));
    (status.code(), said(&out), said(&err))
}
