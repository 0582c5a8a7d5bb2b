//! What it costs each node that a manifest is applied: it must not grow faster than the logarithm of the number of nodes.

use crate::idle::silent;
use crate::pushes::{Behaviour, body};
use crate::script::name;
use crate::world::World;
use shared::{Audience, IntentKey, Manifest, Rollout, Takeover};

/// So many manifests are applied, one after the other.
const APPLIES: u64 = 2;

/// By then everybody has one, and what it declares runs.
const SPREAD_MS: u64 = 20_000;

/// Messages of each node for one manifest, beside what it sends anyway: of intents, and of comparing. Reports are not among
/// them: how many of them everybody hears is bounded, see `idle`.
fn messages(nodes: usize) -> f64 {
    let mut world = silent(nodes);
    world.figures = Default::default();
    world.run(world.now + SPREAD_MS);
    let idle = world.figures.messages;
    world.figures = Default::default();
    let mut longest = 0;
    for version in 1..=APPLIES {
        let from = world.now;
        let id = apply(&mut world, version);
        let lacks =
            |world: &World| world.machines.iter().filter(|it| it.in_force().is_none_or(|of| of.id != id)).count();
        while lacks(&world) > 0 && world.now < from + SPREAD_MS {
            world.run(world.now + 50);
        }
        assert_eq!(lacks(&world), 0, "everybody has version {version} in force");
        longest = longest.max(world.now - from);
        world.run(from + SPREAD_MS);
    }
    let per = |count: u64| count as f64 / nodes as f64 / APPLIES as f64;
    let figures = &world.figures;
    let sent = per(figures.messages.saturating_sub(APPLIES * idle));
    println!(
        "{nodes} nodes, of each for one manifest: {sent:.1} messages ({:.1} copies in gossip, {:.1} handed over, the others \
         compare), {:.1} artifacts fetched, {:.1} own reports; in force everywhere after {longest} ms at most",
        per(figures.intents_passed),
        per(figures.handovers),
        per(figures.fetched),
        per(figures.reports)
    );
    sent
}

/// Three components, of which each next manifest changes one, for everybody; brought to the first machine.
fn apply(world: &mut World, version: u64) -> shared::IntentId {
    let components = ["api", "cache", "gate"].into_iter().enumerate().map(|(nth, text)| {
        let number = if nth as u64 == version % 3 { version } else { 0 };
        let artifact = world.pushes.artifact(number, Behaviour::Stays);
        let spec = body(&world.pushes.owner, &name(text), artifact, 0, Audience::default()).payload.component;
        (spec, Audience::default(), Takeover::StartFirst)
    });
    let rollout = Rollout { max_parallel: Some(u16::MAX), ..Rollout::default() };
    let manifest = Manifest::new(rollout, components.collect()).unwrap_or_else(|why| panic!("{why}"));
    let document = world.pushes.document(manifest.bytes());
    let mut body = world.apply_of(0, document, None);
    body.payload.version = version as u32;
    let id = world.sign_apply(&body);
    world.apply_at(0, id);
    assert!(world.machines[0].durable(&IntentKey::Manifest).is_none_or(|(_, held)| held != id));
    id
}

#[test]
fn what_a_manifest_costs_a_node_grows_with_the_logarithm_at_most() {
    let small = messages(10);
    for nodes in [100, 1_000] {
        let allowed = 2.0 * small * (nodes as f64).ln() / 10_f64.ln();
        let sent = messages(nodes);
        assert!(sent <= allowed, "{sent} messages of each of {nodes}, and {small} of each of 10");
    }
}
