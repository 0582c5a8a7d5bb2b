//! The whole life of components, at random: pushed, stopped, started, restarted and removed on three agents, whose processes
//! are killed meanwhile. In the end what runs has to be what was asked for, and nothing may be left of what was removed.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use argh::FromArgs;
use serde_json::Value;

use super::census::{Census, is_level, table};
use super::deeds::{Doer, pushed_in};
use super::files::Explained;
use super::plan::{AGENTS, NAMES, Plan, Spec, name};
use super::wares::{Nature, VARIANTS, WARES};
use crate::Failure;
use crate::command::Echo;
use crate::workspace::{self, Profile};

/// Steps that are no part of the torture have numbers from here on.
const WARM_UP: usize = 1_000_000;
const CLEANING: usize = 2_000_000;
/// All has come to rest within this time: what ended with its runner begins again after a pause, which has doubled with every
/// runner that was killed in the minute before.
const AT_REST_WITHIN: Duration = Duration::from_secs(150);
/// Pause between two looks; see [`until`].
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Threads that wait for work end after some seconds without, and a killed process takes a moment to end.
const LEVEL_WITHIN: Duration = Duration::from_secs(30);

/// Push, stop, start, restart and remove components on three agents whose processes are killed meanwhile; then check what runs
/// and what is left.
#[derive(FromArgs)]
#[argh(subcommand, name = "life")]
pub(super) struct Args {
    /// for how long (default 10)
    #[argh(option, default = "10")]
    minutes: u64,
    /// what decides every step; left out, another one each time
    #[argh(option)]
    seed: Option<u64>,
    /// where it fails, leave the agents running, and say how to talk to them
    #[argh(switch)]
    keep: bool,
}

/// How long each part takes.
#[derive(Clone, Copy)]
struct Times {
    /// Of pushes and the like without blows, after each component was pushed once.
    warm_up: Duration,
    torture: Duration,
    /// Left alone before it is counted what agents hold: what was needed for a while is given back by then.
    settle: Duration,
}

/// Builds, tortures, checks.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        println!("torture: SKIPPED: what processes hold is read from /proc");
        return Ok(());
    }
    let programs = workspace::build(Profile::Dev)?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or(u64::from(since.subsec_micros()));
    let torture = Duration::from_secs(60 * args.minutes);
    let times = Times { warm_up: torture / 10, torture, settle: Duration::from_secs(15) };
    let mut doer = Doer::start(&programs)?;
    match life(&mut doer, seed, times) {
        Ok(()) => doer.cluster.stop(),
        Err(why) => {
            if args.keep {
                doer.cluster.keep()?;
            }
            Err(why)
        }
    }
}

/// All of it, on agents that run.
fn life(doer: &mut Doer, seed: u64, times: Times) -> Result<(), Failure> {
    let told = |why: Failure| format!("with seed {seed}: {why}\nhint: `--seed {seed}` decides the same steps again");
    println!("seed {seed}");
    println!("warming up: {} components, then {} s without blows", WARES.len(), times.warm_up.as_secs());
    warm_up(doer, seed, times).map_err(told)?;
    let before = empty(doer, CLEANING, times.settle).map_err(told)?;
    println!("what they hold was counted");

    let mut plan = Plan::new(seed);
    println!("torturing for {} s; agent {} is never ended as a whole", times.torture.as_secs(), plan.spared + 1);
    let steps = torture(doer, &mut plan, times.torture).map_err(told)?;
    doer.all_back(&plan.away()).map_err(told)?;
    let took = at_rest(doer).map_err(told)?;
    println!("{steps} steps; {} s after the last, every agent runs what was asked for", took.as_secs());
    confirm(doer).map_err(told)?;
    explained(doer).map_err(told)?;
    println!("`realm ps`, `status` and `inspect` say the same through every agent, and every file has its reason");

    let after = empty(doer, CLEANING + NAMES, times.settle).map_err(told)?;
    // What is on its way to end ends; nothing tells when, so it is looked again for a while.
    let level = until(LEVEL_WITHIN, || {
        let now = Census::take(&doer.cluster, &explanation(doer)?)?;
        if is_level(&before, &now) { Ok(Ok(now)) } else { Ok(Err(now)) }
    });
    let (after, level) = match level? {
        Ok(now) => (now, true),
        Err(now) => (now.unwrap_or(after), false),
    };
    for (what, times) in &doer.counts {
        println!("{times:6} {what}");
    }
    println!("\nwith nothing to run, before and after:\n{}", table(&before, &after));
    for file in after.unexplained() {
        println!("without a reason: {file}");
    }
    panics(doer).map_err(told)?;
    if !level {
        return Err(told("there is more than before: see the lines with LEAK".into()));
    }
    println!("torture: passed");
    Ok(())
}

