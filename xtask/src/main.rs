//! `cargo xtask`: builds, tests, demonstrates, measures and tortures the project.
//! Knows the two programs by their command lines alone and imports no crate of the workspace, so that it is built in seconds
//! and what it shows is what a user would see.
#![allow(clippy::print_stdout, reason = "talking to a terminal is what this program is for")]

use std::process::ExitCode;

use argh::FromArgs;

mod bench;
mod build;
mod ci;
mod cluster;
mod command;
mod demo;
mod guests;
mod network;
mod payload;
mod proc;
mod skips;
mod stress;
mod sweeper;
mod test;
mod tidy;
mod torture;
mod workspace;

/// Build, test, demonstrate, measure and torture realm.
#[derive(FromArgs)]
struct TopLevel {
    #[argh(subcommand)]
    verb: Verb,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Verb {
    Demo(demo::Args),
    Test(test::Args),
    Ci(ci::Args),
    Tidy(tidy::Args),
    Guests(guests::Args),
    Build(build::Args),
    Bench(bench::Args),
    Torture(torture::Args),
}

/// Why a task failed, in words for the person at the terminal.
type Failure = String;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let parsed = match TopLevel::from_args(&["cargo xtask"], &words) {
        Ok(parsed) => parsed,
        Err(early) if early.status.is_ok() => {
            println!("{}", early.output.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(early) => {
            eprintln!("{}", early.output.trim_end());
            return ExitCode::from(2);
        }
    };
    let done = match parsed.verb {
        Verb::Demo(args) => demo::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Ci(args) => ci::run(&args),
        Verb::Tidy(args) => tidy::run(&args),
        Verb::Guests(args) => guests::run(&args),
        Verb::Build(args) => build::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Torture(args) => torture::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
