//! The verbs, carried out.

mod configure;
mod connect;
mod key;
mod logs;
mod push;
mod status;

use crate::cli::{Arguments, KeyVerb, ReachAddr, Verb};
use crate::exit::{Exit, Failure};
use crate::output::Terminal;
use crate::world::Settings;

/// What every verb that talks to nodes needs.
struct Context<'a, 'w> {
    via: &'a [ReachAddr],
    lan: bool,
    settings: &'a Settings,
    terminal: &'a mut Terminal<'w>,
}

pub(crate) fn run(arguments: Arguments, settings: &Settings, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    let Arguments { via, lan, color: _, verb } = arguments;
    let context = Context { via: &via, lan, settings, terminal };
    match verb {
        Verb::Init(args) => key::init(&args, settings, context.terminal),
        Verb::Key(args) => match args.verb {
            KeyVerb::Show(_) => key::show(settings, context.terminal),
        },
        Verb::Configure(args) => configure::run(&args, settings, context.terminal),
        Verb::Status(args) => status::run(&args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::Logs(args) => logs::run(&args, context),
    }
}
