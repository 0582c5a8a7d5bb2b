//! The moments at which a process writes durably: it is held by strace before each fsync and each rename, whichever thread it
//! is, and stands still meanwhile. Strace alone cannot do that with `when=N`: it counts for each thread.

use crate::child::{Guard, Place, lines_of};
use crate::support::{PATIENCE, eventually, signal};
use rustix::process::Signal;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What makes something durable, or puts it in its place. Not every machine has each of them.
const CALLS: [&str; 7] = ["?fsync", "?fdatasync", "?sync", "?syncfs", "?rename", "?renameat", "?renameat2"];

/// Longer than any test: who is held is let go when strace ends.
const HELD: &str = "delay_enter=3600s";

/// When nothing was called for so long after all that was waited for has happened, nothing will be.
const QUIET: Duration = Duration::from_millis(700);

/// What happens while a call is held, before everything stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Nothing: as few calls as possible are held at once.
    Quick,
    /// All that does not wait for the call, and should have if it was said too early.
    Slow,
}

/// For so long a call takes on a slow disk. Others say what they have to say in a fraction of that.
const SLOW: Duration = Duration::from_millis(150);

/// A process that is held at each of its moments.
pub(crate) struct Moments {
    pid: u32,
    disk: Disk,
    strace: Option<Strace>,
}

struct Strace {
    process: Guard,
    said: Arc<Mutex<String>>,
    more: Receiver<()>,
}

/// Why this machine has no moments to show, if so: strace may be missing, or may not look at what is no child of its own.
pub(crate) fn missing() -> Option<String> {
    let quiet = |command: &mut Command| command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let other = Guard(quiet(&mut Place::default().command("cat")).unwrap());
    let mut command = Place::default().command("strace");
    let strace = quiet(command.args(["-e", "trace=none", "-p", &other.0.id().to_string()]));
    let mut strace = match strace {
        Ok(strace) => Guard(strace),
        Err(error) => return Some(format!("`strace`: {error}")),
    };
    let said = lines_of(strace.0.stderr.take().unwrap()).recv_timeout(PATIENCE).unwrap_or_default();
    (!said.ends_with("attached")).then(|| format!("`strace`: {said}"))
}

impl Moments {
    /// From now on.
    pub(crate) fn of(pid: u32, disk: Disk) -> Moments {
        Moments { pid, disk, strace: Some(Strace::attach(pid)) }
    }

    /// Waits for the next moment, at which it stands still, and gives the call as strace writes it; `None` when there is none any
    /// more. `is_over` tells whether all has happened that was waited for.
    pub(crate) fn next(&self, is_over: &mut dyn FnMut() -> bool) -> Option<String> {
        let strace = self.strace.as_ref().expect("it is let go");
        loop {
            let was_over = is_over();
            if let Some(call) = strace.call(QUIET) {
                if self.disk == Disk::Slow {
                    std::thread::sleep(SLOW);
                }
                self.freeze(strace);
                return Some(call);
            }
            if was_over {
                return None;
            }
        }
    }

    /// All other threads stand still, too.
    fn freeze(&self, strace: &Strace) {
        let before = strace.said.lock().unwrap().len();
        signal(self.pid, Signal::STOP);
        // Until then the signal would be lost with strace, which has it in its hands.
        let stopped = strace.find(PATIENCE, |said| said[before..].contains("stopped by SIGSTOP").then_some(()));
        assert!(stopped.is_some(), "it goes on: {}", strace.said.lock().unwrap());
        self.until(&['t', 'T']);
    }

    fn until(&self, states: &[char]) {
        eventually("a process stands still", || {
            let seen = threads(self.pid);
            if seen.chars().all(|state| states.contains(&state)) { Ok(()) } else { Err(seen) }
        });
    }

    /// Lets the call happen, and stands still after it.
    pub(crate) fn pass(&mut self) {
        self.strace.take().expect("it is let go").detach();
        // A thread that is traced no more has been through its call when it stands still.
        self.until(&['T']);
    }

    /// Goes on from there to the next one.
    pub(crate) fn go(&mut self) {
        self.strace = Some(Strace::attach(self.pid));
        signal(self.pid, Signal::CONT);
    }

    /// Lets it go for good.
    pub(crate) fn release(mut self) {
        let is_frozen = threads(self.pid).chars().all(|state| matches!(state, 't' | 'T'));
        self.strace.take().into_iter().for_each(Strace::detach);
        if is_frozen {
            signal(self.pid, Signal::CONT);
        }
    }

    /// Kills it where it stands: a call at which it is held does not happen.
    pub(crate) fn kill(self) {
        signal(self.pid, Signal::KILL);
        // Its parent hears of it when nobody traces it any more: strace is killed with `self`.
    }
}

/// A letter for each thread of a process.
fn threads(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next()).collect()
}

impl Strace {
    fn attach(pid: u32) -> Strace {
        let calls = CALLS.join(",");
        let mut command = Place::default().command("strace");
        command.args(["-f", "-y", "-e", "signal=SIGSTOP", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:{HELD}"), "-p", &pid.to_string()]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let said = Arc::<Mutex<String>>::default();
        let (hint, more) = channel();
        let heard = Arc::clone(&said);
        // Not by lines: a call at which it is held has no end yet.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut bytes) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
                if hint.send(()).is_err() {
                    return;
                }
            }
        });
        let strace = Strace { process: Guard(child), said, more };
        let is_attached = strace.find(PATIENCE, |said| said.contains(" attached").then_some(()));
        assert!(is_attached.is_some(), "strace is not attached: {}", strace.said.lock().unwrap());
        strace
    }

    /// Waits until what it has said has something in it, at most so long after its last word.
    fn find<T>(&self, patience: Duration, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        loop {
            let found = look(&self.said.lock().unwrap());
            match found.map_or_else(|| self.more.recv_timeout(patience).map(|()| None), |found| Ok(Some(found))) {
                Ok(None) => {}
                Ok(found) => return found,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// The first call at which somebody is held.
    fn call(&self, patience: Duration) -> Option<String> {
        self.find(patience, |said| said.lines().find_map(call).map(str::to_owned))
    }

    fn detach(mut self) {
        // It looks for the signal, and only then waits for an event: one that comes between is seen at the next event, and who
        // stands still has none. So it is told until it has ended.
        eventually("the end of strace", || {
            if self.process.0.try_wait().unwrap().is_some() {
                return Ok(());
            }
            signal(self.process.0.id(), Signal::TERM);
            Err(self.said.lock().unwrap().clone())
        });
    }
}

/// The call that a line of strace begins.
fn call(line: &str) -> Option<&str> {
    let line = line.strip_prefix("[pid").and_then(|line| line.split_once("] ")).map_or(line, |(_, line)| line);
    let name = line.split_once('(')?.0;
    CALLS.iter().any(|call| call[1..] == *name).then_some(line)
}
