//! What control asks of the guard: runners and compile children, started, ended, and told of when they have ended.

use super::{Event, Guard};
use crate::children::{spawn_compile, spawn_runner};
use crate::ipc::{self, FromGuard, Tenants, ToGuard};
use shared::Digest;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Runners at once: control has one for all, and one for each of 64 components at the most; others may be on their way
/// out, for it forgets those that it ends.
const MAX_RUNNERS: usize = 128;

/// Compile children at once: control asks for one at a time, and a control that was restarted for one more.
const MAX_COMPILES: usize = 4;

impl Guard {
    pub(super) fn obey(&mut self, order: ToGuard) {
        match order {
            ToGuard::Ready => self.ever_ready = true,
            ToGuard::StartRunner { runner, tenants } => self.start_runner(runner, &tenants),
            ToGuard::StopRunner { runner } => {
                if let Some(child) = self.runners.get(&runner) {
                    child.kill();
                }
            }
            ToGuard::StopCompile { job } => {
                if let Some(compile) = self.compiles.get(&job) {
                    compile.child.kill();
                }
            }
            ToGuard::Compile { job, input, output, fuel, sha256, room } => {
                let started = if self.compiles.len() >= MAX_COMPILES {
                    Err(io::Error::other("too many are running"))
                } else {
                    let events = self.events.clone();
                    spawn_compile(
                        &input,
                        &output,
                        fuel,
                        Some((Digest::from_bytes(sha256), room)),
                        move |pid, status, stdout| {
                            let _ = events.send(Event::CompileEnded { pid, status, stdout });
                        },
                    )
                };
                match started {
                    Ok(compile) => {
                        self.compiles.insert(job, compile);
                    }
                    Err(error) => {
                        let status = format!("not started: {error}");
                        self.tell(&FromGuard::Compiled { job, status, stdout: Vec::new() });
                    }
                }
            }
        }
    }

    fn start_runner(&mut self, runner: u64, tenants: &Tenants) {
        let started = if self.runners.len() >= MAX_RUNNERS {
            Err(io::Error::other("too many are running"))
        } else {
            UnixStream::pair().and_then(|(ours, theirs)| Ok((ours, spawn_runner(theirs, tenants, self.tell_end())?)))
        };
        match started {
            Ok((socket, child)) => {
                self.runners.insert(runner, child);
                if let Some(control) = &self.control
                    && let Err(error) =
                        ipc::send_with_fd(&control.socket, &FromGuard::Runner { runner }, socket.as_fd())
                {
                    eprintln!("realm-agent: cannot hand a runner to control: {error}");
                }
            }
            Err(error) => self.tell(&FromGuard::RunnerFailed { runner, reason: error.to_string() }),
        }
    }

    pub(super) fn runner_ended(&mut self, pid: u32, status: &str) {
        let Some(runner) = self.runners.iter().find(|(_, child)| child.pid() == pid).map(|(runner, _)| *runner) else {
            return;
        };
        if let Some(child) = self.runners.remove(&runner) {
            child.reap();
        }
        self.tell(&FromGuard::RunnerExited { runner, how: status.to_owned() });
    }

    pub(super) fn compile_ended(&mut self, pid: u32, status: String, stdout: Vec<u8>) {
        let Some(job) = self.compiles.iter().find(|(_, compile)| compile.child.pid() == pid).map(|(job, _)| *job)
        else {
            return;
        };
        if let Some(compile) = self.compiles.remove(&job) {
            compile.child.reap();
        }
        self.tell(&FromGuard::Compiled { job, status, stdout });
    }
}
