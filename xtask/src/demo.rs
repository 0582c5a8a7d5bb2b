//! `cargo xtask demo`: the main job, live, on agents of this machine.
//! What is printed is what a user would type and see; behind it every exit code and every answer is checked.

use std::time::Instant;

use argh::FromArgs;

use crate::Failure;
use crate::cluster::Cluster;
use crate::command::Echo;
use crate::workspace::{self, Profile};

/// More agents than this say nothing more, and each costs memory.
const MOST_AGENTS: usize = 20;
/// Given to the component, to be found again in its output.
const GREETING: &str = "greetings from the demo";

/// Show the main job live on agents of this machine, check every answer, and clean up.
#[derive(FromArgs)]
#[argh(subcommand, name = "demo")]
pub(crate) struct Args {
    /// leave the agents running, and say how to talk to them
    #[argh(switch)]
    keep: bool,
    /// how many agents (default 3)
    #[argh(option, default = "3")]
    agents: usize,
}

/// Builds, shows, checks, cleans up.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if !(1..=MOST_AGENTS).contains(&args.agents) {
        return Err(format!("`--agents` is a number from 1 to {MOST_AGENTS}"));
    }
    say("building the two programs (the first time takes a few minutes)");
    let programs = workspace::build(Profile::Dev)?;
    let started = Instant::now();
    let mut cluster = Cluster::new(programs)?;
    // When a step fails, dropping the cluster ends the agents and removes the folder.
    show(&mut cluster, args.agents)?;
    if args.keep {
        cluster.keep()?;
    } else {
        say("ending the agents, and seeing that nothing is left of them");
        cluster.stop()?;
    }
    println!("demo: passed ({:.1} s)", started.elapsed().as_secs_f64());
    Ok(())
}

fn show(cluster: &mut Cluster, agents: usize) -> Result<(), Failure> {
    say("you, the operator, make a key");
    let owner = cluster.init(Echo::Shown)?;
    say(&format!("{agents} agents that trust this key; each but the first is told where the first is"));
    for _ in 0..agents {
        cluster.add(&owner, Echo::Shown)?;
    }
    cluster.formed()?;
    say("they have formed a realm; any of them can be asked");
    cluster.expect(&["status"], 0, Echo::Shown)?;
    push_hello(cluster, agents)?;
    push_crash(cluster, agents)
}

/// A component that prints and finishes: exit code 0, on every node, with its output there.
fn push_hello(cluster: &Cluster, agents: usize) -> Result<(), Failure> {
    say("one push; `--tag dev` matches all of them");
    let words = ["push", "--name", "hello", "--file", "guests/hello.wasm", "--tag", "dev", "--arg", GREETING];
    cluster.expect(&words, 0, Echo::Shown)?;
    let completed = |status: &str| count(status, "\"last_outcome\":\"completed\"") == agents;
    cluster.await_status("`hello` completed on every node", completed)?;
    cluster.expect(&["status"], 0, Echo::Shown)?;
    say("what it printed");
    let logs = cluster.expect(&["logs", "hello"], 0, Echo::Shown)?.stdout;
    require(logs.contains(GREETING), "`realm logs hello` lacks what was printed", &logs)?;
    for agent in &cluster.agents {
        let log = agent.get("/logs?component=hello&tail=10")?;
        require(log.contains(GREETING), "a node lacks the output of `hello`", &log)?;
        agent.get("/healthz")?;
    }
    println!("(each of the {agents} nodes has these lines: asked over HTTP)");
    Ok(())
}

/// A component that traps: the exit code says so, and every node says why.
fn push_crash(cluster: &Cluster, agents: usize) -> Result<(), Failure> {
    say("a component that crashes is not called deployed: exit code 3, the reason, the last lines of its log");
    let words = ["push", "--name", "crash", "--file", "guests/crash.wasm", "--tag", "dev", "--restart", "never"];
    let done = cluster.expect(&words, 3, Echo::Shown)?;
    println!("(exit code 3)");
    let said = format!("{}{}", done.stdout, done.stderr);
    require(said.contains("this component always fails"), "the reason is not among what `push` said", &said)?;
    let failed = |status: &str| {
        count(status, "\"last_outcome\":\"trap:") == agents && count(status, "\"phase\":\"failed\"") == agents
    };
    cluster.await_status("`crash` trapped and failed on every node", failed)?;
    cluster.expect(&["status"], 0, Echo::Shown).map(drop)
}

fn require(holds: bool, otherwise: &str, evidence: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(format!("{otherwise}:\n{}", evidence.trim_end())) }
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

fn say(line: &str) {
    println!("\n── {line}");
}
