//! What is within its bounds fits its frame, and what is cut says so.

use super::{SEED, comes_back, config, strategies};
use proptest::prelude::*;
use shared::protocol::{MAX_GOSSIP_BYTES, MAX_HELLO_BYTES, MAX_INTENT_FRAME};
use shared::*;
use std::cmp::Reverse;

/// A reason, and what was left of it.
fn is_cut(kept: Option<&str>, whole: Option<&str>) -> Result<(), TestCaseError> {
    prop_assert_eq!(kept.is_some(), whole.is_some());
    prop_assert!(whole.unwrap_or_default().starts_with(kept.unwrap_or_default()));
    prop_assert!(kept.is_none_or(|text| text.len() <= MAX_DETAIL_BYTES));
    Ok(())
}

proptest! {
    #![proptest_config(config(10))]

    /// However many components there are and however long their texts, a report fits a gossip message, says how many
    /// were left out, denies none of them, and is accepted.
    #[test]
    fn a_report_is_cut_to_fit(mut report in strategies::report(SEED, 0..200, 150)) {
        report.components.sort_by(|one, other| one.name.cmp(&other.name));
        let signed = SignedReport::sign(&SEED, &report);
        prop_assert!(signed.body.len() <= 31 * 1024);
        comes_back(&signed, MAX_GOSSIP_BYTES);
        let opened = signed.open(&report.realm).unwrap();
        prop_assert!(opened.components.len() <= MAX_REPORT_COMPONENTS);
        let left_out = u32::try_from(report.components.len() - opened.components.len()).unwrap();
        prop_assert_eq!(opened.omitted, report.omitted.saturating_add(left_out));
        let mut listed = report.components.clone();
        if left_out > 0 {
            listed.sort_by_key(|component| Reverse((component.phase.max(Phase::Staged), component.phase == Phase::Stopped)));
        }
        prop_assert!(listed.iter().all(|component| opened.may_have(&component.name)));
        for (kept, whole) in opened.components.iter().zip(&listed) {
            prop_assert_eq!(&kept.name, &whole.name);
            is_cut(kept.reason.as_deref(), whole.reason.as_deref())?;
        }
        let reason = |report: &NodeReport| report.manifest.clone().and_then(|manifest| manifest.reason);
        is_cut(reason(&opened).as_deref(), reason(&report).as_deref())?;
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

/// A report of `count` components that run; every hundredth of them has failed, from the last one on.
fn report_of(count: usize) -> NodeReport {
    let component = |at: usize| ComponentReport {
        name: format!("c{at:04}").parse().unwrap(),
        intent: IntentId::from_bytes([1; 32]),
        digest: Digest::of(b""),
        phase: if (count - at) % 100 == 1 { Phase::Failed } else { Phase::Running },
        replicas: 1,
        running: 1,
        restarts: 0,
        last_outcome: None,
        reason: None,
        fetched: None,
        declared: true,
        serving: 0,
    };
    NodeReport {
        node: NodeId::of_seed(&SEED),
        realm: RealmId::from_bytes([2; 32]),
        boot: 1,
        count: 1,
        at: 0,
        heartbeat_ms: 10_000,
        tags: Vec::new(),
        version: VERSION.into(),
        platform: platform(),
        addrs: Vec::new(),
        clock_behind: false,
        leaving: false,
        summary: Summary::of(std::iter::empty()),
        manifest: None,
        components: (0..count).map(component).collect(),
        omitted: 0,
        alarms: Vec::new(),
        fault: None,
    }
}

/// What others read of a report.
fn opened(report: &NodeReport) -> NodeReport {
    let opened = SignedReport::sign(&SEED, report).open(&report.realm).unwrap();
    assert_eq!(opened.components.len() + opened.omitted as usize, report.components.len());
    opened
}

/// A name that is not listed is not there when it would stand before one that is: so a removal is known to be done.
#[test]
fn what_a_report_has_no_room_for_may_be_there() {
    let may_have = |report: &NodeReport, names: [&str; 4]| names.map(|name| report.may_have(&name.parse().unwrap()));
    let names = ["c0050", "c0050-gone", "c0300", "z"];
    let few = opened(&report_of(MAX_REPORT_COMPONENTS));
    assert_eq!(may_have(&few, names), [true, false, false, false]);
    let many = opened(&report_of(500));
    assert_eq!(may_have(&many, names), [true, false, true, true]);
    // Whoever lists nothing but what failed says nothing of the others.
    let mut failed = report_of(500);
    failed.components[100..].iter_mut().for_each(|component| component.phase = Phase::Failed);
    assert_eq!(may_have(&opened(&failed), names), [true, true, true, true]);
    let mut stopped = report_of(500);
    stopped.components.iter_mut().for_each(|component| component.phase = Phase::Stopped);
    assert_eq!(may_have(&opened(&stopped), names), [true, true, true, true], "others may run");
    assert_eq!(may_have(&NodeReport { components: Vec::new(), ..failed.clone() }, names), [false; 4]);
    assert_eq!(may_have(&NodeReport { components: Vec::new(), omitted: 1, ..failed }, names), [true; 4]);
}

#[test]
fn components_that_failed_are_not_left_out() {
    let listed = |report: &NodeReport| {
        opened(report).components.iter().map(|component| component.name.to_string()).collect::<Vec<_>>()
    };
    // Where there is room for all they come as they are.
    let few = report_of(MAX_REPORT_COMPONENTS);
    assert_eq!(listed(&few), few.components.iter().map(|component| component.name.to_string()).collect::<Vec<_>>());
    let names = listed(&report_of(500));
    assert_eq!(names.len(), MAX_REPORT_COMPONENTS);
    assert_eq!(names[..7], ["c0099", "c0199", "c0299", "c0399", "c0499", "c0000", "c0001"]);
    // Before those that are well come those that were stopped; among them the name decides, whatever they do; the others come by
    // phase.
    let mut mixed = report_of(200);
    let phases = [Phase::Stopped, Phase::Staged, Phase::Completed, Phase::Fetching, Phase::Backoff];
    mixed.components[150..155].iter_mut().zip(phases).for_each(|(component, phase)| component.phase = phase);
    assert_eq!(listed(&mixed)[..6], ["c0099", "c0199", "c0154", "c0153", "c0150", "c0000"]);
    // Texts take the room of others, too.
    let mut long = report_of(MAX_REPORT_COMPONENTS);
    long.components.iter_mut().for_each(|component| component.reason = Some("r".repeat(MAX_DETAIL_BYTES)));
    let names = listed(&long);
    assert!((2..MAX_REPORT_COMPONENTS).contains(&names.len()), "{}", names.len());
    assert_eq!(names[..3], ["c0027", "c0127", "c0000"]);
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
        crowded: true,
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

/// A component with the largest numbers, as many arguments and variables as it may have, and so many bytes in them.
fn spec(name: String, texts: usize) -> ComponentSpec {
    let limits = Limits {
        memory_max_mb: Some(65_536_u64.try_into().unwrap()),
        fuel: Some(u64::MAX.try_into().unwrap()),
        epoch_ms: 60_000_u64.try_into().unwrap(),
        deadline_ms: Some(31_536_000_000_u64.try_into().unwrap()),
        log_max_kb: 1_048_576_u64.try_into().unwrap(),
    };
    let width = texts / (MAX_ARGS + 2 * MAX_ENV);
    let text = "x".repeat(width);
    ComponentSpec {
        name: name.parse().unwrap(),
        artifact: Artifact { digest: Digest::of(b""), size: MAX_ARTIFACT_BYTES, chunks: Digest::of(b"") },
        limits,
        replicas: 1_000_u64.try_into().unwrap(),
        restart: Restart::OnFailure,
        start: false,
        args: vec![text.clone(); MAX_ARGS],
        env: (0..MAX_ENV).map(|at| (format!("{at:x>width$}"), text.clone())).collect(),
        isolation: Isolation::Process,
    }
}

/// The most that [`Body::check`] allows can be signed, and its envelope fits a gossip message.
#[test]
fn a_body_at_its_bounds_can_be_sealed() {
    let key = OwnerKey::of_seed(&SEED);
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
        payload: Push { component: spec("n".repeat(63), MAX_TEXT_BYTES), verb: Some(Verb::Restart) },
    };
    let sealed = seal(&key, &body).unwrap();
    assert!(sealed.len() <= MAX_SEALED_BYTES && MAX_SEALED_BYTES <= MAX_GOSSIP_BYTES);
    assert_eq!(open(&sealed, &Trust::FirstUse).map(|opened| opened.body().clone()), Ok(body.clone().of_all_kinds()));
    body.note.push('n');
    assert!(matches!(seal(&key, &body), Err(Refused::Bounds(_))));
}

/// The same of an apply; what it says of earlier ones is small, for it comes with each.
#[test]
fn an_apply_at_its_bounds_can_be_sealed() {
    let manifest = Artifact { digest: Digest::of(b""), size: MAX_MANIFEST_BYTES as u64, chunks: Digest::of(b"") };
    let note = "n".repeat(MAX_PAST_NOTE_BYTES);
    let past = |at: usize| Past { version: u32::MAX - at as u32, manifest, issued_at: u64::MAX, note: note.clone() };
    let past: Vec<Past> = (1..=MAX_PAST).map(past).collect();
    assert!(frame::to_bytes(&past, 5 * 1024).is_ok());
    let key = OwnerKey::of_seed(&SEED);
    let mut body = Body {
        realm: RealmId::of_owner(&key.id()),
        seq: u64::MAX,
        issued_at: u64::MAX,
        not_after: Some(u64::MAX),
        audience: Audience::default(),
        note: "n".repeat(MAX_NOTE_BYTES),
        payload: Apply { version: u32::MAX, manifest, past },
    };
    let sealed = seal(&key, &body).unwrap();
    assert_eq!(open(&sealed, &Trust::FirstUse).map(|opened| opened.body().clone()), Ok(body.clone().of_all_kinds()));
    body.audience.platform = Some(platform());
    assert!(matches!(seal(&key, &body), Err(Refused::Bounds(_))));
}

/// A thousand components with half a kilobyte of arguments and environment each, for one node each.
#[test]
fn a_manifest_of_a_thousand_components_fits() {
    let audience = Audience { peers: vec![NodeId::of_seed(&SEED)], ..Audience::default() };
    let declared = |at: usize| (spec(format!("component-{at}"), 512), audience.clone(), Takeover::StartFirst);
    let manifest = Manifest::new(Rollout::default(), (0..MAX_MANIFEST_COMPONENTS).map(declared).collect()).unwrap();
    assert_eq!(manifest.components().len(), MAX_MANIFEST_COMPONENTS);
    let too_many = Manifest::new(Rollout::default(), (0..=MAX_MANIFEST_COMPONENTS).map(declared).collect());
    assert_eq!(too_many.unwrap_err(), "the manifest has 1001 components, at most 1000 are allowed");
    let large = |at: usize| (spec(format!("component-{at}"), 1024), audience.clone(), Takeover::StartFirst);
    let fault = Manifest::new(Rollout::default(), (0..MAX_MANIFEST_COMPONENTS).map(large).collect()).unwrap_err();
    assert!(
        fault.starts_with("the manifest has ") && fault.ends_with(" bytes, at most 1048576 are allowed"),
        "{fault}"
    );
}