/// Every component once, each of a third of them in every variant; then at random.
fn warm_up(doer: &mut Doer, seed: u64, times: Times) -> Result<(), Failure> {
    for (number, ware) in WARES.iter().enumerate() {
        let restart = if ware.nature == Nature::Service { "always" } else { "never" };
        let spec = Spec { ware, variant: number % VARIANTS, tag: "dev", replicas: 3, restart, start: true };
        doer.push(WARM_UP + number, name(number % NAMES), spec)?;
    }
    let begun = Instant::now();
    let mut plan = Plan::calm(seed.wrapping_add(1), WARM_UP + WARES.len());
    while begun.elapsed() < times.warm_up {
        doer.step(&plan.next())?;
    }
    Ok(())
}

fn torture(doer: &mut Doer, plan: &mut Plan, time: Duration) -> Result<usize, Failure> {
    let begun = Instant::now();
    let mut steps = 0;
    while begun.elapsed() < time {
        let step = plan.next();
        let came = doer.step(&step).map_err(|why| format!("in step {step}\n{why}"))?;
        println!("{step} -> {came}");
        steps = step.number;
    }
    Ok(steps)
}

/// Asks again until it is so, or time is up. Agents tell an operator of each change, but nothing tells anybody that all of
/// them are done, so this looks again, as one would by hand.
fn until<T, E>(
    within: Duration,
    mut look: impl FnMut() -> Result<Result<T, E>, Failure>,
) -> Result<Result<T, Option<E>>, Failure> {
    let begun = Instant::now();
    loop {
        match look()? {
            Ok(found) => return Ok(Ok(found)),
            Err(other) if begun.elapsed() > within => return Ok(Err(Some(other))),
            Err(_) => thread::sleep(LOOK_AGAIN_AFTER),
        }
    }
}

fn wrong(doer: &Doer) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    for (number, agent) in doer.cluster.agents.iter().enumerate() {
        wrong.extend(doer.asked.differences(number, &parsed(&agent.get("/status")?)?));
    }
    Ok(wrong)
}

/// Waits until each agent says of itself that it runs what was asked for, and says how long that took.
fn at_rest(doer: &Doer) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let found = until(AT_REST_WITHIN, || {
        let wrong = wrong(doer)?;
        Ok(if wrong.is_empty() { Ok(()) } else { Err(wrong) })
    })?;
    match found {
        Ok(()) => Ok(begun.elapsed()),
        Err(wrong) => {
            let (wrong, within) = (wrong.unwrap_or_default().join("\n  "), AT_REST_WITHIN.as_secs());
            let logs: String = doer.cluster.agents.iter().map(|agent| agent.log_tail()).collect();
            Err(format!("{within} s after the last step it is not as asked for:\n  {wrong}{logs}"))
        }
    }
}

/// The same by `realm`, through each agent.
fn confirm(doer: &Doer) -> Result<(), Failure> {
    for (number, agent) in doer.cluster.agents.iter().enumerate() {
        let via = ["--via", agent.address.as_str()];
        let ask =
            |words: &[&str]| parsed(&doer.cluster.expect(&[words, &["--json"], &via].concat(), 0, Echo::Quiet)?.stdout);
        // What one agent says of itself reaches the next a moment later.
        let wrong = until(AT_REST_WITHIN, || {
            let wrong = [listed(doer, &ask(&["ps"])?), alive(&ask(&["status"])?)].concat();
            Ok(if wrong.is_empty() { Ok(()) } else { Err(wrong) })
        })?;
        if let Err(wrong) = wrong {
            return Err(format!("through agent {}:\n  {}", number + 1, wrong.unwrap_or_default().join("\n  ")));
        }
        for (name, wish) in doer.asked.wishes() {
            let object = ask(&["inspect", name])?;
            let intent = object["intent"].as_str().unwrap_or_default();
            if intent != wish.intent || pushed_in(&object) != Some(wish.pushed_in) {
                return Err(format!("through agent {}, `{name}` is not {wish:?} but {object}", number + 1));
            }
        }
    }
    Ok(())
}

