//! The operator's command line. `cli` holds what was typed, `command` carries it out, `session` talks to the mesh,
//! `rollout` decides what a push came to, `manifest` reads the operator's file, `download` fetches what it names by URL, `output` has the sentences that a user sees.

pub mod artifact;
pub mod cli;
mod command;
mod download;
pub mod exit;
pub mod home;
pub mod manifest;
pub mod output;
pub mod plan;
pub mod rollout;
mod session;
pub mod world;

use cli::Parsed;
use exit::{Exit, Failure};
use output::Terminal;
use world::World;

/// Carries out one command line. Everything that it reads and writes is in `world`, but for the files and the network.
pub fn run(world: &mut World) -> Exit {
    let parsed = match cli::parse(&world.args, &|name| world.env(name)) {
        Ok(parsed) => parsed,
        Err(failure) => return report(&mut Terminal::plain(world), &failure),
    };
    match parsed {
        Parsed::Help(text) => {
            Terminal::plain(world).data(text.trim_end());
            Exit::Done
        }
        Parsed::Version => {
            Terminal::plain(world).data(&format!("realm {}", shared::VERSION));
            Exit::Done
        }
        Parsed::Run(arguments) => {
            let settings = world.settings();
            let mut terminal = Terminal::of(world, arguments.color);
            match command::run(*arguments, &settings, &mut terminal) {
                Ok(exit) => exit,
                Err(failure) => report(&mut terminal, &failure),
            }
        }
    }
}

fn report(terminal: &mut Terminal<'_>, failure: &Failure) -> Exit {
    terminal.failure(failure);
    failure.exit
}
