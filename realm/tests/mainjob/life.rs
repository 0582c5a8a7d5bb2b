//! A component's whole life by the command line: pushed, stopped, started, restarted, removed, and listed meanwhile.

use crate::shell::{Shell, realm};
use crate::support::{Agent, eventually};
use serde_json::Value;

fn phases(agents: &[Agent], name: &str) -> Vec<String> {
    agents.iter().map(|agent| agent.component(name)["phase"].as_str().unwrap_or("none").to_owned()).collect()
}

fn ps(shell: &Shell) -> Vec<Value> {
    let object: Value = serde_json::from_str(&shell.good(&["ps", "--json"])).unwrap();
    assert_eq!(object["schema"], 1);
    object["components"].as_array().unwrap().clone()
}

fn starts(agent: &Agent) -> usize {
    agent.output("ticker").iter().filter(|line| *line == "ticker: started").count()
}

#[test]
fn stopped_started_restarted_and_removed_on_every_node() {
    let (shell, mut agents) = realm(&[&["--role", "dev"], &["--role", "dev"], &[]]);
    assert_eq!(shell.push("ticker", "ticker", &["--tag", "dev"]).0, Some(0));
    let listed = ps(&shell);
    assert_eq!((listed.len(), &listed[0]["running"], &listed[0]["nodes"]), (1, &2.into(), &2.into()), "{listed:?}");

    shell.good(&["stop", "ticker"]);
    assert_eq!(phases(&agents, "ticker"), ["stopped", "stopped", "none"], "it ends when every node has reported");
    let (code, _, err) = shell.realm(&["stop", "ticker"]);
    assert!(code == Some(0) && err.contains("already"), "{err}");

    // It stays so over a restart of the agent.
    agents[1].kill();
    agents[1].start_again(&[]);
    agents[1].until("ticker", "stopped");
    agents[1].until_sees(3);

    shell.good(&["start", "ticker"]);
    assert_eq!(phases(&agents, "ticker"), ["running", "running", "none"]);
    let (code, _, err) = shell.realm(&["start", "ticker"]);
    assert!(code == Some(0) && err.contains("already"), "{err}");

    let before = starts(&agents[0]);
    shell.good(&["restart", "ticker"]);
    eventually("it to have begun anew", || match starts(&agents[0]) {
        seen if seen == before + 1 => Ok(()),
        seen => Err(format!("{seen} starts after {before}")),
    });

    shell.good(&["rm", "ticker"]);
    assert_eq!(phases(&agents, "ticker"), ["none", "none", "none"]);
    assert!(ps(&shell).is_empty());
    let (code, _, err) = shell.realm(&["rm", "ticker"]);
    assert!(code == Some(0) && err.contains("already"), "{err}");
    let (code, _, err) = shell.realm(&["start", "ticker"]);
    assert!(code == Some(1) && err.contains("was removed") && err.contains("hint: "), "{err}");
    // The name is free.
    assert_eq!(shell.push("ticker", "hello", &["--tag", "dev"]).0, Some(0));
}

#[test]
fn a_node_that_was_off_drops_what_was_removed_meanwhile() {
    let (shell, mut agents) = realm(&[&[], &[]]);
    assert_eq!(shell.push("ticker", "ticker", &[]).0, Some(0));
    agents[1].terminate();
    agents[0].until_sees(1);
    let (code, _, err) = shell.realm(&["rm", "ticker"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("away, will get it"), "{err}");
    agents[1].start_again(&[]);
    eventually("the removal to have come", || match agents[1].component("ticker") {
        Value::Null => Ok(()),
        component => Err(component.to_string()),
    });
}

#[test]
fn what_nobody_knows_cannot_be_steered() {
    let (shell, _agents) = realm(&[&[]]);
    for verb in ["stop", "start", "restart", "rm"] {
        let (code, out, err) = shell.realm(&[verb, "nobody"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{verb}: {err}");
        assert!(err.contains("nothing is known by the name `nobody`") && err.contains("hint: "), "{err}");
    }
}

#[test]
fn who_somebody_is_and_what_a_shell_completes() {
    let shell = Shell::new();
    shell.good(&["init"]);
    let object: Value = serde_json::from_str(&shell.good(&["whoami", "--json"])).unwrap();
    assert_eq!(object["owner"], shell.key());
    assert!(shell.good(&["whoami"]).contains(object["realm"].as_str().unwrap()));
    for name in ["bash", "zsh", "fish"] {
        let script = shell.good(&["completions", name]);
        assert!(script.contains("restart") && script.contains("require-all"), "{name}: {script}");
    }
    let (code, _, err) = shell.realm(&["completions", "tcsh"]);
    assert!(code == Some(2) && err.contains("bash, zsh or fish"), "{err}");
}
