//! Every outcome is told as it was, next to all the others on one node; a guest that never gives way disturbs nobody.

use crate::operator::Operator;
use crate::support::{Agent, owner};
use serde_json::Value;
use shared::{Body, Push};
use std::time::{Duration, Instant};

/// A bound that holds on a loaded machine; on an idle one it takes a millisecond.
const PROMPT: Duration = Duration::from_secs(2);

fn limit(body: &mut Body<Push>) -> &mut shared::Limits {
    &mut body.payload.component.limits
}

/// What the log and the metrics of a real agent say of the outcomes.
fn told_everywhere(agent: &Agent) {
    let ended = [
        ("exit-code", "exit", "ended: exit 3"),
        ("grow", "out_of_memory", "ended: out of memory"),
        ("fuel", "out_of_fuel", "ended: out of fuel"),
        ("deadline", "deadline_exceeded", "ended: deadline exceeded"),
        ("asleep", "deadline_exceeded", "ended: deadline exceeded"),
        ("crash", "trap", "ended: trap: "),
    ];
    for (name, outcome, said) in ended {
        let runs = format!("realm_component_runs_total{{component=\"{name}\",outcome=\"{outcome}\"}}");
        assert_eq!(agent.metric(&runs), 1, "{}", agent.get("/metrics"));
        let log = agent.get(&format!("/logs?component={name}&tail=100"));
        assert!(log.lines().any(|line| line.contains(&format!(" agent | {said}"))), "{name}: {log}");
    }
    assert_eq!(agent.metric("realm_component_runs_total{component=\"finish\",outcome=\"completed\"}"), 1);
    let log = agent.get("/logs?component=crash&tail=100");
    assert!(log.contains("wasm backtrace:") && log.contains("crash-") && log.contains("::innermost"), "{log}");
    assert_eq!(agent.metric("realm_component_fuel_total{component=\"fuel\"}"), 50_000_000);
    for used in [
        "realm_component_memory_peak_bytes{component=\"grow\"}",
        "realm_component_cpu_seconds_total{component=\"fuel\"}",
    ] {
        let text = agent.get("/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(used)?.trim().parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{used}: {text}");
    }
}

#[test]
fn outcomes_next_to_one_another() {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    let push = |name: &str, guest: &str, change: fn(&mut Body<Push>)| drop(operator.push(node, name, guest, change));
    push("spinner", "spin", |_| {});
    push("ticker", "ticker", |_| {});
    agent.until("spinner", "running");
    push("print", "print", |body| body.payload.component.args = vec!["50".into()]);
    push("finish", "finish", |_| {});
    push("crash", "crash", |_| {});
    push("exit-code", "exit-code", |body| body.payload.component.args = vec!["3".into()]);
    push("grow", "grow", |body| limit(body).memory_max_mb = Some(8.try_into().unwrap()));
    push("fuel", "spin", |body| limit(body).fuel = Some(50_000_000.try_into().unwrap()));
    push("deadline", "spin", |body| limit(body).deadline_ms = Some(200.try_into().unwrap()));
    push("asleep", "sleep", |body| limit(body).deadline_ms = Some(200.try_into().unwrap()));

    let outcome = |name, phase| -> Value { agent.until(name, phase)["last_outcome"].clone() };
    assert_eq!(outcome("print", "completed"), "completed");
    assert_eq!(outcome("finish", "completed"), "completed");
    assert_eq!(outcome("exit-code", "failed"), "exit 3");
    assert_eq!(outcome("grow", "failed"), "out of memory");
    assert_eq!(outcome("fuel", "failed"), "out of fuel");
    assert_eq!(outcome("deadline", "failed"), "deadline exceeded");
    assert_eq!(outcome("asleep", "failed"), "deadline exceeded");
    let crash = outcome("crash", "failed");
    assert!(crash.as_str().is_some_and(|text| text.starts_with("trap: ")), "{crash}");
    assert_eq!(agent.output("print").len(), 50);
    told_everywhere(&agent);

    for name in ["spinner", "ticker"] {
        let component = agent.until(name, "running");
        assert_eq!((&component["running"], &component["restarts"]), (&1.into(), &0.into()), "{component}");
        assert!(component["last_outcome"].is_null(), "{component}");
    }
    for _ in 0..20 {
        let asked = Instant::now();
        agent.get("/healthz");
        assert!(asked.elapsed() < PROMPT, "{:?}", asked.elapsed());
    }
}

#[test]
fn a_failed_run_is_followed_by_another_and_a_completed_one_is_not() {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    for (name, guest) in [("crash", "crash"), ("finish", "finish")] {
        operator.push(node, name, guest, |body| body.payload.component.restart = shared::Restart::OnFailure);
    }
    crate::support::eventually("a second run of `crash`", || {
        let component = agent.component("crash");
        let again = component["restarts"].as_u64() >= Some(1);
        if again { Ok(()) } else { Err(component.to_string()) }
    });
    assert_eq!(agent.until("finish", "completed")["restarts"], 0);
}

#[test]
fn replicas_run_side_by_side_and_what_is_not_started_is_staged() {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    operator.push(node, "three", "ticker", |body| body.payload.component.replicas = 3.try_into().unwrap());
    operator.push(node, "staged", "hello", |body| body.payload.component.start = false);
    let three = agent.until("three", "running");
    assert_eq!((&three["replicas"], &three["running"]), (&3.into(), &3.into()));
    agent.until("staged", "staged");
    assert_eq!(agent.output("staged"), Vec::<String>::new());
}
