//! How many small components a second are instantiated and run: by the agent's runner, spoken to as control does, and by a
//! bare Wasmtime loop that has no limits, no reports and no socket. Prints one line of JSON for `cargo xtask bench`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark that fails has nothing to say")]

use agent::ipc::{self, Flood, FromRunner, RunSpec, ToRunner};
use agent::runner::{self, compile};
use shared::{Digest, Outcome};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Rounds of both, one after the other: what a machine has to give differs by a fifth from one second to the next, and the two
/// of a round have had about the same.
const ROUNDS: usize = 15;
/// Of each in a round.
const TIME: Duration = Duration::from_secs(1);
/// Runs under way in the runner: more than its threads, less than anything that it bounds.
const IN_FLIGHT: u64 = 64;
/// The runner has as many threads as the machine has cores, up to this; the bare loop gets the same.
const MOST_THREADS: usize = 4;

/// What the bare loop keeps of one guest.
struct Bare {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn main() {
    // Cargo names a switch of its own where it runs this as a benchmark.
    let file = std::env::args().skip(1).find(|word| !word.starts_with("--"));
    let file = file.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/finish.wasm"), PathBuf::from);
    let wasm = std::fs::read(file).unwrap();
    // The runner gives itself a low priority; what is started from here has the same.
    let _ = rustix::process::nice(10);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let mut runner = Runner::start(&wasm);
    let bare = bare(&wasm);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (runner.per_second(), bare_per_second(&bare, threads))).collect();
    let of = |what: fn(&(f64, f64)) -> f64| median(rounds.iter().map(what).collect());
    let (runner, bare, ratio) = (of(|it| it.0), of(|it| it.1), of(|it| it.0 / it.1));
    println!("{{\"runner_per_s\":{runner:.0},\"bare_per_s\":{bare:.0},\"ratio\":{ratio:.3},\"threads\":{threads}}}");
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A runner on a thread, and a component that it has at hand.
struct Runner {
    socket: UnixStream,
    cwasm: PathBuf,
    sha256: [u8; 32],
    begun: u64,
    _folder: tempfile::TempDir,
}

impl Runner {
    fn start(wasm: &[u8]) -> Runner {
        let folder = tempfile::tempdir().unwrap();
        let code = compile::compile(wasm, false).unwrap().cwasm;
        let cwasm = folder.path().join("code");
        std::fs::write(&cwasm, &code).unwrap();
        let (mut socket, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || runner::run(theirs).unwrap());
        assert!(matches!(ipc::read_frame(&mut socket).unwrap(), Some(FromRunner::Ready { .. })));
        Runner { socket, cwasm, sha256: *Digest::of(&code).as_bytes(), begun: 0, _folder: folder }
    }

    fn begin(&mut self) {
        self.begun += 1;
        let spec = RunSpec {
            memory_max_bytes: 64 << 20,
            fuel: None,
            epoch_ms: 100,
            deadline_ms: None,
            args: Vec::new(),
            env: Vec::new(),
            flood: Flood::Drop,
        };
        let (cwasm, cwasm_sha256) = (self.cwasm.clone(), self.sha256);
        let start = ToRunner::Start { instance: self.begun, name: "finish".to_owned(), cwasm, cwasm_sha256, spec };
        ipc::write_frame(&mut self.socket, &start).unwrap();
    }

    fn per_second(&mut self) -> f64 {
        let started = Instant::now();
        (0..IN_FLIGHT).for_each(|_| self.begin());
        let (mut ended, mut under_way) = (0, IN_FLIGHT);
        while under_way > 0 {
            let FromRunner::Exited { outcome, .. } = ipc::read_frame(&mut self.socket).unwrap().unwrap() else {
                continue;
            };
            assert_eq!(outcome, Outcome::Completed);
            ended += 1;
            under_way -= 1;
            if started.elapsed() < TIME {
                self.begin();
                under_way += 1;
            }
        }
        f64::from(ended) / started.elapsed().as_secs_f64()
    }
}

fn bare(wasm: &[u8]) -> (Engine, CommandPre<Bare>) {
    let engine = Engine::new(&Config::new()).unwrap();
    let component = Component::from_binary(&engine, wasm).unwrap();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    let command = CommandPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
    (engine, command)
}

fn bare_per_second((engine, command): &(Engine, CommandPre<Bare>), threads: usize) -> f64 {
    let together = Barrier::new(threads);
    thread::scope(|scope| {
        let one = || {
            together.wait();
            let (started, mut ended) = (Instant::now(), 0);
            while started.elapsed() < TIME {
                smol::block_on(async {
                    let data = Bare { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
                    let mut store = Store::new(engine, data);
                    let run = command.instantiate_async(&mut store).await.unwrap();
                    run.wasi_cli_run().call_run(&mut store).await.unwrap().unwrap();
                });
                ended += 1;
            }
            f64::from(ended) / started.elapsed().as_secs_f64()
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}
