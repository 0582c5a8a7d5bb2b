//! Guests that compute for ever, and a runner that is killed: neither takes anything else of the node with it. The
//! figures are printed; what is asserted is ten times what an idle machine needs.

use crate::operator::Operator;
use crate::support::{Agent, eventually, owner, signal};
use rustix::process::Signal;
use shared::{Body, NodeId, Push};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// More than there are threads for guests on any node.
const SPINNERS: u64 = 8;

/// By how much a push may take longer beside them: ten times 200 ms.
const PUSH_LATER: Duration = Duration::from_secs(2);

/// By how much a deadline may be missed: ten times 100 ms.
const DEADLINE_LATER: Duration = Duration::from_secs(1);

/// The longest that `/healthz` may take in the middle of many; a few milliseconds, ten times.
const HEALTHZ: Duration = Duration::from_millis(50);

/// How often a runner is killed in a row.
const KILLS: u64 = 4;

/// The pauses of a component between them are 1, 2 and 4 s, less a quarter at the most.
const PAUSES: Duration = Duration::from_millis(5_250);

fn node() -> (Agent, Operator, NodeId) {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    (agent, operator, node)
}

fn on_failure(body: &mut Body<Push>) {
    body.payload.component.restart = shared::Restart::OnFailure;
}

/// How long it takes from a push to the end of what was pushed.
fn timed(agent: &Agent, push: impl FnOnce(), name: &str, phase: &str) -> Duration {
    let began = Instant::now();
    push();
    agent.until(name, phase);
    began.elapsed()
}

#[test]
fn guests_that_never_give_way_slow_nobody_down() {
    let (agent, operator, node) = node();
    let finish = |name: &'static str| {
        let push = || drop(operator.push(node, name, "finish", |_| {}));
        timed(&agent, push, name, "completed")
    };
    let deadline = |name: &'static str| {
        let limited = |body: &mut Body<Push>| body.payload.component.limits.deadline_ms = Some(200.try_into().unwrap());
        let push = || drop(operator.push(node, name, "spin", limited));
        timed(&agent, push, name, "failed")
    };
    // The first of each is compiled.
    let (compiled, _) = (finish("compiled"), deadline("compiled-too"));
    let (idle, idle_deadline) = (finish("idle"), deadline("idle-deadline"));
    operator.push(node, "spinner", "spin", |body| {
        body.payload.component.replicas = SPINNERS.try_into().unwrap();
    });
    eventually("all spinners run", || {
        let spinner = agent.component("spinner");
        if spinner["running"] == SPINNERS { Ok(()) } else { Err(spinner.to_string()) }
    });
    let (busy, busy_deadline) = (finish("busy"), deadline("busy-deadline"));
    let mut answers: Vec<Duration> = (0..50)
        .map(|_| {
            let asked = Instant::now();
            agent.get("/healthz");
            asked.elapsed()
        })
        .collect();
    answers.sort();
    let (median, worst) = (answers[answers.len() / 2], answers[answers.len() - 1]);
    println!("push: {compiled:?} with compiling, {idle:?} idle, {busy:?} beside {SPINNERS} spinners");
    println!(
        "push of a spinner with deadline 200 ms until it has ended: {idle_deadline:?} idle, {busy_deadline:?} busy"
    );
    println!("/healthz beside {SPINNERS} spinners: median {median:?}, worst {worst:?}");
    assert!(busy <= idle + PUSH_LATER, "{busy:?}, idle {idle:?}");
    assert!(busy_deadline <= Duration::from_millis(200) + idle + DEADLINE_LATER, "{busy_deadline:?}");
    assert!(median <= HEALTHZ, "{median:?}");
    let spinner = agent.component("spinner");
    assert_eq!((&spinner["running"], &spinner["restarts"]), (&SPINNERS.into(), &0.into()), "{spinner}");
}

/// The runner of an agent that components share, if it has one.
#[cfg(target_os = "linux")]
pub(crate) fn runner(agent: &Agent) -> Option<u32> {
    runners(agent).remove(&None)
}

