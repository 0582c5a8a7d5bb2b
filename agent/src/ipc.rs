//! What the processes of one node say to one another: frames of CBOR over Unix stream sockets, read and written by
//! threads that may block. It is apart from `shared` because nothing here ever leaves the machine.

mod channel;

pub use channel::{IpcError, read_frame, recv_with_fd, send_with_fd, write_frame};

use serde::{Deserialize, Serialize};
/// What one run uses or used; operators see it as it is.
pub use shared::RunUsage as Usage;
use shared::{ComponentName, ComponentSpec, Digest, Isolation, Outcome};
use std::path::PathBuf;

/// The largest frame, in bytes. The largest message is a `Start` with its arguments and environment, of a few KiB; the
/// rest is room for later fields. Anything above it is a broken peer, and is refused before memory is taken for it.
pub const FRAME_CAP: usize = 1024 * 1024;

/// From control to a runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToRunner {
    /// Start one run. Answered by `Started` and `Exited`, or by `Exited` alone when it cannot be started.
    Start {
        /// Chosen by control; not used again while the instance lives.
        instance: u64,
        /// The component's name; its argument zero.
        name: String,
        /// The compiled component.
        cwasm: PathBuf,
        /// SHA-256 of that file; other contents are not loaded.
        cwasm_sha256: [u8; 32],
        /// Limits and inputs.
        spec: RunSpec,
    },
    /// End one run; it exits as `stopped`. An instance that has exited, or never was, is ignored.
    Stop {
        /// Which one.
        instance: u64,
    },
    /// What each run uses by now; answered by one `Usages`, which may answer several requests that came together.
    Usage,
    /// End all runs, report them, and end.
    Shutdown,
}

/// Limits and inputs of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// All linear memories and tables together, in bytes.
    pub memory_max_bytes: u64,
    /// Units of fuel; left out, unlimited, and the component is one compiled without fuel.
    pub fuel: Option<u64>,
    /// Ceiling of one stretch of compute, in milliseconds.
    pub epoch_ms: u32,
    /// Wall clock of the run, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// Arguments after argument zero.
    pub args: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// What becomes of output that comes too fast.
    pub flood: Flood,
}

/// What becomes of output that comes faster than it may, or than it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flood {
    /// It is left out and counted: on a node a guest must not wait for whoever keeps its log.
    Drop,
    /// The guest waits in its write until there is room: somebody reads who wants all of it, and nobody else is there to
    /// suffer from it.
    Wait,
}

/// From a runner to control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromRunner {
    /// The first frame. Compatibility hashes of components compiled without and with fuel, in hexadecimal.
    Ready {
        /// Without fuel.
        compat: String,
        /// With fuel.
        compat_fuel: String,
    },
    /// The component is loaded, and the run begins.
    Started {
        /// Which one.
        instance: u64,
    },
    /// The run has ended. The last frame about this instance.
    Exited {
        /// Which one.
        instance: u64,
        /// How it ended.
        outcome: Outcome,
        /// Lines for its log: a wasm backtrace, or what else explains the outcome.
        detail: Vec<String>,
        /// What it used.
        usage: Usage,
    },
    /// The run has not begun, because the compiled component is not the one that is meant, or cannot be loaded. The last
    /// frame about this instance.
    Unloadable {
        /// Which one.
        instance: u64,
        /// Why.
        reason: String,
    },
    /// What each run that has begun and not ended uses by now.
    Usages {
        /// Instances with their usage, each once.
        of: Vec<(u64, Usage)>,
    },
    /// Bytes that the guest wrote, in order.
    Output {
        /// Which one.
        instance: u64,
        /// Where to.
        stream: OutputStream,
        /// What.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// Output that is missing at this point, because it came too fast.
    Dropped {
        /// Which one.
        instance: u64,
        /// How many bytes.
        bytes: u64,
    },
}

