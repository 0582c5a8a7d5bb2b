//! Wishes for compiled code: served from what is at hand, from the disk, or by a compile child, one at a time.

use super::actor::{Actor, Run};
use super::cwasm::{self, Code};
use super::{HostConfig, HostEvent, PrepareFailed};
use crate::ipc::{self, CompileReport, Tenants, ToGuard};
use shared::{Digest, Outcome};
use std::path::{Path, PathBuf};

/// A wish for compiled code.
#[derive(Clone)]
pub(super) struct Wish {
    pub(super) digest: Digest,
    pub(super) input: PathBuf,
    pub(super) fuel: bool,
    /// How many bytes the code may have.
    pub(super) room: u64,
}

/// A wish that a compile child works at.
pub(super) struct Job {
    number: u64,
    wish: Wish,
    /// Where the child puts the code.
    output: PathBuf,
    /// Nobody wants the code any more.
    given_up: bool,
}

impl Actor {
    /// Nobody wants code of this artifact any more: what there is is removed, and what is under way is given up. Whoever
    /// wants it later asks anew. Nor does anybody want the runs that wait for it.
    pub(super) fn forget(&mut self, digest: &Digest) {
        self.ready.retain(|(other, _), _| other != digest);
        self.inputs.retain(|(other, _), _| other != digest);
        self.wishes.retain(|wish| wish.digest != *digest);
        if let Some(job) = self.compiling.as_mut().filter(|job| job.wish.digest == *digest && !job.given_up) {
            job.given_up = true;
            let job = job.number;
            self.ask_guard(&ToGuard::StopCompile { job });
        }
        cwasm::forget(&self.config.cwasm, digest, &[]);
        for run in self.waiting.extract_if(.., |run| run.code().0 == *digest).collect::<Vec<_>>() {
            self.never_ran(run.instance, Outcome::Stopped);
        }
    }

    /// Serves the next wish: from what is at hand, from the disk, or by a compile child, one at a time.
    pub(super) fn next_wish(&mut self) {
        while self.compiling.is_none() {
            let Some((compat, compat_fuel)) = self.compat.clone() else {
                if !self.wishes.is_empty() {
                    self.need_runner(Tenants::Shared);
                }
                return;
            };
            let Some(wish) = self.wishes.pop_front() else { return };
            let compat = if wish.fuel { compat_fuel } else { compat };
            let at_hand = self.ready.contains_key(&(wish.digest, wish.fuel));
            if let Some(code) = cwasm::find(&self.config.cwasm, &self.config.seed, &compat, &wish.digest) {
                self.prepared(&wish, Ok(code));
            } else if at_hand && !wish.input.exists() {
                let reason = "the artifact is no longer here".to_owned();
                self.prepared(&wish, Err(PrepareFailed { for_good: false, reason, takes: None }));
            } else {
                if cwasm::exists(&self.config.cwasm, &compat, &wish.digest) {
                    let reason = "its code has no seal of this node".to_owned();
                    self.send(HostEvent::CodeTorn { digest: wish.digest, reason });
                }
                self.compile(wish);
            }
        }
    }

    /// The code of a run is not at hand. It was once, or nobody would start the run, so that it is compiled anew; the run
    /// waits for that, unless the artifact was forgotten meanwhile.
    pub(super) fn want_code_for(&mut self, run: Run) {
        let (digest, fuel) = run.code();
        let is = |wish: &Wish| wish.digest == digest && wish.fuel == fuel;
        let is_wished = self.wishes.iter().chain(self.compiling.iter().map(|job| &job.wish)).any(is);
        match self.inputs.get(&(digest, fuel)) {
            Some(input) if !is_wished => {
                // It takes the place of what was there.
                self.wishes.push_back(Wish { digest, input: input.clone(), fuel, room: u64::MAX });
                self.waiting.push(run);
                self.next_wish();
            }
            Some(_) => self.waiting.push(run),
            None => self.never_ran(run.instance, Outcome::Stopped),
        }
    }

    /// Its runner does not load the code of a run: the disk has changed it.
    pub(super) fn unloadable(&mut self, instance: u64, reason: String) {
        let Some(mut run) = self.live.get(&instance).cloned() else { return };
        if run.is_stopped {
            // The runner had forgotten it when it was told to end it. What is wrong with the code, the next run finds.
            return self.never_ran(instance, Outcome::Stopped);
        }
        if let Some(code) = self.ready.remove(&run.code()) {
            cwasm::discard(&code);
            self.send(HostEvent::CodeTorn { digest: run.code().0, reason: reason.clone() });
        }
        if std::mem::replace(&mut run.is_second, true) {
            return self.cannot_run(&run, reason);
        }
        self.live.insert(instance, run.clone());
        self.want_code_for(run);
    }

