//! Realms in the simulator, one seed after the other, as long as there is time: manifests, pushes and everything that goes wrong.
//! A seed that fails is printed, with the command that shows it again.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use argh::FromArgs;

use crate::Failure;
use crate::command::{cargo, run as run_command};

/// Seeds in one run of the tests: a minute or two on two cores.
const BATCH: u64 = 10_000;
/// Nodes of the realm that is compared with the smaller ones of the tests.
const MANY: usize = 3_000;
/// Nodes of a large realm, and seeds of such in one run of the tests: each takes a minute.
const LARGE: usize = 1_000;
const HANDFUL: u64 = 5;

/// Try seeds of the simulation of manifests: realms of three to twenty nodes, ten manifests each, and everything that can go
/// wrong.
#[derive(FromArgs)]
#[argh(subcommand, name = "sync")]
pub(super) struct Args {
    /// for how long; parts of an hour too (default 1)
    #[argh(option, default = "1.0")]
    hours: f64,
    /// the first seed; left out, others each time
    #[argh(option)]
    seed: Option<u64>,
    /// none of that: print what a manifest costs each node of realms of 10 to 3000 nodes
    #[argh(switch)]
    growth: bool,
    /// realms of 1000 nodes, five at a time, instead of many small ones
    #[argh(switch)]
    large: bool,
}

/// Tries batches of seeds until the time is over or one fails.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.growth {
        return run_command(tests("spread::").env("REALM_SIM_NODES", MANY.to_string()));
    }
    let time = Duration::try_from_secs_f64(args.hours * 3_600.0).map_err(|error| format!("--hours: {error}"))?;
    let begun = Instant::now();
    let mut next = args.seed.unwrap_or_else(by_clock);
    let first = next;
    while next == first || begun.elapsed() < time {
        let count = if args.large { HANDFUL } else { BATCH };
        let end = next.checked_add(count).ok_or("--seed: there are no further seeds")?;
        println!("seeds {next} to {}", end - 1);
        run_command(&mut batch(next, count, args.large))?;
        next = end;
    }
    println!("torture: {} seeds from {first} on in {} s, and nothing failed", next - first, begun.elapsed().as_secs());
    Ok(())
}

fn by_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // Two runs that are begun one after the other have other seeds.
    since.map_or(0, |since| since.as_secs() * 1_000_000)
}

fn batch(from: u64, count: u64, large: bool) -> Command {
    let mut tests = tests(if large { "manifests::large" } else { "manifests::many" });
    tests.env("REALM_SIM_FROM", from.to_string()).env("REALM_SIM_SEEDS", count.to_string());
    if large {
        tests.env("REALM_SIM_NODES", LARGE.to_string());
    }
    tests
}

/// Some of the tests of the simulation.
fn tests(which: &str) -> Command {
    let mut tests = cargo();
    tests.args(["test", "--package", "agent", "--test", "simulation", "--", which, "--nocapture"]);
    tests
}
