//! Realms of up to a thousand nodes of the pure core, in virtual time, from one seed: what one node alone cannot show.
//! `REALM_SIM_SEEDS=200` tries that many further seeds.
#![allow(clippy::print_stdout, reason = "the figures of a run are part of what it shows")]
#![allow(clippy::collapsible_match, reason = "a guard that changes the world is easily overlooked")]

mod agreed;
mod applies;
mod checks;
mod deceit;
mod edges;
mod idle;
mod machine;
mod manifests;
mod network;
mod parts;
mod pushes;
mod remembered;
mod rng;
mod scaled;
mod script;
mod spread;
mod trace;
mod turns;
mod world;

use network::MAX_LINKS;
use pushes::Behaviour;
use script::realm;
use shared::{Audience, ComponentName, IntentKey};
use std::sync::Arc;
use world::{Plan, World};

/// Until then everything goes wrong that can.
const CHAOS_MS: u64 = 40_000;

/// From then on reports are heard again.
const HEARD_MS: u64 = 55_000;

/// Every machine of so many has little memory.
const TIGHT: usize = 3;

/// And by then all must be well. A neighbour is asked every minute at the latest, and a dead address is dialled every
/// half.
const CALM_MS: u64 = 200_000;

fn plan(nodes: usize) -> Plan {
    Plan {
        nodes,
        anchors: 3,
        links: MAX_LINKS,
        loss: 12,
        latency_ms: (1, 180),
        gossip: true,
        sparing: None,
        doubled: 0,
        unheard: 95,
        told: usize::MAX,
        weighed: false,
        faults: 4,
        cuts: 5,
    }
}

/// Lets a realm suffer and recover; gives the world as it is when all is well.
fn suffer(seed: u64, nodes: usize, pushes: u64) -> World {
    let mut world = realm(seed, plan(nodes));
    // Some have memory for two instances or three, and not for all that is pushed.
    for at in (0..nodes).step_by(TIGHT) {
        world.machines[at].budget_bytes = (2 + at as u64 / TIGHT as u64 % 2) * (u64::from(machine::MEMORY_MB) << 20);
    }
    world.boot_all();
    world.chaos(CHAOS_MS, pushes);
    world.run(CHAOS_MS);
    world.heal();
    world.run(HEARD_MS);
    world.plan.unheard = 0;
    let mut verdict = Err("nothing was checked".into());
    while verdict.is_err() && world.now < CALM_MS {
        world.run(world.now + 1_000);
        verdict = world.converged();
    }
    if let Err(what) = verdict {
        panic!("seed {seed}: after {} s all should be well, but {what}", world.now / 1_000);
    }
    keeps_places(&mut world);
    println!("seed {seed}, {nodes} nodes, well after {} s: {:?}", world.now / 1_000, world.figures);
    world
}

