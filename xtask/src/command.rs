//! Running other programs: shown as a person would type them, and never for longer than a bound.
//! Every task starts programs; only this file decides how their end is told.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::workspace;

/// What a finished program left.
pub(crate) struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// All it wrote on standard output.
    pub(crate) stdout: String,
    /// All it wrote on standard error.
    pub(crate) stderr: String,
}

/// Where the lines of a program that runs go, besides being collected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// Shown as they come.
    Shown,
    /// Collected only.
    Quiet,
}

/// Cargo, in the root of the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if let Ok(root) = workspace::root() {
        command.current_dir(root);
    }
    // Set for this program by the cargo that runs it; a build script that looks at it would be built anew each time.
    command.env_remove("CARGO_MANIFEST_DIR");
    command
}

/// Runs a command with our own terminal, saying it first; anything but success is a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = display(command);
    println!("$ {shown}");
    let status = command.status().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {}", how(status))) }
}

/// Standard output of a command that has to succeed, trimmed.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let shown = display(command);
    let done = command.output().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("`{shown}` ended with {}\n{}", how(done.status), said.trim_end()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}

/// Runs a command to its end, or kills it when `limit` has passed, which is a failure.
pub(crate) fn bounded(command: &mut Command, limit: Duration, echo: Echo) -> Result<Finished, Failure> {
    let shown = display(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    let pid = child.id();
    let stdout = child.stdout.take().map(|pipe| collect(pipe, echo));
    let stderr = child.stderr.take().map(|pipe| collect(pipe, echo));
    let (ended, end) = mpsc::channel();
    let waiter = thread::spawn(move || ended.send(child.wait()).is_ok());
    let status = match end.recv_timeout(limit) {
        Ok(status) => status.map_err(|error| format!("cannot wait for `{shown}`: {error}"))?,
        Err(_) => {
            signal("KILL", pid)?;
            waiter.join().map_err(|_| "the waiting thread panicked".to_owned())?;
            return Err(format!("`{shown}` did not end within {} s and was killed", limit.as_secs()));
        }
    };
    let text = |reader: Option<thread::JoinHandle<String>>| reader.and_then(|thread| thread.join().ok());
    Ok(Finished {
        code: status.code(),
        stdout: text(stdout).unwrap_or_default(),
        stderr: text(stderr).unwrap_or_default(),
    })
}

/// Sends a signal by name (`TERM`, `KILL`) to one process that we started.
pub(crate) fn signal(name: &str, pid: u32) -> Result<(), Failure> {
    // The shell's own `kill`: std has none, and a crate for one call would be built by everybody who clones this.
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()]).stderr(Stdio::null());
    match kill.status() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot run `sh` to send a signal: {error}")),
    }
}

/// A command as one would type it: program name without its folder, words quoted where a shell needs it.
pub(crate) fn display(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(quote).collect::<Vec<_>>().join(" ")
}

/// How a process ended, in words.
pub(crate) fn how(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@+%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
}

fn collect(pipe: impl Read + Send + 'static, echo: Echo) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut all = String::new();
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if echo == Echo::Shown {
                println!("{line}");
            }
            all.push_str(&line);
            all.push('\n');
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn shows_a_command_as_typed() {
        let mut command = Command::new("/some/where/realm");
        command.args(["push", "--arg", "two words", "--file", "guests/hello.wasm", ""]);
        assert_eq!(display(&command), "realm push --arg 'two words' --file guests/hello.wasm ''");
    }

    #[test]
    fn collects_both_streams_and_the_code() {
        let done = bounded(&mut shell("echo out; echo err >&2; exit 7"), Duration::from_secs(10), Echo::Quiet).unwrap();
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(7), "out\n", "err\n"));
    }

    #[test]
    fn kills_what_does_not_end() {
        let started = std::time::Instant::now();
        let refused = bounded(&mut shell("exec sleep 60"), Duration::from_millis(100), Echo::Quiet);
        assert!(refused.is_err_and(|why| why.contains("did not end")));
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_failing_command_is_a_failure() {
        assert!(run(&mut shell("exit 1")).is_err());
        assert!(run(&mut shell("exit 0")).is_ok());
        assert!(output(&mut shell("echo words >&2; exit 1")).is_err_and(|why| why.contains("words")));
    }
}
