//! A torn file in each place of the data directory: named in the log and set aside, and everything else goes on. Without
//! key, owner or configuration the agent does not start at all, for it would be another node, or obey the next stranger.

use crate::child::{Place, agent_command, run};
use crate::manifest::component;
use crate::operator::Operator;
use crate::shell::{Shell, realm};
use crate::support::{Agent, LISTEN, eventually, owner};
use std::fs;
use std::path::{Path, PathBuf};

/// What a power cut makes of a file.
fn torn(whole: &[u8]) -> Vec<Vec<u8>> {
    vec![Vec::new(), whole[..whole.len() / 2].to_vec(), vec![0; whole.len()]]
}

/// And a bad disk, of one whose bytes are checked.
fn damaged(whole: &[u8]) -> Vec<Vec<u8>> {
    let mut bent = whole.to_vec();
    bent[whole.len() / 2] ^= 0xFF;
    torn(whole).into_iter().chain([bent]).collect()
}

/// Files below a directory that `is` holds for.
fn find(dir: &Path, is: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let (mut dirs, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { &mut dirs } else { &mut files }.push(path);
        }
    }
    files.retain(|file| is(file));
    assert!(!files.is_empty(), "nothing of that kind in {}", dir.display());
    files
}

/// A start that has to fail: what it says.
fn refusal(agent: &Agent, flags: &[&str]) -> String {
    let mut command = agent_command(&Place::default(), &agent.data_dir());
    let (code, out, err) = run(command.args(LISTEN).args(flags));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("hint: "), "{err}");
    err
}

/// A node without a flag that names its owner: it has bound whoever pushed first, and runs two components, both of which
/// have said something: their logs are there.
fn node() -> (Agent, Operator) {
    let agent = Agent::start(&[]);
    let operator = Operator::of(&owner(1));
    let (node, _) = operator.meet(agent.addr());
    operator.push(node, "service", "ticker", |_| {});
    operator.push(node, "hello", "hello", |_| {});
    agent.until("service", "running");
    agent.until("hello", "completed");
    eventually("the service said something", || match agent.output("service").as_slice() {
        [] => Err(String::from("nothing yet")),
        _ => Ok(()),
    });
    (agent, operator)
}

#[test]
fn what_the_agent_can_do_without_is_set_aside_and_named() {
    let (mut agent, _operator) = node();
    let dir = agent.data_dir();
    // Nobody else is known, so that there may be no such file yet.
    let peers = dir.join("peers.cbor");
    assert!(agent.terminate().success());
    if !peers.exists() {
        // CBOR of an empty list of members.
        fs::write(&peers, b"\xA1\x67members\x80").unwrap();
    }
    for (name, ways) in [
        ("boot", torn as fn(&[u8]) -> Vec<Vec<u8>>),
        ("peers.cbor", torn),
        ("runs/hello.run", torn),
        ("intents/component.hello.intent", damaged),
    ] {
        let file = dir.join(name);
        let whole = fs::read(&file).unwrap();
        for (number, bytes) in ways(&whole).into_iter().enumerate() {
            fs::write(&file, bytes).unwrap();
            agent.start_again(&[]);
            let aside = format!("{}.{number}", file.file_name().unwrap().to_str().unwrap());
            let aside = dir.join("set-aside").join(aside);
            let named = format!("{name}` is unreadable (");
            let said = agent.stderr();
            assert!(said.contains(&named) && said.contains(aside.to_str().unwrap()), "{name} {number}: {said}");
            assert!(aside.exists(), "{name} {number}");
            agent.until("service", "running");
            assert!(agent.terminate().success());
        }
        fs::write(&file, &whole).unwrap();
    }
    // With everything back in its place, it is as before: what only the lost intent named was kept.
    let output = fs::read(dir.join("logs/hello.log")).unwrap();
    agent.start_again(&[]);
    agent.until("hello", "completed");
    assert_eq!(fs::read(dir.join("logs/hello.log")).unwrap(), output, "and it did not run again");
}

#[test]
fn what_an_intent_named_stays_though_the_intent_cannot_be_set_aside() {
    let (mut agent, _operator) = node();
    let dir = agent.data_dir();
    assert!(agent.terminate().success());
    // Neither is it there nor can it be made.
    std::os::unix::fs::symlink("nowhere/at-all", dir.join("set-aside")).unwrap();
    let intent = dir.join("intents/component.hello.intent");
    let whole = fs::read(&intent).unwrap();
    let kept = || ["blobs", "cwasm", "logs"].map(|part| find(&dir.join(part), &|_| true).len());
    let before = kept();
    for bytes in damaged(&whole) {
        fs::write(&intent, &bytes).unwrap();
        agent.start_again(&[]);
        assert!(agent.stderr().contains("could not be set aside"), "{}", agent.stderr());
        agent.until("service", "running");
        assert!(agent.terminate().success());
        assert_eq!(kept(), before);
    }
    fs::write(&intent, &whole).unwrap();
    agent.start_again(&[]);
    agent.until("hello", "completed");
}