/// After a power cut the same components have memory as before, and the same wait for it.
fn keeps_places(world: &mut World) {
    let tight: Vec<usize> = (0..world.machines.len()).step_by(TIGHT).collect();
    let before: Vec<_> = tight.iter().map(|at| world.wait_for_room(*at)).collect();
    world.figures.waiting += before.iter().map(Vec::len).sum::<usize>() as u64;
    for at in &tight {
        world.cut_power(*at);
        world.boot(*at);
    }
    world.run(world.now + 5_000);
    let after: Vec<_> = tight.iter().map(|at| world.wait_for_room(*at)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_hundred_nodes_come_to_the_same_state() {
    let world = suffer(2, 100, 16);
    assert!(world.figures.forged > 20 && world.figures.replayed > 20 && world.figures.crashes > 30);
    assert!(world.figures.waiting > 0, "memory was scarce");
}

#[test]
fn many_small_realms_do() {
    let further = std::env::var("REALM_SIM_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(0_u64);
    for seed in 100..104 + further {
        suffer(seed, 20, 10);
    }
}

#[test]
fn what_ends_counts_until_it_has_ended_where_memory_is_scarce() {
    // So many pushes that what begins meets what has yet to end.
    (50..58).for_each(|seed| drop(suffer(seed, 2 * TIGHT, 80)));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let runs = [7, 7, 8].map(|seed| suffer(seed, 20, 8).trace);
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

/// Nothing is lost, and a round trip takes 50 ms.
fn quiet(nodes: usize, gossip: bool) -> World {
    let latency_ms = (25, 25);
    let plan = Plan {
        nodes,
        anchors: 3,
        links: MAX_LINKS,
        loss: 0,
        latency_ms,
        gossip,
        sparing: None,
        doubled: 0,
        unheard: 0,
        told: usize::MAX,
        weighed: false,
        faults: 0,
        cuts: 0,
    };
    let mut world = realm(3, plan);
    world.claim_all();
    world.boot_all();
    world.run(10_000);
    world
}

/// Pushes something for everybody, at the first machine.
fn push(world: &mut World, name: &str) -> IntentKey {
    let artifact = world.pushes.artifact(1, Behaviour::Stays);
    let name: ComponentName = script::name(name);
    let body = pushes::body(&world.pushes.owner, &name, artifact, world.next_seq(0), Audience::default());
    let id = world.pushes.sign(&body);
    let bytes = Arc::clone(&world.pushes.signed[&id].1);
    world.enter(0, id, vec![artifact.digest], &bytes);
    IntentKey::Component(name)
}

#[test]
fn who_was_off_has_it_two_round_trips_after_it_is_connected() {
    const WRITE_MS: u64 = 60;
    let mut world = quiet(20, false);
    world.cut_power(9);
    world.run(12_000);
    let key = push(&mut world, "late");
    world.run(30_000);
    assert!(world.machines.iter().enumerate().all(|(at, machine)| machine.durable(&key).is_some() == (at != 9)));
    world.boot(9);
    let mut met = None;
    while world.machines[9].durable(&key).is_none() {
        world.run(world.now + 1);
        if met.is_none() && !world.admitted_peers(9).is_empty() {
            met = Some(world.now);
        }
        let late = met.is_some_and(|met| world.now > met + 2 * 50 + WRITE_MS);
        assert!(!late && world.now < 60_000, "connected at {met:?}, and by {} it is not there", world.now);
    }
    println!("connected at {met:?} ms, there at {} ms", world.now);
}

#[test]
fn who_starts_alone_runs_what_it_held() {
    let mut world = quiet(3, true);
    push(&mut world, "steady");
    world.run(20_000);
    world.side = vec![0, 1, 0];
    (0..3).for_each(|at| world.cut_power(at));
    world.boot(1);
    world.run(22_000);
    assert!(world.machines[1].peers.is_empty());
    assert_eq!(world.machines[1].live.len(), 1);
}

/// All of them are configured with the same address, a board's, that has not half as many connections.
#[test]
fn more_nodes_than_their_bootstrap_address_has_places_for_come_together() {
    const BOARD: usize = 64;
    let nodes = 150;
    let plan = Plan { anchors: 1, links: BOARD, loss: 5, unheard: 0, sparing: Some(3), ..plan(nodes) };
    let mut world = realm(11, Plan { faults: 0, cuts: 0, ..plan });
    world.claim_all();
    world.boot_all();
    let mut verdict = Err(String::new());
    while verdict.is_err() && world.now < 120_000 {
        world.run(world.now + 1_000);
        verdict = world.acquainted();
    }
    assert_eq!(verdict, Ok(()));
    println!("all {nodes} know of one another after {} s", world.now / 1_000);
    // And newcomers find a place from then on.
    world.run(world.now + 30_000);
    let taken = world.machines[0].peers.len();
    assert!(taken < BOARD, "{taken} connections");
}

#[test]
fn two_halves_find_one_another_again() {
    const HALF: usize = 24;
    let mut world = quiet(2 * HALF, true);
    // No anchor is left that would be dialled anyway.
    for at in 0..2 * HALF {
        world.machines[at].bootstrap.clear();
        world.cut_power(at);
    }
    world.boot_all();
    world.run(25_000);
    world.split_at(HALF);
    world.run(100_000);
    let key = push(&mut world, "news");
    world.run(110_000);
    let holders = |world: &World| world.machines.iter().filter(|machine| machine.durable(&key).is_some()).count();
    assert_eq!(holders(&world), HALF);
    world.side.fill(0);
    world.run(170_000);
    assert_eq!(holders(&world), 2 * HALF);
}
