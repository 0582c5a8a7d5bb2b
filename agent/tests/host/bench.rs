//! The edge to the guests on the bench, with the test in the place of the guard and of its runners.

use agent::control::host::{Host, HostConfig, HostEvent, HostOrder};
use agent::ipc::{self, CompileReport, FromGuard, FromRunner, Tenants, ToGuard, ToRunner};
use shared::{Artifact, ComponentSpec, Digest, Isolation, Limits, Replicas, Restart, frame};
use smol::channel::{Receiver, bounded};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest that a test waits for one frame or event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    (ours, theirs)
}

pub(crate) struct Bench {
    pub(crate) guard: UnixStream,
    pub(crate) host: Host,
    pub(crate) events: Receiver<HostEvent>,
    pub(crate) dir: tempfile::TempDir,
}

/// Events that the edge may be ahead of the test.
pub(crate) const MAX_EVENTS: usize = 16;

/// Artifacts, by number.
pub(crate) fn digest(number: u8) -> Digest {
    Digest::of(&[number])
}

impl Bench {
    pub(crate) fn start() -> Bench {
        Bench::start_in(tempfile::tempdir().unwrap())
    }

    pub(crate) fn start_in(dir: tempfile::TempDir) -> Bench {
        let (guard, theirs) = pair();
        // The edge ends its process when the guard is gone, which is this one.
        std::mem::forget(guard.try_clone().unwrap());
        let (sender, events) = bounded(MAX_EVENTS);
        let config = HostConfig { cwasm: dir.path().to_owned(), seed: [1; 32] };
        Bench { guard, host: Host::start(theirs, config, sender).unwrap(), events, dir }
    }

    /// With a runner that is up, and the code of the first artifact at hand.
    pub(crate) fn with_code() -> (Bench, UnixStream) {
        let mut bench = Bench::start();
        let runner = bench.runner();
        let (job, output) = bench.compile();
        bench.compiled(job, &output);
        assert!(matches!(bench.event(), HostEvent::Prepared { result: Ok(()), .. }));
        (bench, runner)
    }

    #[track_caller]
    pub(crate) fn event(&self) -> HostEvent {
        let late = async {
            smol::Timer::after(PATIENCE).await;
            Err(smol::channel::RecvError)
        };
        smol::block_on(smol::future::or(self.events.recv(), late)).unwrap()
    }

    /// Starts a run of the first artifact, and the runner is told so.
    pub(crate) fn start_run(&self, runner: &mut UnixStream, number: u64) {
        self.host.order(start(number)).unwrap();
        begins(runner, number);
    }

    pub(crate) fn prepare(&self, number: u8) {
        let order = HostOrder::Prepare { digest: digest(number), input: "nowhere".into(), fuel: false, room: 1 << 30 };
        self.host.order(order).unwrap();
    }

    /// Has a runner come up, as it does when something waits to be prepared: the first artifact, which is then compiled.
    pub(crate) fn runner(&mut self) -> UnixStream {
        self.prepare(1);
        self.runner_for(&Tenants::Shared).1
    }

    /// A runner for these is asked for and comes up: its number and its socket.
    pub(crate) fn runner_for(&mut self, tenants: &Tenants) -> (u64, UnixStream) {
        let number = self.wanted_for(tenants);
        let mut runner = self.hand_over(number);
        let ready = FromRunner::Ready { compat: "plain".into(), compat_fuel: "fuelled".into() };
        ipc::write_frame(&mut runner, &ready).unwrap();
        (number, runner)
    }

    /// A runner for these is asked for: its number.
    pub(crate) fn wanted_for(&mut self, tenants: &Tenants) -> u64 {
        match self.order() {
            ToGuard::StartRunner { runner, tenants: whose } if whose == *tenants => runner,
            other => panic!("{other:?}"),
        }
    }

    /// The guard has started a runner: its socket.
    pub(crate) fn hand_over(&mut self, runner: u64) -> UnixStream {
        let (ours, theirs) = pair();
        ipc::send_with_fd(&self.guard, &FromGuard::Runner { runner }, theirs.as_fd()).unwrap();
        ours
    }

    pub(crate) fn guard_says(&mut self, word: &FromGuard) {
        ipc::write_frame(&mut self.guard, word).unwrap();
    }

    /// What the guard is asked for next.
    pub(crate) fn order(&mut self) -> ToGuard {
        ipc::read_frame(&mut self.guard).unwrap().unwrap()
    }

    pub(crate) fn compile(&mut self) -> (u64, PathBuf) {
        match self.order() {
            ToGuard::Compile { job, output, .. } => (job, output),
            other => panic!("{other:?}"),
        }
    }

    /// A compile child has done its work.
    pub(crate) fn compiled(&mut self, job: u64, output: &Path) {
        std::fs::write(output, b"code").unwrap();
        let sha256 = *Digest::of(b"code").as_bytes();
        self.reported(job, &CompileReport::Ok { compat: "plain".into(), size: 4, sha256 });
    }

    pub(crate) fn reported(&mut self, job: u64, report: &CompileReport) {
        let stdout = frame::encode(report, ipc::FRAME_CAP).unwrap();
        self.guard_says(&FromGuard::Compiled { job, status: "exit 0".into(), stdout });
    }

    /// Compiled code on the disk, finished or not.
    pub(crate) fn code(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.dir.path()).unwrap().flatten() {
            match std::fs::read_dir(entry.path()) {
                Ok(kind) => files.extend(kind.flatten().map(|file| file.path())),
                Err(_) => files.push(entry.path()),
            }
        }
        files
    }
}

pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "hello".parse().unwrap(),
        artifact: Artifact { digest: digest(1), size: 4, chunks: digest(9) },
        limits: Limits::default(),
        replicas: Replicas::default(),
        restart: Restart::Never,
        start: true,
        args: Vec::new(),
        env: Vec::new(),
        isolation: Isolation::Shared,
    }
}

/// A runner is told to start this run.
#[track_caller]
pub(crate) fn begins(runner: &mut UnixStream, number: u64) {
    let order = ipc::read_frame(runner).unwrap();
    assert!(matches!(order, Some(ToRunner::Start { instance, .. }) if instance == number), "{order:?}");
}

pub(crate) fn start(instance: u64) -> HostOrder {
    HostOrder::Start { instance, spec: Arc::new(spec()), memory_max_bytes: 1 << 20 }
}

pub(crate) fn unloadable(instance: u64) -> FromRunner {
    FromRunner::Unloadable { instance, reason: "torn".into() }
}