/// The runners of an agent, each with the component that has it for itself.
#[cfg(target_os = "linux")]
pub(crate) fn runners(agent: &Agent) -> BTreeMap<Option<String>, u32> {
    let whose = |pid: u32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let mut words = words.split_terminator('\0').skip(1);
        (words.next()? == "runner").then(|| (words.next().map(str::to_owned), pid))
    };
    children(agent.pid()).into_iter().filter_map(whose).collect()
}

#[cfg(target_os = "linux")]
pub(crate) fn children(of: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{of}/task")).unwrap();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// Waits for a runner that is not one of these, and kills it as the kernel does when memory runs out.
#[cfg(target_os = "linux")]
fn kill_next(agent: &Agent, killed: &mut Vec<u32>) {
    let pid = eventually("another runner", || match runner(agent) {
        Some(pid) if !killed.contains(&pid) => Ok(pid),
        other => Err(format!("{other:?}")),
    });
    signal(pid, Signal::KILL);
    killed.push(pid);
}

/// Waits until a component runs after so many starts.
#[cfg(target_os = "linux")]
fn until_restarted(agent: &Agent, name: &str, times: u64) {
    eventually(&format!("`{name}` runs again"), || {
        let component = agent.component(name);
        let again = component["phase"] == "running" && component["restarts"] == times;
        if again { Ok(()) } else { Err(component.to_string()) }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_runner_that_is_killed_comes_back_with_its_components() {
    let (agent, operator, node) = node();
    operator.push(node, "hello", "hello", on_failure);
    agent.until("hello", "completed");
    operator.push(node, "once", "ticker", |_| {});
    for (name, guest) in [("ticker", "ticker"), ("spinner", "spin")] {
        operator.push(node, name, guest, on_failure);
        agent.until(name, "running");
    }
    agent.until("once", "running");
    kill_next(&agent, &mut Vec::new());
    for name in ["ticker", "spinner"] {
        until_restarted(&agent, name, 1);
    }
    let hello = agent.until("hello", "completed");
    assert_eq!(hello["restarts"], 0, "it had done its work: {hello}");
    let once = agent.until("once", "failed");
    assert!(once["last_outcome"].as_str().is_some_and(|text| text.contains("the runner ended")), "{once}");
    assert!(agent.stderr().contains("a runner ended: killed by signal 9"), "{}", agent.stderr());
}

#[cfg(target_os = "linux")]
#[test]
fn a_runner_that_dies_again_and_again_takes_nothing_else_with_it() {
    let (agent, operator, node) = node();
    operator.push(node, "ticker", "ticker", on_failure);
    agent.until("ticker", "running");
    eventually("its first line is kept", || match agent.output("ticker").as_slice() {
        [] => Err(String::from("nothing yet")),
        _ => Ok(()),
    });
    let family = || children(agent.pid()).into_iter().filter(|pid| Some(*pid) != runner(&agent)).collect::<Vec<_>>();
    let control = family();
    let (began, mut killed) = (Instant::now(), Vec::new());
    for kill in 1..=KILLS {
        kill_next(&agent, &mut killed);
        // Meanwhile the node answers, takes pushes in, fetches, compiles, and keeps all of it.
        agent.get("/healthz");
        let name = format!("staged-{kill}");
        let guest = ["hello", "finish", "print", "crash"][usize::try_from(kill - 1).unwrap() % 4];
        operator.push(node, &name, guest, |body| body.payload.component.start = false);
        agent.until(&name, "staged");
        assert_eq!(operator.watch(node).len(), 1);
        assert!(!agent.output("ticker").is_empty());
    }
    assert!(began.elapsed() >= PAUSES, "{:?}: it is started anew without a pause", began.elapsed());
    until_restarted(&agent, "ticker", KILLS);
    println!("{KILLS} runners killed as they came: {:?} until all runs again", began.elapsed());
    assert_eq!(family(), control, "the control process is the one that it was");
    // And it is of use again.
    operator.push(node, "finish", "finish", |_| {});
    agent.until("finish", "completed");
    until_restarted(&agent, "ticker", KILLS);
}
