//! The runner process: all guests of a node, behind one socket to control. It holds no key and no state that outlives
//! it. This folder is the only place that names Wasmtime; the compile child is here for that reason.
//!
//! Threads: the caller's reads commands, one loads components, one writes, one ticks, and the guests' executor has its
//! own. Commands therefore take effect however busy the guests are.

pub mod compile;
mod engine;
mod executor;
mod guest;
mod host;
mod instance;
mod limiter;
mod linking;
mod load;
mod meter;
mod oom;
mod outbox;
mod outcome;
mod output;
mod pace;
mod prepared;
mod ticker;

use crate::descriptors;
use crate::ipc::{self, FromRunner, IpcError, ToRunner};
use engine::Flavours;
use host::Host;
use outbox::Outbox;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io, thread};

/// Instances at once. Each costs 40 KiB and 4 GiB of address space at least; the node's budget of memory ends earlier,
/// and this only keeps the runner's own tables bounded.
const MAX_INSTANCES: usize = 1024;

/// Guests give way to everything else on the node.
const NICENESS: i32 = 10;

/// Why a runner ended without being told to.
#[derive(Debug)]
pub enum RunnerError {
    /// The engine does not start on this machine.
    Engine(String),
    /// A thread or the socket failed.
    Io(io::Error),
    /// What came from control is no command.
    Channel(IpcError),
}

impl fmt::Display for RunnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunnerError::Engine(why) => write!(f, "the wasm engine does not start: {why}"),
            RunnerError::Io(error) => write!(f, "runner: {error}"),
            RunnerError::Channel(error) => write!(f, "runner: {error}"),
        }
    }
}

impl std::error::Error for RunnerError {}

impl From<io::Error> for RunnerError {
    fn from(error: io::Error) -> RunnerError {
        RunnerError::Io(error)
    }
}

/// The process `realm-agent runner`: serves the socket that is its standard input.
#[must_use]
pub fn main() -> ExitCode {
    oom::volunteer(oom::RUNNER);
    // A loaded component holds a few of them.
    let _ = descriptors::raise_limit();
    let socket = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    match socket.map_err(RunnerError::from).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs guests as `socket` commands, until it ends or says `Shutdown`. The calling thread and those it starts get a low
/// priority. When the socket ends this returns at once; threads that are in the middle of a guest end by themselves at
/// the next tick, or with the process.
///
/// # Errors
/// When the engine or a thread does not start, or when the socket carries anything but commands.
pub fn run(socket: UnixStream) -> Result<(), RunnerError> {
    // At the default priority the runner is still of use.
    let _ = rustix::process::nice(NICENESS);
    let flavours = Flavours::new().map_err(|error| RunnerError::Engine(format!("{error:#}")))?;
    let outbox = Arc::new(Outbox::new());
    outbox.event(FromRunner::Ready {
        compat: flavours.of(false).compat.clone(),
        compat_fuel: flavours.of(true).compat.clone(),
    });
    let writer = socket.try_clone()?;
    let writer = thread::Builder::new().name("writer".to_owned()).spawn({
        let outbox = outbox.clone();
        move || write(writer, &outbox)
    })?;
    let host = Host::start(flavours, outbox.clone())?;
    let served = serve(socket, &host, &outbox);
    if matches!(served, Ok(Served::Shutdown)) {
        host.stop_all();
        outbox.close();
        // It ends: either control reads what is left, or writing fails because control is gone.
        let _ = writer.join();
    }
    outbox.abandon();
    served.map(drop)
}

enum Served {
    Shutdown,
    Gone,
}

fn serve(mut socket: UnixStream, host: &Host, outbox: &Outbox) -> Result<Served, RunnerError> {
    while outbox.wait_for_room() {
        match ipc::read_frame(&mut socket).map_err(RunnerError::Channel)? {
            Some(ToRunner::Start { instance, name, cwasm, cwasm_sha256, spec }) => {
                host.begin(host::Start { instance, name, cwasm, cwasm_sha256, spec });
            }
            Some(ToRunner::Stop { instance }) => host.stop(instance),
            Some(ToRunner::Usage) => host.tell_usage(),
            Some(ToRunner::Shutdown) => return Ok(Served::Shutdown),
            None => break,
        }
    }
    Ok(Served::Gone)
}

fn write(mut socket: UnixStream, outbox: &Outbox) {
    while let Some(frame) = outbox.next() {
        if let Err(error) = ipc::write_frame(&mut socket, &frame) {
            eprintln!("runner: control does not read: {error}");
            outbox.abandon();
        }
    }
}

/// A panic elsewhere leaves no value of this module half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
