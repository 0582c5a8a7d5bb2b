//! Decoding gives back what was encoded, for every type that travels.

use super::strategies::manifests;
use super::{SEED, comes_back, config, strategies};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::protocol::{MAX_GOSSIP_BYTES, MAX_HELLO_BYTES, MAX_INTENT_FRAME};
use shared::*;
use std::fmt::{Debug, Display};
use std::str::FromStr;

fn text_comes_back<T: Display + FromStr<Err: Debug> + PartialEq + Debug>(value: &T) {
    assert_eq!(&value.to_string().parse::<T>().unwrap(), value);
}

/// An identifier: text form, CBOR, and the text form again in JSON.
fn id_comes_back<T>(id: &T)
where
    T: Display + FromStr<Err: Debug> + Serialize + DeserializeOwned + PartialEq + Debug,
{
    text_comes_back(id);
    comes_back(id, 128);
    let json = serde_json::to_string(id).unwrap();
    assert_eq!(json.trim_matches('"'), id.to_string());
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), id);
}

/// What its owner sealed opens as what it was.
fn sealed_comes_back<P: Content + Clone + PartialEq + Debug>(body: &Body<P>) -> Result<(), TestCaseError> {
    let key = OwnerKey::of_seed(&SEED);
    let bytes = seal(&key, body).unwrap();
    prop_assert!(bytes.len() <= MAX_SEALED_BYTES);
    let opened = open(&bytes, &Trust::Owner(key.id())).unwrap();
    prop_assert_eq!(opened.kind(), P::KIND);
    prop_assert_eq!(opened.body(), &body.clone().of_all_kinds());
    prop_assert_eq!(opened.rank(), (body.seq, opened.id()));
    prop_assert_eq!(open(&bytes, &Trust::FirstUse), Ok(opened));
    prop_assert_eq!(open(&bytes, &Trust::Nobody), Err(Refused::Unclaimed));
    comes_back(body, MAX_BODY_BYTES);
    Ok(())
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn intents_come_back(
        push in strategies::push(RealmId::of_owner(&OwnerKey::of_seed(&SEED).id())),
        removal in strategies::removal(RealmId::of_owner(&OwnerKey::of_seed(&SEED).id())),
        apply in manifests::apply(RealmId::of_owner(&OwnerKey::of_seed(&SEED).id())),
    ) {
        sealed_comes_back(&push)?;
        sealed_comes_back(&removal)?;
        sealed_comes_back(&apply)?;
        let pinned = apply.payload.clone().into_payload().artifacts();
        prop_assert_eq!(pinned.len(), 1 + apply.payload.past.len());
        prop_assert_eq!(pinned[0], apply.payload.manifest);
    }

    /// Whatever order they are given in, the same components are the same document, and are read as they were.
    #[test]
    fn manifests_come_back(rollout in manifests::rollout(), declared in manifests::declared()) {
        let manifest = Manifest::new(rollout, declared.clone()).unwrap();
        prop_assert_eq!(manifest.rollout(), rollout);
        let bytes = manifest.bytes();
        prop_assert_eq!(&Manifest::decode(bytes).unwrap(), &manifest);
        prop_assert_eq!(manifest.artifact().digest, Digest::of(bytes));
        prop_assert_eq!(manifest.artifact().size, bytes.len() as u64);
        prop_assert_eq!(manifest.components().len(), declared.len());
        for (spec, audience, strategy) in &declared {
            let found = &manifest.components()[&spec.name];
            prop_assert_eq!((&*found.spec, &found.audience, found.strategy), (spec, audience, *strategy));
        }
        let turned = Manifest::new(rollout, declared.into_iter().rev().collect()).unwrap();
        prop_assert_eq!(&turned, &manifest);
        prop_assert!(Manifest::decode(&bytes[..bytes.len() - 1]).is_err());
        prop_assert!(Manifest::decode(&[bytes, &[0xf6][..]].concat()).is_err());
    }

    #[test]
    fn an_altered_intent_never_opens_as_another(
        body in strategies::push(RealmId::of_owner(&OwnerKey::of_seed(&SEED).id())),
        at in any::<prop::sample::Index>(),
        with in 1..=255_u8,
    ) {
        let key = OwnerKey::of_seed(&SEED);
        let bytes = seal(&key, &body).unwrap();
        let opened = open(&bytes, &Trust::FirstUse).unwrap();
        let mut altered = bytes.clone();
        altered[at.index(bytes.len())] ^= with;
        if let Ok(again) = open(&altered, &Trust::FirstUse) {
            prop_assert_eq!(again, opened);
        }
    }

    #[test]
    fn reports_come_back(report in strategies::report(SEED, 0..12, 24)) {
        let signed = SignedReport::sign(&SEED, &report);
        comes_back(&signed, MAX_GOSSIP_BYTES);
        comes_back(&report, MAX_GOSSIP_BYTES);
        prop_assert_eq!(signed.open(&report.realm), Ok(report.clone()));
        let elsewhere = RealmId::from_bytes([0; 32]);
        prop_assert_eq!(signed.open(&elsewhere), Err(ReportRefused::OtherRealm));
        let other = SignedReport::sign(&[6; 32], &report);
        prop_assert_eq!(other.open(&report.realm), Err(ReportRefused::BadSignature));
    }

    #[test]
    fn messages_come_back(
        sealed in strategies::sealed(),
        receipt in strategies::receipt(),
        hello in strategies::hello(),
        sync in (strategies::sync_request(), strategies::sync_reply()),
        blob in (strategies::blob_request(), strategies::blob_reply()),
        watch in (strategies::watch_request(), strategies::watch_reply()),
    ) {
        comes_back(&sealed, MAX_SEALED_BYTES);
        comes_back(&receipt, MAX_INTENT_FRAME);
        prop_assert!(hello.is_bounded());
        comes_back(&hello, MAX_HELLO_BYTES);
        comes_back(&sync.0, MAX_SYNC_BYTES);
        comes_back(&sync.1, MAX_SYNC_BYTES);
        comes_back(&blob.0, BlobReply::MAX_FRAME);
        comes_back(&blob.1, BlobReply::MAX_FRAME);
        comes_back(&watch.0, MAX_WATCH_FRAME);
        comes_back(&watch.1, MAX_WATCH_FRAME);
    }

    #[test]
    fn identifiers_come_back(
        ids in (strategies::node(), strategies::owner(), strategies::realm(), strategies::intent_id()),
        others in (strategies::digest(), strategies::signature()),
        names in (strategies::name(), strategies::tag(), strategies::key()),
        outcome in strategies::outcome(),
        other_key in strategies::key(),
    ) {
        id_comes_back(&ids.0);
        id_comes_back(&ids.1);
        id_comes_back(&ids.2);
        id_comes_back(&ids.3);
        id_comes_back(&others.0);
        id_comes_back(&others.1);
        id_comes_back(&names.0);
        id_comes_back(&names.1);
        id_comes_back(&names.2);
        text_comes_back(&outcome);
        comes_back(&outcome, 4096);
        prop_assert_eq!(NodeId::from_peer_id_bytes(&ids.0.to_peer_id_bytes()), Some(ids.0));
        prop_assert_eq!(names.2.cmp(&other_key), names.2.to_string().cmp(&other_key.to_string()));
        prop_assert_eq!(Digest::from_hex(&others.0.hex()), Some(others.0));
    }

    #[test]
    fn limits_come_back(limits in strategies::limits(), replicas in strategies::replicas(), restart in strategies::restart()) {
        comes_back(&limits, 256);
        comes_back(&replicas, 16);
        comes_back(&restart, 16);
        text_comes_back(&limits.epoch_ms);
        text_comes_back(&limits.log_max_kb);
        text_comes_back(&replicas);
        limits.memory_max_mb.iter().for_each(text_comes_back);
        limits.fuel.iter().for_each(text_comes_back);
        limits.deadline_ms.iter().for_each(text_comes_back);
    }

    #[test]
    fn no_number_outside_its_range_becomes_a_limit(
        number in prop_oneof![any::<u64>(), 0..70_000_u64, (0..70_000_u64).prop_map(|low| low + (1 << 32))],
    ) {
        prop_assert_eq!(Mebibytes::try_from(number).is_ok(), (1..=65_536).contains(&number));
        prop_assert_eq!(EpochMs::try_from(number).is_ok(), (10..=60_000).contains(&number));
        prop_assert_eq!(Replicas::try_from(number).is_ok(), (1..=1_000).contains(&number));
        prop_assert_eq!(Mebibytes::try_from(number).map_or(number, u64::from), number);
    }

    #[test]
    fn artifacts_are_what_they_were_pinned_as(
        bytes in vec(any::<u8>(), 0..2_000),
        size in 0..3 * CHUNK_BYTES,
        parts in 1..50_000_usize,
    ) {
        let whole: Vec<u8> = bytes.iter().copied().chain(std::iter::repeat(7)).take(size).collect();
        let mut hasher = Hasher::default();
        whole.chunks(parts).for_each(|part| hasher.update(part));
        let (artifact, list) = hasher.finish();
        prop_assert_eq!((artifact.digest, artifact.size), (Digest::of(&whole), size as u64));
        prop_assert_eq!(ChunkList::check(&artifact, &list.to_bytes()), Ok(list.clone()));
        prop_assert_eq!(artifact.chunk_count() as usize, whole.chunks(CHUNK_BYTES).count());
        for (index, chunk) in (0..).zip(whole.chunks(CHUNK_BYTES)) {
            prop_assert!(list.verify(index, chunk) && artifact.chunk_size(index) == chunk.len());
            prop_assert!(!list.verify(index, &chunk[1..]));
        }
    }
}
