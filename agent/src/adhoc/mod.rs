//! One component at once, without a realm: compiled and run by the same children, over the same messages and under the
//! same limits as on a node, so that what is tried here is what happens there. No mesh, no key, no data directory.

mod relay;
mod verdict;

use crate::args::AdhocArgs;
use crate::children::{spawn_compile, spawn_runner};
use crate::ipc::{self, CompileReport, Flood, FromRunner, RunSpec, Tenants, ToRunner};
use crate::{machine, signals};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use verdict::Verdict;

/// Events that may wait: a run has half a dozen of them, and whoever has another one waits.
const EVENTS: usize = 16;

/// How long the guest has after a signal, for its last words to come through; it stops within a few ticks.
const GRACE: Duration = Duration::from_secs(2);

/// The one instance of the runner.
const INSTANCE: u64 = 1;

/// What happens during a run.
enum Event {
    Signal(i32),
    /// The compile child has ended.
    Compiled {
        status: String,
        stdout: Vec<u8>,
    },
    /// The runner says anything but output.
    Said(FromRunner),
    /// The runner says nothing more, and all of its output has been passed on.
    Silent,
    /// The runner has ended.
    Ended {
        status: String,
    },
    /// Nobody takes the guest's output.
    Unwritable(io::Error),
}

struct Adhoc {
    args: AdhocArgs,
    memory_mb: u32,
    events: SyncSender<Event>,
    inbox: Receiver<Event>,
    /// Whether the guest's output ends in the middle of a line.
    mid_line: Arc<AtomicBool>,
}

/// Runs the component to its end. The exit code is 0 when it completed, its own when it has one, 128 and the signal
/// when one ended it, and 1 otherwise, with a line on the standard error output that says why.
///
/// # Errors
/// When signals cannot be watched.
pub fn run(args: AdhocArgs) -> Result<ExitCode, String> {
    let (events, inbox) = sync_channel(EVENTS);
    let heard = events.clone();
    // Before anything is started or put on the disk: whatever there is by then is cleaned up.
    signals::watch(move |signal| heard.send(Event::Signal(signal)).is_ok())
        .map_err(|error| format!("cannot watch signals: {error}"))?;
    let default_mb = || machine::default_memory_mb(machine::memory_bytes());
    let memory_mb = args.memory_max_mb.map_or_else(default_mb, |limit| limit.get());
    let adhoc = Adhoc { args, memory_mb, events, inbox, mid_line: Arc::default() };
    let verdict = adhoc.run().unwrap_or_else(|verdict| verdict);
    verdict.tell(&adhoc.args.file, adhoc.mid_line.load(Ordering::Relaxed));
    Ok(verdict.exit_code())
}

impl Adhoc {
    fn run(&self) -> Result<Verdict, Verdict> {
        check(&self.args.file).map_err(|error| {
            Verdict::fault(format!("cannot read it: {error}")).hint("`--wasm` takes the path of a component")
        })?;
        let dir = temporary().map_err(|error| {
            Verdict::fault(format!("cannot make a temporary directory: {error}"))
                .hint("compiled code is kept there while it is loaded; `TMPDIR` names another place")
        })?;
        let code = dir.path().join("code");
        let sha256 = self.compile(&code)?;
        self.run_code(dir, code, sha256)
    }

    /// The next event, or none when it is `until` before there is one.
    fn next(&self, until: Option<Instant>) -> Option<Event> {
        match until {
            None => self.inbox.recv().ok(),
            Some(at) => self.inbox.recv_timeout(at.saturating_duration_since(Instant::now())).ok(),
        }
    }

    /// Compiles to `code` and gives the SHA-256 of that. When it returns, the compile child has ended.
    fn compile(&self, code: &Path) -> Result<[u8; 32], Verdict> {
        let events = self.events.clone();
        let child = spawn_compile(&self.args.file, code, self.args.fuel.is_some(), None, move |_, status, stdout| {
            let _ = events.send(Event::Compiled { status, stdout });
        });
        let _child = child.map_err(|error| Verdict::fault(format!("cannot start to compile it: {error}")))?;
        loop {
            match self.next(None) {
                Some(Event::Compiled { status, stdout }) => return compiled(&status, &stdout),
                Some(Event::Signal(signal)) => return Err(Verdict::signal(signal)),
                _ => {}
            }
        }
    }

