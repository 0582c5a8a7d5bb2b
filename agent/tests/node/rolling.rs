//! A manifest spreads: a few nodes at a time, in an order that all know, and no further where it fails.

use crate::bench::*;
use crate::pinned::*;
use agent::control::node::{Effect, Input, ManifestFile, Restored};
use shared::{IntentId, ManifestReport, ManifestState, NodeId, Outcome, Phase, Rollout};

/// The node on the bench.
fn me() -> NodeId {
    NodeId::of_seed(&[100; 32])
}

/// Whose turn comes first, as every node computes it.
fn comes_before(id: &IntentId, one: &NodeId, other: &NodeId) -> bool {
    let place = |node: &NodeId| -> Vec<u8> { node.as_bytes().iter().zip(id.as_bytes()).map(|(a, b)| a ^ b).collect() };
    place(one) < place(other)
}

/// What the realm is on the bench: this node, and others that have told of nothing yet but that version 1 is in force.
struct Realm {
    bench: Bench,
    counts: u64,
    first: Pinned,
}

impl Realm {
    /// Version 1 declares `web` for everybody, and it runs.
    fn new(others: u8) -> Realm {
        let first = Pinned::new(1, &[declare("web", 1)]);
        let mut bench = Bench::new();
        bench.apply(&first);
        bench.ready(1);
        bench.wait(HEALTHY_MS);
        let mut realm = Realm { bench, counts: 0, first };
        for number in 1..=others {
            let id = realm.first.id();
            realm.tell(number, 1, id, ManifestState::Healthy);
        }
        realm
    }

    /// A node says where it stands.
    fn tell(&mut self, number: u8, version: u32, intent: IntentId, state: ManifestState) -> Vec<Effect> {
        self.tell_why(number, version, intent, state, None)
    }

    fn tell_why(
        &mut self,
        number: u8,
        version: u32,
        intent: IntentId,
        state: ManifestState,
        reason: Option<&str>,
    ) -> Vec<Effect> {
        self.counts += 1;
        let reason = reason.map(str::to_owned);
        let manifest = ManifestReport {
            version,
            intent,
            state,
            in_force: Some(1),
            wanted: 1,
            well: 1,
            failed: 0,
            reason,
            past_failed: Vec::new(),
        };
        let report = report(number, self.counts, |report| {
            report.heartbeat_ms = 10_000_000;
            report.manifest = Some(manifest);
        });
        self.bench.give(Input::Reported { ticket: None, report })
    }

    /// The next manifest is here and read; gives what follows.
    fn hold(&mut self, pinned: &Pinned) -> Vec<Effect> {
        self.bench.accept(&pinned.sealed);
        self.bench.give(Input::Stored { digest: pinned.document().digest });
        self.bench.give(pinned.read())
    }

    fn state(&self) -> ManifestState {
        told(&self.bench).state
    }
}

/// A second version that changes `web`, chosen so that so many of `others` come before this node.
fn second(others: u8, before: usize, rollout: Rollout) -> Pinned {
    let count = |pinned: &Pinned| {
        let ahead = (1..=others).filter(|number| comes_before(&pinned.id(), &peer(*number), &me()));
        ahead.count()
    };
    let pinned = (2..1_000).map(|seq| Pinned::signed(2, seq, rollout, &[declare("web", 2)]));
    pinned.into_iter().find(|pinned| count(pinned) == before).unwrap()
}

fn ahead(pinned: &Pinned, others: u8) -> Vec<u8> {
    (1..=others).filter(|number| comes_before(&pinned.id(), &peer(*number), &me())).collect()
}

#[test]
fn a_third_of_the_nodes_changes_at_a_time_each_in_its_turn() {
    let mut realm = Realm::new(5);
    let next = second(5, 4, Rollout::default());
    assert!(saves(&realm.hold(&next)).is_empty(), "four come first, and two may change at a time");
    assert_eq!(realm.state(), ManifestState::Waiting);
    assert_eq!(realm.bench.component("web").phase, Phase::Running);
    let first = ahead(&next, 5);
    for number in &first {
        realm.tell(*number, 2, next.id(), ManifestState::Changing);
    }
    assert!(saves(&realm.tell(first[0], 2, next.id(), ManifestState::Healthy)).is_empty());
    assert!(saves(&realm.tell(first[1], 2, next.id(), ManifestState::Healthy)).is_empty());
    let effects = realm.tell(first[2], 2, next.id(), ManifestState::Healthy);
    assert_eq!(saves(&effects), [next.id()], "one is left before it");
    realm.bench.give(next.saved());
    assert_eq!(realm.state(), ManifestState::Changing);
    realm.bench.ready(2);
    realm.bench.wait(HEALTHY_MS);
    assert_eq!(realm.state(), ManifestState::Healthy);
}

