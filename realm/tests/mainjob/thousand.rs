//! A realm of a thousand nodes, as one of them knows it: told to the operator in one answer, which comes in pieces.

use crate::shell::Shell;
use crate::support::Agent;
use serde::Serialize;
use shared::{
    ComponentReport, Digest, IntentId, NodeId, NodeReport, Outcome, OwnerKey, Phase, RealmId, SignedReport, Summary,
    frame,
};
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

const NODES: u16 = 1_000;

/// Components of each node: the answer is many times as long as a frame may be.
const COMPONENTS: u8 = 4;

/// What an agent keeps in `peers.cbor`.
#[derive(Serialize)]
struct Members {
    members: Vec<Member>,
}

#[derive(Serialize)]
struct Member {
    report: SignedReport,
    addrs: Vec<String>,
}

fn seed(number: u16) -> [u8; 32] {
    let mut seed = [0x5e; 32];
    seed[..2].copy_from_slice(&number.to_be_bytes());
    seed
}

fn component(number: u8) -> ComponentReport {
    ComponentReport {
        name: format!("component-{number}").parse().unwrap(),
        intent: IntentId::from_bytes([number; 32]),
        digest: Digest::of(&[number]),
        phase: Phase::Completed,
        replicas: 1,
        running: 0,
        restarts: 0,
        last_outcome: Some(Outcome::Completed),
        reason: None,
        fetched: None,
        declared: false,
        serving: 0,
    }
}

/// The word of a node that the realm had until the power failed everywhere.
fn member(realm: RealmId, number: u16) -> Member {
    let seed = seed(number);
    let report = NodeReport {
        node: NodeId::of_seed(&seed),
        realm,
        boot: 1,
        count: 1,
        at: 1,
        heartbeat_ms: 50_000,
        tags: vec!["dev".parse().unwrap()],
        version: "0.1.0".into(),
        platform: "linux/aarch64".into(),
        // Nobody is there, and nobody is looked for.
        addrs: Vec::new(),
        clock_behind: false,
        leaving: false,
        summary: Summary::of(std::iter::empty()),
        manifest: None,
        components: (0..COMPONENTS).map(component).collect(),
        omitted: 0,
        alarms: Vec::new(),
        fault: None,
    };
    Member { report: SignedReport::sign(&seed, &report), addrs: Vec::new() }
}

#[test]
fn the_status_of_a_thousand_nodes_is_one_answer() {
    let shell = Shell::new();
    shell.good(&["init"]);
    let text = fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
    let owner = OwnerKey::from_secret_text(&text).unwrap();
    let mut agents = Agent::realm(&owner, &[&["--role", "dev"]]);
    let agent = &mut agents[0];
    agent.kill();
    let members = (1..NODES).map(|number| member(RealmId::of_owner(&owner.id()), number)).collect();
    let bytes = frame::to_bytes(&Members { members }, usize::MAX).unwrap();
    fs::write(agent.data_dir().join("peers.cbor"), bytes).unwrap();
    agent.start_again(&[]);
    let me = agent.id().to_string();
    let shell = shell.to(&agents);

    let asked = Instant::now();
    let nodes = shell.nodes();
    println!("status of {NODES} nodes: {} ms", asked.elapsed().as_millis());
    let peers: BTreeSet<&str> = nodes.iter().map(|node| node["peer"].as_str().unwrap()).collect();
    assert_eq!((nodes.len(), peers.len()), (NODES.into(), NODES.into()));
    for node in &nodes {
        let own = node["peer"] == me;
        assert_eq!(node["alive"], own, "{node}");
        assert_eq!(node["components"].as_array().unwrap().len(), if own { 0 } else { COMPONENTS.into() }, "{node}");
    }
}
