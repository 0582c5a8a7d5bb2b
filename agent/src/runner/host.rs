//! The instances of one runner: begun, stopped and reported from here. Loading has a thread of its own, because a large
//! component takes longer to load than a stop command should wait, or a guest's thread should be held.

use super::engine::Flavours;
use super::executor::{Executor, Queue};
use super::instance::{self, Run};
use super::meter::Meter;
use super::outbox::Outbox;
use super::outcome::Ended;
use super::output::GuestOutput;
use super::pace::{Pace, Paced};
use super::prepared::{Cache, NotLoaded, Prepared};
use super::ticker::{Computing, Ticker};
use super::{MAX_INSTANCES, lock};
use crate::ipc::{FromRunner, RunSpec};
use async_compat::Compat;
use async_task::Task;
use shared::Outcome;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

/// How long a shutdown waits for guests to end. They do within a few ticks; control has a grace period of its own, and
/// the guard kills what is left.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// A command to begin a run; the fields are those of [`crate::ipc::ToRunner::Start`].
pub(super) struct Start {
    pub(super) instance: u64,
    pub(super) name: String,
    pub(super) cwasm: PathBuf,
    pub(super) cwasm_sha256: [u8; 32],
    pub(super) spec: RunSpec,
}

/// A run that was taken in and waits to be loaded.
type Begun = (Start, Arc<Pace>, Arc<Meter>);

/// Owns all runs. Dropped in the order of its fields: no further start is loaded, runs end, then what they ran on.
pub(super) struct Host {
    starts: SyncSender<Begun>,
    instances: Instances,
    _executor: Arc<Executor>,
    _ticker: Ticker,
}

/// What is running, and where it is reported.
#[derive(Clone)]
struct Instances {
    outbox: Arc<Outbox>,
    running: Arc<Mutex<Running>>,
    ended: Arc<Condvar>,
}

#[derive(Default)]
struct Running {
    instances: BTreeMap<u64, Instance>,
    closed: bool,
}

struct Instance {
    pace: Arc<Pace>,
    meter: Arc<Meter>,
    /// There is none while its component is being loaded.
    task: Option<Task<()>>,
}

impl Host {
    pub(super) fn start(flavours: Flavours, outbox: Arc<Outbox>) -> io::Result<Host> {
        let flavours = Arc::new(flavours);
        let executor = Arc::new(Executor::start()?);
        let ticker = Ticker::start({
            let flavours = flavours.clone();
            move || flavours.tick()
        })?;
        let instances = Instances { outbox, running: Arc::default(), ended: Arc::default() };
        // Never full: no more instances than this are taken in.
        let (starts, requests) = sync_channel(MAX_INSTANCES);
        let loader = Loader {
            instances: instances.clone(),
            executor: executor.clone(),
            queue: executor.queue(),
            computing: ticker.computing(),
            cache: Cache::new(flavours.clone()),
            flavours,
        };
        thread::Builder::new().name("loader".to_owned()).spawn(move || loader.work(&requests))?;
        Ok(Host { starts, instances, _executor: executor, _ticker: ticker })
    }

    /// Takes a run in.
    pub(super) fn begin(&self, start: Start) {
        let instance = start.instance;
        let (pace, meter) = (Arc::new(Pace::new(start.spec.epoch_ms)), Arc::<Meter>::default());
        let mut running = lock(&self.instances.running);
        if running.instances.contains_key(&instance) {
            // Control numbers its instances; a report would look as if the one that runs had ended.
            eprintln!("runner: instance {instance} was to be started a second time");
            return;
        }
        let full = running.instances.len() >= MAX_INSTANCES;
        running.instances.insert(instance, Instance { pace: pace.clone(), meter: meter.clone(), task: None });
        drop(running);
        if full {
            let why = format!("there are {MAX_INSTANCES} instances already");
            self.instances.finish(instance, Ended::host_fault(why));
        } else if self.starts.try_send((start, pace, meter)).is_err() {
            self.instances.finish(instance, Ended::host_fault("components are not loaded any more"));
        }
    }

    /// Asks a run to end; nothing happens when there is none.
    pub(super) fn stop(&self, instance: u64) {
        if let Some(instance) = lock(&self.instances.running).instances.get(&instance) {
            instance.pace.stop();
        }
    }

    /// Tells what each run uses. The lock is the one that exits are reported under: no run is told of after its end.
    pub(super) fn tell_usage(&self) {
        let running = lock(&self.instances.running);
        let of = running.instances.iter().map(|(number, instance)| (*number, instance.meter.usage())).collect();
        self.instances.outbox.usages(of);
    }

