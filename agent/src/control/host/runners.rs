//! The runners: one that components share, and one for each that wants a process of its own. A run lives in one of them, and
//! only that one is believed about it.

use super::actor::Actor;
use super::link::{self, Orders};
use super::{HostEvent, PrepareFailed};
use crate::ipc::{FromRunner, OutputStream, Tenants, ToGuard, ToRunner};
use shared::{ComponentSpec, Isolation, Outcome, RunUsage, Stream};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// Components with a process of their own at once. Each process takes some MiB, eight threads of its own and three in its
/// parents; whoever isolates more than that has the machine's memory in mind, or should.
const MAX_OWN: usize = 64;

/// Runners that were asked for and have not ended, by number. There is one for the same tenants at the most.
#[derive(Default)]
pub(super) struct Runners {
    by_number: BTreeMap<u64, Runner>,
    newest: u64,
}

struct Runner {
    tenants: Tenants,
    stage: Stage,
    /// It was asked what its runs use, and has not answered.
    owes_usage: bool,
}

enum Stage {
    Asked,
    /// Its socket is here; it has not said what code it loads.
    Greeting(Orders),
    Up(Orders),
}

impl Runner {
    fn orders(&self) -> Option<&Orders> {
        match &self.stage {
            Stage::Asked => None,
            Stage::Greeting(orders) | Stage::Up(orders) => Some(orders),
        }
    }
}

impl Runners {
    fn of(&self, spec: &ComponentSpec) -> Option<(u64, &Runner)> {
        let mut runners = self.by_number.iter();
        runners.find(|(_, runner)| runner.tenants.include(spec)).map(|(number, runner)| (*number, runner))
    }

    /// Whether runs of this may be handed to their runner.
    pub(super) fn is_up_for(&self, spec: &ComponentSpec) -> bool {
        self.of(spec).is_some_and(|(_, runner)| matches!(runner.stage, Stage::Up(_)))
    }

    /// Why there can be no runner for runs of this. The one that is shared always has room.
    pub(super) fn no_room_for(&self, spec: &ComponentSpec) -> Option<String> {
        let own = self.by_number.values().filter(|runner| runner.tenants != Tenants::Shared).count();
        let is_full = spec.isolation == Isolation::Process && own >= MAX_OWN && self.of(spec).is_none();
        is_full.then(|| {
            format!(
                "{MAX_OWN} components have processes of their own, and no more may (hint: `realm stop` one of them, or push \
                 this one with `--isolation shared`)"
            )
        })
    }
}

impl Actor {
    /// Has a runner started for these, if there is none.
    pub(super) fn need_runner(&mut self, tenants: Tenants) {
        let runners = &mut self.runners;
        if self.shutting_down || runners.by_number.values().any(|runner| runner.tenants == tenants) {
            return;
        }
        runners.newest += 1;
        let runner = runners.newest;
        runners.by_number.insert(runner, Runner { tenants: tenants.clone(), stage: Stage::Asked, owes_usage: false });
        self.ask_guard(&ToGuard::StartRunner { runner, tenants });
    }

    pub(super) fn connect_runner(&mut self, number: u64, fd: Option<OwnedFd>) {
        // When it was given up before it was there, its socket is closed with this.
        let Some(runner) = self.runners.by_number.get_mut(&number) else { return };
        let connected = fd.ok_or_else(|| std::io::Error::other("no socket came")).and_then(|fd| {
            let socket = UnixStream::from(fd);
            link::read_runner(number, socket.try_clone()?, self.messages.clone())?;
            link::write_runner(socket)
        });
        match connected {
            Ok(orders) => runner.stage = Stage::Greeting(orders),
            Err(_) => self.ask_guard(&ToGuard::StopRunner { runner: number }),
        }
    }

    /// A runner that does not take orders any more is ended; its end puts everything right.
    pub(super) fn tell_runner_of(&self, spec: &ComponentSpec, order: ToRunner) {
        if let Some((number, runner)) = self.runners.of(spec)
            && runner.orders().is_some_and(|orders| orders.try_send(Box::new(order)).is_err())
        {
            self.ask_guard(&ToGuard::StopRunner { runner: number });
        }
    }

    /// Has all of them end their runs and themselves. One that is still to come is told so when it is there.
    pub(super) fn shut_runners_down(&mut self) {
        for orders in self.runners.by_number.values().filter_map(Runner::orders) {
            let _ = orders.try_send(Box::new(ToRunner::Shutdown));
        }
        self.drained();
    }

    fn drained(&self) {
        if self.runners.by_number.is_empty() {
            self.send(HostEvent::Drained);
        }
    }

