//! What an idle realm costs each of its nodes: it must not grow without bound with the number of nodes.

use crate::network::MAX_LINKS;
use crate::script::realm;
use crate::world::{Plan, World};
use agent::control::node::Input;
use shared::{NodeView, SyncReply};

const MINUTE_MS: u64 = 60_000;

/// By then everybody has its connections.
const FORMED_MS: u64 = 30_000;

/// A heartbeat that was planned while few were known is over after this time, and what is in gossip has arrived.
const SETTLE_MS: u64 = 11_000;

/// Who has not been heard of counts as alive for three heartbeats, which in a thousand nodes is longer than this.
const WATCHED_MS: u64 = MINUTE_MS;

/// The copies of so many reports are counted.
const CARRIED: u64 = 20;

/// Nobody hears of anybody, for that would be a million messages before there is anything to see.
pub fn silent(nodes: usize) -> World {
    let plan = Plan {
        nodes,
        anchors: (nodes / 50).max(3),
        links: MAX_LINKS,
        loss: 0,
        latency_ms: (1, 180),
        gossip: true,
        sparing: None,
        doubled: 0,
        unheard: 100,
        told: 1,
        weighed: false,
        faults: 0,
        cuts: 0,
    };
    let mut world = realm(9, plan);
    world.claim_all();
    world.boot_all();
    world.run(FORMED_MS);
    world
}

/// Everybody is told the newest of everybody, as if by a neighbour.
pub fn introduce(world: &mut World) {
    let reports = world.machines.iter().filter_map(|machine| machine.node.as_ref()?.own_report().cloned());
    let views: Vec<NodeView> = reports.map(|report| NodeView { report, alive: true }).collect();
    for at in 0..world.machines.len() {
        let peer = world.machines[world.admitted_peers(at)[0]].id;
        world.feed(at, Input::SyncAnswered { peer, result: Ok(SyncReply::Reports(views.clone())) });
    }
    assert_eq!(world.acquainted(), Ok(()));
}

/// How many copies gossip makes of one report.
fn copies(world: &mut World) -> f64 {
    world.figures = Default::default();
    world.plan.unheard = 0;
    while world.figures.published < CARRIED {
        world.run(world.now + 100);
    }
    world.plan.unheard = 100;
    let published = world.figures.published;
    world.run(world.now + SETTLE_MS);
    world.figures.reports_passed as f64 / published as f64
}

/// How often a node reports in a minute.
fn load(nodes: usize) -> f64 {
    let mut world = silent(nodes);
    introduce(&mut world);
    world.run(world.now + SETTLE_MS);
    introduce(&mut world);
    world.figures = Default::default();
    world.run(world.now + WATCHED_MS);
    let rate = |count: u64| count as f64 / nodes as f64 * MINUTE_MS as f64 / WATCHED_MS as f64;
    let (reports, asked_and_told) = (rate(world.figures.reports), rate(world.figures.asked_and_told));
    let passed = reports * copies(&mut world);
    println!(
        "{nodes} idle nodes: in a minute each reports {reports:.2} times, sends {passed:.0} copies of reports, \
         and asks or answers {asked_and_told:.1} times"
    );
    reports
}

#[test]
fn the_load_of_an_idle_node_is_bounded() {
    let small = [10, 100].map(load);
    assert!(small.iter().all(|reports| (6.0..9.0).contains(reports)), "{small:?}");
    // All nodes together report every 50 ms at the most, but for jitter, so that nobody has to hear more than that.
    let all = 1_000.0 * load(1_000);
    assert!(all < 1.2 * MINUTE_MS as f64 / 50.0, "{all}");
}