#[test]
fn who_comes_first_goes_at_once_and_who_changes_out_of_turn_takes_a_place() {
    let mut realm = Realm::new(5);
    let next = second(5, 0, Rollout::default());
    assert_eq!(saves(&realm.hold(&next)), [next.id()]);
    let mut realm = Realm::new(5);
    let next = second(5, 0, Rollout { max_parallel: Some(1), ..Rollout::default() });
    realm.tell(1, 2, next.id(), ManifestState::Changing);
    assert!(saves(&realm.hold(&next)).is_empty(), "it heard late, and changes");
    assert_eq!(saves(&realm.tell(1, 2, next.id(), ManifestState::Healthy)), [next.id()]);
}

#[test]
fn nodes_that_are_away_hold_up_nobody() {
    let mut realm = Realm::new(5);
    let next = second(5, 5, Rollout::default());
    assert!(saves(&realm.hold(&next)).is_empty());
    for number in 1..=5 {
        realm.bench.meet(number, shared::Role::Node, true);
        realm.bench.give(Input::Gone { peer: peer(number) });
    }
    assert_eq!(saves(&realm.bench.wait(10_000)), [next.id()]);
}

#[test]
fn nodes_that_cannot_take_it_hold_up_nobody() {
    let mut realm = Realm::new(5);
    let next = second(5, 5, Rollout::default());
    assert!(saves(&realm.hold(&next)).is_empty());
    let full = Some("the disk is full");
    for number in 1..=3 {
        assert!(saves(&realm.tell_why(number, 2, next.id(), ManifestState::Coming, full)).is_empty());
    }
    assert_eq!(saves(&realm.tell_why(4, 2, next.id(), ManifestState::Waiting, full)), [next.id()]);
    // They may not even be able to hold it.
    let mut realm = Realm::new(5);
    realm.hold(&next);
    for number in 1..=4 {
        realm.counts += 1;
        let report = report(number, realm.counts, |report| report.fault = full.map(str::to_owned));
        let saved = saves(&realm.bench.give(Input::Reported { ticket: None, report }));
        assert_eq!(saved.len(), usize::from(number == 4), "{number}");
    }
    // Nor does it change beside two that changed all the same.
    let mut realm = Realm::new(5);
    realm.hold(&next);
    for number in 1..=5 {
        assert!(saves(&realm.tell_why(number, 2, next.id(), ManifestState::Changing, full)).is_empty());
    }
}

#[test]
fn what_only_a_manifest_named_that_waited_goes_with_it_though_it_was_on_its_way() {
    let mut realm = Realm::new(5);
    let job = |seq: u64, number: u8| {
        push(seq, |body| {
            body.payload.component.name = name("job");
            body.payload.component.artifact = artifact(number);
        })
    };
    realm.bench.accept(&job(1, 9));
    let signed = |seq| Pinned::signed(2, seq, Rollout::default(), &[declare("web", 2), declare("far", 9)]);
    let next = (2..1_000).map(signed).find(|pinned| ahead(pinned, 5).len() == 5).unwrap();
    realm.bench.accept(&next.sealed);
    let effects = realm.bench.accept(&job(2, 8));
    let cancels = |effect: &Effect| matches!(effect, Effect::Cancel(digest) if *digest == artifact(9).digest);
    assert!(effects.iter().any(cancels), "it may be named by what is not read yet, and nobody waits for it");
    realm.bench.give(Input::Stored { digest: next.document().digest });
    assert!(saves(&realm.bench.give(next.read())).is_empty());
    let third = Pinned::signed(3, 5_000, Rollout::default(), &[declare("web", 3)]);
    let effects = realm.hold(&third);
    let effects = [effects, realm.bench.wait(0)].concat();
    assert!(drops(&effects).contains(&artifact(9).digest));
}

#[test]
fn what_changes_nothing_here_waits_for_nobody_and_a_first_one_neither() {
    let mut realm = Realm::new(5);
    let next = Pinned::new(2, &[declare("web", 1), elsewhere("far", 2)]);
    assert_eq!(saves(&realm.hold(&next)), [next.id()]);
    realm.bench.give(next.saved());
    assert_eq!(realm.state(), ManifestState::Healthy);
    let mut bench = Bench::new();
    let first = Pinned::new(1, &[declare("web", 1)]);
    bench.accept(&first.sealed);
    bench.give(Input::Stored { digest: first.document().digest });
    assert_eq!(saves(&bench.give(first.read())), [first.id()]);
}

