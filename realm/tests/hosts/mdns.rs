//! Hosts on one LAN that were told no address at all: nodes and operator find one another by what they announce.

use crate::fleet::{LISTEN, Node, say};
use crate::network::{Host, Network};
use crate::shell::Shell;
use crate::support::eventually;
use serde_json::Value;
use std::thread;
use std::time::Instant;

/// An operator with a key and nothing else: no address is given, and none is remembered.
fn desk(network: &mut Network) -> (Host, Shell) {
    let host = network.host(0);
    let shell = Shell::at(&host.place());
    shell.good(&["init"]);
    (host, shell)
}

/// Nodes that know no address: of the realm of an owner, or of none yet.
fn nodes(network: &mut Network, count: usize, owner: Option<&str>) -> Vec<Node> {
    let owner = owner.map_or(vec![], |owner| vec!["--owner", owner]);
    let hosts: Vec<Host> = (0..count).map(|_| network.host(0)).collect();
    Node::start_all(hosts.into_iter(), &[&LISTEN[..], &owner].concat())
}

/// What `realm status --json` says; without an answer, why not.
fn status(shell: &Shell) -> Result<Value, String> {
    let (code, out, err) = shell.realm(&["status", "--json"]);
    if code == Some(0) { serde_json::from_str(&out).map_err(|error| error.to_string()) } else { Err(err) }
}

fn count(status: &Value, list: &str) -> usize {
    status[list].as_array().map_or(0, Vec::len)
}

#[test]
fn nodes_and_operator_on_one_lan_need_no_address() {
    let Some(mut network) = Network::lan() else { return };
    let (_desk, shell) = desk(&mut network);
    let started = Instant::now();
    let nodes = nodes(&mut network, 5, Some(&shell.key()));
    nodes.iter().for_each(|node| node.agent.until_sees(5));
    say("from the start of five agents to a realm", started);
    let pushed = Instant::now();
    let (code, out, err) = shell.push("hello", "hello", &[]);
    say("push without an address, from the start of the command to its end", pushed);
    println!("{err}");
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("completed on 5 nodes"), "{err}");
    for node in &nodes {
        assert_eq!(node.agent.component("hello")["last_outcome"], "completed", "on {}", node.host.ip());
    }
}

#[test]
fn two_realms_on_one_lan_leave_one_another_alone() {
    let Some(mut network) = Network::lan() else { return };
    let (_first_desk, first) = desk(&mut network);
    let (_second_desk, second) = desk(&mut network);
    let realms = [&first, &second].map(|shell| nodes(&mut network, 3, Some(&shell.key())));
    realms.iter().flatten().for_each(|node| node.agent.until_sees(3));
    // The same name, at the same time.
    let pushes = thread::scope(|scope| {
        let other = scope.spawn(|| second.push("hello", "hello", &[]));
        [("first", first.push("hello", "hello", &[])), ("second", other.join().unwrap())]
    });
    for (realm, (code, out, err)) in pushes {
        assert_eq!(code, Some(0), "{realm}: {out}{err}");
        assert!(err.contains("completed on 3 nodes"), "{realm}: {err}");
    }
    for (shell, nodes) in [(&first, &realms[0]), (&second, &realms[1])] {
        assert_eq!(count(&status(shell).unwrap(), "nodes"), 3);
        for node in nodes {
            let greetings =
                node.agent.output("hello").iter().filter(|line| *line == "hello from a wasm component").count();
            assert_eq!(greetings, 1, "on {}", node.host.ip());
            for code in ["other-owner", "other-realm", "bad-signature"] {
                assert_eq!(node.agent.refused(code), 0, "{code} on {}", node.host.ip());
            }
            // Nobody of the other realm stays connected, and nobody is dialled again and again.
            eventually("connections to the own realm alone", || match node.agent.metric("realm_peers") {
                2 => Ok(()),
                seen => Err(seen.to_string()),
            });
        }
    }
}

#[test]
fn a_node_is_found_though_others_have_answered_and_its_answer_was_lost() {
    let Some(mut network) = Network::lan() else { return };
    let (desk, shell) = desk(&mut network);
    let own = nodes(&mut network, 2, Some(&shell.key()));
    let (_other_desk, other) = self::desk(&mut network);
    let foreign = nodes(&mut network, 2, Some(&other.key()));
    own.iter().chain(&foreign).for_each(|node| node.agent.until_sees(2));
    own.iter().for_each(|node| desk.miss_first_answer(&node.host));
    let (code, out, err) = shell.push("hello", "hello", &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("completed on 2 nodes"), "{err}");
}

#[test]
fn nodes_find_one_another_though_others_have_answered_and_their_own_answers_were_lost() {
    let Some(mut network) = Network::lan() else { return };
    let (_other_desk, other) = desk(&mut network);
    let foreign = nodes(&mut network, 2, Some(&other.key()));
    foreign.iter().for_each(|node| node.agent.until_sees(2));
    let (_desk, shell) = desk(&mut network);
    let hosts = [network.host(0), network.host(0)];
    hosts[0].miss_first_answer(&hosts[1]);
    hosts[1].miss_first_answer(&hosts[0]);
    let started = Instant::now();
    let own = Node::start_all(hosts.into_iter(), &[&LISTEN[..], &["--owner", &shell.key()]].concat());
    own.iter().for_each(|node| node.agent.until_sees(2));
    say("from the start of two agents that do not hear one another at first to a realm", started);
}

#[test]
fn unclaimed_nodes_on_the_lan_are_listed_and_claimed_by_a_push() {
    let Some(mut network) = Network::lan() else { return };
    let (_desk, shell) = desk(&mut network);
    let nodes = nodes(&mut network, 3, None);
    eventually("three unclaimed nodes are listed", || {
        let status = status(&shell)?;
        if count(&status, "unclaimed") == 3 { Ok(()) } else { Err(status.to_string()) }
    });
    let pushed = Instant::now();
    let (code, out, err) = shell.push("hello", "hello", &[]);
    say("push that claims, from the start of the command to its end", pushed);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("CLAIMING 3 nodes"), "{err}");
    for node in &nodes {
        node.agent.until("hello", "completed");
        node.agent.until_sees(3);
    }
    let status = status(&shell).unwrap();
    assert_eq!((count(&status, "nodes"), count(&status, "unclaimed")), (3, 0), "{status}");
}
