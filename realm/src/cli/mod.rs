//! What was typed, inert: nothing here looks at files or the network.

mod declare;
mod flags;
mod steer;
mod values;
mod verbs;

pub use declare::{ApplyArgs, ExportArgs, HistoryArgs, PlanArgs, RollbackArgs};
pub use steer::{RestartArgs, RmArgs, StartArgs, Steer, SteerArgs, StopArgs};
pub use values::{Color, PeerRef, ReachAddr, Timeout};
pub use verbs::{
    CompletionsArgs, ConfigureArgs, InitArgs, InspectArgs, KeyArgs, KeyShowArgs, KeyVerb, LogsArgs, PsArgs, PushArgs,
    Shell, StatusArgs, Verb, WhoamiArgs,
};

use crate::exit::{Exit, Failure};
use argh::{ArgsInfo, EarlyExit, FromArgs};
use argh_complete::Generator;
use argh_complete::bash::Bash;
use argh_complete::fish::Fish;
use argh_complete::zsh::Zsh;
use shared::args::{self, Prepared};
use verbs::TopArgs;

/// A command line.
#[derive(Debug)]
pub enum Parsed {
    /// Print this and end.
    Help(String),
    /// Print the version and end.
    Version,
    /// Carry this out.
    Run(Box<Arguments>),
}

/// A verb, and what holds for every verb.
#[derive(Debug)]
pub struct Arguments {
    /// Addresses of nodes to talk to, in place of those that are known.
    pub via: Vec<ReachAddr>,
    /// Whether to look for nodes on the local network.
    pub lan: bool,
    /// Whether to colour.
    pub color: Color,
    /// What to do.
    pub verb: Verb,
}

/// Reads a command line, with `REALM_*` variables standing in for flags that were not typed.
///
/// # Errors
/// When it cannot be used: exit code 2, or 1 where 2 was asked to mean something else.
pub fn parse(typed: &[String], env: &dyn Fn(&str) -> Option<String>) -> Result<Parsed, Failure> {
    let is_detailed = typed.iter().any(|word| word == "--detailed-exitcode");
    read(typed, env).map_err(|failure| if is_detailed { failure.ending(Exit::Error) } else { failure })
}

fn read(typed: &[String], env: &dyn Fn(&str) -> Option<String>) -> Result<Parsed, Failure> {
    // `realm` alone will open the text UI one day; until then it says what it can do.
    if typed.is_empty() {
        return Ok(Parsed::Help(help_text()));
    }
    // `realm help push` asks what `realm push --help` does; elsewhere `help` may be the name of a component.
    let asked: Vec<String> = match typed {
        [help, rest @ ..] if help == "help" => rest.iter().cloned().chain(["--help".to_owned()]).collect(),
        typed => typed.to_vec(),
    };
    let prepared = args::prepare(&flags::TABLE, &asked, env)
        .map_err(|error| Failure::usage(error.to_string()).hint("`realm --help` shows every flag"))?;
    let words: Vec<&str> = prepared.args.iter().map(String::as_str).collect();
    let top = match TopArgs::from_args(&["realm"], &words) {
        Ok(top) => top,
        Err(EarlyExit { output, status: Ok(()) }) => return Ok(Parsed::Help(output)),
        Err(EarlyExit { output, status: Err(()) }) => return Err(usage(&output, &prepared)),
    };
    if top.version {
        return Ok(Parsed::Version);
    }
    let Some(verb) = top.verb else {
        return Err(Failure::usage("no verb was given").hint("`realm --help` lists the verbs"));
    };
    let via = top.via.into_iter().flat_map(|list| list.0).collect();
    let (lan, color) = (!top.no_mdns, top.color.unwrap_or_default());
    Ok(Parsed::Run(Box::new(Arguments { via, lan, color, verb })))
}

/// What a shell completes: every verb with its flags.
#[must_use]
pub fn completions(shell: Shell) -> String {
    let info = TopArgs::get_args_info();
    match shell {
        Shell::Bash => Bash::generate("realm", &info),
        Shell::Zsh => Zsh::generate("realm", &info),
        Shell::Fish => Fish::generate("realm", &info),
    }
}

fn help_text() -> String {
    match TopArgs::from_args(&["realm"], &["--help"]) {
        Err(EarlyExit { output, .. }) => output,
        Ok(_) => String::new(),
    }
}

/// argh's words for a fault, in the form of ours.
fn usage(output: &str, prepared: &Prepared) -> Failure {
    let text = prepared.readable(output.trim());
    let mut message = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    if let Some(first) = message.get(..1).map(str::to_lowercase) {
        message.replace_range(..1, &first);
    }
    let message = message.trim_end_matches('.').to_owned();
    let blamed = prepared.from_env.iter().find(|(flag, _)| text.contains(&format!("'{flag}'")));
    Failure::usage(message).hint(match (blamed, prepared.args.iter().find(|word| flags::is_verb(word))) {
        (Some((flag, variable)), _) => format!("the value of `{flag}` comes from the variable `{variable}`"),
        (None, Some(verb)) => format!("`realm {verb} --help` shows what it takes"),
        (None, None) => "`realm --help` lists the verbs".into(),
    })
}
