//! Everything that a command takes from its process, as one value, so that tests run it in their own.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Waits for a line that somebody types; empty at the end of the input.
pub type Ask = Arc<dyn Fn() -> String + Send + Sync>;

/// The process as a command sees it.
pub struct World {
    /// The arguments, without the program's name.
    pub args: Vec<String>,
    /// The environment; what is not UTF-8 is left out.
    pub env: BTreeMap<String, String>,
    /// The directory that relative paths start from.
    pub cwd: PathBuf,
    /// Where data goes.
    pub out: Box<dyn Write>,
    /// Where talk and progress go.
    pub err: Box<dyn Write>,
    /// Columns and rows of the terminal that talk goes to; `None` when it is none.
    pub err_terminal: Option<(u16, u16)>,
    /// Where answers come from, when somebody is there to give them.
    pub ask: Option<Ask>,
}

/// What commands know of the world besides the terminal.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The directory that relative paths start from.
    pub cwd: PathBuf,
}

impl World {
    /// The real one.
    #[must_use]
    pub fn of_process() -> World {
        // What is not UTF-8 is shown as such and refused by whoever reads it.
        let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        World {
            args,
            env: std::env::vars_os().filter_map(text).collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            err_terminal: io::stderr().is_terminal().then(terminal_size),
            ask: (io::stdin().is_terminal() && io::stderr().is_terminal()).then(|| Arc::new(typed_line) as Ask),
        }
    }

    pub(crate) fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { env: self.env.clone(), cwd: self.cwd.clone() }
    }
}

impl Settings {
    /// A variable that is set and not empty.
    pub(crate) fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

fn typed_line() -> String {
    let mut line = String::new();
    // What cannot be read is no answer.
    let _ = io::stdin().read_line(&mut line);
    line
}

fn terminal_size() -> (u16, u16) {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    size.map(|size| (size.ws_col, size.ws_row)).filter(|size| size.0 > 0 && size.1 > 0).unwrap_or((80, 24))
}

/// Unix milliseconds by this machine's clock.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
