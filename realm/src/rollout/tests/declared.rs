//! A manifest, node by node.

use super::*;
use shared::ManifestState;

/// A manifest of `hello`, as version 3.
fn applied() -> Applied {
    let spec = shared::ComponentSpec {
        name: name("hello"),
        artifact: shared::Artifact { digest: Digest::of(b"x"), size: 1, chunks: Digest::of(b"list") },
        limits: shared::Limits::default(),
        replicas: shared::Replicas::default(),
        restart: shared::Restart::default(),
        start: true,
        args: Vec::new(),
        env: Vec::new(),
        isolation: Isolation::default(),
    };
    let manifest = shared::Manifest::new(
        shared::Rollout::default(),
        vec![(spec, shared::Audience::default(), shared::Takeover::default())],
    );
    let manifest = manifest.unwrap().into();
    Applied { version: 3, intent: intent(1), manifest, require_all: false, until: Until::Running }
}

/// What node 1 says of version `in_force`, and of `hello` as the manifest of [`applied`] declares it.
fn declared(applied: &Applied, count: u64, in_force: u32, phase: Phase, well: u16) -> NodeReport {
    let id = applied.manifest.components()[&name("hello")].id;
    let hello = ComponentReport { declared: true, ..component(id, phase) };
    let failed = u16::from(matches!(phase, Phase::Failed | Phase::Backoff));
    let of = shared::ManifestReport {
        version: 3,
        intent: applied.intent,
        state: ManifestState::Changing,
        in_force: Some(in_force),
        wanted: 1,
        well,
        failed,
        reason: None,
        past_failed: Vec::new(),
    };
    NodeReport { manifest: Some(of), ..report(1, count, vec![hello]) }
}

fn held() -> HandOver {
    HandOver { held: true, ..HandOver::default() }
}

#[test]
fn a_manifest_is_good_when_all_of_it_is_well_and_an_agent_has_everything() {
    let applied = applied();
    let mut apply = Rollout::new(applied.clone(), [(node(1), Vec::new(), true)]);
    let hear = |apply: &mut Rollout<Applied>, report| apply.observe(MS(0), &report, true);
    assert_eq!(apply.step(held()), Step::Wait(None));
    // What the one before declares counts for nothing, however well it is.
    hear(&mut apply, declared(&applied, 1, 2, Phase::Running, 1));
    assert_eq!(apply.step(held()), Step::Wait(None));
    hear(&mut apply, declared(&applied, 2, 3, Phase::Running, 0));
    assert_eq!(apply.step(held()), Step::Wait(None), "not yet for long enough");
    hear(&mut apply, declared(&applied, 3, 3, Phase::Running, 1));
    assert_eq!(apply.step(HandOver::default()), Step::Wait(None), "others may wait for what is only here");
    assert_eq!(apply.step(held()), Step::Done(Verdict::Good));
}

#[test]
fn what_failed_has_failed_until_all_is_well() {
    let applied = applied();
    let mut apply = Rollout::new(applied.clone(), [(node(1), Vec::new(), true)]);
    let hear = |apply: &mut Rollout<Applied>, report| apply.observe(MS(0), &report, true);
    hear(&mut apply, declared(&applied, 1, 3, Phase::Backoff, 0));
    assert_eq!(apply.step(held()), Step::Done(Verdict::Failed));
    // The next attempt runs for a moment.
    hear(&mut apply, declared(&applied, 2, 3, Phase::Running, 0));
    assert_eq!(apply.step(held()), Step::Done(Verdict::Failed));
    hear(&mut apply, declared(&applied, 3, 3, Phase::Running, 1));
    assert_eq!(apply.step(held()), Step::Done(Verdict::Good));
}

#[test]
fn a_node_that_tells_of_a_failure_is_good_when_all_is_well_unless_it_goes_back() {
    for auto_rollback in [false, true] {
        let mut applied = applied();
        if auto_rollback {
            let manifest = shared::Rollout { auto_rollback, ..shared::Rollout::default() };
            let [declared] = applied.manifest.components().values().collect::<Vec<_>>()[..] else { panic!() };
            let component = ((*declared.spec).clone(), declared.audience.clone(), declared.strategy);
            applied.manifest = shared::Manifest::new(manifest, vec![component]).unwrap().into();
        }
        let mut apply = Rollout::new(applied.clone(), [(node(1), Vec::new(), true)]);
        for (count, well) in [(1, 0), (2, 1)] {
            let mut report = declared(&applied, count, 3, Phase::Running, well);
            report.manifest.as_mut().unwrap().state = ManifestState::Failing;
            apply.observe(MS(0), &report, true);
            let expected = match (auto_rollback, well) {
                (true, _) => Step::Wait(None),
                (false, 0) => Step::Done(Verdict::Failed),
                (false, _) => Step::Done(Verdict::Good),
            };
            assert_eq!(apply.step(held()), expected, "{auto_rollback}, {well}");
        }
    }
}

