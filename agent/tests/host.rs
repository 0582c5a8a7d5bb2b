//! The edge to the guests, with the test in the place of the guard and of the runner.

#![allow(clippy::unwrap_used)]

use agent::control::host::{Host, HostConfig, HostEvent, HostOrder};
use agent::ipc::{self, FromGuard, FromRunner, ToGuard, ToRunner, Usage};
use shared::RunUsage;
use shared::{Digest, Outcome};
use smol::channel::{Receiver, bounded};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The longest that a test waits for one frame.
const PATIENCE: Duration = Duration::from_secs(60);

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    (ours, theirs)
}

struct Bench {
    guard: UnixStream,
    host: Host,
    events: Receiver<HostEvent>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn start() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let (guard, theirs) = pair();
        // The edge ends its process when the guard is gone, which is this one.
        std::mem::forget(guard.try_clone().unwrap());
        let (sender, events) = bounded(16);
        let config = HostConfig { cwasm: dir.path().to_owned(), seed: [1; 32] };
        Bench { guard, host: Host::start(theirs, config, sender).unwrap(), events, _dir: dir }
    }

    /// Has a runner come up, as it does when something waits to be prepared.
    fn runner(&mut self) -> UnixStream {
        let input = "nowhere".into();
        self.host.order(HostOrder::Prepare { digest: Digest::of(b"wasm"), input, fuel: false }).unwrap();
        let Some(ToGuard::StartRunner { runner }) = ipc::read_frame(&mut self.guard).unwrap() else {
            panic!("no runner is wanted");
        };
        let (mut ours, theirs) = pair();
        ipc::send_with_fd(&self.guard, &FromGuard::Runner { runner }, theirs.as_fd()).unwrap();
        let ready = FromRunner::Ready { compat: "plain".into(), compat_fuel: "fuelled".into() };
        ipc::write_frame(&mut ours, &ready).unwrap();
        // Then it is up, and the wish goes on.
        assert!(matches!(ipc::read_frame(&mut self.guard).unwrap(), Some(ToGuard::Compile { .. })));
        ours
    }
}

#[test]
fn usage_is_asked_of_the_runner_and_there_is_none_without_one() {
    let mut bench = Bench::start();
    bench.host.order(HostOrder::AskUsage).unwrap();
    let event = bench.events.recv_blocking().unwrap();
    assert!(matches!(&event, HostEvent::Usages(of) if of.is_empty()), "{event:?}");

    let mut runner = bench.runner();
    bench.host.order(HostOrder::AskUsage).unwrap();
    assert_eq!(ipc::read_frame(&mut runner).unwrap(), Some(ToRunner::Usage));
    let usage = Usage { memory_bytes: 1, memory_peak_bytes: 2, fuel_used: 3, cpu_ms: 4 };
    let told = RunUsage { memory_bytes: 1, memory_peak_bytes: 2, fuel_used: 3, cpu_ms: 4 };
    ipc::write_frame(&mut runner, &FromRunner::Usages { of: vec![(7, usage)] }).unwrap();
    let event = bench.events.recv_blocking().unwrap();
    assert!(matches!(&event, HostEvent::Usages(of) if of == &[(7, told)]), "{event:?}");

    let exited = FromRunner::Exited { instance: 7, outcome: Outcome::Completed, detail: Vec::new(), usage };
    ipc::write_frame(&mut runner, &exited).unwrap();
    let event = bench.events.recv_blocking().unwrap();
    assert!(matches!(&event, HostEvent::Exited { instance: 7, usage, .. } if *usage == told), "{event:?}");
}