    /// A run has ended. With the last of its component its own runner ends, too: there is nothing in it that anybody wants,
    /// so it is not asked.
    pub(super) fn has_ended(&mut self, instance: u64) {
        let Some(run) = self.live.remove(&instance) else { return };
        if run.spec.isolation == Isolation::Shared || self.shutting_down {
            return;
        }
        let tenants = Tenants::of(&run.spec);
        if self.live.values().any(|other| tenants.include(&other.spec)) {
            return;
        }
        if let Some((number, _)) = self.runners.of(&run.spec) {
            self.ask_guard(&ToGuard::StopRunner { runner: number });
            self.remove_runner(number);
        }
    }

    /// Forgets a runner and gives its tenants. What it owes of usage, nobody waits for any more.
    fn remove_runner(&mut self, number: u64) -> Option<Tenants> {
        let runner = self.runners.by_number.remove(&number)?;
        if runner.owes_usage {
            self.tell_usages(Vec::new());
        }
        Some(runner.tenants)
    }

    /// Forgets a runner, and gives the runs that lived in it or waited for it.
    fn lose_runner(&mut self, number: u64) -> Option<Vec<u64>> {
        let tenants = self.remove_runner(number)?;
        self.waiting.retain(|run| !tenants.include(&run.spec));
        Some(self.live.extract_if(.., |_, run| tenants.include(&run.spec)).map(|(instance, _)| instance).collect())
    }

    pub(super) fn runner_failed(&mut self, number: u64, reason: &str) {
        let Some(instances) = self.lose_runner(number) else { return };
        if self.shutting_down {
            return self.drained();
        }
        let reason = format!("the runner does not start: {reason}");
        for instance in instances {
            self.never_ran(instance, Outcome::Trap(reason.clone()));
        }
        self.fail_wishes(&reason);
    }

    pub(super) fn runner_lost(&mut self, number: u64, how: String) {
        let Some(instances) = self.lose_runner(number) else { return };
        if self.shutting_down {
            return self.drained();
        }
        let reason = format!("the runner does not start: {how}");
        self.send(HostEvent::RunnerLost { instances, how });
        self.fail_wishes(&reason);
    }

    /// While no runner has ever come up, the wishes would wait for ever. The core asks again after a pause.
    fn fail_wishes(&mut self, reason: &str) {
        if self.compat.is_none() {
            for wish in std::mem::take(&mut self.wishes) {
                let reason = reason.to_owned();
                self.prepared(&wish, Err(PrepareFailed { for_good: false, reason, takes: None }));
            }
        }
    }

    pub(super) fn ask_usage(&mut self) {
        for runner in self.runners.by_number.values_mut().filter(|runner| !runner.owes_usage) {
            if let Stage::Up(orders) = &runner.stage {
                // A runner with that much to read is asked again some other time.
                runner.owes_usage = orders.try_send(Box::new(ToRunner::Usage)).is_ok();
            }
        }
        if !self.runners.by_number.values().any(|runner| runner.owes_usage) {
            self.tell_usages(Vec::new());
        }
    }

    /// Each runner is heard at once, so that one that is stuck hides nothing of the others.
    fn tell_usages(&self, of: Vec<(u64, RunUsage)>) {
        let complete = !self.runners.by_number.values().any(|runner| runner.owes_usage);
        self.send(HostEvent::Usages { of, complete });
    }

    /// Whether a run lives in this runner. One that was taken over by its guest may say anything of its own runs, and
    /// nothing of those of others.
    fn lives_in(&self, number: u64, instance: u64) -> bool {
        let runner = self.runners.by_number.get(&number);
        let run = self.live.get(&instance);
        runner.zip(run).is_some_and(|(runner, run)| runner.tenants.include(&run.spec))
    }

    pub(super) fn runner_said(&mut self, number: u64, word: FromRunner) {
        if word.instance().is_some_and(|instance| !self.lives_in(number, instance)) {
            return;
        }
        match word {
            FromRunner::Ready { compat, compat_fuel } => self.runner_is_up(number, (compat, compat_fuel)),
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
                self.has_ended(instance);
                self.send(HostEvent::Exited { instance, outcome, detail, usage });
            }
            FromRunner::Unloadable { instance, reason } => self.unloadable(instance, reason),
            FromRunner::Usages { mut of } => {
                if let Some(runner) = self.runners.by_number.get_mut(&number) {
                    runner.owes_usage = false;
                    of.retain(|(instance, _)| self.lives_in(number, *instance));
                    self.tell_usages(of);
                }
            }
        }
    }

    fn runner_is_up(&mut self, number: u64, compat: (String, String)) {
        let Some(runner) = self.runners.by_number.get_mut(&number) else { return };
        let Stage::Greeting(orders) = &runner.stage else { return };
        if self.shutting_down {
            let _ = orders.try_send(Box::new(ToRunner::Shutdown));
        }
        runner.stage = Stage::Up(orders.clone());
        // All are the same program. The first to say it has had no guest yet that could speak for it.
        self.compat.get_or_insert(compat);
        self.next_wish();
        self.start_waiting();
    }
}