#[test]
fn ports_endpoint_locks_and_logs_are_made_anew() {
    let (mut agent, _operator) = node();
    let dir = agent.data_dir();
    assert!(agent.terminate().success());
    for file in ["ports", "endpoint", "lock", "control.lock", "logs/service.log"] {
        fs::write(dir.join(file), b"\xFF\0torn").unwrap();
    }
    for file in ["intents/component.x.intent.new", "runs/x.run.new"] {
        fs::write(dir.join(file), b"left by a crash").unwrap();
    }
    agent.start_again(&[]);
    assert!(agent.stderr().contains("ports` is unreadable"), "{}", agent.stderr());
    agent.until("service", "running");
    eventually("its output goes on", || match agent.output("service").as_slice() {
        [.., last] if last == "ticker: started" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(fs::read_to_string(dir.join("endpoint")).unwrap().lines().collect::<Vec<_>>(), agent.listen());
    let listen = agent.listen().to_vec();
    agent.kill();
    agent.start_again(&[]);
    assert_eq!(agent.listen(), listen, "ports are kept again");
}

#[test]
fn without_its_count_of_starts_a_node_is_heard_all_the_same() {
    let (mut agent, _operator) = node();
    let boot = agent.data_dir().join("boot");
    assert!(agent.terminate().success());
    fs::remove_file(&boot).unwrap();
    agent.start_again(&[]);
    assert!(agent.stderr().contains("boot` is not there"), "{}", agent.stderr());
    let count: u64 = fs::read_to_string(&boot).unwrap().trim().parse().unwrap();
    assert!(count > 1_000_000, "more than any count that was told before: {count}");
}

#[test]
fn a_node_is_heard_that_counts_fewer_starts_than_others_know() {
    let mut agents = Agent::realm(&owner(1), &[&[], &[]]);
    let boot = agents[1].data_dir().join("boot");
    let mut starts_again_as = |count: &str| {
        assert!(agents[1].terminate().success());
        agents[0].until_sees(1);
        fs::write(&boot, count).unwrap();
        agents[1].start_again(&[]);
        agents[0].until_sees(2);
        agents[1].stderr()
    };
    assert!(!starts_again_as("100\n").contains("put back from a copy"));
    // A copy of its data directory is put back that was made before.
    assert!(starts_again_as("1\n").contains("put back from a copy"));
}

#[test]
fn compiled_code_that_is_not_what_it_was_is_compiled_anew() {
    let (mut agent, _operator) = node();
    let is_seal = |path: &Path| path.extension().is_some();
    for of_seals in [false, true] {
        assert!(agent.terminate().success());
        let files = find(&agent.data_dir().join("cwasm"), &|path| is_seal(path) == of_seals);
        let wholes: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        for way in 0..damaged(&wholes[0]).len() {
            files.iter().zip(&wholes).for_each(|(file, whole)| fs::write(file, &damaged(whole)[way]).unwrap());
            let said = agent.stderr().len();
            agent.start_again(&[]);
            agent.until("service", "running");
            assert_eq!(agent.component("service")["restarts"], 0);
            assert!(agent.stderr()[said..].contains(" is compiled anew: "), "{}", agent.stderr());
            assert!(agent.terminate().success());
        }
        // What was made of it then is good for the next start.
        let said = agent.stderr().len();
        agent.start_again(&[]);
        agent.until("service", "running");
        assert!(!agent.stderr()[said..].contains("compiled anew"), "{}", agent.stderr());
    }
}

#[test]
fn an_artifact_that_the_disk_has_changed_is_fetched_again_and_not_compiled() {
    let key = owner(1);
    let mut agents = Agent::realm(&key, &[&[], &[]]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agents[0].addr());
    operator.push(node, "service", "ticker", |_| {});
    agents.iter().for_each(|agent| drop(agent.until("service", "running")));
    drop(operator);
    let dir = agents[1].data_dir();
    assert!(agents[1].terminate().success());
    fs::remove_dir_all(dir.join("cwasm")).unwrap();
    let artifact = find(&dir.join("blobs"), &|_| true).remove(0);
    let mut bytes = fs::read(&artifact).unwrap();
    let whole = bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&artifact, &bytes).unwrap();
    // An earlier fetch was cut short in a file that is not what it should be either.
    fs::write(artifact.with_extension("part"), &bytes[..1000]).unwrap();
    agents[1].start_again(&[]);
    agents[1].until("service", "running");
    assert_eq!(fs::read(&artifact).unwrap(), whole);
    let torn = artifact.with_extension("torn");
    assert!(agents[1].stderr().contains(torn.to_str().unwrap()), "{}", agents[1].stderr());
    assert_eq!(fs::read(torn).unwrap(), bytes);
}

#[test]
fn without_its_owner_a_node_does_not_start_and_nobody_can_claim_it() {
    let (mut agent, _operator) = node();
    let trust = agent.data_dir().join("trust.toml");
    let whole = fs::read(&trust).unwrap();
    assert!(agent.terminate().success());
    for torn in damaged(&whole) {
        fs::write(&trust, &torn).unwrap();
        let said = refusal(&agent, &[]);
        assert!(said.contains("trust.toml") && said.contains("realm configure --owner"), "{said}");
        assert_eq!(fs::read(&trust).unwrap(), torn, "it is there to be looked at");
    }
    fs::remove_file(&trust).unwrap();
    for flags in [&[][..], &["--no-tofu"]] {
        let said = refusal(&agent, flags);
        assert!(said.contains("trust.toml") && said.contains("realm configure --owner"), "{said}");
    }
    // Nor when its intents are gone as well.
    let intents = find(&agent.data_dir().join("intents"), &|_| true);
    fs::write(&trust, whole).unwrap();
    intents.iter().for_each(|intent| fs::write(intent, b"torn").unwrap());
    agent.start_again(&[]);
    assert!(agent.terminate().success());
    assert!(intents.iter().all(|intent| !intent.exists()));
    fs::remove_file(&trust).unwrap();
    let said = refusal(&agent, &[]);
    assert!(said.contains("trust.toml") && said.contains("realm configure --owner"), "{said}");
}

#[test]
fn a_node_that_knows_others_of_a_realm_has_an_owner() {
    let mut agents = Agent::realm(&owner(1), &[&[], &[]]);
    for agent in &mut agents {
        assert!(agent.terminate().success());
        let said = refusal(agent, &[]);
        assert!(said.contains("trust.toml") && said.contains("realm configure --owner"), "{said}");
    }
}

#[test]
fn an_owner_that_is_configured_while_the_agent_runs_is_not_replaced_by_a_push() {
    let agent = Agent::start(&[]);
    let trust = agent.data_dir().join("trust.toml");
    let text = shared::files::TrustFile { owner: owner(2).id() }.to_text();
    fs::write(&trust, &text).unwrap();
    let first = Operator::of(&owner(1));
    let (node, _) = first.meet(agent.addr());
    let verdict = first.hand(node, &first.seal(&first.intent("hello", "hello")));
    assert_eq!(crate::operator::code(&verdict), "storage", "{verdict:?}");
    let shell = Shell::new().to(std::slice::from_ref(&agent));
    shell.good(&["init"]);
    let (_, out, err) = shell.push("hello", "hello", &[]);
    assert!(err.contains("names another owner") && err.contains("hint: "), "{out}{err}");
    assert!(!err.contains(trust.to_str().unwrap()) && !err.contains("make room"), "{err}");
    assert_eq!(fs::read_to_string(&trust).unwrap(), text);
    assert!(agent.status()["realm"].is_null());
}

#[test]
fn what_a_manifest_declares_runs_again_though_what_was_in_force_is_torn() {
    let (shell, mut agents) = realm(&[&[]]);
    let said = shell.applied(&[component("web", "ticker", "")]);
    assert!(said.contains("version 1 is in force"), "{said}");
    let mut agent = agents.remove(0);
    assert!(agent.terminate().success());
    let file = agent.data_dir().join("manifest");
    let whole = fs::read(&file).unwrap();
    for (number, bytes) in damaged(&whole).into_iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        agent.start_again(&[]);
        let aside = agent.data_dir().join(format!("set-aside/manifest.{number}"));
        let said = agent.stderr();
        assert!(said.contains("manifest` is unreadable (") && said.contains(aside.to_str().unwrap()), "{said}");
        let web = agent.until("web", "running");
        assert_eq!(web["declared"], true, "{web}");
        assert!(agent.terminate().success());
    }
}