#[test]
fn what_was_left_as_it_was_and_fails_is_no_reason_to_go_back() {
    let mut applied = applied();
    let rollout = shared::Rollout { auto_rollback: true, ..shared::Rollout::default() };
    let components = applied.manifest.components().values();
    let components = components.map(|it| ((*it.spec).clone(), it.audience.clone(), it.strategy)).collect();
    applied.manifest = shared::Manifest::new(rollout, components).unwrap().into();
    let says = |state| {
        let mut apply = Rollout::new(applied.clone(), [(node(1), Vec::new(), true)]);
        let mut report = declared(&applied, 1, 3, Phase::Backoff, 0);
        report.manifest.as_mut().unwrap().state = state;
        apply.observe(MS(0), &report, true);
        apply.step(held())
    };
    assert_eq!(says(ManifestState::Healthy), Step::Done(Verdict::Failed));
    assert_eq!(says(ManifestState::Failing), Step::Wait(None), "it goes back");
}

#[test]
fn of_what_has_gone_back_nobody_has_to_have_everything() {
    let mut apply = Rollout::new(applied(), [(node(1), Vec::new(), true)]);
    let mut report = declared(&applied(), 1, 2, Phase::Running, 1);
    assert!(!apply.is_past_fetching());
    report.manifest.as_mut().unwrap().state = ManifestState::RolledBack;
    apply.observe(MS(0), &report, true);
    assert!(apply.is_past_fetching());
}

#[test]
fn a_failure_that_a_report_had_no_room_for_counts() {
    let applied = applied();
    let mut apply = Rollout::new(applied.clone(), [(node(1), Vec::new(), true)]);
    let mut report = declared(&applied, 1, 3, Phase::Backoff, 0);
    report.components.clear();
    apply.observe(MS(0), &report, true);
    assert_eq!(apply.step(held()), Step::Done(Verdict::Failed));
}

#[test]
fn a_manifest_whose_place_was_taken_and_one_that_is_not_to_be_had_have_failed() {
    let applied = applied();
    let mut apply = Rollout::new(applied.clone(), [(node(1), Vec::new(), true)]);
    let mut other = declared(&applied, 2, 3, Phase::Running, 0);
    apply.observe(MS(0), &declared(&applied, 1, 3, Phase::Running, 0), true);
    other.manifest.as_mut().unwrap().intent = intent(2);
    apply.observe(MS(0), &other, true);
    assert_eq!(apply.step(held()), Step::Done(Verdict::Failed));

    let mut apply = Rollout::new(applied.clone(), [(node(1), Vec::new(), true)]);
    let mut full = declared(&applied, 1, 2, Phase::Running, 1);
    full.manifest.as_mut().unwrap().reason = Some("no space left on the disk".into());
    apply.observe(MS(0), &full, true);
    assert_eq!(apply.targets()[&node(1)].stand().fault(), Some("no space left on the disk"));
    assert_eq!(apply.step(held()), Step::Done(Verdict::Failed));
}

#[test]
fn where_it_is_halted_because_of_others_it_has_failed() {
    let applied = applied();
    for state in [ManifestState::Halted, ManifestState::RolledBack] {
        let mut apply = Rollout::new(applied.clone(), [(node(1), Vec::new(), true)]);
        let mut halted = declared(&applied, 1, 2, Phase::Running, 1);
        halted.manifest.as_mut().unwrap().state = state;
        apply.observe(MS(0), &halted, true);
        assert_eq!(apply.step(held()), Step::Done(Verdict::Failed), "{state}");
    }
}

#[test]
fn a_node_that_was_not_known_counts_when_something_is_declared_for_it() {
    let applied = applied();
    let said = declared(&applied, 1, 3, Phase::Running, 1);
    assert!(applied.is_meant(&said));
    let mut idle = said.clone();
    idle.manifest.as_mut().unwrap().wanted = 0;
    assert!(!applied.is_meant(&idle) && !applied.is_meant(&report(2, 1, Vec::new())));
}
