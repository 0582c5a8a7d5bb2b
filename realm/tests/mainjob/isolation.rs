//! Components with a process of their own: what kills one process of guests leaves the others as they are, and a guest finds
//! the same limits in either.

use crate::load::runners;
use crate::shell::{Shell, realm};
use crate::support::{Agent, documented, eventually, signal};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;

const OWN: [&str; 2] = ["--isolation", "process"];

/// Waits until there are these runners and no others.
fn until_there_are(agent: &Agent, of: &[Option<&str>]) -> BTreeMap<Option<String>, u32> {
    eventually(&format!("runners of {of:?}"), || match runners(agent) {
        there if there.keys().map(Option::as_deref).eq(of.iter().copied()) => Ok(there),
        others => Err(format!("{others:?}")),
    })
}

/// Waits until a component runs in another process than `before`, and gives that one.
fn until_elsewhere(agent: &Agent, component: Option<&str>, before: u32) -> u32 {
    eventually("another runner", || match runners(agent).get(&component.map(str::to_owned)) {
        Some(pid) if *pid != before => Ok(*pid),
        other => Err(format!("{other:?}")),
    })
}

/// Waits until a component runs after so many starts, and has said so itself.
fn until_started(agent: &Agent, name: &str, times: usize) {
    eventually(&format!("`{name}` was started {times} times"), || {
        let (component, output) = (agent.component(name), agent.output(name));
        let said = output.iter().filter(|line| *line == "ticker: started").count();
        let is_so = component["phase"] == "running" && component["restarts"] == times - 1 && said == times;
        if is_so { Ok(()) } else { Err(format!("{component} {output:?}")) }
    });
}

#[test]
fn one_process_of_guests_that_is_killed_leaves_the_other_as_it_is() {
    let (shell, agents) = realm(&[&[]]);
    let agent = &agents[0];
    assert_eq!(shell.push("common", "ticker", &[]).0, Some(0));
    assert_eq!(shell.push("own", "ticker", &OWN).0, Some(0));
    for name in ["common", "own"] {
        until_started(agent, name, 1);
    }
    let own = Some("own".to_owned());
    let before = until_there_are(agent, &[None, Some("own")]);

    signal(before[&own], Signal::KILL);
    let second = until_elsewhere(agent, Some("own"), before[&own]);
    until_started(agent, "own", 2);
    until_started(agent, "common", 1);
    assert_eq!(runners(agent), [(None, before[&None]), (own.clone(), second)].into());

    signal(before[&None], Signal::KILL);
    let third = until_elsewhere(agent, None, before[&None]);
    until_started(agent, "common", 2);
    until_started(agent, "own", 2);
    assert_eq!(runners(agent), [(None, third), (own, second)].into());

    // With what was in it, a process goes; the next push has another one.
    shell.good(&["stop", "own"]);
    until_there_are(agent, &[None]);
    shell.good(&["start", "own"]);
    until_elsewhere(agent, Some("own"), second);
    until_started(agent, "common", 2);
}

fn inspect(shell: &Shell, name: &str) -> Value {
    documented(&shell.good(&["inspect", name, "--json"]))
}

#[test]
fn limits_and_usage_are_the_same_in_a_process_of_its_own() {
    let (shell, agents) = realm(&[&[]]);
    let agent = &agents[0];
    let ends = |name: &str, guest: &str, limit: &[&str], outcome: &str| {
        let more = [&OWN[..], &["--restart", "never"], limit].concat();
        assert_eq!(shell.push(name, guest, &more).0, Some(3), "{name}");
        let component = agent.component(name);
        assert_eq!(component["last_outcome"], outcome, "{component}");
    };
    ends("memory", "grow", &["--memory-max-mb", "8"], "out of memory");
    ends("fuel", "spin", &["--fuel", "100000000"], "out of fuel");
    ends("deadline", "spin", &["--deadline-ms", "200"], "deadline exceeded");
    let (code, out, err) = shell.push("print", "print", &[&OWN[..], &["--arg", "40"]].concat());
    assert_eq!(code, Some(0), "{out}{err}");
    agent.until("print", "completed");
    assert_eq!(agent.output("print").len(), 40);

    assert_eq!(shell.push("spin", "spin", &[&OWN[..], &["--replicas", "2"]].concat()).0, Some(0));
    let live = eventually("both have been seen to compute", || {
        let object = inspect(&shell, "spin");
        let live = object["nodes"][0]["live"].as_array().unwrap();
        let compute = |run: &Value| run["usage"]["cpu_ms"].as_u64() > Some(0);
        if live.len() == 2 && live.iter().all(compute) { Ok(object) } else { Err(object.to_string()) }
    });
    assert_eq!(live["component"]["isolation"], "process");
    assert!(shell.good(&["inspect", "spin"]).contains("\nisolation  process\n"));
    until_there_are(agent, &[None, Some("spin")]);
    shell.good(&["stop", "spin"]);
    assert_eq!(agent.component("spin")["phase"], "stopped");
}
