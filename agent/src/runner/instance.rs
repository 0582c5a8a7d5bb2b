//! One run, from its store to its outcome: raced against its deadline and against a stop, whatever it waits in.

use super::executor::Queue;
use super::guest::Guest;
use super::meter::Meter;
use super::outcome::Ended;
use super::output::GuestOutput;
use super::pace::Pace;
use super::prepared::{Entry, Prepared};
use crate::ipc::RunSpec;
use shared::Outcome;
use smol::future::{self, FutureExt as _};
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use wasmtime::component::Val;
use wasmtime::{Engine, Store, UpdateDeadline};

/// What one run needs.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) spec: RunSpec,
    pub(super) prepared: Arc<Prepared>,
    pub(super) output: Arc<GuestOutput>,
    pub(super) pace: Arc<Pace>,
    pub(super) meter: Arc<Meter>,
    pub(super) queue: Queue,
}

/// Carries the run out; its meter knows what it took. A panic of the host on behalf of this guest ends this run and no other.
pub(super) async fn run(engine: Engine, run: Run) -> Ended {
    let ended = AssertUnwindSafe(in_store(engine, run)).catch_unwind().await;
    ended.unwrap_or_else(|panic| Ended::host_fault(panic_text(&*panic)))
}

async fn in_store(engine: Engine, run: Run) -> Ended {
    let Run { name, spec, prepared, output, pace, meter, queue } = run;
    let mut store = match Guest::store(&engine, &name, &spec, output, meter.clone()) {
        Ok(store) => store,
        Err(error) => return Ended::host_fault(format!("{error:#}")),
    };
    let (ticks, counted, fuel) = (pace.clone(), meter.clone(), spec.fuel);
    // Without a deadline of its own, a store traps at the first check.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |store| {
        counted.count_cpu();
        counted.set_fuel_used(fuel_used(fuel, store.get_fuel()));
        Ok(if ticks.gives_way(&queue) { UpdateDeadline::Yield(1) } else { UpdateDeadline::Continue(1) })
    });
    pace.set_deadline(spec.deadline_ms);
    let stopped = async {
        pace.stop_asked().await;
        Outcome::Stopped.into()
    };
    let late = async {
        pace.deadline_passed().await;
        Outcome::DeadlineExceeded.into()
    };
    // The order counts: a guest that is always ready would never let the others speak.
    let ended = future::or(future::or(stopped, late), Box::pin(call(&mut store, &prepared))).await;
    meter.set_fuel_used(fuel_used(spec.fuel, store.get_fuel()));
    ended
}

/// What is gone of `fuel` when so much is `left`; nothing when the run is not metered.
fn fuel_used(fuel: Option<u64>, left: wasmtime::Result<u64>) -> u64 {
    fuel.map_or(0, |fuel| fuel.saturating_sub(left.unwrap_or(0)))
}

async fn call(store: &mut Store<Guest>, prepared: &Prepared) -> Ended {
    match call_entry(store, prepared).await {
        Ok(ended) => ended,
        Err(error) => Ended::error(&error, store.data().memory.refused()),
    }
}

async fn call_entry(store: &mut Store<Guest>, prepared: &Prepared) -> wasmtime::Result<Ended> {
    let instance = prepared.instance.instantiate_async(&mut *store).await?;
    let success = match &prepared.entry {
        Entry::Command(index) => {
            let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, index)?;
            run.call_async(&mut *store, ()).await?.0.is_ok()
        }
        Entry::Bare(index) => {
            let run = instance.get_func(&mut *store, index).ok_or_else(|| wasmtime::format_err!("`run` is gone"))?;
            let mut results = vec![Val::Bool(false); run.ty(&*store).results().len()];
            run.call_async(&mut *store, &[], &mut results).await?;
            !matches!(results.first(), Some(Val::Result(Err(_))))
        }
        Entry::Nothing => {
            let note = "it exports neither `wasi:cli/run` nor a function `run` without parameters: nothing was called";
            return Ok(Ended { outcome: Outcome::Completed, detail: vec![note.to_owned()] });
        }
    };
    Ok(Ended::exit(i32::from(!success), store.data().memory.refused()))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the host panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told() {
        let ended = std::panic::catch_unwind(|| panic!("no {}", "luck"));
        assert_eq!(ended.as_ref().err().map(|panic| panic_text(&**panic)), Some("no luck"));
    }
}
