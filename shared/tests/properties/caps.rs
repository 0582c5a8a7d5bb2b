//! What is within its bounds fits its frame, and what is cut says so.

use super::{SEED, comes_back, config, strategies};
use proptest::prelude::*;
use shared::protocol::{MAX_GOSSIP_BYTES, MAX_HELLO_BYTES, MAX_INTENT_FRAME};
use shared::*;

proptest! {
    #![proptest_config(config(10))]

    /// However many components there are and however long their texts, a report fits a gossip message, says how many
    /// were left out, and is accepted.
    #[test]
    fn a_report_is_cut_to_fit(report in strategies::report(SEED, 0..200, 150)) {
        let signed = SignedReport::sign(&SEED, &report);
        prop_assert!(signed.body.len() <= 31 * 1024);
        comes_back(&signed, MAX_GOSSIP_BYTES);
        let opened = signed.open(&report.realm).unwrap();
        prop_assert!(opened.components.len() <= MAX_REPORT_COMPONENTS);
        let left_out = u32::try_from(report.components.len() - opened.components.len()).unwrap();
        prop_assert_eq!(opened.omitted, report.omitted.saturating_add(left_out));
        for (kept, whole) in opened.components.iter().zip(&report.components) {
            prop_assert_eq!(&kept.name, &whole.name);
            let (kept, whole) = (kept.reason.as_deref(), whole.reason.as_deref());
            prop_assert_eq!(kept.is_some(), whole.is_some());
            prop_assert!(whole.unwrap_or_default().starts_with(kept.unwrap_or_default()));
            prop_assert!(kept.is_none_or(|text| text.len() <= MAX_DETAIL_BYTES));
        }
    }

    #[test]
    fn the_longest_index_fits(index in strategies::index(MAX_SYNC_KEYS)) {
        comes_back(&SyncReply::Index(index), MAX_SYNC_BYTES);
    }

    #[test]
    fn summaries_differ_where_states_differ(index in strategies::index(1..20), at in any::<prop::sample::Index>()) {
        let summary = |index: &[IndexEntry]| Summary::of(index.iter().map(|entry| (&entry.key, entry.seq, entry.id)));
        let mut other = index.clone();
        let entry = at.get_mut(&mut other);
        entry.seq ^= 1;
        prop_assert_eq!(summary(&index), summary(&index.clone()));
        prop_assert_ne!(summary(&index).digest, summary(&other).digest);
        prop_assert_ne!(summary(&index).digest, summary(&index[1..]).digest);
        prop_assert_eq!(summary(&index).count as usize, index.len());
        prop_assert_eq!(Some(summary(&index).highest_seq), index.iter().map(|entry| entry.seq).max());
    }
}

#[test]
fn messages_at_their_bounds_fit_their_frames() {
    let tag: Tag = "t".repeat(63).parse().unwrap();
    let hello = Hello {
        realm: Some(RealmId::from_bytes([255; 32])),
        role: Role::Operator,
        boot: u64::MAX,
        version: "v".repeat(64),
        platform: "p".repeat(64),
        tags: vec![tag.clone(); MAX_NODE_TAGS],
        addrs: vec!["a".repeat(320); MAX_HELLO_ADDRS],
        highest_seq: u64::MAX,
    };
    assert!(hello.is_bounded());
    comes_back(&hello, MAX_HELLO_BYTES);
    comes_back(&BlobReply::Chunk(vec![255; CHUNK_BYTES]), BlobReply::MAX_FRAME);
    let longest = Artifact { digest: Digest::of(b""), size: MAX_ARTIFACT_BYTES, chunks: Digest::of(b"") };
    let chunks = longest.chunk_count() as usize;
    comes_back(&BlobReply::List(vec![255; chunks * 32]), BlobReply::MAX_FRAME);
    comes_back(&BlobReply::Have { complete: false, have: vec![255; chunks.div_ceil(8)] }, BlobReply::MAX_FRAME);
    let report = SignedReport {
        node: NodeId::of_seed(&SEED),
        body: vec![0; 31 * 1024],
        sig: OwnerKey::of_seed(&SEED).sign(b""),
    };
    comes_back(&report, MAX_GOSSIP_BYTES);
    comes_back(&WatchReply::Node(NodeView { report, alive: true }), MAX_WATCH_FRAME);
    let sealed = serde_bytes::ByteBuf::from(vec![0; MAX_SEALED_BYTES]);
    comes_back(&sealed, MAX_INTENT_FRAME);
    comes_back(&sealed, MAX_GOSSIP_BYTES);
}

/// The most that [`Body::check`] allows can be signed, and its envelope fits a gossip message.
#[test]
fn a_body_at_its_bounds_can_be_sealed() {
    let key = OwnerKey::of_seed(&SEED);
    let limits = Limits {
        memory_max_mb: Some(65_536_u64.try_into().unwrap()),
        fuel: Some(u64::MAX.try_into().unwrap()),
        epoch_ms: 60_000_u64.try_into().unwrap(),
        deadline_ms: Some(31_536_000_000_u64.try_into().unwrap()),
        log_max_kb: 1_048_576_u64.try_into().unwrap(),
    };
    let text = "x".repeat(MAX_TEXT_BYTES / (MAX_ARGS + 2 * MAX_ENV));
    let component = ComponentSpec {
        name: "n".repeat(63).parse().unwrap(),
        artifact: Artifact { digest: Digest::of(b""), size: MAX_ARTIFACT_BYTES, chunks: Digest::of(b"") },
        limits,
        replicas: 1_000_u64.try_into().unwrap(),
        restart: Restart::OnFailure,
        start: false,
        args: vec![text.clone(); MAX_ARGS],
        env: vec![(text.clone(), text); MAX_ENV],
        isolation: Isolation::Process,
    };
    let mut body = Body {
        realm: RealmId::of_owner(&key.id()),
        seq: u64::MAX,
        issued_at: u64::MAX,
        not_after: Some(u64::MAX),
        audience: Audience {
            peers: vec![NodeId::from_bytes([255; 32]); MAX_AUDIENCE_PEERS],
            tags: vec!["t".repeat(63).parse().unwrap(); MAX_AUDIENCE_TAGS],
            platform: Some("p".repeat(64)),
        },
        note: "n".repeat(MAX_NOTE_BYTES),
        payload: Push { component, verb: Some(Verb::Restart) },
    };
    let sealed = seal(&key, &body).unwrap();
    assert!(sealed.len() <= MAX_SEALED_BYTES && MAX_SEALED_BYTES <= MAX_GOSSIP_BYTES);
    assert_eq!(open(&sealed, &Trust::FirstUse).map(|opened| opened.body().clone()), Ok(body.clone().of_all_kinds()));
    body.note.push('n');
    assert!(matches!(seal(&key, &body), Err(Refused::Bounds(_))));
}
