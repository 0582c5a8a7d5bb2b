//! The command line against real agents: keys, pushes with their exit codes, status and logs.

use crate::shell::{Shell, realm};
use crate::support::{Agent, eventually};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_key_is_made_once_kept_from_others_and_shown() {
    let shell = Shell::new();
    let (code, _, err) = shell.realm(&["key", "show"]);
    assert_eq!(code, Some(1), "there is none yet");
    assert!(err.contains("hint: "), "{err}");

    shell.good(&["init"]);
    let file = shell.home.path().join("realm/owner.key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = shell.key();
    assert!(key.parse::<shared::OwnerId>().is_ok(), "{key}");

    let (code, _, err) = shell.realm(&["init"]);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(shell.key(), key, "the key is the old one");
    shell.good(&["init", "--force"]);
    assert_ne!(shell.key(), key);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let (code, out, err) = shell.realm(&["key", "show"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "others can read it: {err}");
}

#[test]
fn a_push_is_waited_for_and_reported_node_by_node() {
    let (shell, agents) = realm(&[&["--role", "dev"], &["--role", "dev"], &["--role", "dev"], &[]]);
    let (code, out, err) = shell.push("hello", "hello", &["--tag", "dev", "--arg", "one"]);
    assert_eq!(code, Some(0), "{out}{err}");
    for agent in &agents[..3] {
        assert!(format!("{out}{err}").contains(&agent.id().short()), "{out}{err}");
        // It ends when every node has reported, not before.
        assert_eq!(agent.component("hello")["last_outcome"], "completed");
    }
    assert!(agents[3].component("hello").is_null());

    let nodes = shell.nodes();
    assert_eq!(nodes.len(), 4);
    for node in &nodes {
        assert_eq!(node["alive"], true);
        let meant = node["tags"] == serde_json::json!(["dev"]);
        let components = node["components"].as_array().unwrap();
        assert_eq!(components.len(), usize::from(meant), "{node}");
        for component in components {
            assert_eq!((&component["phase"], &component["last_outcome"]), (&"completed".into(), &"completed".into()));
        }
    }
    let logs = shell.good(&["logs", "hello"]);
    for agent in &agents[..3] {
        let id = agent.id().short();
        let mut own = logs.lines().filter(|line| line.contains(&id));
        assert!(own.any(|line| line.ends_with("| hello from a wasm component")), "{id}: {logs}");
    }
    assert_eq!(logs.matches("hello from a wasm component").count(), 3, "{logs}");
    assert_eq!(logs.matches(": one").count(), 3, "{logs}");
}

#[test]
fn exit_codes_say_what_became_of_a_push() {
    let (shell, mut agents) = realm(&[&["--role", "dev"], &["--role", "edge"]]);
    let code = |name: &str, guest: &str, more: &[&str]| {
        let (code, out, err) = shell.push(name, guest, more);
        (code.unwrap(), format!("{out}{err}"))
    };
    let (exit, said) = code("service", "ticker", &[]);
    assert_eq!(exit, 0, "{said}");
    let (exit, said) = code("crash", "crash", &["--restart", "never"]);
    assert_eq!(exit, 3, "{said}");
    assert!(said.contains("trap: ") && said.contains("hint: "), "{said}");
    let (exit, said) = code("exit-code", "exit-code", &["--restart", "never", "--arg", "4"]);
    assert_eq!(exit, 3, "{said}");
    assert!(said.contains("exit 4"), "{said}");
    let (exit, said) = code("grow", "grow", &["--restart", "never", "--memory-max-mb", "8"]);
    assert_eq!(exit, 3, "{said}");
    assert!(said.contains("out of memory") && said.contains("--memory-max-mb"), "{said}");
    let (exit, said) = code("nowhere", "hello", &["--tag", "absent"]);
    assert_eq!(exit, 1, "nothing matched: {said}");
    assert!(said.contains("no known node matches tag absent"), "{said}");
    assert!(said.contains("hint: known tags: dev, edge"), "{said}");
    let (exit, said) = code("bad", "hello", &["--replicas", "0"]);
    assert_eq!(exit, 2, "{said}");
    let (exit, said) = code("bad", "no-such-guest", &[]);
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("no-such-guest"), "{said}");
    assert!(agents.iter().all(|agent| agent.component("nowhere").is_null() && agent.component("bad").is_null()));

    // A node that is away is named and not waited for, unless that is asked for.
    let mut other = agents.pop().unwrap();
    let away = other.id();
    assert!(other.terminate().success());
    eventually("the other one counts as away", || {
        let nodes = shell.nodes();
        let gone = nodes.iter().any(|node| node["peer"] == away.to_string() && node["alive"] == false);
        if gone { Ok(()) } else { Err(format!("{nodes:?}")) }
    });
    let (exit, said) = code("hello", "hello", &[]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains(&away.short()) && said.contains("away"), "{said}");
    let (exit, said) = code("strict", "hello", &["--require-all"]);
    assert_eq!(exit, 5, "{said}");
    let (exit, said) = code("edge", "hello", &["--tag", "edge"]);
    assert_eq!(exit, 5, "no live node among them: {said}");
}

#[test]
fn the_first_push_to_an_unclaimed_node_and_the_words_of_a_foreign_one() {
    let agents = [Agent::start(&[])];
    let first = Shell::new().to(&agents);
    first.good(&["init"]);
    let (code, out, err) = first.push("hello", "hello", &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(agents[0].component("hello")["last_outcome"], "completed");

    let second = Shell::new().to(&agents);
    second.good(&["init"]);
    let (code, out, err) = second.push("other", "hello", &["--timeout", "5s"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("hint: "), "{err}");
    assert!(agents[0].component("other").is_null());
}

#[test]
fn nobody_there_is_an_error_with_a_hint() {
    let shell = Shell::new();
    shell.good(&["init"]);
    let (code, out, err) = shell.push("hello", "hello", &["--timeout", "2s"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("hint: "), "{err}");
    let (code, _, err) = shell.realm(&["status"]);
    assert_eq!(code, Some(1), "{err}");
}
