//! What it costs each node that a manifest is applied: it must not grow faster than the logarithm of the number of nodes.

use crate::idle::{introduce, silent};
use crate::pushes::{Behaviour, body};
use crate::script::name;
use crate::world::{Figures, World};
use shared::{Audience, IntentId, IntentKey, Manifest, Rollout, Takeover};

/// Nodes of the realms that are compared, in every run of the tests.
const NODES: [usize; 5] = [10, 30, 100, 300, 1_000];

/// In a realm of up to so many, everybody knows of everybody: how often a node tells of itself depends on that. A thousand that do
/// take a minute, and belong to a run by hand.
const ACQUAINTED: usize = 300;
const ACQUAINTED_BY_HAND: usize = 1_000;

/// So many manifests are applied, one after the other.
const APPLIES: u64 = 2;

/// By then almost everybody has one, and what it declares runs.
const SPREAD_MS: u64 = 20_000;

/// And by then everybody. Gossip passes by one of a thousand now and then. Where no reports are heard from then on, that one takes
/// its neighbours for agreed for a minute, and asks one of them a minute and a half later at the latest.
const COMPARED_MS: u64 = 155_000;

/// Of each node for one manifest.
struct Cost {
    messages: f64,
    bytes: f64,
    /// Of its own; none where it does not know how many others there are.
    reports: Option<f64>,
}

/// Messages of each node for one manifest, beside what it sends anyway: of intents, and of comparing. Reports that pass by are
/// not among them: each node makes a few, and everybody hears all of them, so that these do grow with the realm.
fn cost(nodes: usize, acquainted: bool) -> Cost {
    let mut world = silent(nodes);
    world.plan.weighed = true;
    let meet = |world: &mut World| {
        if acquainted {
            introduce(world);
        }
    };
    meet(&mut world);
    world.figures = Default::default();
    world.run(world.now + SPREAD_MS);
    let idle = std::mem::take(&mut world.figures);
    let mut longest = 0;
    let mut seen: Vec<Figures> = Vec::new();
    for version in 1..=APPLIES {
        meet(&mut world);
        world.figures = Default::default();
        let from = world.now;
        let id = apply(&mut world, version);
        let lacks =
            |world: &World| world.machines.iter().filter(|it| it.in_force().is_none_or(|of| of.id != id)).count();
        while lacks(&world) > 0 && world.now < from + COMPARED_MS {
            world.run(world.now + 50);
            if world.now == from + SPREAD_MS {
                seen.push(std::mem::take(&mut world.figures));
            }
        }
        assert_eq!(lacks(&world), 0, "everybody has version {version} in force");
        longest = longest.max(world.now - from);
        if world.now < from + SPREAD_MS {
            world.run(from + SPREAD_MS);
            seen.push(std::mem::take(&mut world.figures));
        }
    }
    let per = |count: u64| count as f64 / nodes as f64 / APPLIES as f64;
    let all = |of: fn(&Figures) -> u64| seen.iter().map(of).sum::<u64>();
    let more = |of: fn(&Figures) -> u64| per(all(of).saturating_sub(APPLIES * of(&idle)));
    let cost = Cost {
        messages: more(|it| it.messages),
        bytes: more(|it| it.bytes),
        reports: acquainted.then(|| more(|it| it.reports)),
    };
    let reports =
        cost.reports.map(|own| format!("; {own:.1} own reports, and {:.0} of others", own * (nodes - 1) as f64));
    println!(
        "{nodes} nodes, of each for one manifest: {:.1} messages of {:.0} bytes in sum ({:.1} copies in gossip, {:.1} handed over, \
         the others compare), {:.1} artifacts fetched{}; in force everywhere after {longest} ms at most",
        cost.messages,
        cost.bytes,
        per(all(|it| it.intents_passed)),
        per(all(|it| it.handovers)),
        per(all(|it| it.fetched)),
        reports.unwrap_or_default(),
    );
    cost
}

/// Three components, of which each next manifest changes one, for everybody; brought to the first machine.
fn apply(world: &mut World, version: u64) -> IntentId {
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
    let further = std::env::var("REALM_SIM_NODES").ok().and_then(|nodes| nodes.parse::<usize>().ok());
    let acquainted = further.map_or(ACQUAINTED, |_| ACQUAINTED_BY_HAND);
    let all = NODES.into_iter().chain(further);
    let costs: Vec<(usize, Cost)> = all.map(|nodes| (nodes, cost(nodes, nodes <= acquainted))).collect();
    let (least, small) = &costs[0];
    for (nodes, of) in &costs[1..] {
        let allowed = (*nodes as f64).ln() / (*least as f64).ln();
        let compare = |what: &str, of: f64, small: f64| {
            assert!(of <= allowed * small, "{of:.1} {what} of each of {nodes}, and {small:.1} of each of {least}");
        };
        compare("messages", of.messages, small.messages);
        compare("bytes", of.bytes, small.bytes);
        if let (Some(of), Some(small)) = (of.reports, small.reports) {
            compare("own reports", of, small);
        }
    }
}
