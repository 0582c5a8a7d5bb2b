//! `cargo xtask ci`: what has to hold before a change lands, in the order of how quickly it fails.
//! Every step runs even after one has failed, so that one run shows all there is to repair.

use std::env;
use std::process::{Command, Stdio};
use std::time::Instant;

use argh::FromArgs;

use crate::Failure;
use crate::command::{cargo, run as run_command};
use crate::{guests, test, tidy};

/// Run all checks: fmt, tidy, clippy, tests, docs, licences, guests' digests.
#[derive(FromArgs)]
#[argh(subcommand, name = "ci")]
pub(crate) struct Args {
    /// leave out the tests, for a caller that has run them already
    #[argh(switch)]
    no_tests: bool,
}

/// How a step ended, when it did not fail.
enum Step {
    Passed,
    Skipped(&'static str),
}

/// A check, and what it is called.
type Check<'a> = (&'static str, &'a dyn Fn() -> Result<Step, Failure>);

/// Runs the steps, then prints one line for each.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let tests = || match args.no_tests {
        true => Ok(Step::Skipped("`--no-tests`")),
        false => test::run(&test::Args::default()).map(|()| Step::Passed),
    };
    let steps: [Check<'_>; 7] = [
        ("fmt", &fmt),
        ("tidy", &|| tidy::run(&tidy::Args {}).map(|()| Step::Passed)),
        ("guests", &|| guests::verify().map(|()| Step::Passed)),
        ("deny", &deny),
        ("clippy", &clippy),
        ("tests", &tests),
        ("docs", &docs),
    ];
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for (name, check) in steps {
        println!("── {name}");
        let started = Instant::now();
        let outcome = check();
        let seconds = started.elapsed().as_secs_f64();
        lines.push(match &outcome {
            Ok(Step::Passed) => format!("{name:8} passed  {seconds:6.1} s"),
            Ok(Step::Skipped(why)) => format!("{name:8} skipped ({why})"),
            Err(_) => format!("{name:8} FAILED  {seconds:6.1} s"),
        });
        if let Err(failure) = outcome {
            eprintln!("error: {failure}");
            failed.push(name);
        }
    }
    println!("── ci\n{}", lines.join("\n"));
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn step(command: &mut Command) -> Result<Step, Failure> {
    run_command(command).map(|()| Step::Passed)
}

fn fmt() -> Result<Step, Failure> {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    step(cargo().args(["fmt", "--all", "--check", "--manifest-path", "guests/Cargo.toml"]))
}

fn clippy() -> Result<Step, Failure> {
    run_command(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let bare = ["clippy", "--package", "shared", "--no-default-features", "--all-targets", "--", "-D", "warnings"];
    step(cargo().args(bare))
}

fn docs() -> Result<Step, Failure> {
    let mut docs = cargo();
    docs.args(["doc", "--workspace", "--no-deps", "--document-private-items"]).env("RUSTDOCFLAGS", "-D warnings");
    step(&mut docs)
}

/// Licences, bans and sources. Not the advisories: their database would have to be fetched.
fn deny() -> Result<Step, Failure> {
    let mut version = Command::new("cargo-deny");
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        // A person may go without; CI may not, or nobody would notice.
        return match env::var_os("CI") {
            Some(_) => Err("cargo-deny is not installed\nhint: `cargo install cargo-deny --locked`".to_owned()),
            None => Ok(Step::Skipped("cargo-deny is not installed: `cargo install cargo-deny --locked`")),
        };
    }
    let mut deny = cargo();
    deny.args(["deny", "--locked", "check", "licenses", "bans", "sources"]);
    step(&mut deny)
}
