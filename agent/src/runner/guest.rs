//! What the host keeps for one guest while it runs: its WASI context, which grants what its spec gives and nothing
//! else, its handles, its memory account and its output.

use super::limiter::MemoryLimiter;
use super::meter::Meter;
use super::output::{GuestOutput, GuestStream};
use crate::ipc::{OutputStream, RunSpec};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_wasi::p2::DynOutputStream;
use wasmtime_wasi::p2::bindings::cli::{stderr, stdout};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

/// Handles that one guest can hold: streams and what it polls. Event loops hold a few hundred; each costs the host
/// about 100 bytes.
const MAX_HANDLES: usize = 4096;

/// Bytes that a guest can hand to the host in one call. The longest that is of use is a write, which takes
/// [`super::output::MAX_WRITE`]; the rest is room for lists of handles.
const MAX_HOSTCALL_BYTES: usize = 1024 * 1024;

/// Random bytes that one call gives: enough for any key, little enough not to hold an executor thread for long.
const MAX_RANDOM_BYTES: u64 = 64 * 1024;

/// After how much fuel a metered guest writes down what it has used, and gives way. Between two calls the count is in a
/// register otherwise, and a guest that only computes would seem to have used nothing, however it ends. It is a
/// millisecond on a PC, next to which giving way costs nothing.
const FUEL_STEP: u64 = 1_000_000;

/// The data of a guest's store.
pub(super) struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
    output: Arc<GuestOutput>,
    pub(super) memory: MemoryLimiter,
}

impl Guest {
    /// A store under the limits of `spec`.
    pub(super) fn store(
        engine: &Engine,
        name: &str,
        spec: &RunSpec,
        output: Arc<GuestOutput>,
        meter: Arc<Meter>,
    ) -> Result<Store<Guest>> {
        let mut wasi = WasiCtx::builder();
        wasi.arg(name).args(&spec.args).envs(&spec.env);
        wasi.max_random_size(MAX_RANDOM_BYTES).wall_clock(WallClock);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let memory = MemoryLimiter::new(spec.memory_max_bytes, meter);
        let mut store = Store::try_new(engine, Guest { wasi: wasi.build(), table, output, memory })?;
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(MAX_HOSTCALL_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        if let Some(fuel) = spec.fuel {
            store.set_fuel(fuel)?;
            store.fuel_async_yield_interval(Some(FUEL_STEP))?;
        }
        Ok(store)
    }

    fn stream(&mut self, stream: OutputStream) -> Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(GuestStream::new(self.output.clone(), stream));
        Ok(self.table.push(stream)?)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Output goes to streams of ours: those of `wasmtime-wasi` hand bytes to a task of their own, which would end with the
/// guest before the last of them are out.
pub(super) struct OwnOutput;

impl HasData for OwnOutput {
    type Data<'a> = &'a mut Guest;
}

impl stdout::Host for Guest {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        self.stream(OutputStream::Stdout)
    }
}

impl stderr::Host for Guest {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        self.stream(OutputStream::Stderr)
    }
}

/// The clock of a board without a battery can stand before 1970, where the default one panics.
struct WallClock;

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