impl FromRunner {
    /// The instance that it is about, and about no other.
    #[must_use]
    pub fn instance(&self) -> Option<u64> {
        match self {
            FromRunner::Ready { .. } | FromRunner::Usages { .. } => None,
            FromRunner::Started { instance }
            | FromRunner::Exited { instance, .. }
            | FromRunner::Unloadable { instance, .. }
            | FromRunner::Output { instance, .. }
            | FromRunner::Dropped { instance, .. } => Some(*instance),
        }
    }
}

/// Which output of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Who lives in a runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tenants {
    /// Runs of all components that want no runner of their own.
    Shared,
    /// All runs of this component with this artifact, and no others: a new version must not take along the one that it is to
    /// replace.
    Only(ComponentName, Digest),
}

impl Tenants {
    /// Those among whom runs of `spec` are.
    #[must_use]
    pub fn of(spec: &ComponentSpec) -> Tenants {
        match spec.isolation {
            Isolation::Shared => Tenants::Shared,
            Isolation::Process => Tenants::Only(spec.name.clone(), spec.artifact.digest),
        }
    }

    /// Whether runs of `spec` are among them.
    #[must_use]
    pub fn include(&self, spec: &ComponentSpec) -> bool {
        match (self, spec.isolation) {
            (Tenants::Shared, isolation) => isolation == Isolation::Shared,
            (Tenants::Only(name, digest), isolation) => {
                isolation == Isolation::Process && *name == spec.name && *digest == spec.artifact.digest
            }
        }
    }
}

/// From control to the guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGuard {
    /// Control serves.
    Ready,
    /// Start a runner; answered by `Runner` with its socket, or by `RunnerFailed`.
    StartRunner {
        /// Chosen by control.
        runner: u64,
        /// Whom it is for: its command line tells, for people who look at processes.
        tenants: Tenants,
    },
    /// End a runner, at once.
    StopRunner {
        /// Which one.
        runner: u64,
    },
    /// Compile; answered by `Compiled`.
    Compile {
        /// Chosen by control.
        job: u64,
        /// The component.
        input: PathBuf,
        /// Where its compiled form goes.
        output: PathBuf,
        /// Whether it shall count fuel.
        fuel: bool,
        /// SHA-256 of the component; another file is not compiled.
        sha256: [u8; 32],
        /// How many bytes the compiled form may have.
        room: u64,
    },
    /// End a compile child, at once; `Compiled` follows as ever.
    StopCompile {
        /// Which one.
        job: u64,
    },
}

/// From the guard to control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromGuard {
    /// A runner is there; its socket comes with this frame.
    Runner {
        /// Which one.
        runner: u64,
    },
    /// A runner could not be started.
    RunnerFailed {
        /// Which one.
        runner: u64,
        /// Why.
        reason: String,
    },
    /// A runner has ended.
    RunnerExited {
        /// Which one.
        runner: u64,
        /// `exit 1`, `killed by signal 9`.
        how: String,
    },
    /// A compile child has ended.
    Compiled {
        /// Which one.
        job: u64,
        /// `exit 0`, `killed by signal 9`.
        status: String,
        /// What it wrote: one frame with a [`CompileReport`], when all went well.
        #[serde(with = "serde_bytes")]
        stdout: Vec<u8>,
    },
    /// Stop all guests and end.
    Shutdown {
        /// Within this time.
        grace_ms: u64,
    },
}

/// What a compile child says on its standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompileReport {
    /// The compiled component is in place and synced.
    Ok {
        /// Compatibility hash of the engine that it was compiled for.
        compat: String,
        /// Size of the compiled component in bytes.
        size: u64,
        /// Its SHA-256.
        sha256: [u8; 32],
    },
    /// This agent does not run such a component.
    Refused {
        /// Why.
        reason: String,
        /// What to do about it; may be empty.
        hint: String,
    },
    /// It has more bytes than it may have, and was not put in place.
    TooLarge {
        /// How many.
        bytes: u64,
    },
    /// The file is not the one that was meant: the disk has changed it.
    Torn,
    /// The machine failed, as one does whose disk is full: another time the same may work.
    Failed {
        /// What failed.
        reason: String,
    },
}
