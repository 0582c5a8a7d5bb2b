//! Child processes: the words that start them, and their end, which never depends on the test's own.

use crate::support::eventually;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
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
pub(crate) fn agent_command(data_dir: &Path) -> Command {
    let mut command = Command::new(agent_binary());
    command.arg("--data-dir").arg(data_dir).args(["--http", "127.0.0.1:0", "--no-mdns"]).stdin(Stdio::null());
    without_variables(&mut command);
    command
}

/// Variables of the machine must not stand in for flags.
pub(crate) fn without_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REALM_")) {
        command.env_remove(name);
    }
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
