//! What a manifest declares: it comes into force as a whole, from the disk, and changes only what it says otherwise.

use crate::bench::*;
use crate::pinned::*;
use agent::control::node::{Effect, Input, Restored, Source};
use shared::{Audience, Outcome, Phase, RealmId, Restart, Role, Rollout, Takeover, Trust};

#[test]
fn it_is_acknowledged_when_it_is_held_and_acts_when_it_is_in_force() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    let pinned = Pinned::new(1, &[declare("web", 1)]);
    let (ticket, _) = persist(&bench.offer(&pinned.sealed)).unwrap();
    let effects = bench.give(Input::Persisted { ticket, result: Ok(()) });
    assert_eq!(receipts(&effects), [shared::Verdict::Accepted]);
    assert_eq!(handed(&effects), [peer(1)], "others get it before its document is here");
    assert_eq!(fetches(&effects), [pinned.document().digest]);
    let effects = bench.give(Input::Stored { digest: pinned.document().digest });
    assert_eq!(reads(&effects), [pinned.document().digest]);
    let effects = bench.give(pinned.read());
    assert_eq!(saves(&effects), [pinned.id()]);
    assert!(
        bench.node.components().is_empty() && fetches(&effects).is_empty(),
        "nothing follows before it is on the disk"
    );
    assert_eq!(told(&bench).in_force, None);
    let effects = bench.give(pinned.saved());
    assert_eq!(fetches(&effects), [artifact(1).digest]);
    assert_eq!(bench.ready(1).len(), 1);
    let component = bench.component("web");
    assert!(component.declared && component.phase == Phase::Running);
    assert_eq!(component.intent, pinned.manifest.components()[&name("web")].id);
    let report = told(&bench);
    assert_eq!((report.version, report.in_force, report.wanted, report.well), (1, Some(1), 1, 0));
    bench.wait(HEALTHY_MS);
    assert_eq!(told(&bench).well, 1, "it has run for a while");
}

#[test]
fn a_document_that_is_no_manifest_changes_nothing() {
    let mut bench = Bench::new();
    let first = Pinned::new(1, &[declare("web", 1)]);
    bench.apply(&first);
    bench.ready(1);
    let second = Pinned::new(2, &[declare("web", 2)]);
    bench.accept(&second.sealed);
    bench.give(Input::Stored { digest: second.document().digest });
    let junk = Input::ManifestRead { digest: second.document().digest, result: Ok(b"junk".to_vec()) };
    assert!(saves(&bench.give(junk)).is_empty());
    let other = Input::ManifestRead { digest: second.document().digest, result: Ok(first.manifest.bytes().to_vec()) };
    assert!(saves(&bench.give(other)).is_empty(), "nor does the document of another one");
    let report = told(&bench);
    assert_eq!((report.version, report.in_force), (2, Some(1)));
    assert!(report.reason.is_some());
    assert_eq!(bench.component("web").phase, Phase::Running);
}

#[test]
fn what_the_disk_refuses_is_tried_again_and_changes_nothing_until_then() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    bench.ready(1);
    let second = Pinned::new(2, &[]);
    bench.accept(&second.sealed);
    bench.give(Input::Stored { digest: second.document().digest });
    bench.give(second.read());
    let full = Input::ManifestSaved { id: second.id(), result: Err("the disk is full".into()) };
    assert!(stops(&bench.give(full)).is_empty());
    assert!(told(&bench).reason.unwrap().contains("full"));
    assert_eq!(saves(&bench.wait(10_000)), [second.id()]);
    assert_eq!(stops(&bench.give(second.saved())).len(), 1);
    assert_eq!((told(&bench).in_force, told(&bench).reason), (Some(2), None));
}

#[test]
fn what_is_the_same_in_both_is_left_alone() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1), declare("gone", 1)]));
    let started = bench.ready(1);
    let (mut same, audience, _) = declare("web", 1);
    let moved = (same.clone(), Audience { tags: vec!["dev".parse().unwrap()], ..audience }, Takeover::StopFirst);
    let effects = bench.apply(&Pinned::new(2, &[moved]));
    assert_eq!(stops(&effects).len(), 1, "the one that is not declared any more");
    assert!(starts(&effects).is_empty() && started.len() == 2);
    assert!(effects.iter().all(|effect| !matches!(effect, Effect::Drop(_))));
    same.args.push("--new".into());
    let effects = bench.apply(&Pinned::new(3, &[(same, Audience::default(), Takeover::StartFirst)]));
    assert_eq!(prepares(&effects).len(), 1, "other arguments are another component");
}

