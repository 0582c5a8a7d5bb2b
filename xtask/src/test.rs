//! `cargo xtask test`: every test of the workspace, by nextest where it is installed.
//! Builds the programs first: tests of one package start the programs of another, which Cargo would not build for them.

use std::env;
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::time::Instant;

use argh::FromArgs;

use crate::Failure;
use crate::command::{cargo, run as run_command};
use crate::skips::Skips;
use crate::stress::Stress;
use crate::workspace::{self, Profile};

/// Run the tests. Without arguments: all, then the doc tests, then `shared` without its default features.
#[derive(FromArgs)]
#[argh(subcommand, name = "test")]
pub(crate) struct Args {
    /// keep every core busy with something else meanwhile
    #[argh(switch)]
    stress: bool,

    /// run them so often in a row, to the first failure (default 1)
    #[argh(option, default = "NonZero::<u32>::MIN")]
    times: NonZero<u32>,

    /// passed on to `cargo nextest run` or, where that is not installed, to `cargo test`
    #[argh(positional, greedy)]
    rest: Vec<String>,
}

impl Default for Args {
    fn default() -> Args {
        Args { stress: false, times: NonZero::<u32>::MIN, rest: Vec::new() }
    }
}

/// Builds and tests; the first failure ends it. Where `CI` is set, a test that was skipped is one.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    workspace::build(Profile::Dev)?;
    let skips = Skips::new()?;
    // After the build, which is not what is tried.
    let stress = if args.stress { Some(Stress::start()?) } else { None };
    let tested = (1..=args.times.get()).try_for_each(|time| {
        println!("tests, {time} of {}", args.times);
        let began = Instant::now();
        tests(args, &skips)?;
        println!("tests, {time} of {}: passed in {} s", args.times, began.elapsed().as_secs());
        Ok(())
    });
    drop(stress);
    let skipped = skips.finish(env::var_os("CI").is_some());
    tested.and(skipped)
}

fn tests(args: &Args, skips: &Skips) -> Result<(), Failure> {
    let nextest = has_nextest();
    let mut tests = cargo();
    skips.note_those_of(&mut tests);
    if nextest {
        // A virtual workspace: without `--package`, all members are meant.
        tests.args(["nextest", "run"]);
    } else {
        tests.arg("test");
    }
    run_command(tests.args(&args.rest))?;
    if !args.rest.is_empty() {
        return Ok(());
    }
    if nextest {
        // `cargo test` has run them already.
        run_command(cargo().args(["test", "--workspace", "--doc"]))?;
    }
    // The protocol has to stand without mesh, files and clock.
    run_command(cargo().args(["test", "--package", "shared", "--no-default-features"]))
}

fn has_nextest() -> bool {
    let mut version = Command::new("cargo-nextest");
    version.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