#[test]
fn where_it_has_failed_elsewhere_it_does_not_come_into_force() {
    let mut realm = Realm::new(5);
    let next = second(5, 4, Rollout::default());
    realm.hold(&next);
    let first = ahead(&next, 5);
    let effects = realm.tell(first[0], 2, next.id(), ManifestState::Failing);
    assert!(saves(&effects).is_empty());
    assert_eq!(realm.state(), ManifestState::Halted);
    assert!(!published(&effects).is_empty(), "the others are told at once");
    assert_eq!(halts(&effects).len(), 1);
    realm.bench.give(next.saved());
    // It stays so, whatever becomes of the one that failed.
    for number in 1..=5 {
        assert!(saves(&realm.tell(number, 2, next.id(), ManifestState::Healthy)).is_empty());
    }
    assert!(saves(&realm.bench.wait(600_000)).is_empty());
    assert_eq!(realm.bench.component("web").phase, Phase::Running);
    // A later one has its own chance.
    let third = Pinned::signed(3, 5_000, Rollout { max_parallel: Some(9), ..Rollout::default() }, &[declare("web", 3)]);
    assert_eq!(saves(&realm.hold(&third)), [third.id()]);
}

#[test]
fn who_hears_only_of_the_halt_halts_too_and_more_failures_may_be_allowed() {
    let mut realm = Realm::new(5);
    let patient = Rollout { max_failures: 2, ..Rollout::default() };
    let next = second(5, 4, patient);
    realm.hold(&next);
    let first = ahead(&next, 5);
    realm.tell(first[0], 2, next.id(), ManifestState::Failing);
    assert_eq!(realm.state(), ManifestState::Waiting);
    realm.tell(first[3], 2, next.id(), ManifestState::Halted);
    assert_eq!(realm.state(), ManifestState::Halted);
}

#[test]
fn its_own_failure_is_told_and_stays_told() {
    let mut realm = Realm::new(2);
    let next = second(2, 0, Rollout::default());
    realm.hold(&next);
    realm.bench.give(next.saved());
    let run = realm.bench.ready(2)[0];
    realm.bench.wait(HEALTHY_MS - 1);
    realm.bench.exit(run, Outcome::Exit(3));
    assert_eq!(realm.state(), ManifestState::Failing);
    let again = starts(&realm.bench.wait(3_000))[0];
    realm.bench.give(Input::Started { instance: again });
    realm.bench.wait(HEALTHY_MS * 2);
    assert_eq!(realm.state(), ManifestState::Failing);
    // What fails once it was healthy is no fault of the manifest.
    let mut realm = Realm::new(2);
    realm.hold(&next);
    realm.bench.give(next.saved());
    let run = realm.bench.ready(2)[0];
    realm.bench.wait(HEALTHY_MS);
    realm.bench.exit(run, Outcome::Exit(3));
    assert_eq!(realm.state(), ManifestState::Healthy);
}

#[test]
fn what_does_not_get_on_counts_as_failed_so_that_the_others_know() {
    let mut realm = Realm::new(2);
    let next = second(2, 0, Rollout::default());
    realm.hold(&next);
    realm.bench.give(next.saved());
    // Its artifact does not come.
    realm.bench.wait(9 * 60_000);
    assert_eq!(realm.state(), ManifestState::Changing);
    realm.bench.wait(60_000);
    assert_eq!(realm.state(), ManifestState::Failing);
}

#[test]
fn with_auto_rollback_the_one_before_comes_into_force_again() {
    for own in [true, false] {
        let mut realm = Realm::new(5);
        let next = second(5, 0, Rollout { auto_rollback: true, ..Rollout::default() });
        realm.hold(&next);
        realm.bench.give(next.saved());
        let run = realm.bench.ready(2)[0];
        let effects = if own {
            realm.bench.exit(run, Outcome::Exit(3))
        } else {
            realm.bench.wait(HEALTHY_MS);
            assert_eq!(realm.state(), ManifestState::Healthy);
            realm.tell(3, 2, next.id(), ManifestState::Failing)
        };
        assert_eq!(saves(&effects), [next.id()]);
        let file = effects.iter().find_map(|effect| match effect {
            Effect::SaveManifest { file, .. } => Some(file.clone()),
            _ => None,
        });
        let file = file.unwrap();
        assert_eq!((file.in_force.unwrap().sealed, file.rejected), (realm.first.sealed.clone(), Some(next.id())));
        realm.bench.give(next.saved());
        assert_eq!(realm.state(), ManifestState::RolledBack);
        let web = realm.bench.component("web");
        assert_eq!(web.intent, realm.first.manifest.components()[&name("web")].id);
        assert!(saves(&realm.bench.wait(600_000)).is_empty(), "it does not come into force again");
    }
}