#[test]
fn the_new_one_is_healthy_before_the_old_one_ends() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    let old = bench.ready(1)[0];
    let effects = bench.apply(&Pinned::new(2, &[declare("web", 2)]));
    assert!(stops(&effects).is_empty());
    let new = bench.ready(2)[0];
    assert!(stops(&bench.wait(HEALTHY_MS - 1)).is_empty(), "both run");
    assert_eq!(told(&bench).well, 0);
    assert_eq!(stops(&bench.wait(1)), [old]);
    bench.exit(old, Outcome::Stopped);
    assert_eq!((told(&bench).well, bench.component("web").running), (1, 1));
    assert!(stops(&bench.wait(60_000)).is_empty() && new != old);
}

#[test]
fn while_the_new_one_fails_the_old_one_serves() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("web", 1)]));
    let old = bench.ready(1)[0];
    bench.apply(&Pinned::new(2, &[declare("web", 2)]));
    let new = bench.ready(2)[0];
    bench.wait(HEALTHY_MS / 2);
    bench.exit(new, Outcome::Exit(3));
    let again = starts(&bench.wait(2_000));
    assert_eq!(again.len(), 1, "it is started again");
    let report = told(&bench);
    assert_eq!((report.well, report.failed), (0, 1));
    assert!(bench.component("web").reason.unwrap().contains("runs on"));
    assert_eq!((bench.component("web").running, bench.component("web").serving), (0, 1));
    bench.give(Input::Started { instance: again[0] });
    assert_eq!(stops(&bench.wait(HEALTHY_MS)), [old], "once it is healthy after all");
    assert_eq!(bench.component("web").serving, 0);
    // One that cannot even be compiled leaves the old one as it is.
    bench.apply(&Pinned::new(3, &[declare("web", 3)]));
    bench.give(Input::Stored { digest: artifact(3).digest });
    let refused = agent::control::node::PrepareError::Refused("it is no component".into());
    let effects = bench.give(Input::Prepared { digest: artifact(3).digest, fuel: false, result: Err(refused) });
    assert!(stops(&effects).is_empty() && stops(&bench.wait(60_000)).is_empty());
}

#[test]
fn where_both_do_not_fit_or_must_not_be_there_at_once_the_old_one_ends_first() {
    for tight in [true, false] {
        let takeover = if tight { Takeover::StartFirst } else { Takeover::StopFirst };
        let of = |number| (spec("web", number), Audience::default(), takeover);
        let budget = if tight { 100 << 20 } else { 1 << 30 };
        let mut bench = Bench::with(nothing(), |config| config.budget_bytes = budget);
        bench.apply(&Pinned::new(1, &[of(1)]));
        let old = bench.ready(1)[0];
        bench.apply(&Pinned::new(2, &[of(2)]));
        bench.give(Input::Stored { digest: artifact(2).digest });
        let effects = bench.give(Input::Prepared { digest: artifact(2).digest, fuel: false, result: Ok(()) });
        assert_eq!((stops(&effects), starts(&effects)), (vec![old], Vec::new()));
        assert_eq!(starts(&bench.exit(old, Outcome::Stopped)).len(), 1);
    }
}

#[test]
fn artifacts_of_the_one_before_are_kept_for_a_way_back() {
    let mut bench = Bench::new();
    let pinned = |version, number| Pinned::new(version, &[declare("web", number)]);
    bench.apply(&pinned(1, 1));
    bench.ready(1);
    let effects = bench.apply(&pinned(2, 2));
    assert!(!drops(&effects).contains(&artifact(1).digest));
    bench.ready(2);
    bench.wait(HEALTHY_MS);
    let effects = bench.apply(&pinned(3, 3));
    assert!(drops(&effects).contains(&artifact(1).digest) && !drops(&effects).contains(&artifact(2).digest));
}

#[test]
fn a_node_without_a_network_runs_what_was_in_force() {
    let first = Pinned::new(1, &[declare("web", 1)]);
    let second = Pinned::new(2, &[declare("web", 2)]);
    let restored = Restored {
        // The next one is held, and its document was not here yet.
        intents: vec![held(&second.sealed)],
        in_force: first.in_force(),
        blobs: [artifact(1).digest].into(),
        ..nothing()
    };
    let mut bench = Bench::off(restored, |_| {});
    let effects = bench.give(Input::Booted);
    assert_eq!(prepares(&effects), [(artifact(1).digest, false)]);
    assert_eq!(fetches(&effects), [second.document().digest]);
    assert!(drops(&effects).is_empty());
    let effects = bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    assert_eq!(starts(&effects).len(), 1);
}