/// Where `realm ps` differs from what was asked for: names, nodes, and what runs all the time.
fn listed(doer: &Doer, ps: &Value) -> Vec<String> {
    let mut listed: BTreeMap<&str, &Value> = BTreeMap::new();
    for component in ps["components"].as_array().into_iter().flatten() {
        listed.insert(component["name"].as_str().unwrap_or_default(), component);
    }
    let mut wrong = Vec::new();
    for (name, wish) in doer.asked.wishes() {
        let nodes = (0..AGENTS).filter(|agent| wish.spec.is_for(*agent)).count() as u64;
        let instances = nodes * wish.spec.replicas as u64;
        let Some(found) = listed.remove(name) else {
            wrong.push(format!("`realm ps` lacks {name}"));
            continue;
        };
        let (on, away, running) = (found["nodes"].as_u64(), found["away"].as_u64(), found["running"].as_u64());
        if on != Some(nodes) || away != Some(0) || (wish.runs() && running != Some(instances)) {
            wrong.push(format!("`realm ps` has {found}, and {name} is for {nodes} nodes, {instances} instances"));
        }
    }
    wrong.extend(listed.keys().map(|name| format!("`realm ps` has {name}, which was removed")));
    wrong
}

fn alive(status: &Value) -> Vec<String> {
    let nodes = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let alive = nodes.iter().filter(|node| node["alive"] == true).count();
    if (nodes.len(), alive) == (AGENTS, AGENTS) {
        Vec::new()
    } else {
        vec![format!("`realm status` has {} nodes, {alive} of them alive", nodes.len())]
    }
}

/// Reasons for files, from what is asked for and what `realm ps` says of its artifacts.
fn explanation(doer: &Doer) -> Result<Explained, Failure> {
    let ps = parsed(&doer.cluster.expect(&["ps", "--json"], 0, Echo::Quiet)?.stdout)?;
    let components = ps["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    let digests = components.iter().flat_map(|component| component["digests"].as_array().into_iter().flatten());
    let hex = |digest: &Value| Some(digest.as_str()?.strip_prefix("sha256:")?.to_owned());
    Ok(Explained {
        names: doer.asked.names().map(str::to_owned).collect(),
        live: doer.asked.wishes().map(|(name, _)| name.to_owned()).collect(),
        digests: digests.filter_map(hex).collect::<BTreeSet<_>>(),
    })
}

/// Every file has its reason, or has within a moment: artifacts go after what they were replaced by has come.
fn explained(doer: &Doer) -> Result<(), Failure> {
    let left = until(LEVEL_WITHIN, || {
        let left = Census::take(&doer.cluster, &explanation(doer)?)?.unexplained();
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })?;
    match left {
        Ok(()) => Ok(()),
        Err(left) => Err(format!("files without a reason:\n  {}", left.unwrap_or_default().join("\n  "))),
    }
}

/// Removes everything, and counts what agents hold when they have had a runner and nothing to run.
fn empty(doer: &mut Doer, first: usize, settle: Duration) -> Result<Census, Failure> {
    // An agent that was started anew has no runner yet, and one that has not is not to be compared with one that has.
    let spec = Spec { ware: &WARES[0], variant: 0, tag: "dev", replicas: 1, restart: "always", start: true };
    doer.push(first, name(0), spec)?;
    doer.remove_all(first + 1)?;
    at_rest(doer)?;
    thread::sleep(settle);
    Census::take(&doer.cluster, &explanation(doer)?)
}

/// No process has panicked, whoever started it anew.
fn panics(doer: &Doer) -> Result<(), Failure> {
    let mut panics = Vec::new();
    for (number, agent) in doer.cluster.agents.iter().enumerate() {
        panics.extend(
            agent
                .said()
                .lines()
                .filter(|line| line.contains("panicked at"))
                .map(|line| format!("agent {}: {line}", number + 1)),
        );
    }
    if panics.is_empty() { Ok(()) } else { Err(panics.join("\n")) }
}

fn parsed(json: &str) -> Result<Value, Failure> {
    serde_json::from_str(json).map_err(|error| format!("not JSON ({error}): {json}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a minute of it: what takes longer to show, ten minutes by hand show.
    #[test]
    #[cfg(target_os = "linux")]
    fn half_a_minute_of_it() {
        let programs = workspace::programs(&workspace::target().unwrap()).unwrap();
        let times = Times { warm_up: Duration::ZERO, torture: Duration::from_secs(20), settle: Duration::from_secs(1) };
        let mut doer = Doer::start(&programs).unwrap();
        let lived = life(&mut doer, 1, times);
        assert_eq!(lived, Ok(()));
        doer.cluster.stop().unwrap();
    }
}
