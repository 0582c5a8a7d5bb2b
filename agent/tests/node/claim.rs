//! Trust on first use: the first valid push binds its owner, is applied, and nobody else ever binds again.

use crate::bench::*;
use agent::control::node::Input;
use shared::{RealmId, Trust, Verdict};

#[test]
fn the_first_push_binds_and_is_applied() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    assert_eq!(bench.node.realm(), None);
    let (ticket, claim) = persist(&bench.offer(&push(1, |_| {}))).unwrap();
    assert_eq!(claim, Some(owner().id()));
    assert_eq!(bench.node.realm(), None, "not before it is on the disk");
    assert!(refused_with(&bench.offer(&push_by(&stranger(), 2, |_| {})), "other-owner"), "meanwhile");
    let effects = bench.give(Input::Persisted { ticket, result: Ok(()) });
    assert_eq!(receipts(&effects), [Verdict::Accepted]);
    assert_eq!(fetches(&effects), [artifact(1).digest], "applied, not swallowed");
    assert!(logs(&effects).iter().any(|line| line.contains("CLAIMED")), "loudly");
    assert_eq!(bench.node.realm(), Some(RealmId::of_owner(&owner().id())));
    assert_eq!(published(&effects).len(), 1);
    assert!(refused_with(&bench.offer(&push_by(&stranger(), 2, |_| {})), "other-owner"), "afterwards");
    assert_eq!(persist(&bench.offer(&push(2, |_| {}))).unwrap().1, None);
}

#[test]
fn what_is_not_valid_binds_nobody() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    let mut altered = push(1, |_| {});
    let last = altered.len() - 1;
    altered[last] ^= 1;
    assert!(persist(&bench.offer(&altered)).is_none());
    assert!(persist(&bench.offer(&push(1, |body| body.not_after = Some(EPOCH - 1)))).is_none());
    assert!(persist(&bench.offer(&push(3_600_000, |_| {}))).is_none());
    assert_eq!(persist(&bench.offer(&push_by(&stranger(), 1, |_| {}))).unwrap().1, Some(stranger().id()));
}

#[test]
fn a_push_for_others_binds_too() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    let effects = bench.accept(&push(1, |body| body.audience.peers = vec![peer(7)]));
    assert_eq!(receipts(&effects), [Verdict::Accepted]);
    assert!(bench.node.realm().is_some() && bench.node.components().is_empty());
}

#[test]
fn a_claim_that_was_not_written_is_undone() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    let (first, _) = persist(&bench.offer(&push(1, |_| {}))).unwrap();
    let (second, claim) = persist(&bench.offer(&named("other", 2))).unwrap();
    assert_eq!(claim, Some(owner().id()), "no intent may be on the disk without its owner");
    let effects = bench.give(Input::Persisted { ticket: first, result: Err("the disk is full".into()) });
    assert!(refused_with(&effects, "storage"));
    assert!(refused_with(&bench.offer(&push_by(&stranger(), 2, |_| {})), "other-owner"), "the second may still bind");
    bench.give(Input::Persisted { ticket: second, result: Err("the disk is full".into()) });
    assert_eq!(bench.node.realm(), None);
    assert_eq!(persist(&bench.offer(&push_by(&stranger(), 2, |_| {}))).unwrap().1, Some(stranger().id()));
}

#[test]
fn the_second_push_may_bind_when_the_first_fails() {
    let mut bench = Bench::trusting(Trust::FirstUse);
    let (first, _) = persist(&bench.offer(&push(1, |_| {}))).unwrap();
    let (second, _) = persist(&bench.offer(&named("other", 2))).unwrap();
    bench.give(Input::Persisted { ticket: first, result: Err("the disk is full".into()) });
    bench.give(Input::Persisted { ticket: second, result: Ok(()) });
    assert_eq!(bench.node.realm(), Some(RealmId::of_owner(&owner().id())));
}

#[test]
fn a_node_that_trusts_nobody_obeys_nobody() {
    let mut bench = Bench::trusting(Trust::Nobody);
    assert!(refused_with(&bench.offer(&push(1, |_| {})), "unclaimed"));
    assert_eq!(bench.refused("unclaimed"), 1);
}
