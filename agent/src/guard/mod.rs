//! The guard: starts control, runners and compile children, and restarts control when it dies. It has no network and
//! parses nothing that comes from outside this machine.

mod orders;

use crate::args::AgentArgs;
use crate::children::{Compile, Spawned, spawn_control};
use crate::ipc::{self, FromGuard, ToGuard};
use crate::{lock, signals};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long guests and control have to end after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// What control gets on top of the guests' grace, before it is killed.
const CONTROL_GRACE: Duration = Duration::from_secs(2);

/// Signals this close together are one request to end.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// The first and the longest pause before a control that died is started again.
const RESTART_FIRST: Duration = Duration::from_millis(500);
const RESTART_MOST: Duration = Duration::from_secs(30);

/// A control that lived this long was healthy.
const HEALTHY: Duration = Duration::from_secs(60);

/// Events that may wait for the guard; control, the only talkative one, waits when it is full.
const EVENTS: usize = 64;

/// What happens to the guard. Children are named by their process id, so that the end of an old one is not taken
/// for that of its successor.
enum Event {
    Signal,
    Control { pid: u32, order: ToGuard },
    Ended { pid: u32, status: String },
    CompileEnded { pid: u32, status: String, stdout: Vec<u8> },
}

struct Guard {
    args: AgentArgs,
    events: SyncSender<Event>,
    control: Option<Control>,
    runners: BTreeMap<u64, Spawned>,
    compiles: BTreeMap<u64, Compile>,
    ever_ready: bool,
    failures: u32,
    restart_at: Option<Instant>,
    end_by: Option<Instant>,
}

struct Control {
    child: Spawned,
    socket: UnixStream,
    since: Instant,
}

/// Runs until a signal ends the agent, or control cannot be started at all.
///
/// # Errors
/// When the data directory cannot be used or no process can be started.
pub fn run(args: AgentArgs) -> Result<ExitCode, String> {
    let _lock = lock::take(&args.data_dir)?;
    let (events, inbox) = sync_channel(EVENTS);
    let heard = events.clone();
    signals::watch(move |_| heard.send(Event::Signal).is_ok())
        .map_err(|error| format!("cannot watch signals: {error}"))?;
    let mut guard = Guard {
        args,
        events,
        control: None,
        runners: BTreeMap::new(),
        compiles: BTreeMap::new(),
        ever_ready: false,
        failures: 0,
        restart_at: None,
        end_by: None,
    };
    guard.start_control().map_err(|error| format!("cannot start the control process: {error}"))?;
    let code = guard.serve(&inbox);
    guard.end_children();
    Ok(code)
}

impl Guard {
    fn serve(&mut self, inbox: &Receiver<Event>) -> ExitCode {
        loop {
            let deadline = self.end_by.into_iter().chain(self.restart_at).min();
            let event = match deadline {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            let done = match event {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => self.timed_out(),
                Err(RecvTimeoutError::Disconnected) => Some(ExitCode::FAILURE),
            };
            if let Some(code) = done {
                return code;
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<ExitCode> {
        match event {
            Event::Signal => return self.begin_shutdown(),
            Event::Control { pid, order } if self.is_control(pid) => self.obey(order),
            Event::Control { .. } => {}
            Event::Ended { pid, status } if self.is_control(pid) => return self.control_ended(&status),
            Event::Ended { pid, status } => self.runner_ended(pid, &status),
            Event::CompileEnded { pid, status, stdout } => self.compile_ended(pid, status, stdout),
        }
        None
    }

    fn is_control(&self, pid: u32) -> bool {
        self.control.as_ref().is_some_and(|control| control.child.pid() == pid)
    }

    fn begin_shutdown(&mut self) -> Option<ExitCode> {
        if self.control.is_none() {
            return Some(ExitCode::SUCCESS);
        }
        let now = Instant::now();
        if let Some(end_by) = self.end_by {
            // A second signal means: now. Some supervisors send one to the process and one to its group, in one go.
            if end_by.saturating_duration_since(now) + SAME_SIGNAL < GRACE + CONTROL_GRACE {
                self.end_by = Some(now);
            }
            return None;
        }
        self.end_by = Some(now + GRACE + CONTROL_GRACE);
        let grace_ms = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
        self.tell(&FromGuard::Shutdown { grace_ms });
        None
    }

    fn timed_out(&mut self) -> Option<ExitCode> {
        let now = Instant::now();
        if self.end_by.is_some_and(|at| at <= now) {
            eprintln!("realm-agent: control did not end in time and is killed");
            return Some(ExitCode::FAILURE);
        }
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_at = None;
            if let Err(error) = self.start_control() {
                eprintln!("realm-agent: cannot start the control process: {error}");
                self.plan_restart();
            }
        }
        None
    }

    fn start_control(&mut self) -> io::Result<()> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = spawn_control(&self.args, theirs, self.tell_end())?;
        let (reader, events, pid) = (socket.try_clone()?, self.events.clone(), child.pid());
        // Ends with the socket, which ends with control.
        thread::Builder::new().name("from-control".into()).spawn(move || {
            let mut reader = reader;
            while let Ok(Some(order)) = ipc::read_frame(&mut reader) {
                if events.send(Event::Control { pid, order }).is_err() {
                    return;
                }
            }
        })?;
        self.control = Some(Control { child, socket, since: Instant::now() });
        Ok(())
    }

    fn control_ended(&mut self, status: &str) -> Option<ExitCode> {
        let control = self.control.take()?;
        let code = control.child.reap();
        self.end_children();
        if self.end_by.is_some() {
            return Some(ExitCode::SUCCESS);
        }
        if !self.ever_ready {
            // It said why on stderr: a port that is taken, a file that is torn. Trying again would say it again.
            return Some(ExitCode::from(code.unwrap_or(1)));
        }
        eprintln!("realm-agent: the control process ended ({status}) and is started again");
        if control.since.elapsed() >= HEALTHY {
            self.failures = 0;
        }
        self.plan_restart();
        None
    }

    /// Makes an event of the end of a child.
    fn tell_end(&self) -> impl FnOnce(u32, String) + Send + use<> {
        let events = self.events.clone();
        move |pid, status| {
            let _ = events.send(Event::Ended { pid, status });
        }
    }

    fn plan_restart(&mut self) {
        let pause = RESTART_FIRST.saturating_mul(1 << self.failures.min(10)).min(RESTART_MOST);
        self.failures = self.failures.saturating_add(1);
        self.restart_at = Some(Instant::now() + pause);
    }

    /// Control reads with a thread of its own, so this does not wait long; when it is gone, its end is on the way.
    fn tell(&self, word: &FromGuard) {
        if let Some(control) = &self.control {
            let _ = ipc::write_frame(&mut &control.socket, word);
        }
    }

    fn end_children(&mut self) {
        let compiles = std::mem::take(&mut self.compiles).into_values().map(|compile| compile.child);
        let runners = std::mem::take(&mut self.runners).into_values();
        let control = self.control.take().map(|control| control.child);
        let children: Vec<Spawned> = runners.chain(compiles).chain(control).collect();
        // All at once: the memory of many takes a while to go.
        children.iter().for_each(Spawned::kill);
        children.iter().for_each(|child| _ = child.reap());
    }
}