    fn cannot_run(&mut self, run: &Run, reason: String) {
        self.never_ran(run.instance, Outcome::Trap(reason));
    }

    fn compile(&mut self, wish: Wish) {
        self.next_job += 1;
        let output = self.config.cwasm.join(format!("{}.{}", self.next_job, cwasm::UNFINISHED));
        self.ask_guard(&ToGuard::Compile {
            job: self.next_job,
            input: wish.input.clone(),
            output: output.clone(),
            fuel: wish.fuel,
            sha256: *wish.digest.as_bytes(),
            room: wish.room,
        });
        self.compiling = Some(Job { number: self.next_job, wish, output, given_up: false });
    }

    pub(super) fn compiled(&mut self, job: u64, status: &str, stdout: &[u8]) {
        let Some(Job { wish, output, given_up, .. }) = self.compiling.take_if(|other| other.number == job) else {
            return;
        };
        if given_up {
            // It may have been done when it was to be ended.
            let _ = std::fs::remove_file(&output);
            return self.next_wish();
        }
        let result = match ipc::read_frame(&mut &*stdout) {
            Ok(Some(CompileReport::Ok { compat, sha256, .. })) => {
                self.keep(&wish.digest, &compat, &output, Digest::from_bytes(sha256))
            }
            Ok(Some(CompileReport::Refused { reason, hint })) => {
                let reason = if hint.is_empty() { reason } else { format!("{reason} (hint: {hint})") };
                Err(PrepareFailed { for_good: true, reason, takes: None })
            }
            Ok(Some(CompileReport::Failed { reason })) => {
                Err(PrepareFailed { for_good: false, reason: format!("compiling failed: {reason}"), takes: None })
            }
            Ok(Some(CompileReport::Torn)) => {
                self.send(HostEvent::Torn { digest: wish.digest });
                Err(PrepareFailed { for_good: false, reason: "the disk has changed its artifact".into(), takes: None })
            }
            Ok(Some(CompileReport::TooLarge { bytes })) => {
                let reason = format!("its code has {bytes} bytes, and there is room for {}", wish.room);
                Err(PrepareFailed { for_good: false, reason, takes: Some(bytes) })
            }
            // Killed by its own limits, most likely: the same bytes would end the same way.
            Ok(None) | Err(_) => Err(PrepareFailed {
                for_good: !status.starts_with("not started"),
                reason: format!("compiling failed: {status}"),
                takes: None,
            }),
        };
        let _ = std::fs::remove_file(&output);
        self.prepared(&wish, result);
        self.next_wish();
    }

    /// Keeps fresh code. What an agent of another version has left of the artifact goes now and not before: put back, that
    /// agent would have to compile anew, and where this one cannot, for want of room on the disk, neither could that one.
    fn keep(&self, digest: &Digest, compat: &str, fresh: &Path, sha256: Digest) -> Result<Code, PrepareFailed> {
        let HostConfig { cwasm: dir, seed } = &self.config;
        let code = cwasm::keep(dir, seed, compat, digest, fresh, sha256).map_err(|error| PrepareFailed {
            for_good: false,
            reason: format!("cannot keep the code: {}", shared::files::fault(&error)),
            takes: None,
        })?;
        if let Some((plain, fuelled)) = &self.compat {
            cwasm::forget(dir, digest, &[compat, plain, fuelled]);
        }
        Ok(code)
    }

    pub(super) fn prepared(&mut self, wish: &Wish, result: Result<Code, PrepareFailed>) {
        let key = (wish.digest, wish.fuel);
        let result = result.map(|code| {
            self.ready.insert(key, code);
            self.inputs.insert(key, wish.input.clone());
        });
        if let Err(failed) = &result {
            for run in self.waiting.extract_if(.., |run| run.code() == key).collect::<Vec<_>>() {
                self.cannot_run(&run, failed.reason.clone());
            }
        }
        let code_bytes = cwasm::size(&self.config.cwasm, &wish.digest);
        self.send(HostEvent::Prepared { digest: wish.digest, fuel: wish.fuel, result, code_bytes });
        self.start_waiting();
    }
}
