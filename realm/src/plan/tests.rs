//! Plans from manifests and nodes alone.

use super::*;
use shared::{Artifact, ComponentSpec, Digest, Isolation, Limits, Replicas, Restart, Rollout, Takeover};

fn name(text: &str) -> ComponentName {
    text.parse().unwrap()
}

fn id(byte: u8) -> NodeId {
    NodeId::of_seed(&[byte; 32])
}

/// A component with these bytes for nodes with this tag.
fn component(text: &str, bytes: &[u8], tag: &str) -> (ComponentSpec, Audience, Takeover) {
    let spec = ComponentSpec {
        name: name(text),
        artifact: Artifact { digest: Digest::of(bytes), size: 1, chunks: Digest::of(b"list") },
        limits: Limits::default(),
        replicas: Replicas::default(),
        restart: Restart::default(),
        start: true,
        args: Vec::new(),
        env: Vec::new(),
        isolation: Isolation::default(),
    };
    (spec, Audience { tags: vec![tag.parse().unwrap()], ..Audience::default() }, Takeover::default())
}

fn manifest(components: &[(ComponentSpec, Audience, Takeover)]) -> Manifest {
    Manifest::new(Rollout::default(), components.to_vec()).unwrap()
}

/// Nodes 1 and 2 have the tag `dev`, 3 has `edge` and is away. `web` runs on the first.
fn nodes() -> Vec<Node> {
    let node = |byte: u8, tag: &str| Node {
        node: id(byte),
        tags: vec![tag.parse().unwrap()],
        platform: "linux/x86_64".into(),
        alive: byte != 3,
        running: if byte == 1 { [name("web")].into() } else { BTreeSet::new() },
        serving: BTreeSet::new(),
        follows: Follows::Held,
    };
    vec![node(1, "dev"), node(2, "dev"), node(3, "edge")]
}

fn steps(plan: &Plan, of: &str) -> Vec<(NodeId, Action)> {
    let component = plan.components.iter().find(|component| component.name == name(of)).unwrap();
    component.nodes.iter().map(|step| (step.peer, step.action)).collect()
}

fn actions(plan: &Plan) -> Vec<(&str, Summary)> {
    plan.components.iter().map(|component| (component.name.as_str(), component.action)).collect()
}

#[test]
fn what_comes_goes_and_stays() {
    let before =
        manifest(&[component("old", b"1", "dev"), component("same", b"1", "edge"), component("web", b"1", "dev")]);
    let next =
        manifest(&[component("new", b"1", "edge"), component("same", b"1", "edge"), component("web", b"2", "dev")]);
    let plan = Plan::of(Some(&before), &next, &nodes());
    assert_eq!(
        actions(&plan),
        [("new", Summary::Create), ("old", Summary::Stop), ("same", Summary::Unchanged), ("web", Summary::Replace)]
    );
    assert_eq!(steps(&plan, "new"), [(id(3), Action::Create)]);
    assert_eq!(steps(&plan, "old"), [(id(1), Action::Stop), (id(2), Action::Stop)]);
    assert_eq!(steps(&plan, "same"), [(id(3), Action::Unchanged)]);
    assert_eq!(steps(&plan, "web"), [(id(1), Action::Replace), (id(2), Action::Replace)]);
    assert!(plan.has_changes() && plan.interrupts());
    assert_eq!(plan.nodes().len(), 3);
}

#[test]
fn the_same_is_no_change_and_a_first_one_interrupts_nothing() {
    let web = manifest(&[component("web", b"1", "dev")]);
    let plan = Plan::of(Some(&web), &web, &nodes());
    assert!(!plan.has_changes() && !plan.interrupts());
    let plan = Plan::of(None, &web, &nodes());
    assert!(plan.has_changes() && !plan.interrupts());
    assert_eq!(actions(&plan), [("web", Summary::Create)]);
}

#[test]
fn what_does_not_run_is_not_interrupted() {
    let old = manifest(&[component("old", b"1", "dev")]);
    let plan = Plan::of(Some(&old), &manifest(&[component("new", b"1", "dev")]), &nodes());
    assert!(plan.has_changes() && !plan.interrupts());
}

#[test]
fn a_component_that_is_for_other_nodes_moves() {
    let before = manifest(&[component("web", b"1", "dev")]);
    let next = manifest(&[component("web", b"1", "edge")]);
    let plan = Plan::of(Some(&before), &next, &nodes());
    assert_eq!(actions(&plan), [("web", Summary::Move)]);
    assert_eq!(steps(&plan, "web"), [(id(1), Action::Stop), (id(2), Action::Stop), (id(3), Action::Create)]);
    let tags = |tag: &str| Some(format!("[{tag:?}]"));
    let change = Change { key: "tags".into(), before: tags("dev"), after: tags("edge") };
    assert_eq!(plan.components[0].changes, [change]);
    assert!(plan.interrupts());
}

#[test]
fn what_nobody_has_is_created_also_where_it_is_declared_already() {
    // All of them keep to what was before, because that has failed.
    let held = manifest(&[component("web", b"1", "dev")]);
    let mut nodes = nodes();
    nodes.iter_mut().for_each(|node| node.follows = Follows::Kept(None));
    let plan = Plan::of(Some(&held), &held, &nodes);
    assert_eq!(actions(&plan), [("web", Summary::Create)]);
}

#[test]
fn a_component_that_nobody_is_meant_by_is_said_so() {
    let before = manifest(&[component("web", b"1", "dev")]);
    let next = manifest(&[component("web", b"1", "cloud")]);
    let plan = Plan::of(Some(&before), &next, &nodes());
    assert!(plan.components[0].is_for_nobody());
    assert!(!Plan::of(Some(&next), &before, &nodes()).components[0].is_for_nobody());
    assert!(!Plan::of(Some(&before), &manifest(&[]), &nodes()).components[0].is_for_nobody(), "it is to end");
}

