//! A disk that is full, at each step of the way of a push and of the life of an agent: what cannot be done is said, what
//! runs goes on, and what was held up goes on when there is space.

use crate::child::{Guard, agent_command, lines_of, run};
use crate::disk::{Disk, PAGE};
use crate::operator::{Operator, code};
use crate::shell::Shell;
use crate::support::{Agent, LISTEN, PATIENCE, eventually, guest, guest_path, owner};
use serde_json::Value;
use shared::{Limits, OwnerKey, Verdict};
use std::fs;
use std::process::Stdio;

/// A node on a disk of its own, its owner at a command line, and the same without one, who serves what is pushed.
fn node(disk: &Disk) -> (Agent, Shell, Operator) {
    let shell = Shell::new();
    shell.good(&["init"]);
    let text = fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
    let key = OwnerKey::from_secret_text(&text).unwrap();
    let (data_dir, owner) = (disk.data_dir(), key.id().to_string());
    let flags = [&LISTEN[..], &["--owner", &owner, "--data-dir", data_dir.to_str().unwrap()]].concat();
    let agents = [Agent::start_at(&disk.place(), &flags)];
    let shell = shell.to(&agents);
    let [agent] = agents;
    (agent, shell, Operator::of(&key))
}

fn until_said(agent: &Agent, what: &str) {
    eventually(&format!("`{what}` is said"), || {
        let said = agent.stderr();
        if said.contains(what) { Ok(()) } else { Err(said) }
    });
}

/// Waits until a component does not go on because the disk is full.
fn until_full(agent: &Agent, name: &str, phase: &str, reason: &str) {
    eventually(&format!("`{name}` is held up"), || {
        let component = agent.component(name);
        let held_up = component["phase"] == phase && component["reason"] == reason;
        if held_up { Ok(()) } else { Err(component.to_string()) }
    });
}

