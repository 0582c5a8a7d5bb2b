//! From what Wasmtime says at the end of a run to the outcome that is kept and shown.

use shared::Outcome;
use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Lines of detail about one run. A backtrace ends before that: Wasmtime keeps twenty frames.
const MAX_DETAIL_LINES: usize = 32;

/// The longest line of detail or trap text, in bytes. Names of Rust and C++ functions can be a kilobyte long, and are
/// the guest's to choose.
const MAX_LINE_BYTES: usize = 240;

/// What a fault of the agent itself starts with, where a guest is not to blame.
pub(super) const HOST_FAULT: &str = "host fault";

/// How a run ended, and lines that explain it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) detail: Vec<String>,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Ended {
        Ended { outcome, detail: Vec::new() }
    }
}

impl Ended {
    /// A run that the agent could not carry out.
    pub(super) fn host_fault(why: impl std::fmt::Display) -> Ended {
        Outcome::Trap(line(&format!("{HOST_FAULT}: {why}"))).into()
    }

    /// A run that ended with `code`, where 0 is success.
    pub(super) fn exit(code: i32, growth_refused: bool) -> Ended {
        match (code, growth_refused) {
            (0, _) => Outcome::Completed.into(),
            (code, false) => Outcome::Exit(code).into(),
            (code, true) => Ended {
                outcome: Outcome::OutOfMemory,
                detail: vec![format!("a growth of its memory was refused, then it ended with exit {code}")],
            },
        }
    }

    /// A run that ended with `error`, during its start or its calls.
    pub(super) fn error(error: &Error, growth_refused: bool) -> Ended {
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return Ended::exit(*code, growth_refused);
        }
        let trap = error.downcast_ref::<Trap>();
        if trap == Some(&Trap::OutOfFuel) {
            return Outcome::OutOfFuel.into();
        }
        let text = match trap {
            Some(trap) => trap.to_string(),
            None => error.root_cause().to_string(),
        };
        let text = line(text.strip_prefix("wasm trap: ").unwrap_or(&text));
        let frames = backtrace(error);
        if growth_refused {
            let mut detail = vec![line(&format!("a growth of its memory was refused, then: {text}"))];
            detail.extend(frames);
            return Ended { outcome: Outcome::OutOfMemory, detail };
        }
        Ended { outcome: Outcome::Trap(text), detail: frames }
    }
}

fn backtrace(error: &Error) -> Vec<String> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    if trace.frames().is_empty() {
        return Vec::new();
    }
    let text = trace.to_string();
    let frames = text.lines().skip(1).map(line);
    std::iter::once("wasm backtrace:".to_owned()).chain(frames).take(MAX_DETAIL_LINES).collect()
}

/// One line of bounded length without control characters: it goes to terminals, and parts of it are the guest's words.
fn line(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if out.len() + char.len_utf8() > MAX_LINE_BYTES {
            out.push('…');
            break;
        }
        out.push(if char.is_control() { ' ' } else { char });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_harmless() {
        assert_eq!(line("a\u{1b}[31m\nb"), "a [31m b");
        let long = line(&"é".repeat(1000));
        assert!(long.len() <= MAX_LINE_BYTES + '…'.len_utf8() && long.ends_with('…'));
    }

    #[test]
    fn an_exit_after_a_refused_growth_is_out_of_memory_unless_it_succeeded() {
        assert_eq!(Ended::exit(0, true).outcome, Outcome::Completed);
        assert_eq!(Ended::exit(2, true).outcome, Outcome::OutOfMemory);
        assert_eq!(Ended::exit(2, false).outcome, Outcome::Exit(2));
    }

    #[test]
    fn fuel_that_ran_out_is_named_first() {
        let error = Error::from(Trap::OutOfFuel);
        assert_eq!(Ended::error(&error, true).outcome, Outcome::OutOfFuel);
    }
}