#[test]
fn every_key_that_differs_is_named_with_both_values() {
    let before = component("web", b"1", "dev");
    let mut next = before.clone();
    next.0.artifact.digest = Digest::of(b"2");
    next.0.replicas = Replicas::try_from(2).unwrap();
    next.0.limits.memory_max_mb = Some(32.try_into().unwrap());
    next.0.limits.epoch_ms = 200.try_into().unwrap();
    next.0.restart = Restart::Always;
    next.0.start = false;
    next.0.args = vec!["--port".into(), "80 80".into()];
    next.0.env = vec![("PLACE".into(), "here".into())];
    next.2 = Takeover::StopFirst;
    let plan = Plan::of(Some(&manifest(&[before])), &manifest(&[next]), &nodes());
    let told: Vec<String> = plan.components[0]
        .changes
        .iter()
        .map(|change| {
            let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
            format!("{} {} {}", change.key, or_none(&change.before), or_none(&change.after))
        })
        .collect();
    assert_eq!(
        told,
        [
            &format!("digest {} {}", Digest::of(b"1").hex(), Digest::of(b"2").hex()),
            "replicas 1 2",
            "memory_max_mb none 32",
            "epoch_ms 100 200",
            "start true false",
            "restart on-failure always",
            "args none [\"--port\", \"80 80\"]",
            "strategy start-first stop-first",
            "env.PLACE none here",
        ]
    );
}

#[test]
fn another_number_of_instances_alone_is_no_replacement() {
    let with = |replicas: u16| {
        let (mut spec, audience, strategy) = component("web", b"1", "dev");
        spec.replicas = u64::from(replicas).try_into().unwrap();
        manifest(&[(spec, audience, strategy)])
    };
    let plan = |before, next| Plan::of(Some(&with(before)), &with(next), &nodes());
    let up = plan(2, 3);
    assert_eq!(actions(&up), [("web", Summary::Scale)]);
    assert_eq!(steps(&up, "web"), [(id(1), Action::ScaleUp), (id(2), Action::ScaleUp)]);
    assert!(up.has_changes() && !up.interrupts(), "what runs does not notice");
    let down = plan(3, 1);
    assert_eq!(actions(&down), [("web", Summary::Scale)]);
    assert_eq!(steps(&down, "web"), [(id(1), Action::ScaleDown), (id(2), Action::ScaleDown)]);
    assert!(down.interrupts(), "two that run are stopped");
    assert_eq!(serde_json::to_string(&Action::ScaleDown).unwrap(), "\"scale-down\"");
    // Where what is to be more has not replaced what was there, that ends.
    let mut nodes = nodes();
    nodes[0].running.clear();
    nodes[0].serving.insert(name("web"));
    let up = Plan::of(Some(&with(2)), &with(3), &nodes);
    assert_eq!(steps(&up, "web"), [(id(1), Action::ScaleUp), (id(2), Action::ScaleUp)]);
    assert!(up.interrupts() && up.components[0].nodes[0].runs && !up.components[0].nodes[1].serves);
    assert!(!Plan::of(Some(&with(2)), &with(2), &nodes).interrupts());
    // For nodes of which none is known.
    let nobody = Plan::of(Some(&with(1)), &with(2), &[]);
    assert_eq!(actions(&nobody), [("web", Summary::Scale)]);
}

#[test]
fn another_strategy_changes_nothing_that_runs() {
    let before = component("web", b"1", "dev");
    let mut next = before.clone();
    next.2 = Takeover::StopFirst;
    let plan = Plan::of(Some(&manifest(&[before])), &manifest(&[next]), &nodes());
    assert_eq!(actions(&plan), [("web", Summary::Change)]);
    assert!(plan.has_changes() && !plan.interrupts());
}

#[test]
fn a_node_on_which_a_manifest_has_not_come_into_force_is_compared_with_what_it_kept() {
    let kept = manifest(&[component("gone", b"1", "dev"), component("web", b"1", "dev")]);
    let held = manifest(&[component("web", b"2", "dev")]);
    let next = manifest(&[component("new", b"1", "dev"), component("web", b"2", "dev")]);
    let mut nodes = nodes();
    nodes[0].follows = Follows::Kept(Some(Arc::new(kept.clone())));
    let plan = Plan::of(Some(&held), &next, &nodes);
    assert_eq!(actions(&plan), [("gone", Summary::Stop), ("new", Summary::Create), ("web", Summary::Replace)]);
    assert_eq!(steps(&plan, "gone"), [(id(1), Action::Stop)]);
    assert_eq!(steps(&plan, "web"), [(id(1), Action::Replace), (id(2), Action::Unchanged)]);
    assert_eq!(plan.components[2].changes[0].key, "digest");
    assert!(plan.has_changes() && plan.interrupts(), "`web` runs on the first");
    // And the way back changes nothing there.
    let plan = Plan::of(Some(&held), &kept, &nodes);
    assert_eq!(steps(&plan, "gone"), [(id(1), Action::Unchanged), (id(2), Action::Create)]);
    assert_eq!(steps(&plan, "web"), [(id(1), Action::Unchanged), (id(2), Action::Replace)]);
    assert!(!plan.interrupts());
    // It had none before.
    nodes[0].follows = Follows::Kept(None);
    let plan = Plan::of(Some(&held), &held, &nodes);
    assert_eq!(steps(&plan, "web"), [(id(1), Action::Create), (id(2), Action::Unchanged)]);
}
