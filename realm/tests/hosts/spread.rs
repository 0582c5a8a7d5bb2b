//! A push through networks that are not a quiet LAN: past a router, and over links that lose packets.

use crate::fleet::{Fleet, dial_addr, say};
use crate::network::{Host, Network};
use std::time::Instant;

fn assert_greeted(fleet: &Fleet) {
    for node in &fleet.nodes {
        let greetings = node.agent.output("hello").iter().filter(|line| *line == "hello from a wasm component").count();
        assert_eq!(greetings, 1, "on {}", node.host.ip());
    }
}

/// The first node is in one LAN, its neighbour too, the others and the operator are in the next, where no announcement
/// of the first can be heard.
#[test]
fn one_known_address_is_enough_beyond_a_router() {
    let Some(network) = Network::two_lans() else { return };
    let started = Instant::now();
    let mut fleet = Fleet::start(network, &[0, 0, 1, 1, 1]);
    say("five nodes form a realm", started);
    fleet.shell.via.clear();
    let via = dial_addr(&fleet.nodes[0].host);
    let (code, out, err) = fleet.shell.push("hello", "hello", &["--via", &via]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("completed on 5 nodes"), "{err}");
    assert_greeted(&fleet);
    for node in &fleet.nodes {
        // What another host calls 127.0.0.1 is this host, and whoever listens on it.
        let said = node.agent.stderr();
        assert!(!said.contains("/127.0.0.1/"), "{said}");
    }
}

#[test]
fn a_push_arrives_though_packets_are_lost() {
    let Some(network) = Network::lan() else { return };
    let fleet = Fleet::start(network, &[0; 5]);
    let hosts: Vec<&Host> = fleet.nodes.iter().map(|node| &node.host).chain([&fleet.desk]).collect();
    for (number, host) in hosts.iter().enumerate() {
        host.limit_rate(100);
        let others = hosts.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, other)| *other);
        host.lose(5, others);
    }
    let said = fleet.push("hello");
    assert!(said.contains("completed on 5 nodes"), "{said}");
    assert_greeted(&fleet);
}
