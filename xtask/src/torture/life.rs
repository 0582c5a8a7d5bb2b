//! The whole life of components, at random: pushed, stopped, started, restarted and removed on three agents, whose processes
//! are killed meanwhile. In the end what runs has to be what was asked for, and nothing may be left of what was removed.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use argh::FromArgs;

use super::census::{Census, is_level, table};
use super::check::{at_rest, confirm, explained, explanation, panics, until};
use super::deeds::Doer;
use super::plan::{NAMES, Plan, Spec, name};
use super::wares::{Nature, VARIANTS, WARES};
use crate::Failure;
use crate::workspace::{self, Profile};

/// Steps that are no part of the torture have numbers from here on.
const WARM_UP: usize = 1_000_000;
const CLEANING: usize = 2_000_000;
/// Of the time of the torture, what the warm-up takes.
const WARM_UP_PART: u32 = 10;
/// How long agents are left alone before what they hold is counted.
const SETTLE_FOR: Duration = Duration::from_secs(15);

/// Push, stop, start, restart and remove components on three agents whose processes are killed meanwhile; then check what runs
/// and what is left.
#[derive(FromArgs)]
#[argh(subcommand, name = "life")]
pub(super) struct Args {
    /// for how long (default 10)
    #[argh(option, default = "10")]
    minutes: u32,
    /// what decides every step; left out, another one each time
    #[argh(option)]
    seed: Option<u64>,
    /// leave the agents running in the end, and say how to talk to them
    #[argh(switch)]
    keep: bool,
    /// torture the programs in this folder instead of building them
    #[argh(option)]
    programs: Option<PathBuf>,
}

/// When a part is over.
#[derive(Clone, Copy)]
enum Length {
    Time(Duration),
    /// For tests, which have to do the same on a machine that is busy.
    #[cfg_attr(not(test), allow(dead_code, reason = "by hand, time counts"))]
    Steps(usize),
}

impl Length {
    fn is_over(self, begun: Instant, steps: usize) -> bool {
        match self {
            Length::Time(time) => begun.elapsed() >= time,
            Length::Steps(most) => steps >= most,
        }
    }
}

/// How long each part is.
#[derive(Clone, Copy)]
struct Lengths {
    /// So many components are pushed once before all.
    wares: usize,
    /// Then there are pushes and the like without blows.
    calm: Length,
    torture: Length,
    /// Left alone before it is counted what agents hold: what was needed for a while is given back by then.
    settle: Duration,
}

/// Builds, tortures, checks.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        println!("torture: SKIPPED: what processes hold is read from /proc");
        return Ok(());
    }
    let programs = match &args.programs {
        Some(folder) => workspace::programs(folder)?,
        None => workspace::build(Profile::Dev)?,
    };
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or(u64::from(since.subsec_micros()));
    let torture = Duration::from_secs(60) * args.minutes;
    let calm = Length::Time(torture / WARM_UP_PART);
    let lengths = Lengths { wares: WARES.len(), calm, torture: Length::Time(torture), settle: SETTLE_FOR };
    let mut doer = Doer::start(&programs)?;
    let lived = seeded(&mut doer, seed, lengths);
    if args.keep {
        doer.cluster.keep()?;
    } else if lived.is_ok() {
        doer.cluster.stop()?;
    }
    lived
}

fn seeded(doer: &mut Doer, seed: u64, lengths: Lengths) -> Result<(), Failure> {
    println!("seed {seed}");
    life(doer, seed, lengths)
        .map_err(|why| format!("with seed {seed}: {why}\nhint: `--seed {seed}` decides the same steps again"))
}