#[test]
fn what_has_completed_is_not_run_again_by_a_later_manifest_or_a_restart() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[declare("job", 1)]));
    let run = bench.ready(1)[0];
    let record = saved(&bench.exit(run, Outcome::Completed))[0].clone();
    assert_eq!(told(&bench).well, 1, "it need not go on for a while");
    let second = Pinned::new(2, &[declare("job", 1), declare("web", 2)]);
    assert!(starts(&bench.apply(&second)).is_empty() && prepares(&bench.wait(1_000)).is_empty());
    let restored = Restored {
        intents: vec![held(&second.sealed)],
        in_force: second.in_force(),
        runs: [(name("job"), record)].into(),
        blobs: [artifact(1).digest].into(),
        ..nothing()
    };
    let mut bench = Bench::off(restored, |_| {});
    assert!(prepares(&bench.give(Input::Booted)).is_empty());
    assert_eq!(bench.component("job").phase, Phase::Completed);
}

#[test]
fn a_name_is_declared_or_pushed() {
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(2, &[declare("web", 1), elsewhere("far", 1)]));
    bench.meet(50, Role::Operator, true);
    for text in ["web", "far"] {
        assert!(refused_with(&bench.offer(&named(text, 5)), "declared"), "{text}");
    }
    assert!(refused_with(&bench.offer(&Pinned::signed(2, 9, Rollout::default(), &[]).sealed), "version"));
    // Nor beside one that is on its way to the disk.
    let next = Pinned::signed(3, 8, Rollout::default(), &[declare("web", 1), elsewhere("far", 1)]);
    let (ticket, _) = persist(&bench.offer(&next.sealed)).unwrap();
    assert!(refused_with(&bench.offer(&Pinned::signed(3, 9, Rollout::default(), &[]).sealed), "version"));
    bench.give(Input::Persisted { ticket, result: Err("the disk is full".into()) });
    assert!(persist(&bench.offer(&named("other", 5))).is_some());
    // From another part of the realm it is taken, so that all hold the same; what is declared counts.
    bench.give(Input::Gone { peer: peer(50) });
    bench.accept(&named("web", 6));
    assert!(bench.component("web").declared);
    bench.ready(1);
    // Once it is not declared any more, the push does.
    bench.apply(&Pinned::new(3, &[]));
    assert!(!bench.component("web").declared);
}

#[test]
fn the_entry_node_takes_what_is_declared_for_others() {
    let mut bench = Bench::new();
    bench.meet(50, Role::Operator, true);
    let pinned = Pinned::new(1, &[elsewhere("far", 1), declare("here", 2)]);
    bench.accept(&pinned.sealed);
    bench.give(Input::Stored { digest: pinned.document().digest });
    // Before it is in force here: that may take a while, and the operator leaves.
    let mut fetched = fetches(&bench.give(pinned.read()));
    fetched.sort();
    let mut wanted = [artifact(1).digest, artifact(2).digest];
    wanted.sort();
    assert_eq!(fetched, wanted);
    bench.give(pinned.saved());
    bench.give(Input::Stored { digest: artifact(1).digest });
    assert!(drops(&bench.wait(60_000)).is_empty(), "it is kept for them");
}

#[test]
fn an_operator_is_not_forgotten_for_a_neighbour_that_hands_it_over_too() {
    for operator_first in [true, false] {
        let mut bench = Bench::new();
        bench.meet(1, Role::Node, true);
        bench.meet(50, Role::Operator, true);
        let pinned = Pinned::new(1, &[elsewhere("far", 1)]);
        let mut handed = [peer(50), peer(1)];
        if !operator_first {
            handed.reverse();
        }
        for peer in handed {
            let source = Source::Stream { ticket: bench.ticket(), peer };
            let effects = bench.give(Input::Offered { source, bytes: pinned.sealed.clone() });
            if let Some((ticket, _)) = persist(&effects) {
                bench.give(Input::Persisted { ticket, result: Ok(()) });
            }
        }
        bench.give(Input::Stored { digest: pinned.document().digest });
        assert_eq!(fetches(&bench.give(pinned.read())), [artifact(1).digest], "{operator_first}");
    }
}

#[test]
fn what_completes_and_is_run_again_and_again_is_well() {
    let mut bench = Bench::new();
    let mut often = declare("often", 1);
    often.0.restart = Restart::Always;
    bench.apply(&Pinned::new(1, &[often]));
    let run = bench.ready(1)[0];
    bench.exit(run, Outcome::Completed);
    bench.wait(1);
    assert_eq!((told(&bench).wanted, told(&bench).well, told(&bench).failed), (1, 1, 0));
}