    /// Ends all runs and waits until they are reported.
    pub(super) fn stop_all(&self) {
        let running = lock(&self.instances.running);
        running.instances.values().for_each(|instance| instance.pace.stop());
        let waited =
            self.instances.ended.wait_timeout_while(running, SHUTDOWN_WAIT, |running| !running.instances.is_empty());
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            eprintln!("runner: some guests did not stop");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let mut running = lock(&self.instances.running);
        running.closed = true;
        let instances = std::mem::take(&mut running.instances);
        drop(running);
        // A guest that computes is asked as well: it is dropped when it gives way, at the next tick.
        instances.values().for_each(|instance| instance.pace.stop());
    }
}

impl Instances {
    /// Reports the end of a run and forgets it. Both at once: control may use the number again as soon as it reads the
    /// report, and a shutdown waits for the last report.
    fn finish(&self, instance: u64, ended: Ended) {
        let mut running = lock(&self.running);
        let Some(forgotten) = running.instances.remove(&instance) else { return };
        let Ended { outcome, detail } = ended;
        let usage = forgotten.meter.usage();
        self.outbox.event(FromRunner::Exited { instance, outcome, detail, usage });
        drop(running);
        self.ended.notify_all();
        drop(forgotten);
    }

    /// Reports that a run cannot begin before its component is compiled anew, and forgets it.
    fn refuse(&self, instance: u64, reason: String) {
        let mut running = lock(&self.running);
        let forgotten = running.instances.remove(&instance);
        if forgotten.is_some() {
            self.outbox.event(FromRunner::Unloadable { instance, reason });
        }
        drop(running);
        self.ended.notify_all();
        drop(forgotten);
    }

    /// Keeps the task of a run that has just begun, unless the run or the runner has ended meanwhile.
    fn keep(&self, instance: u64, task: Task<()>) {
        let mut running = lock(&self.running);
        let instance = running.instances.get_mut(&instance);
        let unwanted = match instance {
            Some(instance) => instance.task.replace(task),
            None => Some(task),
        };
        drop(running);
        drop(unwanted);
    }
}

/// The thread that loads components and sets their runs going.
struct Loader {
    instances: Instances,
    flavours: Arc<Flavours>,
    executor: Arc<Executor>,
    queue: Queue,
    computing: Computing,
    cache: Cache,
}

impl Loader {
    fn work(mut self, requests: &Receiver<Begun>) {
        while let Ok((start, pace, meter)) = requests.recv() {
            let instance = start.instance;
            if lock(&self.instances.running).closed {
                return;
            }
            if pace.is_stopped() {
                self.instances.finish(instance, Outcome::Stopped.into());
                continue;
            }
            let Start { cwasm, cwasm_sha256, spec, .. } = &start;
            let loaded = catch_unwind(AssertUnwindSafe(|| self.cache.get(cwasm, *cwasm_sha256, spec.fuel.is_some())));
            let panicked = |_| Err(NotLoaded::Fault("the compiled component cannot be loaded".to_owned()));
            match loaded.unwrap_or_else(panicked) {
                Ok(prepared) => self.set_going((start, pace, meter), prepared),
                // Compiled anew, it would start.
                Err(_) if pace.is_stopped() => self.instances.finish(instance, Outcome::Stopped.into()),
                Err(NotLoaded::Unloadable(why)) => self.instances.refuse(instance, why),
                Err(NotLoaded::Fault(why)) => self.instances.finish(instance, Ended::host_fault(why)),
            }
        }
    }

    fn set_going(&self, (start, pace, meter): Begun, prepared: Arc<Prepared>) {
        let Start { instance, name, spec, .. } = start;
        let output = Arc::new(GuestOutput::new(instance, spec.flood, self.instances.outbox.clone()));
        let engine = self.flavours.of(spec.fuel.is_some()).engine.clone();
        let (queue, kept) = (self.queue.clone(), meter.clone());
        let run = Run { name, spec, prepared, output, pace: pace.clone(), meter: kept, queue };
        // WASI's timers look up a Tokio reactor when they are polled.
        let run = Paced::new(Compat::new(instance::run(engine, run)), pace.clone(), meter, self.computing.clone());
        let instances = self.instances.clone();
        self.instances.outbox.event(FromRunner::Started { instance });
        let task = self.executor.spawn(pace, async move {
            let ended = run.await;
            instances.finish(instance, ended);
        });
        self.instances.keep(instance, task);
    }
}
