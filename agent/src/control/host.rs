//! The edge to the guests: asks the guard for runners and for compile children, and hands each runner its orders.
//! One thread holds the state; each socket has a thread that reads it, and those of runners one that writes.

mod actor;
mod cwasm;
mod link;
mod runners;
mod wishes;

pub use cwasm::{unnamed, usage};

use actor::Actor;
use shared::RunUsage;
use shared::{ComponentSpec, Digest, Outcome, Stream};
use smol::channel::Sender;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Messages that may wait for the thread: output of guests, which waits, and orders of the loop, which do not.
const MAX_MESSAGES: usize = 4096;

/// Where the edge finds and puts files, and whose signature makes compiled code loadable.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Compiled code.
    pub cwasm: PathBuf,
    /// The node's secret seed.
    pub seed: [u8; 32],
}

/// An order of the loop.
pub enum HostOrder {
    /// Have compiled code at hand.
    Prepare {
        /// Of which artifact.
        digest: Digest,
        /// The artifact's file.
        input: PathBuf,
        /// Whether for metered runs.
        fuel: bool,
        /// How many bytes it may have.
        room: u64,
    },
    /// Start a run of a prepared artifact.
    Start {
        /// Its name from now on.
        instance: u64,
        /// What to run.
        spec: Arc<ComponentSpec>,
        /// The cap on memory.
        memory_max_bytes: u64,
    },
    /// Tell what each instance uses; answered by a `Usages` of each runner, the last of which says that it is, and may
    /// answer several of these that came together.
    AskUsage,
    /// Remove compiled code, and compile it no further.
    Forget(Digest),
    /// The agent is ready to serve.
    Ready,
    /// End all runs and then the runners.
    Shutdown,
}

/// Something that happened to a guest, or a word of the guard.
#[derive(Debug)]
pub enum HostEvent {
    /// A `Prepare` has ended.
    Prepared {
        /// Which artifact.
        digest: Digest,
        /// Whether for metered runs.
        fuel: bool,
        /// At hand, refused for good (`Ok(Err)` is not used: the flag tells), or not possible this time.
        result: Result<(), PrepareFailed>,
        /// Bytes of all compiled code of the artifact by now.
        code_bytes: u64,
    },
    /// An artifact that was to be compiled is not what its name says. The wish for code ends with `Prepared` as well.
    Torn {
        /// Which artifact.
        digest: Digest,
    },
    /// Compiled code cannot be loaded, and is compiled anew.
    CodeTorn {
        /// Of which artifact.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// An instance runs.
    Started {
        /// Which.
        instance: u64,
    },
    /// An instance wrote something.
    Output {
        /// Which.
        instance: u64,
        /// To which output.
        stream: Stream,
        /// What.
        bytes: Vec<u8>,
    },
    /// Output of an instance was dropped.
    Dropped {
        /// Which.
        instance: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// An instance has ended.
    Exited {
        /// Which.
        instance: u64,
        /// How.
        outcome: Outcome,
        /// Lines for its log.
        detail: Vec<String>,
        /// What it used.
        usage: RunUsage,
    },
    /// What instances use by now; without a runner there are none.
    Usages {
        /// Instances of one runner, with their usage.
        of: Vec<(u64, RunUsage)>,
        /// Whether all that were asked have answered.
        complete: bool,
    },
    /// A runner is gone with these instances.
    RunnerLost {
        /// Which instances.
        instances: Vec<u64>,
        /// How it ended.
        how: String,
    },
    /// The guard wants the agent to end.
    Shutdown {
        /// Within this time.
        grace_ms: u64,
    },
    /// All runs have ended after a `Shutdown` order.
    Drained,
}

/// Why there is no compiled code.
#[derive(Debug)]
pub struct PrepareFailed {
    /// Whether another attempt would end the same.
    pub for_good: bool,
    /// For people.
    pub reason: String,
    /// How many bytes it takes, where that is more than it may have.
    pub takes: Option<u64>,
}

/// The queue is full.
#[derive(Debug)]
pub struct Busy;

/// Runs that are to end, apart from the queue: an order to stop must never be refused for want of room, or what was stopped
/// would go on. Each run is there once at the most, so there are no more than live.
#[derive(Default)]
struct Stops(Mutex<BTreeSet<u64>>);

impl Stops {
    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<u64>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See the module. Dropping it ends the thread; the runner then ends by itself, for its socket closes.
pub struct Host {
    messages: SyncSender<actor::Message>,
    stops: Arc<Stops>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Starts the threads. `guard` is the socket to the guard; when it closes, the process ends at once.
    ///
    /// # Errors
    /// When the system has no threads for it.
    pub fn start(guard: UnixStream, config: HostConfig, events: Sender<HostEvent>) -> io::Result<Host> {
        let (messages, inbox) = sync_channel(MAX_MESSAGES);
        cwasm::remove_unfinished(&config.cwasm);
        link::read_guard(guard.try_clone()?, messages.clone())?;
        let stops = Arc::new(Stops::default());
        let actor = Actor::new(guard, config, events, messages.clone(), Arc::clone(&stops));
        let thread = thread::Builder::new().name("host".into()).spawn(move || actor.run(&inbox))?;
        Ok(Host { messages, stops, thread: Some(thread) })
    }

    /// Ends a run that was ordered to start. There is always room for it.
    pub fn stop(&self, instance: u64) {
        self.stops.change(|stops| stops.insert(instance));
        // The thread looks at them after each message: when there is no room for this one, another one comes first.
        let _ = self.messages.try_send(actor::Message::Stops);
    }

    /// Queues an order.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn order(&self, order: HostOrder) -> Result<(), Busy> {
        self.messages.try_send(actor::Message::Order(order)).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.messages.send(actor::Message::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}