#[test]
fn components_that_share_an_artifact_ask_for_it_once() {
    let mut bench = Bench::new();
    let many: Vec<Declared> = (0..500)
        .map(|at| {
            let mut component = declare(&format!("c{at}"), 1);
            component.0.limits.memory_max_mb = Some(1.try_into().unwrap());
            component
        })
        .collect();
    assert_eq!(fetches(&bench.apply(&Pinned::new(1, &many))), [artifact(1).digest]);
    let digest = artifact(1).digest;
    assert_eq!(prepares(&bench.give(Input::Stored { digest })), [(digest, false)]);
    assert_eq!(starts(&bench.give(Input::Prepared { digest, fuel: false, result: Ok(()) })).len(), 500);
}

#[test]
fn many_artifacts_are_asked_for_in_portions() {
    let mut bench = Bench::new();
    let many: Vec<Declared> = (1..=200)
        .map(|number| {
            let mut component = declare(&format!("c{number}"), number);
            component.0.limits.memory_max_mb = Some(1.try_into().unwrap());
            component
        })
        .collect();
    let mut asked = fetches(&bench.apply(&Pinned::new(1, &many)));
    assert!((1..=64).contains(&asked.len()), "{}", asked.len());
    // Whatever the answer is, the next one follows.
    let mut answered = 0;
    while let Some(digest) = asked.get(answered).copied() {
        asked.extend(fetches(&match answered % 3 {
            0 => bench.give(Input::Stored { digest }),
            1 => bench.give(Input::NoSource { digest }),
            _ => bench.give(Input::FetchFailed { digest, reason: "no space".into() }),
        }));
        answered += 1;
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 200);
    // What is not wanted any more is not asked for.
    let mut bench = Bench::new();
    let first = fetches(&bench.apply(&Pinned::new(1, &many)));
    bench.apply(&Pinned::new(2, &many[..1]));
    let then = first.iter().flat_map(|digest| fetches(&bench.give(Input::Stored { digest: *digest })));
    assert_eq!(then.collect::<Vec<_>>(), []);
}

#[test]
fn an_apply_claims_a_node() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    let pinned = Pinned::new(1, &[declare("web", 1)]);
    let (ticket, claim) = persist(&bench.offer(&pinned.sealed)).unwrap();
    assert_eq!(claim, Some(owner().id()));
    let effects = bench.give(Input::Persisted { ticket, result: Ok(()) });
    assert_eq!(fetches(&effects), [pinned.document().digest]);
    assert_eq!(bench.node.realm(), Some(RealmId::of_owner(&owner().id())));
}

#[test]
fn a_newer_one_that_comes_while_the_disk_writes_follows_it() {
    let mut bench = Bench::new();
    let (first, second) = (Pinned::new(1, &[declare("web", 1)]), Pinned::new(2, &[declare("web", 2)]));
    bench.accept(&first.sealed);
    bench.give(Input::Stored { digest: first.document().digest });
    bench.give(first.read());
    bench.accept(&second.sealed);
    assert!(reads(&bench.give(Input::Stored { digest: second.document().digest })).is_empty(), "one at a time");
    let effects = bench.give(first.saved());
    assert_eq!(reads(&effects), [second.document().digest]);
    bench.give(second.read());
    bench.give(second.saved());
    assert_eq!(told(&bench).in_force, Some(2));
    // The word on what is not awaited any more changes nothing.
    assert!(bench.give(first.saved()).is_empty() && bench.give(first.read()).is_empty());
}

#[test]
fn an_instance_that_waits_for_more_than_its_pause_wakes_nobody() {
    let two = |replicas: u64| {
        let mut web = declare("web", 1);
        (web.0.replicas, web.2) = (replicas.try_into().unwrap(), Takeover::StopFirst);
        web
    };
    let mut bench = Bench::new();
    bench.apply(&Pinned::new(1, &[two(2)]));
    let run = bench.ready(1);
    // The one that is to stay ends before the other one has.
    assert_eq!(stops(&bench.apply(&Pinned::new(2, &[two(1)]))), [run[1]]);
    bench.exit(run[0], Outcome::Exit(1));
    bench.pass(5_000);
    assert!(starts(&bench.give(Input::Woke)).is_empty());
    assert!(bench.node.next_wake().is_none_or(|at| at > bench.now.mono_ms), "it would be asked over and over");
    assert_eq!(starts(&bench.exit(run[1], Outcome::Stopped)).len(), 1);
}
