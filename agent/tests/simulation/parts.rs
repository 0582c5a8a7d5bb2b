//! A large realm that falls apart into two halves and some single nodes, is pushed to on every side, and heals.

use crate::network::MAX_LINKS;
use crate::script::{Step, realm};
use crate::world::{Event, Plan, World};
use std::collections::BTreeSet;

/// By then the realm has formed, and has had its first pushes.
const FORMED_MS: u64 = 30_000;

/// So long it is in parts: longer than a peer that is gone goes unnoticed, and than a cycle of comparing.
const APART_MS: u64 = 45_000;

/// By then all must be well again.
const WELL_MS: u64 = 200_000;

/// One in so many machines is alone; the others are on the one side or the other.
const LONER: usize = 50;

/// What is pushed while the realm is whole, on both sides at once, on one of them, and where a machine is alone.
const WHOLE: [&str; 2] = ["api", "door"];
const BOTH: [&str; 1] = ["api"];
const ONE: [&str; 2] = ["cache", "lamp"];
const ALONE: [&str; 2] = ["cache", "meter"];

/// Reports are nearly all of the traffic, and no state may depend on them: here they come with answers only. See `idle`
/// for a realm of this size in which all of them are heard.
fn plan(nodes: usize) -> Plan {
    Plan {
        nodes,
        anchors: nodes / 50,
        links: MAX_LINKS,
        loss: 8,
        latency_ms: (1, 180),
        gossip: true,
        sparing: None,
        doubled: 0,
        unheard: 100,
        told: 10,
        weighed: false,
        faults: 3,
        cuts: 0,
    }
}

/// Which side a machine is on: a half, or one of its own.
fn side(at: usize) -> u8 {
    match at % LONER {
        1 => u8::try_from(2 + at / LONER).unwrap_or(u8::MAX),
        other => u8::from(other % 2 == 0),
    }
}

impl World {
    /// Some machine on a side.
    fn on(&mut self, side: u8) -> usize {
        let there: Vec<usize> = (0..self.side.len()).filter(|at| self.side[*at] == side).collect();
        there[self.rng.index(there.len())]
    }

    fn push_soon(&mut self, at: usize, name: &'static str) {
        let delay = self.rng.between(1_000, APART_MS / 2);
        self.after(delay, Event::Step(Step::PushAt(at, name)));
    }

    fn crash_soon(&mut self, count: usize, until: u64) {
        for _ in 0..count {
            let delay = self.rng.between(0, until - self.now);
            self.after(delay, Event::Step(Step::Crash));
        }
    }
}

/// Lets a realm fall apart and heal; gives the world as it is when all is well.
fn part_and_heal(seed: u64, nodes: usize) -> World {
    let mut world = realm(seed, plan(nodes));
    world.boot_all();
    world.after(8_000, Event::Step(Step::Claim));
    for name in WHOLE {
        let at = world.on(0);
        world.after(15_000, Event::Step(Step::PushAt(at, name)));
    }
    world.run(FORMED_MS);
    world.crash_soon(nodes / 20, FORMED_MS + APART_MS);
    world.side = (0..nodes).map(side).collect();
    world.break_crossing();
    for (name, side) in BOTH.iter().flat_map(|name| [(name, 0), (name, 1)]) {
        let at = world.on(side);
        world.push_soon(at, name);
    }
    for (nth, name) in ONE.iter().enumerate() {
        let at = world.on(u8::from(nth >= ONE.len() / 2));
        world.push_soon(at, name);
    }
    for (nth, name) in ALONE.iter().enumerate() {
        let at = world.on(2 + nth as u8);
        world.push_soon(at, name);
    }
    world.run(FORMED_MS + APART_MS);
    let verdict = world.agreed();
    assert!(verdict.is_err(), "halves that nothing connects cannot agree");
    world.heal();
    let mut verdict = Err("nothing was checked".into());
    while verdict.is_err() && world.now < WELL_MS {
        world.run(world.now + 1_000);
        verdict = world.agreed();
    }
    if let Err(what) = verdict {
        panic!("seed {seed}: after {} s all should be well, but {what}", world.now / 1_000);
    }
    println!(
        "seed {seed}, {nodes} nodes, well {} s after they met again: {:?}",
        (world.now - FORMED_MS - APART_MS) / 1_000,
        world.figures
    );
    world
}

#[test]
fn a_thousand_nodes_in_parts_come_to_the_same_state() {
    let world = part_and_heal(5, 1_000);
    let pushed = WHOLE.len() + 2 * BOTH.len() + ONE.len() + ALONE.len();
    assert_eq!(world.figures.pushes, pushed as u64);
    // Every name that was pushed anywhere, and the one with which the unclaimed were claimed.
    let names: BTreeSet<&str> = WHOLE.into_iter().chain(BOTH).chain(ONE).chain(ALONE).chain(["first"]).collect();
    assert_eq!(world.newest().len(), names.len());
}

#[test]
fn parts_of_the_same_seed_give_the_same_run() {
    let runs = [6, 6, 7].map(|seed| part_and_heal(seed, 100).trace);
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}
