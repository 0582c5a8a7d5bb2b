//! A realm of a hundred nodes of the pure core, in virtual time, from one seed: what one node alone cannot show.
//! `REALM_SIM_SEEDS=200` tries that many further seeds.

mod checks;
mod machine;
mod network;
mod pushes;
mod rng;
mod script;
mod world;

use script::realm;
use world::{Plan, World};

/// Until then everything goes wrong that can.
const CHAOS_MS: u64 = 45_000;

/// From then on reports are heard again.
const HEARD_MS: u64 = 60_000;

/// And by then all must be well. A neighbour is asked every minute at the latest, and a dead address is dialled every
/// half.
const CALM_MS: u64 = 200_000;

fn plan(nodes: usize) -> Plan {
    Plan { nodes, loss: 12, latency_ms: (1, 180), gossip: true, unheard: 95, faults: 4 }
}

/// Lets a realm suffer and recover; gives the world as it is when all is well.
fn suffer(seed: u64, nodes: usize, pushes: u64) -> World {
    let mut world = realm(seed, plan(nodes));
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
    println!("seed {seed}, {nodes} nodes, well after {} s: {:?}", world.now / 1_000, world.figures);
    world
}

#[test]
fn a_hundred_nodes_come_to_the_same_state() {
    let world = suffer(1, 100, 10);
    assert!(world.figures.forged > 20 && world.figures.replayed > 20 && world.figures.crashes > 50);
}

#[test]
fn tmp_progress() {
    let n: usize = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let from: u64 = std::env::var("S").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let count: u64 = std::env::var("C").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let push: u64 = std::env::var("P").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    for seed in from..from + count {
        let t = std::time::Instant::now();
        suffer(seed, n, push);
        println!("   {:?}", t.elapsed());
    }
}
