//! The agent as a process: what it does with its command line, its ports and its directory, and that it leaves nothing.

use crate::child::{Place, agent_binary, agent_command, run};
use crate::support::{Agent, LISTEN, eventually, owner};
use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use tempfile::TempDir;

/// Every process, with its parent and its state.
#[cfg(target_os = "linux")]
fn processes() -> BTreeMap<u32, (u32, String)> {
    let stat = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may have anything in it.
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.to_owned();
        Some((pid, (fields.next()?.parse().ok()?, state)))
    };
    let names = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    names.filter_map(|name| stat(name.parse().ok()?)).collect()
}

/// The processes of an agent: its guard, and all below.
#[cfg(target_os = "linux")]
pub(crate) fn family(guard: u32) -> Vec<u32> {
    let all = processes();
    let mut family = vec![guard];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        family.extend(all.iter().filter(|(_, (of, _))| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    family
}

#[cfg(target_os = "linux")]
fn until_gone(family: &[u32]) {
    eventually("no process of the agent is left", || {
        let all = processes();
        // One that has ended and that nobody has waited for yet is no process any more.
        let left: Vec<_> = family.iter().filter_map(|pid| all.get(pid).filter(|(_, state)| state != "Z")).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

/// An agent whose guests run, and its processes.
#[cfg(target_os = "linux")]
fn busy_agent() -> (Agent, Vec<u32>) {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = crate::operator::Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    for (name, guest) in [("spin", "spin"), ("sleep", "sleep"), ("own", "spin"), ("ticker", "ticker")] {
        operator.push(node, name, guest, |body| {
            if name == "own" {
                body.payload.component.isolation = shared::Isolation::Process;
            }
        });
        agent.until(name, "running");
    }
    let family = family(agent.pid());
    assert!(family.len() >= 4, "guard, control and two runners: {family:?}");
    (agent, family)
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_to_end_leaves_nothing_behind() {
    let (mut agent, family) = busy_agent();
    let endpoint = agent.data_dir().join("endpoint");
    let addrs = fs::read_to_string(&endpoint).unwrap();
    assert_eq!(addrs.lines().collect::<Vec<_>>(), agent.listen());
    let status = agent.terminate();
    assert_eq!(status.code(), Some(0));
    // At once, not some time later.
    let all = processes();
    assert!(family.iter().all(|pid| !all.contains_key(pid)), "{family:?}");
    assert!(!endpoint.exists(), "it names addresses where nobody is");
}

#[cfg(target_os = "linux")]
#[test]
fn the_death_of_the_guard_ends_the_others() {
    let (mut agent, family) = busy_agent();
    agent.kill();
    until_gone(&family);
}

#[test]
fn a_port_of_a_flag_that_is_taken_is_an_error() {
    let dir = TempDir::new().unwrap();
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let quic = format!("/ip4/127.0.0.1/udp/{}/quic-v1", udp.local_addr().unwrap().port());
    let noise = format!("/ip4/127.0.0.1/tcp/{}", tcp.local_addr().unwrap().port());
    for addr in [&quic, &noise] {
        let (code, out, err) = run(agent_command(&Place::default(), dir.path()).args(["--listen", addr]));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(addr.as_str()) && err.contains("hint: "), "{err}");
    }
    let http = tcp.local_addr().unwrap().to_string();
    let words = ["--data-dir", dir.path().to_str().unwrap(), "--http", &http];
    let (code, out, err) = run(Command::new(agent_binary()).args(words).args(LISTEN));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains(&http) && err.contains("hint: "), "{err}");
}

#[test]
fn a_remembered_port_is_kept_and_one_that_is_taken_is_replaced() {
    let mut agent = Agent::start(&[]);
    let (first, quic) = (agent.listen().to_vec(), agent.addr().to_owned());
    agent.kill();
    agent.start_again(&[]);
    assert_eq!(agent.listen(), first, "ports are kept");

    agent.kill();
    let port: u16 = quic.split('/').nth(4).unwrap().parse().unwrap();
    // The former control process ends by itself, a moment after its guard.
    let taken =
        eventually("the port is free", || UdpSocket::bind(("127.0.0.1", port)).map_err(|error| error.to_string()));
    agent.start_again(&[]);
    assert_ne!(agent.addr(), quic);
    assert!(agent.stderr().contains(&port.to_string()), "the log names the port that was lost");
    let second = agent.addr().to_owned();
    agent.kill();
    drop(taken);
    agent.start_again(&[]);
    assert_eq!(agent.addr(), second, "the new port is the one that is remembered");
}

#[test]
fn one_agent_to_a_directory() {
    let agent = Agent::start(&[]);
    let (code, out, err) = run(agent_command(&Place::default(), &agent.data_dir()).args(LISTEN));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains(agent.data_dir().to_str().unwrap()) && err.contains("hint: "), "{err}");
    agent.get("/healthz");
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    let dir = TempDir::new().unwrap();
    for words in [
        &["--unknown"][..],
        &["--owner", "ed25519:xyz"],
        &["--listen", "127.0.0.1:80"],
        &["--listen", "/dns/localhost/tcp/1"],
        &["--bootstrap", "nowhere"],
        &["--role", "NOT A TAG"],
        &["--http"],
    ] {
        let (code, out, err) = run(Command::new(agent_binary()).arg("--data-dir").arg(dir.path()).args(words));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}: {err}");
        assert!(err.contains("hint: "), "{words:?}: {err}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn version_and_help_are_printed() {
    let (code, out, _) = run(Command::new(agent_binary()).arg("--version"));
    assert_eq!((code, out.trim()), (Some(0), format!("realm-agent {}", shared::VERSION).as_str()));
    let (code, out, _) = run(Command::new(agent_binary()).arg("--help"));
    assert_eq!(code, Some(0));
    for flag in ["--role", "--owner", "--bootstrap", "--listen", "--http", "--data-dir", "--no-tofu", "--version"] {
        assert!(out.contains(flag), "{flag}");
    }
}