/// All of it, on agents that run.
fn life(doer: &mut Doer, seed: u64, lengths: Lengths) -> Result<(), Failure> {
    println!("warming up");
    warm_up(doer, seed, lengths)?;
    empty(doer, CLEANING, lengths.settle)?;
    let before = Census::take(&doer.cluster, &explanation(doer)?)?;

    let mut plan = Plan::new(seed);
    println!("torturing; agent {} is never ended as a whole", plan.spared + 1);
    let steps = torture(doer, &mut plan, lengths.torture)?;
    doer.all_back(&plan.away())?;
    let took = at_rest(doer)?;
    println!("{steps} steps; {:.1} s after the last, every agent runs what was asked for", took.as_secs_f64());
    confirm(doer)?;
    explained(doer)?;
    println!("`realm ps`, `status` and `inspect` say the same through every agent, and every file has its reason");

    empty(doer, CLEANING + NAMES, lengths.settle)?;
    // What is about to end ends: a thread without work, a connection without an operator.
    let level = until(|| {
        let now = Census::take(&doer.cluster, &explanation(doer)?)?;
        Ok(if is_level(&before, &now) { Ok(now) } else { Err(now) })
    })?;
    let (after, is_level) = level.map_or_else(|now| (now, false), |now| (now, true));
    for (what, times) in &doer.counts {
        println!("{times:6} {what}");
    }
    println!("\nwith nothing to run, before and after:\n{}", table(&before, &after));
    for file in after.unexplained() {
        println!("without a reason: {file}");
    }
    panics(doer)?;
    if !is_level {
        return Err("there is more than before: see the lines with LEAK".into());
    }
    println!("torture: passed");
    Ok(())
}

/// Components once, whole; then at random.
fn warm_up(doer: &mut Doer, seed: u64, lengths: Lengths) -> Result<(), Failure> {
    for (number, ware) in WARES.iter().enumerate().take(lengths.wares) {
        let restart = if ware.nature == Nature::Service { "always" } else { "never" };
        let spec = Spec {
            ware,
            variant: number % VARIANTS,
            tag: "dev",
            replicas: 3,
            restart,
            own: number % 4 == 0,
            start: true,
        };
        doer.push(WARM_UP + number, name(number % NAMES), spec)?;
    }
    let (begun, mut steps) = (Instant::now(), 0);
    let mut plan = Plan::calm(seed.wrapping_add(1), WARM_UP + lengths.wares);
    while !lengths.calm.is_over(begun, steps) {
        doer.step(&plan.next())?;
        steps += 1;
    }
    Ok(())
}

fn torture(doer: &mut Doer, plan: &mut Plan, length: Length) -> Result<usize, Failure> {
    let (begun, mut steps) = (Instant::now(), 0);
    while !length.is_over(begun, steps) {
        let step = plan.next();
        let came = doer.step(&step).map_err(|why| format!("in step {step}\n{why}"))?;
        println!("{step} -> {came}");
        steps = step.number;
    }
    Ok(steps)
}

/// Removes everything, where every agent has had a runner.
fn empty(doer: &mut Doer, first: usize, settle: Duration) -> Result<(), Failure> {
    // An agent that was started anew has no runner yet, and one that has not is not to be compared with one that has.
    let spec =
        Spec { ware: &WARES[0], variant: 0, tag: "dev", replicas: 1, restart: "always", own: false, start: true };
    doer.push(first, name(0), spec)?;
    doer.remove_all(first + 1)?;
    at_rest(doer)?;
    // Nothing to wait for: what is counted then is what is left when time has passed.
    thread::sleep(settle);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has a blow of every kind in its first steps, and services with processes of their own.
    const SEED: u64 = 2859;
    const STEPS: usize = 24;

    /// What takes longer to show, ten minutes by hand show.
    #[test]
    #[cfg(target_os = "linux")]
    fn half_a_minute_of_it() {
        let programs = workspace::programs(&workspace::target().unwrap()).unwrap();
        let lengths =
            Lengths { wares: 3, calm: Length::Steps(5), torture: Length::Steps(STEPS), settle: Duration::from_secs(1) };
        let mut doer = Doer::start(&programs).unwrap();
        assert_eq!(seeded(&mut doer, SEED, lengths), Ok(()));
        let Doer { cluster, counts, .. } = doer;
        cluster.stop().unwrap();
        for blow in ["agents killed", "agents told to end", "control processes killed", "runners killed"] {
            assert!(counts.contains_key(blow), "{blow}: {counts:?}");
        }
    }
}
