//! How a run without a realm ends for whoever started it: an exit code, and on the standard error output why, and what
//! to try.

use super::Adhoc;
use shared::Outcome;
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Ended by a fault of the guest, of its file, or of the machine.
const EXIT_FAULT: u8 = 1;

/// As shells say it: ended by a signal, whose number is added.
const EXIT_SIGNAL: u8 = 128;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    code: u8,
    /// Lines that come first, as they are.
    detail: Vec<String>,
    fault: Option<String>,
    hint: Option<String>,
}

impl Verdict {
    /// The run failed, for this reason.
    pub(super) fn fault(reason: impl Into<String>) -> Verdict {
        Verdict { code: EXIT_FAULT, detail: Vec::new(), fault: Some(reason.into()), hint: None }
    }

    /// The same, with a next step, if there is one.
    pub(super) fn hint(self, hint: &str) -> Verdict {
        Verdict { hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()), ..self }
    }

    /// The same, without a word.
    pub(super) fn silent(self) -> Verdict {
        Verdict { detail: Vec::new(), fault: None, hint: None, ..self }
    }

    /// A signal ended it.
    pub(super) fn signal(number: i32) -> Verdict {
        let name = match number {
            SIGINT => "SIGINT",
            SIGTERM => "SIGTERM",
            SIGHUP => "SIGHUP",
            _ => "a signal",
        };
        Verdict { code: signalled(number), ..Verdict::fault(format!("stopped by {name}")) }
    }

    /// The agent's own output does not take what the guest wrote. A reader that has gone has seen enough: as with every
    /// other program, that is no fault to speak of.
    pub(super) fn unwritable(error: &io::Error) -> Verdict {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Verdict { code: signalled(SIGPIPE), ..Verdict::fault("") }.silent(),
            _ => Verdict::fault(format!("cannot write its output: {error}")),
        }
    }

    /// The guest has ended; `signal` is one that came while it ran.
    pub(super) fn of(
        outcome: Outcome,
        mut detail: Vec<String>,
        lost_bytes: u64,
        adhoc: &Adhoc,
        signal: Option<i32>,
    ) -> Verdict {
        if lost_bytes > 0 {
            detail.push(format!("{lost_bytes} bytes of its output are missing"));
        }
        let fault = Verdict::fault(outcome.to_string());
        let verdict = match (&outcome, signal) {
            // Nothing but what there is to note, such as that nothing was called.
            (Outcome::Completed, _) => {
                let note = Some(detail.join("; ")).filter(|note| !note.is_empty());
                return Verdict { code: 0, detail: Vec::new(), fault: note, hint: None };
            }
            // What a code means is between the guest and whoever started it.
            (Outcome::Exit(code), _) => {
                let code = u8::try_from(*code).ok().filter(|code| *code != 0);
                Verdict { code: code.unwrap_or(EXIT_FAULT), ..fault.silent() }
            }
            (Outcome::Stopped, Some(signal)) => Verdict::signal(signal),
            (Outcome::Trap(_) | Outcome::Stopped, _) => fault,
            (Outcome::OutOfMemory, _) => {
                fault.hint(&format!("it may have {} MiB; raise `--memory-max-mb`", adhoc.memory_mb))
            }
            (Outcome::OutOfFuel, _) => fault.hint(&raise("use", adhoc.args.fuel, "units", "--fuel")),
            (Outcome::DeadlineExceeded, _) => fault.hint(&raise("take", adhoc.args.deadline_ms, "ms", "--deadline-ms")),
        };
        Verdict { detail, ..verdict }
    }

    /// Says it. Nobody may be reading, and the code says it too.
    pub(super) fn tell(&self, file: &Path, mid_line: bool) {
        let text = self.text(file);
        let separator = if mid_line && !text.is_empty() { "\n" } else { "" };
        let _ = io::stderr().lock().write_all(format!("{separator}{text}").as_bytes());
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    fn text(&self, file: &Path) -> String {
        let detail = self.detail.iter().map(|line| format!("{line}\n"));
        let fault = self.fault.iter().map(|fault| format!("realm-agent: {}: {fault}\n", file.display()));
        detail.chain(fault).chain(self.hint.iter().map(|hint| format!("hint: {hint}\n"))).collect()
    }
}

fn raise(verb: &str, limit: Option<impl ToString>, unit: &str, flag: &str) -> String {
    let limit = limit.map(|limit| limit.to_string()).unwrap_or_default();
    format!("it may {verb} {limit} {unit}; raise `{flag}`, or leave it out for no limit")
}

fn signalled(number: i32) -> u8 {
    u8::try_from(number).map_or(EXIT_FAULT, |number| EXIT_SIGNAL.saturating_add(number))
}
