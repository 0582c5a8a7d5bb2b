//! A component's whole life by the command line: pushed, stopped, started, restarted, removed, and listed meanwhile.

use crate::shell::{Shell, realm};
use crate::support::{Agent, documented, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

fn phases(agents: &[Agent], name: &str) -> Vec<String> {
    agents.iter().map(|agent| agent.component(name)["phase"].as_str().unwrap_or("none").to_owned()).collect()
}

fn ps(shell: &Shell) -> Vec<Value> {
    let object = documented(&shell.good(&["ps", "--json"]));
    assert_eq!(object["schema"], 1);
    object["components"].as_array().unwrap().clone()
}

fn starts(agent: &Agent) -> usize {
    agent.output("ticker").iter().filter(|line| *line == "ticker: started").count()
}

/// A verb where it is so already: nothing is signed, and what is printed is as well-formed as ever.
fn already(shell: &Shell, verb: &str, phases: &[&str]) {
    let (code, out, err) = shell.realm(&[verb, "ticker", "--json"]);
    assert!(code == Some(0) && err.contains("already"), "{err}");
    let object = documented(&out);
    assert_eq!((&object["schema"], &object["verdict"], &object["exit"]), (&1.into(), &"good".into(), &0.into()));
    let nodes = object["nodes"].as_array().unwrap();
    let seen: Vec<&str> = nodes.iter().map(|node| node["phase"].as_str().unwrap()).collect();
    assert_eq!(seen, phases, "{object}");
    assert!(nodes.iter().all(|node| node["result"] == "good"), "{object}");
}

#[test]
fn stopped_started_restarted_and_removed_on_every_node() {
    let (shell, mut agents) = realm(&[&["--role", "dev"], &["--role", "dev"], &[]]);
    assert_eq!(shell.push("ticker", "ticker", &["--tag", "dev"]).0, Some(0));
    let listed = ps(&shell);
    assert_eq!((listed.len(), &listed[0]["running"], &listed[0]["nodes"]), (1, &2.into(), &2.into()), "{listed:?}");

    shell.good(&["stop", "ticker"]);
    assert_eq!(phases(&agents, "ticker"), ["stopped", "stopped", "none"], "it ends when every node has reported");
    already(&shell, "stop", &["stopped"; 2]);

    // It stays so over a restart of the agent.
    agents[1].kill();
    agents[1].start_again(&[]);
    agents[1].until("ticker", "stopped");
    agents[1].until_sees(3);

    shell.good(&["start", "ticker"]);
    assert_eq!(phases(&agents, "ticker"), ["running", "running", "none"]);
    already(&shell, "start", &["running"; 2]);

    let before = starts(&agents[0]);
    shell.good(&["restart", "ticker"]);
    eventually("it to have begun anew", || match starts(&agents[0]) {
        seen if seen == before + 1 => Ok(()),
        seen => Err(format!("{seen} starts after {before}")),
    });

    shell.good(&["rm", "ticker"]);
    assert_eq!(phases(&agents, "ticker"), ["none", "none", "none"]);
    assert!(ps(&shell).is_empty());
    let log = agents[0].data_dir().join("logs/ticker.log");
    eventually("its output to go with it", || if log.exists() { Err("it is there".into()) } else { Ok(()) });
    already(&shell, "rm", &[]);
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

/// The files below a directory, by their names.
fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names = Vec::new();
    for entry in entries {
        match entry.path() {
            path if path.is_dir() => names.extend(files(&path)),
            _ => names.push(entry.file_name().into_string().unwrap()),
        }
    }
    names.sort();
    names
}

#[test]
fn a_removal_leaves_nothing_but_its_intent_and_a_start_removes_what_a_crash_left() {
    let (shell, mut agents) = realm(&[&[]]);
    let data = agents[0].data_dir();
    let kept = || ["blobs", "cwasm", "logs", "runs"].map(|dir| files(&data.join(dir)));
    let nothing: [Vec<String>; 4] = Default::default();
    assert_eq!(shell.push("hello", "hello", &[]).0, Some(0));
    eventually("all of it to be kept", || match kept() {
        kept if kept.iter().all(|files| !files.is_empty()) => Ok(()),
        kept => Err(format!("{kept:?}")),
    });
    shell.good(&["rm", "hello"]);
    let until_gone = || {
        eventually("all of it to go", || match kept() {
            kept if kept == nothing => Ok(()),
            kept => Err(format!("{kept:?}")),
        });
    };
    until_gone();
    assert_eq!(files(&data.join("intents")).len(), 1);

    agents[0].terminate();
    let digest = shared::Digest::of(b"what was replaced when the power went").hex();
    let blobs = data.join("blobs/sha256").join(&digest[..2]);
    let code = data.join("cwasm").join("0123456789abcdef");
    for (dir, names) in [(&blobs, ["", ".part", ".torn"]), (&code, ["", ".seal", ".seal"])] {
        std::fs::create_dir_all(dir).unwrap();
        names.iter().for_each(|end| std::fs::write(dir.join(format!("{digest}{end}")), b"left").unwrap());
    }
    std::fs::write(data.join("logs/former.log"), b"1 O hello\n").unwrap();
    agents[0].start_again(&[]);
    until_gone();
}

#[test]
fn what_a_node_has_no_memory_for_is_told_with_the_next_step_and_starts_when_there_is_room() {
    let (shell, agents) = realm(&[&[]]);
    let words = ["--replicas", "1000", "--memory-max-mb", "4096"];
    let (code, out, err) = shell.push("large", "hello", &words);
    assert_eq!(code, Some(3), "{err}");
    let status = agents[0].status()["components"][0]["reason"].as_str().unwrap_or_default().to_owned();
    for text in [format!("{out}{err}"), shell.good(&["ps"]), shell.good(&["status"]), status] {
        assert!(text.contains("needs 4096000 MiB") && text.contains("hint: "), "{text}");
    }
    let reason = ps(&shell)[0]["reason"].as_str().unwrap().to_owned();
    let words = reason.split_once("together may have ").unwrap().1;
    // Twice this does not fit.
    let most = words.split(' ').next().unwrap().parse::<u64>().unwrap() * 3 / 5;
    let each = most.min(1_024);
    let (replicas, each) = ((most / each).to_string(), each.to_string());
    let words = ["--replicas", &replicas, "--memory-max-mb", &each];
    assert_eq!(shell.push("first", "ticker", &words).0, Some(0));
    let (code, _, err) = shell.push("second", "ticker", &words);
    assert!(code == Some(3) && err.contains("hint: it starts when there is room"), "{err}");
    shell.good(&["rm", "first"]);
    agents[0].until("second", "running");
}

#[test]
fn nodes_without_an_owner_have_nothing_to_tell() {
    let shell = Shell::new();
    shell.good(&["init"]);
    let agents = [Agent::start(&[])];
    let shell = shell.to(&agents);
    for words in [&["ps"][..], &["inspect", "hello"], &["logs", "hello"], &["stop", "hello"], &["rm", "hello"]] {
        let (code, out, err) = shell.realm(words);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{words:?}: {err}");
        assert!(err.contains("only nodes without an owner") && err.contains("hint: `realm push`"), "{words:?}: {err}");
    }
}

#[test]
fn what_nobody_knows_is_an_error() {
    let (shell, _agents) = realm(&[&[]]);
    for verb in ["stop", "start", "restart", "rm", "logs", "inspect"] {
        let (code, out, err) = shell.realm(&[verb, "nobody"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{verb}: {err}");
        assert!(err.contains("nothing is known by the name `nobody`") && err.contains("hint: "), "{err}");
    }
    // What is known and silent is none, nor is what was removed.
    assert_eq!(shell.push("silent", "sleep", &["--no-start"]).0, Some(0));
    let is_silent = || {
        let (code, out, err) = shell.realm(&["logs", "silent"]);
        assert!(code == Some(0) && out.is_empty() && err.contains("no output of `silent` is kept"), "{out}{err}");
    };
    is_silent();
    shell.good(&["rm", "silent"]);
    is_silent();
}

#[test]
fn who_somebody_is_and_what_a_shell_completes() {
    let shell = Shell::new();
    shell.good(&["init"]);
    let object = documented(&shell.good(&["whoami", "--json"]));
    assert_eq!(object["owner"], shell.key());
    assert!(shell.good(&["whoami"]).contains(object["realm"].as_str().unwrap()));
    for name in ["bash", "zsh", "fish"] {
        let script = shell.good(&["completions", name]);
        assert!(script.contains("restart") && script.contains("require-all"), "{name}: {script}");
    }
    let (code, _, err) = shell.realm(&["completions", "tcsh"]);
    assert!(code == Some(2) && err.contains("bash, zsh or fish"), "{err}");
}

#[test]
fn a_component_in_all_its_detail() {
    let (shell, agents) = realm(&[&["--role", "dev"], &["--role", "dev"]]);
    let words = ["--tag", "dev", "--memory-max-mb", "8", "--restart", "never", "--note", "as a trial", "--arg", "3"];
    assert_eq!(shell.push("three", "exit-code", &words).0, Some(3));
    let object = documented(&shell.good(&["inspect", "three", "--json"]));
    assert_eq!(
        (&object["schema"], &object["verb"], &object["note"]),
        (&1.into(), &"push".into(), &"as a trial".into())
    );
    assert_eq!(object["component"]["limits"]["memory_max_mb"], 8);
    let nodes = object["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    for (node, agent) in nodes.iter().zip(&agents) {
        assert!(agents.iter().any(|agent| node["peer"] == agent.id().to_string()), "{node}");
        assert_eq!(node["component"]["phase"], agent.component("three")["phase"]);
        let ended = node["ended"].as_array().unwrap();
        assert_eq!((ended.len(), &ended[0]["outcome"]), (1, &"exit 3".into()), "{node}");
        assert!(ended[0]["usage"]["memory_peak_bytes"].as_u64() > Some(0), "{node}");
        assert!(ended[0]["ended_at"].as_u64() >= ended[0]["begun_at"].as_u64(), "{node}");
    }
    let text = shell.good(&["inspect", "three"]);
    assert!(text.contains("memory     8 MiB") && text.matches("exit 3").count() == 4, "{text}");

    assert_eq!(shell.push("ticker", "ticker", &[]).0, Some(0));
    let object = documented(&shell.good(&["inspect", "ticker", "--json"]));
    assert!(object["nodes"].as_array().unwrap().iter().all(|node| node["live"].as_array().unwrap().len() == 1));
    let (code, _, err) = shell.realm(&["inspect", "nobody"]);
    assert!(code == Some(1) && err.contains("nothing is known by the name `nobody`"), "{err}");
}

#[test]
fn output_is_read_along_from_every_node_and_since_a_time() {
    let (shell, agents) = realm(&[&[], &[]]);
    assert_eq!(shell.push("ticker", "ticker", &[]).0, Some(0));
    let mut reading = shell.command(&["logs", "ticker", "-f", "-n", "1"]);
    let mut reading = reading.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(reading.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let marks: Vec<String> = agents.iter().map(|agent| agent.id().short()).collect();
    let mut seen = |mut each: usize| {
        let mut left: BTreeMap<&String, usize> = marks.iter().map(|mark| (mark, each)).collect();
        while each > 0 {
            let line = lines.next().unwrap();
            let mark = marks.iter().find(|mark| line.contains(mark.as_str())).unwrap();
            *left.get_mut(mark).unwrap() -= 1;
            each = *left.values().max().unwrap();
        }
    };
    // What there was when it began, of both; then what comes.
    seen(1);
    shell.good(&["restart", "ticker"]);
    seen(1);
    drop(lines);
    // Nobody reads any more: the next line ends it.
    shell.good(&["restart", "ticker"]);
    let ended = reading.wait().unwrap();
    assert!(ended.success(), "{ended}");

    let of_one = shell.good(&["logs", "ticker", "--node", &marks[1]]);
    assert!(!of_one.is_empty() && of_one.lines().all(|line| line.contains(&marks[1])), "{of_one}");
    assert!(shell.good(&["logs", "ticker", "--since", "1h"]).lines().count() >= 4);
    let lines = shell.good(&["logs", "ticker", "--json"]);
    assert!(lines.lines().map(documented).all(|line| line["component"] == "ticker"), "{lines}");
    assert_eq!(shell.good(&["logs", "ticker", "--since", "2099-01-01T00:00:00Z"]), "");
    let (code, _, err) = shell.realm(&["logs", "ticker", "--since", "yesterday"]);
    assert!(code == Some(2) && err.contains("how long ago"), "{err}");
    let (code, _, err) = shell.realm(&["logs", "ticker", "--node", "nobody"]);
    assert!(code == Some(1) && err.contains("no known node is `nobody`"), "{err}");
}