#[test]
fn an_intent_that_cannot_be_kept_is_refused_and_nothing_else_suffers() {
    let Some(disk) = Disk::new() else { return };
    let (agent, shell, _) = node(&disk);
    assert_eq!(shell.push("ticker", "ticker", &[]).0, Some(0));
    disk.fill_but(0);
    let (code, out, err) = shell.push("hello", "hello", &[]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("the disk is full") && err.contains("hint: "), "{err}");
    until_said(&agent, "the disk is full");
    assert!(agent.component("hello").is_null());
    assert_eq!((agent.refused("storage"), agent.component("ticker")["phase"].as_str()), (1, Some("running")));
    disk.free();
    let (code, out, err) = shell.push("hello", "hello", &[]);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// Two nodes with space, the first of which is the entry, and a third with the tag `small` on a disk of its own. They run a
/// component each.
fn three(disk: &Disk) -> (Shell, Vec<Agent>) {
    let shell = Shell::new();
    shell.good(&["init"]);
    let text = fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
    let key = OwnerKey::from_secret_text(&text).unwrap();
    let mut agents = Agent::realm(&key, &[&[], &[]]);
    let (data_dir, owner, entry) = (disk.data_dir(), key.id().to_string(), agents[0].addr().to_owned());
    let own = ["--owner", &owner, "--bootstrap", &entry, "--role", "small", "--data-dir", data_dir.to_str().unwrap()];
    agents.push(Agent::start_at(&disk.place(), &[&LISTEN[..], &own].concat()));
    agents.iter().for_each(|agent| agent.until_sees(3));
    let shell = shell.to(&agents[..1]);
    assert_eq!(shell.push("ticker", "ticker", &[]).0, Some(0));
    (shell, agents)
}

/// What programs are told of the disk of a node.
fn fault(shell: &Shell, agent: &Agent) -> Value {
    let id = agent.id().to_string();
    shell.nodes().into_iter().find(|node| node["peer"] == id.as_str()).unwrap()["fault"].clone()
}

#[test]
fn a_node_that_keeps_nothing_says_so_to_whoever_pushes_elsewhere_and_takes_it_when_it_can() {
    let Some(disk) = Disk::new() else { return };
    let (shell, agents) = three(&disk);
    let small = agents[2].id().short();
    disk.fill_but(0);
    // It is told while the push waits, and the push goes on waiting.
    let file = guest_path("finish");
    let words = ["push", "--name", "fin", "--file", file.to_str().unwrap(), "--tag", "small", "--timeout", "50s"];
    let mut push =
        shell.command(&words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = lines_of(push.stderr.take().unwrap());
    let mut push = Guard(push);
    let expected = format!("{small}  did not keep what arrived: the disk is full");
    while said.recv_timeout(PATIENCE).expect("it is told") != expected {}
    // Others hear of it, too, and so does who does not wait as long, or applies.
    assert_eq!(fault(&shell, &agents[2]), "the disk is full");
    assert!(fault(&shell, &agents[0]).is_null());
    assert_eq!(agents[2].status()["fault"], "the disk is full");
    let (code, _, err) = shell.realm(&["status"]);
    let line = format!(
        "{small} did not keep what arrived: the disk is full; it stays with what it had before\nhint: make room"
    );
    assert!(code == Some(0) && err.contains(&line), "{err}");
    let (code, out, err) = shell.push("other", "finish", &["--tag", "small", "--timeout", "2s"]);
    assert_eq!(code, Some(5), "{out}{err}");
    assert!(
        out.lines().any(|row| row.starts_with(&small) && row.ends_with("did not keep what arrived: the disk is full")),
        "{out}"
    );
    let verdict = format!("of 1 node; {small} did not keep what arrived: the disk is full\nhint: make room");
    assert!(err.contains(&verdict), "{err}");
    let (code, out, _) = shell.realm(&["stop", "ticker", "--timeout", "2s", "--json"]);
    let object: Value = serde_json::from_str(&out).unwrap();
    let reasons: Vec<&Value> = object["nodes"].as_array().unwrap().iter().map(|node| &node["reason"]).collect();
    assert!(code == Some(5) && reasons.contains(&&Value::from("the disk is full")), "{out}");

    // With space, it takes what it has missed when it next hears that others hold more.
    disk.free();
    assert_eq!(shell.push("hello", "hello", &["--tag", "small"]).0, Some(0));
    assert!(push.until_ended(&|| "the push waits".into()).success());
    agents[2].until("fin", "completed");
    assert!(fault(&shell, &agents[2]).is_null());
    assert!(!shell.realm(&["status"]).2.contains("did not keep"));
}

#[test]
fn an_apply_that_a_disk_does_not_keep_says_so() {
    let Some(disk) = Disk::new() else { return };
    let (shell, agents) = three(&disk);
    let small = agents[2].id().short();
    let manifest = shell.home.path().join("realm.toml");
    let text = format!("[components.fin]\nsource = \"{}\"\ntags = [\"small\"]\n", guest_path("finish").display());
    fs::write(&manifest, text).unwrap();
    disk.fill_but(0);
    let words = ["apply", "--file", manifest.to_str().unwrap(), "--yes", "--timeout"];
    let (code, out, err) = shell.realm(&[&words[..], &["3s"]].concat());
    assert_eq!(code, Some(5), "{out}{err}");
    assert!(err.contains(&format!("{small}  did not keep what arrived: the disk is full\n")), "{err}");
    assert!(err.contains(&format!("; {small} did not keep what arrived: the disk is full\nhint: make room")), "{err}");
    assert!(out.lines().any(|row| row.starts_with(&small) && row.ends_with("the disk is full")), "{out}");
    disk.free();
    assert_eq!(shell.push("hello", "hello", &["--tag", "small"]).0, Some(0));
    let (code, out, err) = shell.realm(&[&words[..], &["50s"]].concat());
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(fault(&shell, &agents[2]).is_null());
}

#[test]
fn what_a_full_disk_holds_up_goes_on_when_there_is_space() {
    let Some(disk) = Disk::new() else { return };
    let (agent, _, operator) = node(&disk);
    let (node, _) = operator.meet(agent.addr());
    let size = guest("hello").len();
    // The intent finds room, its artifact does not.
    disk.fill_but(size / 2);
    operator.push(node, "hello", "hello", |_| {});
    until_full(&agent, "hello", "backoff", "the disk is full");
    // The artifact does, machine code, which is larger, does not.
    disk.fill_but(size * 3 / 2);
    until_full(&agent, "hello", "compiling", "compiling failed: the disk is full");
    disk.free();
    agent.until("hello", "completed");
    // Nothing of the attempts is left.
    let unfinished = fs::read_dir(disk.at("cwasm")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file());
    assert_eq!(unfinished.count(), 0);
}

#[test]
fn an_agent_starts_on_a_full_disk_and_remembers_what_ended_there() {
    let Some(disk) = Disk::new() else { return };
    let (mut agent, shell, operator) = node(&disk);
    let (node, _) = operator.meet(agent.addr());
    operator.push(node, "service", "ticker", |_| {});
    operator.push(node, "brief", "ticker", |body| {
        body.payload.component.limits = Limits { deadline_ms: Some("1000".parse().unwrap()), ..Limits::default() };
    });
    agent.until("service", "running");
    agent.until("brief", "running");
    disk.fill_but(0);
    agent.until("brief", "failed");
    until_said(&agent, "could not write how a component ended: the disk is full; it is tried again");
    let record = disk.at("runs/brief.run");
    assert!(!record.exists());
    disk.free();
    // The next word to the disk takes it along.
    operator.push(node, "hello", "hello", |_| {});
    eventually("the record is there", || record.exists().then_some(()).ok_or_else(|| agent.stderr()));

    agent.kill();
    fs::remove_file(disk.at("logs/service.log")).unwrap();
    disk.fill_but(0);
    agent.start_again(&[]);
    agent.until("service", "running");
    assert_eq!(agent.component("brief")["last_outcome"], "deadline exceeded", "it is not run again");
    assert_eq!(fs::read_to_string(disk.at("boot")).unwrap().trim(), "2", "starts are counted all the same");
    assert!(agent.stderr().contains("the disk is full: nothing new can be accepted"), "{}", agent.stderr());
    until_said(&agent, "cannot write the log of `service`: the disk is full");
    disk.free();
    assert_eq!(shell.push("other", "hello", &[]).0, Some(0));
    until_said(&agent, "logs are written again");
    agent.kill();
    agent.start_again(&[]);
    assert_eq!(fs::read_to_string(disk.at("boot")).unwrap().trim(), "3");
}

#[test]
fn an_agent_without_its_count_of_starts_starts_on_a_full_disk() {
    let Some(disk) = Disk::new() else { return };
    let (mut agent, shell, _) = node(&disk);
    assert_eq!(shell.push("service", "ticker", &[]).0, Some(0));
    for lost in [false, true] {
        agent.kill();
        fs::write(disk.at("boot"), b"").unwrap();
        if lost {
            fs::remove_file(disk.at("boot")).unwrap();
        }
        disk.fill_but(0);
        agent.start_again(&[]);
        agent.until("service", "running");
        assert!(agent.stderr().contains("boot` could not be written"), "{}", agent.stderr());
        assert!(!disk.at("boot").exists());
        agent.kill();
        disk.free();
        agent.start_again(&[]);
        let count: u64 = fs::read_to_string(disk.at("boot")).unwrap().trim().parse().unwrap();
        assert!(count > 1_000_000, "it does not go back: {count}");
    }
}

#[test]
fn a_claim_whose_push_finds_no_room_binds_nobody() {
    let Some(disk) = Disk::new() else { return };
    let data_dir = disk.data_dir();
    let flags = [&LISTEN[..], &["--data-dir", data_dir.to_str().unwrap()]].concat();
    let agent = Agent::start_at(&disk.place(), &flags);
    let first = Operator::of(&owner(1));
    let (node, _) = first.meet(agent.addr());
    // There is room for the owner, and none for the intent.
    disk.fill_but(PAGE);
    let bytes = first.seal(&first.intent("hello", "hello"));
    assert_eq!(code(&first.hand(node, &bytes)), "storage");
    assert!(agent.status()["realm"].is_null());
    assert!(!disk.at("trust.toml").exists(), "it would be bound after a restart, and obey anybody until then");
    disk.free();
    assert_eq!(first.hand(node, &bytes), Verdict::Accepted);
    assert!(disk.at("trust.toml").exists());
}

#[test]
fn a_first_start_needs_space_and_leaves_nothing_half_done() {
    let Some(disk) = Disk::new() else { return };
    disk.fill_but(0);
    let start = || run(agent_command(&disk.place(), &disk.data_dir()).args(LISTEN));
    for _ in 0..2 {
        let (code, out, err) = start();
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("node.key") && err.contains("hint: ") && err.contains("space"), "{err}");
        assert!(!disk.at("node.key").exists());
    }
    disk.free();
    let data_dir = disk.data_dir();
    let flags = [&LISTEN[..], &["--data-dir", data_dir.to_str().unwrap()]].concat();
    Agent::start_at(&disk.place(), &flags).get("/readyz");
}

#[test]
fn a_read_only_directory_is_named_and_left_as_it_is() {
    let Some(disk) = Disk::new() else { return };
    let (mut agent, shell, _) = node(&disk);
    assert_eq!(shell.push("ticker", "ticker", &[]).0, Some(0));
    assert!(agent.terminate().success());
    disk.remount("ro");
    let (code, out, err) = run(agent_command(&disk.place(), &disk.data_dir()).args(LISTEN));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains(disk.data_dir().to_str().unwrap()) && err.contains("hint: "), "{err}");
    assert!(err.contains("ead-only"), "{err}");
    disk.remount("rw");
    agent.start_again(&[]);
    agent.until("ticker", "running");
}
