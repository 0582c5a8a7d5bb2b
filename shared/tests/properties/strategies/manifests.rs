//! Applies, the documents that they pin, and what nodes say of them.

use super::{artifact, audience, body_for, intent_id, spec};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use shared::*;
use std::collections::BTreeMap;

fn takeover() -> impl Strategy<Value = Takeover> {
    prop_oneof![Just(Takeover::StartFirst), Just(Takeover::StopFirst)]
}

/// What a manifest may declare: names are there once, and in no order.
pub(crate) fn declared() -> impl Strategy<Value = Vec<(ComponentSpec, Audience, Takeover)>> {
    let once = |declared: Vec<(ComponentSpec, Audience, Takeover)>| {
        let by_name = declared.into_iter().map(|one| (one.0.name.clone(), one)).collect::<BTreeMap<_, _>>();
        by_name.into_values().collect::<Vec<_>>()
    };
    vec((spec(), audience(), takeover()), 0..6).prop_map(once).prop_shuffle()
}

pub(crate) fn rollout() -> impl Strategy<Value = Rollout> {
    let fields = (option::of(1..=u16::MAX), 0..=MAX_HEALTHY_S, 1..=u16::MAX, any::<bool>());
    fields.prop_map(|(max_parallel, min_healthy_s, max_failures, auto_rollback)| Rollout {
        max_parallel,
        min_healthy_s,
        max_failures,
        auto_rollback,
    })
}

pub(crate) fn manifest() -> impl Strategy<Value = Manifest> {
    (rollout(), declared()).prop_map(|(rollout, declared)| Manifest::new(rollout, declared).unwrap())
}

fn state() -> impl Strategy<Value = ManifestState> {
    prop::sample::select(vec![
        ManifestState::Coming,
        ManifestState::Waiting,
        ManifestState::Changing,
        ManifestState::Healthy,
        ManifestState::Failing,
        ManifestState::Halted,
        ManifestState::RolledBack,
    ])
}

fn document() -> impl Strategy<Value = Artifact> {
    (artifact(), 0..=MAX_MANIFEST_BYTES as u64).prop_map(|(artifact, size)| Artifact { size, ..artifact })
}

/// An apply that its owner may sign.
pub(crate) fn apply(realm: RealmId) -> impl Strategy<Value = Body<Apply>> {
    let past = || (document(), any::<u64>(), ".{0,32}");
    let of = (btree_set(1..=u32::MAX, 1..=MAX_PAST + 1), vec(past(), MAX_PAST), document());
    let payload = of.prop_map(|(versions, past, manifest)| {
        let mut versions = versions.into_iter().rev();
        let version = versions.next().unwrap();
        let past = versions.zip(past).map(|(version, (manifest, issued_at, note))| Past {
            version,
            manifest,
            issued_at,
            note,
        });
        Apply { version, manifest, past: past.collect() }
    });
    body_for(realm, Just(Audience::default()), payload)
}

/// With a reason of up to `detail` characters.
pub(crate) fn report(detail: usize) -> impl Strategy<Value = ManifestReport> {
    let reason = option::of(vec(any::<char>(), 0..=detail).prop_map(String::from_iter));
    let past_failed = vec(any::<u32>(), 0..=MAX_PAST);
    let fields = (any::<u32>(), intent_id(), state(), option::of(any::<u32>()), any::<[u16; 3]>(), reason, past_failed);
    fields.prop_map(|(version, intent, state, in_force, [wanted, well, failed], reason, past_failed)| ManifestReport {
        version,
        intent,
        state,
        in_force,
        wanted,
        well,
        failed,
        reason,
        past_failed,
    })
}