    /// Runs `code`, which lies in `dir`. When it returns, the runner has ended.
    fn run_code(&self, dir: TempDir, code: PathBuf, sha256: [u8; 32]) -> Result<Verdict, Verdict> {
        let events = self.events.clone();
        let started = UnixStream::pair().and_then(|(socket, theirs)| {
            let child = spawn_runner(theirs, &Tenants::Shared, move |_, status| {
                let _ = events.send(Event::Ended { status });
            })?;
            relay::start(socket.try_clone()?, self.events.clone(), self.mid_line.clone())?;
            Ok((socket, child))
        });
        let (socket, _child) = started.map_err(|error| Verdict::fault(format!("cannot start a runner: {error}")))?;
        let order = ToRunner::Start {
            instance: INSTANCE,
            name: self.args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            cwasm: code,
            cwasm_sha256: sha256,
            spec: self.spec(),
        };
        tell(&socket, &order);
        self.watch(dir, &socket)
    }

    fn watch(&self, dir: TempDir, socket: &UnixStream) -> Result<Verdict, Verdict> {
        let mut dir = Some(dir);
        let mut stopping: Option<(i32, Instant)> = None;
        let (mut lost_bytes, mut is_silent, mut ended) = (0, false, None);
        loop {
            match (self.next(stopping.map(|(_, by)| by)), stopping) {
                (Some(Event::Signal(signal)), None) => {
                    tell(socket, &ToRunner::Stop { instance: INSTANCE });
                    stopping = Some((signal, Instant::now() + GRACE));
                }
                // Whoever reads the output does not read, and may not read an explanation either.
                (None, Some((signal, _))) => return Err(Verdict::signal(signal).silent()),
                (Some(Event::Said(FromRunner::Exited { outcome, detail, .. })), stopping) => {
                    return Ok(Verdict::of(outcome, detail, lost_bytes, self, stopping.map(|(signal, _)| signal)));
                }
                (Some(Event::Said(FromRunner::Unloadable { reason, .. })), _) => return Err(Verdict::fault(reason)),
                // The code is in the runner's memory: a run of days leaves nothing on the disk, however it ends.
                (Some(Event::Said(FromRunner::Started { .. })), _) => drop(dir.take()),
                (Some(Event::Said(FromRunner::Dropped { bytes, .. })), _) => lost_bytes += bytes,
                (Some(Event::Unwritable(error)), _) => return Err(Verdict::unwritable(&error)),
                (Some(Event::Silent), _) => {
                    // Should it still be there, it ends by this.
                    let _ = socket.shutdown(std::net::Shutdown::Both);
                    is_silent = true;
                }
                (Some(Event::Ended { status }), _) => ended = Some(status),
                _ => {}
            }
            if is_silent && let Some(status) = ended.take() {
                return Err(Verdict::fault(format!("the runner ended: {status}")));
            }
        }
    }

    fn spec(&self) -> RunSpec {
        RunSpec {
            memory_max_bytes: u64::from(self.memory_mb) << 20,
            fuel: self.args.fuel.map(shared::Fuel::get),
            epoch_ms: self.args.epoch_ms.get(),
            deadline_ms: self.args.deadline_ms.map(shared::DeadlineMs::get),
            args: self.args.args.clone(),
            env: self.args.env.clone(),
            flood: Flood::Wait,
        }
    }
}

/// Whether it is there and readable, to say so in better words than the compile child. A pipe is not opened for that.
fn check(file: &Path) -> io::Result<()> {
    let metadata = fs::metadata(file)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.is_file() {
        File::open(file)?;
    }
    Ok(())
}

/// A directory for the compiled code, which goes with the value. Nobody else may put other code there, although the runner
/// would refuse it.
fn temporary() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("realm-agent-").permissions(Permissions::from_mode(0o700)).tempdir()
}

fn compiled(status: &str, stdout: &[u8]) -> Result<[u8; 32], Verdict> {
    match ipc::read_frame(&mut &*stdout) {
        Ok(Some(CompileReport::Ok { sha256, .. })) => Ok(sha256),
        Ok(Some(CompileReport::Refused { reason, hint })) => Err(Verdict::fault(reason).hint(&hint)),
        Ok(Some(CompileReport::Failed { reason })) => Err(Verdict::fault(format!("compiling failed: {reason}"))),
        // When it could, it has said more on the standard error output, which is ours.
        Ok(None | Some(CompileReport::Torn | CompileReport::TooLarge { .. })) | Err(_) => {
            Err(Verdict::fault(format!("compiling failed: {status}")))
        }
    }
}

/// A runner that does not read has ended, and that is heard in another way.
fn tell(mut socket: &UnixStream, order: &ToRunner) {
    let _ = ipc::write_frame(&mut socket, order);
}
