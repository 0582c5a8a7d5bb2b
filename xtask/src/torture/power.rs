//! An apply that is cut off at every one of its writes to the disk, by kill -9 and by a power cut. The tests try some of these moments
//! each time; this is all of them.

use argh::FromArgs;

use crate::Failure;
use crate::command::{cargo, run as run_command};
use crate::skips::Skips;
use crate::workspace::{self, Profile};

/// Cut off an apply at every one of its writes to the disk: control, the runner or the whole agent is killed there, or the power
/// fails.
#[derive(FromArgs)]
#[argh(subcommand, name = "power")]
pub(super) struct Args {}

/// Builds, and tries all of them, which takes some minutes.
pub(super) fn run(_: &Args) -> Result<(), Failure> {
    workspace::build(Profile::Dev)?;
    let skips = Skips::new()?;
    let mut tests = cargo();
    skips.note_those_of(&mut tests);
    tests.args(["test", "--package", "realm", "--test", "power", "--", "--nocapture"]).env("REALM_POWER_ALL", "1");
    let tested = run_command(&mut tests);
    tested.and(skips.finish(false))
}
