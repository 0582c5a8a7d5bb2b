//! Links that fail and come back, addresses that change, and a realm that is started anew: all of it heals by itself, and
//! the operator is told what is true meanwhile.

use crate::fleet::{Fleet, dial_addr, lasts, say};
use crate::network::Network;
use crate::support::eventually;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than the 10 s of silence after which a connection counts as gone.
const LONG_OUTAGE: Duration = Duration::from_secs(30);

/// Shorter than that, so that connections may or may not outlive it.
const SHORT_OUTAGE: Duration = Duration::from_secs(3);

#[test]
fn a_host_that_was_cut_off_during_a_push_gets_it_when_it_is_back() {
    let Some(network) = Network::lan() else { return };
    let fleet = Fleet::start(network, &[0; 5]);
    let lost = &fleet.nodes[4];
    let cut = Instant::now();
    lost.host.cut();
    // Until then a push counts on it, waits for it, and says in the end that it went away.
    eventually("the one that is cut off counts as away", || {
        let peer = lost.agent.id().to_string();
        let nodes = fleet.shell.nodes();
        if nodes.iter().any(|node| node["peer"] == peer && node["alive"] == false) {
            Ok(())
        } else {
            Err(format!("{nodes:?}"))
        }
    });
    say("from the cut until it counts as away", cut);
    let said = fleet.push("ticker");
    assert!(said.contains("away") && said.contains(&lost.agent.id().short()), "{said}");
    assert!(lost.agent.component("ticker").is_null(), "it was cut off");
    lasts(LONG_OUTAGE.saturating_sub(cut.elapsed()));
    lost.host.heal();
    let healed = Instant::now();
    lost.agent.until("ticker", "running");
    say("from the healing to the run", healed);
    fleet.nodes.iter().for_each(|node| node.agent.until_sees(5));
    say("from the healing to a whole realm", healed);
}

#[test]
fn a_link_that_flaps_during_a_push_needs_no_hand() {
    let Some(network) = Network::lan() else { return };
    let fleet = Fleet::start(network, &[0; 4]);
    let shaky = &fleet.nodes[3];
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..4 {
                shaky.host.unplug();
                lasts(SHORT_OUTAGE);
                shaky.host.plug();
                lasts(SHORT_OUTAGE);
            }
        });
        fleet.push("ticker");
    });
    let calm = Instant::now();
    shaky.agent.until("ticker", "running");
    fleet.nodes.iter().for_each(|node| node.agent.until_sees(4));
    say("from the last flap to a whole realm", calm);
}

/// It is the one whose address all others were started with, and nobody tells them of the other one.
#[test]
fn a_host_with_another_address_is_a_member_again() {
    let Some(network) = Network::lan() else { return };
    let mut fleet = Fleet::start(network, &[0; 4]);
    let former = format!("/{}/", fleet.nodes[0].host.ip());
    let changed = Instant::now();
    fleet.nodes[0].host.readdress(99);
    fleet.shell.via = dial_addr(&fleet.nodes[1].host);
    // It is believed to be there until its connections have been silent for long enough: then it went away meanwhile.
    let (code, out, err) = fleet.shell.push("hello", "hello", &[]);
    assert!(matches!(code, Some(0 | 5)), "{out}{err}");
    println!("{err}");
    fleet.nodes[0].agent.until("hello", "completed");
    say("from the change to the run", changed);
    let listen = fleet.nodes[0].agent.status()["listen"].to_string();
    assert!(listen.contains(fleet.nodes[0].host.ip()) && !listen.contains(&former), "{listen}");
    fleet.nodes.iter().for_each(|node| node.agent.until_sees(4));
    fleet.shell.via = dial_addr(&fleet.nodes[0].host);
    // More than one when a connection to the former address is given up only now.
    eventually("a push that completes on all nodes", || {
        let (code, out, err) = fleet.shell.push("finish", "finish", &[]);
        if code == Some(0) && err.contains("completed on 4 nodes") { Ok(()) } else { Err(format!("{out}{err}")) }
    });
    say("from the change to a whole realm", changed);
}

#[test]
fn a_realm_that_is_started_anew_does_not_need_its_first_node() {
    let Some(network) = Network::lan() else { return };
    let mut fleet = Fleet::start(network, &[0; 5]);
    let ids: Vec<_> = fleet.nodes.iter().map(|node| node.agent.id()).collect();
    for node in &fleet.nodes {
        let me = node.agent.id();
        let others: Vec<_> = ids.iter().filter(|id| **id != me).collect();
        // What is not on the disk when the power fails cannot be known afterwards.
        eventually("the other members are on the disk", || {
            let saved = fs::read(node.agent.data_dir().join("peers.cbor")).unwrap_or_default();
            let known = others.iter().filter(|id| names(&saved, &id.to_string())).count();
            if known == others.len() { Ok(()) } else { Err(format!("{known} of {}", others.len())) }
        });
    }
    fleet.nodes.iter_mut().for_each(|node| node.agent.kill());
    let first = fleet.nodes.remove(0);
    let restarted = Instant::now();
    thread::scope(|scope| {
        for node in &mut fleet.nodes {
            scope.spawn(|| node.agent.start_again(&[]));
        }
    });
    fleet.nodes.iter().for_each(|node| node.agent.until_sees(4));
    say("from the restart to a realm of four", restarted);
    fleet.shell.via = dial_addr(&fleet.nodes[0].host);
    let said = fleet.push("hello");
    assert!(said.contains("completed on 4 nodes") && said.contains(&ids[0].short()), "{said}");
    drop(first);
}

/// Addresses are kept as text, which ends in the peer id.
fn names(saved: &[u8], id: &str) -> bool {
    saved.windows(id.len()).any(|window| window == id.as_bytes())
}
