//! `cargo xtask torture`: real agents, treated badly at random for a while. Then what they run is compared with what was asked
//! for, and what they hold with what they held before. Or many realms of the simulator, or one apply cut off at every write.

use argh::FromArgs;

use crate::Failure;

mod asked;
mod census;
mod check;
mod deeds;
mod files;
mod life;
mod plan;
mod power;
mod random;
mod sync;
mod told;
mod wares;

/// Treat agents badly at random, then check what runs and whether anything leaks; or try seeds of the simulator; or cut off an apply
/// at every write.
#[derive(FromArgs)]
#[argh(subcommand, name = "torture")]
pub(crate) struct Args {
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum What {
    Life(life::Args),
    Sync(sync::Args),
    Power(power::Args),
}

/// Runs what was named.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::Life(args) => life::run(args),
        What::Sync(args) => sync::run(args),
        What::Power(args) => power::run(args),
    }
}
