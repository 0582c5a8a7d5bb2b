//! A manifest spreads a few nodes at a time, and where it fails the others keep what they have, without the operator.

use crate::manifest::component;
use crate::shell::{Shell, realm};
use crate::support::{Agent, documented};
use serde_json::Value;

/// A manifest that spreads as the defaults say, but for how long something has to be healthy.
fn declare(shell: &Shell, guest: &str, rollout: &str) {
    let text = format!("[rollout]\nmin_healthy_s = 1\n{rollout}\n{}", component("web", guest, ""));
    std::fs::write(shell.manifest(), text).unwrap();
}

/// Three nodes that run version 1, and what each says of its component.
fn three() -> (Shell, Vec<Agent>, Vec<Value>) {
    let (shell, agents) = realm(&[&[], &[], &[]]);
    declare(&shell, "ticker", "");
    let (code, out, err) = shell.apply(&[]);
    assert_eq!(code, Some(0), "{out}{err}");
    let before = agents.iter().map(|agent| agent.component("web")).collect();
    (shell, agents, before)
}

fn states(object: &Value) -> Vec<&str> {
    let mut states: Vec<&str> =
        object["nodes"].as_array().unwrap().iter().map(|node| node["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    states
}

#[test]
fn one_that_crashes_is_tried_on_one_of_three() {
    let (shell, agents, before) = three();
    declare(&shell, "crash", "");
    let (code, out, err) = shell.apply(&["--json"]);
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(err.contains("version 2 failed on 1 node; 2 nodes kept what they had"), "{err}");
    assert!(err.contains("this component always fails"), "its last words: {err}");
    let object = documented(&out);
    assert_eq!(states(&object), ["failing", "halted", "halted"], "{object}");
    let unchanged = agents.iter().zip(&before).filter(|(agent, before)| agent.component("web") == **before).count();
    assert_eq!(unchanged, 2, "neither stopped nor started anew");
    // A plan goes by what each of them runs: the two that kept it would have to replace it, and the way back leaves them alone.
    let steps = |rollout: &str, guest: &str| {
        declare(&shell, guest, rollout);
        let (_, out, _) = shell.with_manifest("plan", &["--json"]);
        let plan = documented(&out);
        let nodes = plan["components"][0]["nodes"].as_array().unwrap();
        let mut steps: Vec<String> = nodes.iter().map(|node| node["action"].as_str().unwrap().to_owned()).collect();
        steps.sort_unstable();
        (steps, plan["interrupts"].as_bool().unwrap())
    };
    let (replaced, kept) = (["replace", "replace", "unchanged"], ["replace", "unchanged", "unchanged"]);
    assert_eq!(steps("auto_rollback = true", "crash"), (replaced.map(str::to_owned).to_vec(), true));
    assert_eq!(steps("max_failures = 2", "ticker").0, kept.map(str::to_owned).to_vec());
    // One more that fails, which had its own chance everywhere, and the way back to what is good.
    declare(&shell, "crash", "max_parallel = 1");
    let (code, out, err) = shell.apply(&[]);
    assert_eq!(code, Some(3), "{out}{err}");
    let (code, out, err) = shell.realm(&["rollback", "--yes", "--timeout", "50s"]);
    assert!(code == Some(0) && err.contains("version 4 is in force and well on 3 nodes"), "{out}{err}");
    assert_eq!(shell.json(&["history"])["versions"][0]["note"], "rollback to version 1");
    // So does another one.
    declare(&shell, "sleep", "");
    let (code, out, err) = shell.apply(&[]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn with_auto_rollback_all_have_what_they_had() {
    let (shell, agents, before) = three();
    declare(&shell, "crash", "");
    let (code, out, err) = shell.apply(&["--auto-rollback", "--json"]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(err.contains("version 2 failed, and what was before it is in force on 3 nodes"), "{err}");
    let object = documented(&out);
    assert_eq!(states(&object), ["halted", "halted", "rolled-back"], "{object}");
    for (agent, before) in agents.iter().zip(&before) {
        let web = agent.until("web", "running");
        assert_eq!((&web["digest"], &web["intent"]), (&before["digest"], &before["intent"]));
    }
    // It stays so: also what is started again does not try it once more.
    let status = shell.json(&["status"]);
    let in_force = |node: &Value| node["manifest"]["in_force"] == 1 && node["manifest"]["version"] == 2;
    assert!(status["nodes"].as_array().unwrap().iter().all(in_force), "{status}");
}

#[test]
fn on_ten_nodes_one_that_crashes_is_tried_on_a_third() {
    const NODES: usize = 10;
    /// A third of them, rounded up.
    const WAVE: usize = 4;
    let (shell, agents) = realm(&[&[][..]; NODES]);
    declare(&shell, "ticker", "");
    let (code, out, err) = shell.apply(&[]);
    assert_eq!(code, Some(0), "{out}{err}");
    let before: Vec<Value> = agents.iter().map(|agent| agent.component("web")).collect();
    let kept = || agents.iter().zip(&before).filter(|(agent, before)| agent.component("web") == **before).count();

    declare(&shell, "crash", "");
    let (code, out, err) = shell.apply(&["--auto-rollback", "--json"]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(err.contains("version 2 failed, and what was before it is in force on 10 nodes"), "{err}");
    let object = documented(&out);
    let states_of = |object: &Value| {
        let (tried, halted): (Vec<_>, Vec<_>) =
            states(object).into_iter().map(str::to_owned).partition(|state| state != "halted");
        assert!((1..=WAVE).contains(&tried.len()) && halted.len() == NODES - tried.len(), "{object}");
        tried
    };
    assert!(states_of(&object).iter().all(|state| state == "rolled-back"), "{object}");
    for (agent, before) in agents.iter().zip(&before) {
        let web = agent.until("web", "running");
        assert_eq!((&web["digest"], &web["intent"]), (&before["digest"], &before["intent"]));
    }
    assert!(kept() >= NODES - WAVE, "those whose turn it never was run on");

    let (code, out, err) = shell.apply(&["--json"]);
    assert_eq!(code, Some(3), "{out}{err}");
    let object = documented(&out);
    let tried = states_of(&object);
    assert!(tried.iter().all(|state| state == "failing"), "{object}");
    let counts = (tried.len(), NODES - tried.len());
    let nodes = if counts.0 == 1 { "1 node".to_owned() } else { format!("{} nodes", counts.0) };
    assert!(err.contains(&format!("version 3 failed on {nodes}; {} nodes kept what they had", counts.1)), "{err}");
    let failing = object["nodes"].as_array().unwrap().iter().find(|node| node["state"] == "failing").unwrap();
    let peer = failing["peer"].as_str().unwrap();
    assert!(err.contains(&format!("`web` failed on {peer}: trap: ")), "who, and why: {err}");
    assert!(err.contains("this component always fails"), "its last words: {err}");
    assert!(err.contains("hint: ") && err.contains("`realm rollback` goes back"), "{err}");
    assert!(kept() >= NODES - 2 * WAVE, "{:?}", states(&object));
    let version = |node: &Value| if node["state"] == "halted" { 1 } else { 3 };
    assert!(object["nodes"].as_array().unwrap().iter().all(|node| node["in_force"] == version(node)), "{object}");
}