#[test]
fn what_was_rejected_stays_so_after_a_start() {
    let (first, next) = (Pinned::new(1, &[declare("web", 1)]), Pinned::new(2, &[declare("web", 2)]));
    let restored = Restored {
        intents: vec![held(&next.sealed)],
        in_force: agent::control::node::Forces { rejected: Some(next.id()), ..first.in_force() },
        blobs: [artifact(1).digest, next.document().digest].into(),
        ..nothing()
    };
    let mut bench = Bench::with(restored, |_| {});
    assert_eq!(told(&bench).state, ManifestState::RolledBack);
    assert!(saves(&bench.wait(60_000)).is_empty());
}

#[test]
fn that_it_has_halted_is_written_with_what_is_in_force_and_changes_nothing_there() {
    let mut realm = Realm::new(5);
    let next = second(5, 4, Rollout::default());
    realm.hold(&next);
    let effects = realm.tell(ahead(&next, 5)[0], 2, next.id(), ManifestState::Failing);
    let was = realm.first.in_force().to_file();
    assert_eq!(halts(&effects), [ManifestFile { halted: Some(next.id()), ..was }]);
    let effects = realm.bench.give(next.saved());
    assert!(stops(&effects).is_empty() && starts(&effects).is_empty() && drops(&effects).is_empty(), "{effects:?}");
    assert_eq!((realm.state(), realm.bench.component("web").phase), (ManifestState::Halted, Phase::Running));
    let effects = realm.tell(1, 2, next.id(), ManifestState::Halted);
    assert!(halts(&effects).is_empty(), "once is enough");
}

#[test]
fn what_has_halted_stays_so_after_a_start_although_nobody_else_remembers() {
    let (first, next) = (Pinned::new(1, &[declare("web", 1)]), Pinned::new(2, &[declare("web", 2)]));
    for halted in [None, Some(next.id())] {
        let restored = Restored {
            intents: vec![held(&next.sealed)],
            in_force: agent::control::node::Forces { halted, ..first.in_force() },
            blobs: [artifact(1).digest, next.document().digest].into(),
            ..nothing()
        };
        let mut bench = Bench::with(restored, |_| {});
        let mut effects = bench.give(next.read());
        assert_eq!(told(&bench).state, halted.map_or(ManifestState::Waiting, |_| ManifestState::Halted));
        effects.extend(bench.wait(60_000));
        assert_eq!(saves(&effects).len(), usize::from(halted.is_none()));
        // A later one has its own chance.
        let third = Pinned::new(3, &[declare("web", 3)]);
        bench.give(next.saved());
        bench.accept(&third.sealed);
        bench.give(Input::Stored { digest: third.document().digest });
        assert_eq!(saves(&bench.give(third.read())), [third.id()]);
    }
}

#[test]
fn a_disk_that_does_not_take_the_halt_is_asked_again_and_keeps_no_later_one_waiting() {
    let mut realm = Realm::new(5);
    let next = second(5, 4, Rollout::default());
    realm.hold(&next);
    realm.tell(ahead(&next, 5)[0], 2, next.id(), ManifestState::Failing);
    realm.bench.give(Input::ManifestSaved { id: next.id(), result: Err("the disk is full".into()) });
    assert_eq!(realm.state(), ManifestState::Halted);
    assert_eq!(halts(&realm.bench.wait(5_000)).len(), 1);
    // While that is on its way, it waits for its turn at the disk.
    let third = Pinned::signed(3, 5_000, Rollout { max_parallel: Some(9), ..Rollout::default() }, &[declare("web", 3)]);
    realm.bench.accept(&third.sealed);
    assert!(reads(&realm.bench.give(Input::Stored { digest: third.document().digest })).is_empty());
    let effects = realm.bench.give(Input::ManifestSaved { id: next.id(), result: Err("the disk is full".into()) });
    assert_eq!(reads(&effects), [third.document().digest]);
    assert_eq!(saves(&realm.bench.give(third.read())), [third.id()]);
}
