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
const CHAOS_MS: u64 = 90_000;

/// And so long after that all must be well. A neighbour is asked every minute at the latest, and a dead address is
/// dialled every half.
const CALM_MS: u64 = 150_000;

fn plan(nodes: usize) -> Plan {
    Plan { nodes, loss: 12, latency_ms: (1, 180), gossip: true, unheard: 75, faults: 4 }
}

/// Lets a realm suffer and recover; gives the world as it is when all is well.
fn suffer(seed: u64, nodes: usize, pushes: u64) -> World {
    let mut world = realm(seed, plan(nodes));
    world.boot_all();
    world.chaos(CHAOS_MS, pushes);
    world.run(CHAOS_MS);
    world.heal();
    let mut verdict = Err("nothing was checked".into());
    while world.now < CHAOS_MS + CALM_MS {
        world.run(world.now + 2_000);
        verdict = world.converged();
        if verdict.is_ok() {
            break;
        }
    }
    if let Err(what) = verdict {
        panic!("seed {seed}: after {} s all should be well, but {what}", world.now / 1_000);
    }
    println!("seed {seed}, {nodes} nodes, well after {} s: {:?}", world.now / 1_000, world.figures);
    world
}

#[test]
fn a_hundred_nodes_come_to_the_same_state() {
    let world = suffer(1, 100, 25);
    assert!(world.figures.forged > 20 && world.figures.replayed > 20 && world.figures.crashes > 50);
}

#[test]
fn tmp_progress() {
    let start = std::time::Instant::now();
    let n: usize = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let mut world = realm(1, plan(n));
    world.boot_all();
    world.chaos(CHAOS_MS, 25);
    for at in (1000..=CHAOS_MS).step_by(3000) {
        world.run(at);
        eprintln!("{:?} v={} links={} {:?}", start.elapsed(), world.now, world.links.len(), world.figures);
    }
    world.heal();
    for _ in 0..50 {
        world.run(world.now + 2000);
        eprintln!("{:?} v={} links={} {:?}", start.elapsed(), world.now, world.links.len(), world.converged());
        if world.converged().is_ok() {
            break;
        }
    }
}
