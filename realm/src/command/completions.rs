//! `realm completions SHELL`.

use crate::cli::{CompletionsArgs, completions};
use crate::exit::{Exit, Failure};
use crate::output::Terminal;

pub(super) fn run(args: &CompletionsArgs, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    terminal.data(completions(args.shell).trim_end());
    Ok(Exit::Done)
}
