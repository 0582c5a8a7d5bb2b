//! The verbs, carried out.

mod change;
mod completions;
mod configure;
mod connect;
mod drive;
mod held;
mod inspect;
mod key;
mod logs;
mod manifest;
mod ps;
mod push;
mod runs;
mod seek;
mod status;
mod steer;
mod tell;

use crate::cli::{Arguments, KeyVerb, ReachAddr, Steer, Verb};
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
        Verb::Ps(args) => ps::run(&args, context),
        Verb::Inspect(args) => inspect::run(&args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::Plan(args) => manifest::plan(&args, context),
        Verb::Apply(args) => manifest::apply(&args, context),
        Verb::Rollback(args) => manifest::rollback(&args, context),
        Verb::History(args) => manifest::history(&args, context),
        Verb::Export(args) => manifest::export(&args, context),
        Verb::Stop(args) => steer::run(Steer::Stop, &args.into(), context),
        Verb::Start(args) => steer::run(Steer::Start, &args.into(), context),
        Verb::Restart(args) => steer::run(Steer::Restart, &args.into(), context),
        Verb::Rm(args) => steer::run(Steer::Remove, &args.into(), context),
        Verb::Whoami(args) => key::whoami(&args, settings, context.terminal),
        Verb::Completions(args) => completions::run(&args, context.terminal),
        Verb::Logs(args) => logs::run(&args, context),
    }
}
