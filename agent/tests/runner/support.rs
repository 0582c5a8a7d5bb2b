//! A runner on a thread, spoken to as control does, and what its instances said, sorted by instance.

use agent::ipc::{self, Flood, FromRunner, OutputStream, RunSpec, ToRunner, Usage};
use agent::runner::{self, RunnerError, compile};
use shared::{Digest, Outcome};
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest that a test waits for one frame. Only a runner that hangs takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

pub const MIB: u64 = 1024 * 1024;

/// A component that runs the core functions in `body`; see `wat/command.wat` for what they can call.
pub fn command(body: &str) -> String {
    include_str!("../wat/command.wat").replace("(;BODY;)", body)
}

/// A component without imports, whose core module is `body` and whose `run` is called.
pub fn bare_command(body: &str) -> String {
    format!(
        r#"(component (core module $m {body}) (core instance $m (instantiate $m))
          (func $run (result (result)) (canon lift (core func $m "run")))
          (instance $run (export "run" (func $run)))
          (export "wasi:cli/run@0.2.0" (instance $run)))"#
    )
}

/// A guest that computes and never ends.
pub fn spinner() -> String {
    bare_command(r#"(func (export "run") (result i32) (loop $l (br $l)) (i32.const 0))"#)
}

pub fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

/// A pipe in the place of a file: whoever opens it to write knows that it is being read, and what is read waits for that.
#[cfg(target_os = "linux")]
pub fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
}

/// Limits that are in nobody's way.
pub fn spec() -> RunSpec {
    RunSpec {
        memory_max_bytes: 64 * MIB,
        fuel: None,
        epoch_ms: 100,
        deadline_ms: None,
        args: vec![],
        env: vec![],
        flood: Flood::Drop,
    }
}

/// Everything about one instance.
#[derive(Debug, Default)]
pub struct Seen {
    pub started: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub dropped: u64,
    pub end: Option<(Outcome, Vec<String>, Usage)>,
}

impl Seen {
    pub fn outcome(&self) -> &Outcome {
        &self.end.as_ref().unwrap().0
    }

    pub fn detail(&self) -> String {
        self.end.as_ref().unwrap().1.join("\n")
    }

    pub fn usage(&self) -> Usage {
        self.end.as_ref().unwrap().2
    }

    pub fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

pub struct Runner {
    pub socket: UnixStream,
    pub thread: JoinHandle<Result<(), RunnerError>>,
    pub compat: (String, String),
    pub seen: HashMap<u64, Seen>,
    /// The answer to the last question about usage.
    pub usages: Option<HashMap<u64, Usage>>,
    dir: tempfile::TempDir,
    instances: u64,
}

impl Runner {
    pub fn start() -> Runner {
        let (mut socket, theirs) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let thread = std::thread::spawn(move || runner::run(theirs));
        let Some(FromRunner::Ready { compat, compat_fuel }) = ipc::read_frame(&mut socket).unwrap() else {
            panic!("the first frame is not `Ready`");
        };
        let dir = tempfile::tempdir().unwrap();
        Runner { socket, thread, compat: (compat, compat_fuel), seen: HashMap::new(), usages: None, dir, instances: 0 }
    }

    /// Compiles `wasm` and puts it where the runner can load it.
    pub fn place(&self, wasm: &[u8], fuel: bool) -> (PathBuf, [u8; 32]) {
        let cwasm = compile::compile(wasm, fuel).unwrap().cwasm;
        let digest = Digest::of(&cwasm);
        let path = self.dir.path().join(digest.hex());
        std::fs::write(&path, cwasm).unwrap();
        (path, *digest.as_bytes())
    }

    /// Begins a run and does not wait for anything.
    pub fn begin(&mut self, wat: &str, spec: RunSpec) -> u64 {
        let placed = self.place(&wasm(wat), spec.fuel.is_some());
        self.begin_placed(placed, spec)
    }

    pub fn begin_placed(&mut self, (cwasm, cwasm_sha256): (PathBuf, [u8; 32]), spec: RunSpec) -> u64 {
        self.instances += 1;
        let instance = self.instances;
        self.tell(&ToRunner::Start { instance, name: "guest".to_owned(), cwasm, cwasm_sha256, spec });
        instance
    }

    pub fn tell(&mut self, command: &ToRunner) {
        ipc::write_frame(&mut self.socket, command).unwrap();
    }

    /// What each instance uses by now.
    pub fn usages(&mut self) -> HashMap<u64, Usage> {
        self.tell(&ToRunner::Usage);
        loop {
            assert!(self.listen(), "the runner has closed its socket");
            if let Some(usages) = self.usages.take() {
                return usages;
            }
        }
    }

    /// Asks for the usage of an instance until it is as expected.
    pub fn until_uses(&mut self, instance: u64, reached: impl Fn(&Usage) -> bool) -> Usage {
        let since = Instant::now();
        loop {
            let usage = self.usages()[&instance];
            if reached(&usage) {
                return usage;
            }
            assert!(since.elapsed() < PATIENCE, "{usage:?}");
        }
    }

    /// Begins a run and waits for its end.
    pub fn run(&mut self, wat: &str, spec: RunSpec) -> Seen {
        let instance = self.begin(wat, spec);
        self.end(instance)
    }

    /// Waits for the end of a run.
    pub fn end(&mut self, instance: u64) -> Seen {
        self.wait_until(instance, |seen| seen.end.is_some());
        self.seen.remove(&instance).unwrap()
    }

    pub fn wait_until(&mut self, instance: u64, reached: impl Fn(&Seen) -> bool) {
        while !self.seen.get(&instance).is_some_and(&reached) {
            assert!(self.listen(), "the runner has closed its socket");
        }
    }

    /// Takes one frame in; `false` when there will be no more.
    pub fn listen(&mut self) -> bool {
        match ipc::read_frame::<FromRunner>(&mut self.socket).unwrap() {
            Some(frame) => self.note(frame),
            None => return false,
        }
        true
    }

    fn note(&mut self, frame: FromRunner) {
        if let FromRunner::Usages { of } = frame {
            for (instance, _) in &of {
                assert!(self.seen.get(instance).is_none_or(|seen| seen.end.is_none()), "{instance} has ended");
            }
            self.usages = Some(of.into_iter().collect());
            return;
        }
        let (FromRunner::Started { instance }
        | FromRunner::Exited { instance, .. }
        | FromRunner::Unloadable { instance, .. }
        | FromRunner::Output { instance, .. }
        | FromRunner::Dropped { instance, .. }) = frame
        else {
            panic!("a second `Ready`");
        };
        let seen = self.seen.entry(instance).or_default();
        assert!(seen.end.is_none(), "{frame:?} after the end of its instance");
        match frame {
            FromRunner::Started { .. } => seen.started = true,
            FromRunner::Exited { outcome, detail, usage, .. } => seen.end = Some((outcome, detail, usage)),
            FromRunner::Unloadable { reason, .. } => {
                let outcome = Outcome::Trap(format!("unloadable: {reason}"));
                seen.end = Some((outcome, Vec::new(), Usage::default()));
            }
            FromRunner::Output { stream: OutputStream::Stdout, bytes, .. } => seen.stdout.extend(bytes),
            FromRunner::Output { bytes, .. } => seen.stderr.extend(bytes),
            FromRunner::Dropped { bytes, .. } => seen.dropped += bytes,
            FromRunner::Ready { .. } | FromRunner::Usages { .. } => {}
        }
    }
}
