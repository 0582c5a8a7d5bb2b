//! The state behind the host edge: which runner there is, what it runs, what is compiled and what is being compiled.

use super::cwasm::Code;
use super::link;
use super::wishes::{Job, Wish};
use super::{HostConfig, HostEvent, HostOrder, PrepareFailed, Stops};
use crate::ipc::{self, Flood, FromGuard, FromRunner, OutputStream, RunSpec, ToGuard, ToRunner};
use shared::RunUsage;
use shared::{ComponentSpec, Digest, Outcome, Stream};
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
    spec: Arc<ComponentSpec>,
    memory_max_bytes: u64,
    /// Whether its code was compiled anew because it could not be loaded: that is done once for each run.
    pub(super) is_second: bool,
    /// The runner was told to end it.
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

#[derive(Default)]
enum Runner {
    #[default]
    None,
    Asked,
    /// Its socket is here; it has not said what code it loads.
    Greeting(SyncSender<ToRunner>),
    Up(SyncSender<ToRunner>),
}

pub(super) struct Actor {
    guard: UnixStream,
    pub(super) config: HostConfig,
    events: Sender<HostEvent>,
    messages: SyncSender<Message>,
    runner: Runner,
    runner_number: u64,
    /// Compatibility of code without and with fuel; known once a runner has been up.
    pub(super) compat: Option<(String, String)>,
    pub(super) ready: BTreeMap<Key, Code>,
    /// Artifacts of what was at hand once: the code of a run that starts again may have to be compiled anew.
    pub(super) inputs: BTreeMap<Key, PathBuf>,
    pub(super) wishes: VecDeque<Wish>,
    pub(super) compiling: Option<Job>,
    pub(super) next_job: u64,
    /// For the runner, or for their code.
    pub(super) waiting: Vec<Run>,
    pub(super) live: BTreeMap<u64, Run>,
    /// The newest run that was ordered to start; they come in the order of their numbers.
    newest: u64,
    stops: Arc<Stops>,
    shutting_down: bool,
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
            runner: Runner::None,
            runner_number: 0,
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
                Message::Runner(number, word) if number == self.runner_number => self.runner_said(word),
                Message::Runner(..) | Message::Stops => {}
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
            HostOrder::Prepare { digest, input, fuel } => {
                self.wishes.push_back(Wish { digest, input, fuel });
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
                match &self.runner {
                    Runner::Up(orders) | Runner::Greeting(orders) => {
                        let _ = orders.try_send(ToRunner::Shutdown);
                    }
                    Runner::Asked => {}
                    Runner::None => self.send(HostEvent::Drained),
                }
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
            if let Some(run) = self.live.get_mut(&instance) {
                run.is_stopped = true;
            }
            self.tell_runner(ToRunner::Stop { instance });
        }
    }

    pub(super) fn never_ran(&mut self, instance: u64, outcome: Outcome) {
        self.live.remove(&instance);
        self.send(HostEvent::Exited { instance, outcome, detail: Vec::new(), usage: RunUsage::default() });
    }

    fn ask_usage(&self) {
        match &self.runner {
            // A runner with that much to read is asked again some other time.
            Runner::Up(orders) => drop(orders.try_send(ToRunner::Usage)),
            Runner::None | Runner::Asked | Runner::Greeting(_) => self.send(HostEvent::Usages(Vec::new())),
        }
    }

    /// A runner that does not take orders any more is ended; its end puts everything right.
    fn tell_runner(&mut self, order: ToRunner) {
        if let Runner::Up(orders) | Runner::Greeting(orders) = &self.runner
            && orders.try_send(order).is_err()
        {
            self.ask_guard(&ToGuard::StopRunner { runner: self.runner_number });
        }
    }

    pub(super) fn need_runner(&mut self) {
        if matches!(self.runner, Runner::None) && !self.shutting_down {
            self.runner = Runner::Asked;
            self.runner_number += 1;
            self.ask_guard(&ToGuard::StartRunner { runner: self.runner_number });
        }
    }

    /// Starts what waits, except for what waits for its code.
    pub(super) fn start_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if !matches!(self.runner, Runner::Up(_)) {
            self.need_runner();
            return;
        }
        for run in std::mem::take(&mut self.waiting) {
            self.start(run);
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
        self.tell_runner(order);
    }

    fn guard_said(&mut self, word: FromGuard, fd: Option<OwnedFd>) {
        match word {
            FromGuard::Runner { runner } if runner == self.runner_number => self.connect_runner(fd),
            FromGuard::RunnerFailed { runner, reason } if runner == self.runner_number => self.runner_lost(reason),
            FromGuard::RunnerExited { runner, how } if runner == self.runner_number => self.runner_lost(how),
            FromGuard::Runner { .. } | FromGuard::RunnerFailed { .. } | FromGuard::RunnerExited { .. } => {}
            FromGuard::Compiled { job, status, stdout } => self.compiled(job, &status, &stdout),
            FromGuard::Shutdown { grace_ms } => self.send(HostEvent::Shutdown { grace_ms }),
        }
    }

    fn connect_runner(&mut self, fd: Option<OwnedFd>) {
        let connected = fd.ok_or_else(|| std::io::Error::other("no socket came")).and_then(|fd| {
            let socket = UnixStream::from(fd);
            link::read_runner(self.runner_number, socket.try_clone()?, self.messages.clone())?;
            link::write_runner(socket)
        });
        match connected {
            Ok(orders) => self.runner = Runner::Greeting(orders),
            Err(_) => self.ask_guard(&ToGuard::StopRunner { runner: self.runner_number }),
        }
    }

    fn runner_lost(&mut self, how: String) {
        self.runner = Runner::None;
        self.waiting.clear();
        let instances: Vec<u64> = std::mem::take(&mut self.live).into_keys().collect();
        if self.shutting_down {
            self.send(HostEvent::Drained);
            return;
        }
        self.send(HostEvent::RunnerLost { instances, how: how.clone() });
        if self.compat.is_none() {
            // It never came up: the wishes would wait for ever. The core asks again after a pause.
            for wish in std::mem::take(&mut self.wishes) {
                let reason = format!("the runner does not start: {how}");
                self.prepared(&wish, Err(PrepareFailed { for_good: false, reason }));
            }
        }
    }

    fn runner_said(&mut self, word: FromRunner) {
        match word {
            FromRunner::Ready { compat, compat_fuel } => {
                self.compat = Some((compat, compat_fuel));
                if let Runner::Greeting(orders) = std::mem::take(&mut self.runner) {
                    self.runner = Runner::Up(orders);
                }
                if self.shutting_down {
                    self.tell_runner(ToRunner::Shutdown);
                }
                self.next_wish();
                self.start_waiting();
            }
            FromRunner::Started { instance } => self.send(HostEvent::Started { instance }),
            FromRunner::Output { instance, stream, bytes } => {
                let stream = match stream {
                    OutputStream::Stdout => Stream::Stdout,
                    OutputStream::Stderr => Stream::Stderr,
                };
                self.send(HostEvent::Output { instance, stream, bytes });
            }
            FromRunner::Dropped { instance, bytes } => self.send(HostEvent::Dropped { instance, bytes }),
            FromRunner::Exited { instance, outcome, detail, usage } => {
                self.live.remove(&instance);
                self.send(HostEvent::Exited { instance, outcome, detail, usage });
            }
            FromRunner::Unloadable { instance, reason } => self.unloadable(instance, reason),
            FromRunner::Usages { of } => {
                self.send(HostEvent::Usages(of));
            }
        }
    }
}
