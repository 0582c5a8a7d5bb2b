//! `cargo xtask build`: both programs as they are released, and how large they are.
//! The release profile (LTO, one codegen unit) takes minutes, so nothing but this and `bench` uses it.

use std::fs;

use argh::FromArgs;

use crate::Failure;
use crate::workspace::{self, Profile};

/// Build both programs in the release profile and print their sizes.
#[derive(FromArgs)]
#[argh(subcommand, name = "build")]
pub(crate) struct Args {}

/// Builds, then prints one line per program.
pub(crate) fn run(_args: &Args) -> Result<(), Failure> {
    let programs = workspace::build(Profile::Release)?;
    for program in [&programs.realm, &programs.agent] {
        let bytes = fs::metadata(program).map_err(|error| format!("`{}`: {error}", program.display()))?.len();
        println!("{:>7.1} MB  {}", bytes as f64 / 1e6, program.display());
    }
    Ok(())
}
