//! The state behind the host edge: which runners there are, what they run, what is compiled and what is being compiled.

use super::cwasm::Code;
use super::runners::Runners;
use super::wishes::{Job, Wish};
use super::{HostConfig, HostEvent, HostOrder, Stops};
use crate::ipc::{self, Flood, FromGuard, FromRunner, RunSpec, Tenants, ToGuard, ToRunner};
use shared::RunUsage;
use shared::{ComponentSpec, Digest, Outcome};
use smol::channel::Sender;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

/// What the thread is told.
pub(super) enum Message {
    Order(HostOrder),
    Guard(FromGuard, Option<OwnedFd>),
    Runner(u64, FromRunner),
    /// Somebody is to be stopped.
    Stops,
    End,
}

/// A run, kept until it has ended.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) instance: u64,
    pub(super) spec: Arc<ComponentSpec>,
    memory_max_bytes: u64,
    /// Whether its code was compiled anew because it could not be loaded: that is done once for each run.
    pub(super) is_second: bool,
    /// Its runner was told to end it.
    pub(super) is_stopped: bool,
}

impl Run {
    /// The code that it needs.
    pub(super) fn code(&self) -> Key {
        (self.spec.artifact.digest, self.spec.limits.fuel.is_some())
    }
}

/// Which code: of which artifact, and whether for metered runs.
pub(super) type Key = (Digest, bool);

pub(super) struct Actor {
    guard: UnixStream,
    pub(super) config: HostConfig,
    events: Sender<HostEvent>,
    pub(super) messages: SyncSender<Message>,
    pub(super) runners: Runners,
    /// Compatibility of code without and with fuel; known once a runner has been up.
    pub(super) compat: Option<(String, String)>,
    pub(super) ready: BTreeMap<Key, Code>,
    /// Artifacts of what was at hand once: the code of a run that starts again may have to be compiled anew.
    pub(super) inputs: BTreeMap<Key, PathBuf>,
    pub(super) wishes: VecDeque<Wish>,
    pub(super) compiling: Option<Job>,
    pub(super) next_job: u64,
    /// For their runner, or for their code.
    pub(super) waiting: Vec<Run>,
    pub(super) live: BTreeMap<u64, Run>,
    /// The newest run that was ordered to start; they come in the order of their numbers.
    newest: u64,
    stops: Arc<Stops>,
    pub(super) shutting_down: bool,
}

impl Actor {
    pub(super) fn new(
        guard: UnixStream,
        config: HostConfig,
        events: Sender<HostEvent>,
        messages: SyncSender<Message>,
        stops: Arc<Stops>,
    ) -> Actor {
        Actor {
            guard,
            config,
            events,
            messages,
            runners: Runners::default(),
            compat: None,
            ready: BTreeMap::new(),
            inputs: BTreeMap::new(),
            wishes: VecDeque::new(),
            compiling: None,
            next_job: 0,
            waiting: Vec::new(),
            live: BTreeMap::new(),
            newest: 0,
            stops,
            shutting_down: false,
        }
    }

    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        for message in inbox {
            match message {
                Message::Order(order) => self.obey(order),
                Message::Guard(word, fd) => self.guard_said(word, fd),
                Message::Runner(number, word) => self.runner_said(number, word),
                Message::Stops => {}
                Message::End => return,
            }
            self.stop_those();
        }
    }

    pub(super) fn send(&self, event: HostEvent) {
        // A loop that has ended wants no more events.
        let _ = self.events.send_blocking(event);
    }

    pub(super) fn ask_guard(&self, order: &ToGuard) {
        // When the guard is gone, its reading thread ends this process.
        let _ = ipc::write_frame(&mut &self.guard, order);
    }

    fn obey(&mut self, order: HostOrder) {
        match order {
            HostOrder::Prepare { digest, input, fuel, room } => {
                self.wishes.push_back(Wish { digest, input, fuel, room });
                self.next_wish();
            }
            HostOrder::Start { instance, spec, memory_max_bytes } => {
                let run = Run { instance, spec, memory_max_bytes, is_second: false, is_stopped: false };
                self.live.insert(instance, run.clone());
                self.newest = self.newest.max(instance);
                self.waiting.push(run);
                self.start_waiting();
            }
            HostOrder::AskUsage => self.ask_usage(),
            HostOrder::Forget(digest) => self.forget(&digest),
            HostOrder::Ready => self.ask_guard(&ToGuard::Ready),
            HostOrder::Shutdown => {
                self.shutting_down = true;
                self.shut_runners_down();
            }
        }
    }

    /// Stops whoever is to be stopped. Orders that wait may start some of them: they are kept until then, and those that
    /// have ended are dropped.
    fn stop_those(&mut self) {
        let newest = self.newest;
        let known: Vec<u64> = self.stops.change(|stops| stops.extract_if(..=newest, |_| true).collect());
        for instance in known {
            if self.live.contains_key(&instance) {
                self.stop(instance);
            }
        }
    }

    fn stop(&mut self, instance: u64) {
        if let Some(at) = self.waiting.iter().position(|run| run.instance == instance) {
            self.waiting.remove(at);
            self.never_ran(instance, Outcome::Stopped);
        } else {
            // Should it not have begun, it must not begin anew.
            let Some(run) = self.live.get_mut(&instance) else { return };
            run.is_stopped = true;
            let spec = Arc::clone(&run.spec);
            self.tell_runner_of(&spec, ToRunner::Stop { instance });
        }
    }

    pub(super) fn never_ran(&mut self, instance: u64, outcome: Outcome) {
        self.has_ended(instance);
        self.send(HostEvent::Exited { instance, outcome, detail: Vec::new(), usage: RunUsage::default() });
    }

    /// Starts what waits, except for what waits for its runner or its code.
    pub(super) fn start_waiting(&mut self) {
        for run in std::mem::take(&mut self.waiting) {
            if self.runners.is_up_for(&run.spec) {
                self.start(run);
            } else if let Some(reason) = self.runners.no_room_for(&run.spec) {
                self.never_ran(run.instance, Outcome::Trap(reason));
            } else {
                self.need_runner(Tenants::of(&run.spec));
                self.waiting.push(run);
            }
        }
    }

    fn start(&mut self, run: Run) {
        let limits = &run.spec.limits;
        let Some(code) = self.ready.get(&run.code()) else { return self.want_code_for(run) };
        let order = ToRunner::Start {
            instance: run.instance,
            name: run.spec.name.to_string(),
            cwasm: code.path.clone(),
            cwasm_sha256: *code.sha256.as_bytes(),
            spec: RunSpec {
                memory_max_bytes: run.memory_max_bytes,
                fuel: limits.fuel.map(shared::Fuel::get),
                epoch_ms: limits.epoch_ms.get(),
                deadline_ms: limits.deadline_ms.map(shared::DeadlineMs::get),
                args: run.spec.args.clone(),
                env: run.spec.env.clone(),
                flood: Flood::Drop,
            },
        };
        self.tell_runner_of(&run.spec, order);
    }

    fn guard_said(&mut self, word: FromGuard, fd: Option<OwnedFd>) {
        match word {
            FromGuard::Runner { runner } => self.connect_runner(runner, fd),
            FromGuard::RunnerFailed { runner, reason } => self.runner_failed(runner, &reason),
            FromGuard::RunnerExited { runner, how } => self.runner_lost(runner, how),
            FromGuard::Compiled { job, status, stdout } => self.compiled(job, &status, &stdout),
            FromGuard::Shutdown { grace_ms } => self.send(HostEvent::Shutdown { grace_ms }),
        }
    }
}
