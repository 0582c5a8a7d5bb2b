//! Arbitrary values of everything that travels, within the bounds that its types and its readers set.

pub(crate) mod manifests;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use shared::*;
use std::fmt::Debug;
use std::ops::{Range, RangeInclusive};

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

pub(crate) fn realm() -> impl Strategy<Value = RealmId> {
    any::<[u8; 32]>().prop_map(RealmId::from_bytes)
}

pub(crate) fn intent_id() -> impl Strategy<Value = IntentId> {
    any::<[u8; 32]>().prop_map(IntentId::from_bytes)
}

pub(crate) fn signature() -> impl Strategy<Value = Signature> {
    any::<[u8; 64]>().prop_map(Signature::from_bytes)
}

pub(crate) fn node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 32]>().prop_map(NodeId::from_bytes)
}

pub(crate) fn owner() -> impl Strategy<Value = OwnerId> {
    any::<[u8; 32]>().prop_map(|seed| OwnerKey::of_seed(&seed).id())
}

pub(crate) fn name() -> impl Strategy<Value = ComponentName> {
    "[a-z0-9][a-z0-9._-]{0,62}".prop_map(|text| text.parse().unwrap())
}

pub(crate) fn tag() -> impl Strategy<Value = Tag> {
    "[a-z0-9][a-z0-9._-]{0,62}".prop_map(|text| text.parse().unwrap())
}

pub(crate) fn key() -> impl Strategy<Value = IntentKey> {
    prop_oneof![9 => name().prop_map(IntentKey::Component), 1 => Just(IntentKey::Manifest)]
}

fn limit<T: TryFrom<u64, Error = LimitError> + Debug>(range: RangeInclusive<u64>) -> impl Strategy<Value = T> {
    range.prop_map(|number| T::try_from(number).unwrap())
}

pub(crate) fn limits() -> impl Strategy<Value = Limits> {
    let fields = (
        option::of(limit::<Mebibytes>(1..=65_536_u64)),
        option::of(limit::<Fuel>(1..=u64::MAX)),
        limit::<EpochMs>(10..=60_000_u64),
        option::of(limit::<DeadlineMs>(1..=31_536_000_000_u64)),
        limit::<LogMaxKb>(16..=1_048_576_u64),
    );
    fields.prop_map(|(memory_max_mb, fuel, epoch_ms, deadline_ms, log_max_kb)| Limits {
        memory_max_mb,
        fuel,
        epoch_ms,
        deadline_ms,
        log_max_kb,
    })
}

pub(crate) fn replicas() -> impl Strategy<Value = Replicas> {
    limit(1..=1_000_u64)
}

pub(crate) fn restart() -> impl Strategy<Value = Restart> {
    prop_oneof![Just(Restart::Never), Just(Restart::OnFailure), Just(Restart::Always)]
}

fn isolation() -> impl Strategy<Value = Isolation> {
    prop_oneof![Just(Isolation::Shared), Just(Isolation::Process)]
}

pub(crate) fn artifact() -> impl Strategy<Value = Artifact> {
    (digest(), 0..=MAX_ARTIFACT_BYTES, digest()).prop_map(|(digest, size, chunks)| Artifact { digest, size, chunks })
}

fn spec() -> impl Strategy<Value = ComponentSpec> {
    let texts = (vec("[^\0]{0,20}", 0..8), btree_map("[^\0=]{1,10}", "[^\0]{0,20}", 0..8));
    let fields = (name(), artifact(), limits(), replicas(), restart(), any::<bool>(), texts, isolation());
    fields.prop_map(|(name, artifact, limits, replicas, restart, start, (args, env), isolation)| ComponentSpec {
        name,
        artifact,
        limits,
        replicas,
        restart,
        start,
        args,
        env: env.into_iter().collect(),
        isolation,
    })
}

fn audience() -> impl Strategy<Value = Audience> {
    (vec(node(), 0..6), vec(tag(), 0..=MAX_AUDIENCE_TAGS), option::of(".{0,16}"))
        .prop_map(|(peers, tags, platform)| Audience { peers, tags, platform })
}

/// A push that its owner may sign; `realm` is the one of the owner.
pub(crate) fn push(realm: RealmId) -> impl Strategy<Value = Body<Push>> {
    let verb = option::of(prop_oneof![Just(Verb::Start), Just(Verb::Stop), Just(Verb::Restart)]);
    body(realm, (spec(), verb).prop_map(|(component, verb)| Push { component, verb }))
}

/// A removal that its owner may sign.
pub(crate) fn removal(realm: RealmId) -> impl Strategy<Value = Body<Remove>> {
    body(realm, name().prop_map(|name| Remove { name }))
}

fn body<P: Content + Debug>(realm: RealmId, payload: impl Strategy<Value = P>) -> impl Strategy<Value = Body<P>> {
    body_for(realm, audience(), payload)
}

fn body_for<P: Content + Debug>(
    realm: RealmId,
    audience: impl Strategy<Value = Audience>,
    payload: impl Strategy<Value = P>,
) -> impl Strategy<Value = Body<P>> {
    let fields = (any::<u64>(), any::<u64>(), option::of(any::<u64>()), audience, ".{0,128}", payload);
    fields.prop_map(move |(seq, issued_at, not_after, audience, note, payload)| Body {
        realm,
        seq,
        issued_at,
        not_after,
        audience,
        note,
        payload,
    })
}

/// Any envelope, signed by nobody.
pub(crate) fn sealed() -> impl Strategy<Value = Sealed> {
    (".{0,30}", owner(), vec(any::<u8>(), 0..300), signature()).prop_map(|(typ, key, body, sig)| Sealed {
        typ,
        key,
        body,
        sig,
    })
}

pub(crate) fn receipt() -> impl Strategy<Value = Receipt> {
    let verdict = prop_oneof![
        Just(Verdict::Accepted),
        Just(Verdict::AlreadyHeld),
        ("[a-z-]{0,20}", ".{0,60}").prop_map(|(code, reason)| Verdict::Refused { code, reason }),
    ];
    (node(), verdict).prop_map(|(node, verdict)| Receipt { node, verdict })
}

pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Completed),
        any::<i32>().prop_map(Outcome::Exit),
        "(?s).{0,24}".prop_map(Outcome::Trap),
        Just(Outcome::OutOfMemory),
        Just(Outcome::OutOfFuel),
        Just(Outcome::DeadlineExceeded),
        Just(Outcome::Stopped),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    prop::sample::select(vec![
        Phase::Stopped,
        Phase::Completed,
        Phase::Running,
        Phase::Staged,
        Phase::Fetching,
        Phase::Compiling,
        Phase::Backoff,
        Phase::Failed,
    ])
}

pub(crate) fn summary() -> impl Strategy<Value = Summary> {
    (digest(), any::<u32>(), any::<u64>()).prop_map(|(digest, count, highest_seq)| Summary {
        digest,
        count,
        highest_seq,
    })
}

/// A component whose reason and trap text have up to `detail` characters.
fn component(detail: usize) -> impl Strategy<Value = ComponentReport> {
    let text = move || vec(any::<char>(), 0..=detail).prop_map(String::from_iter);
    let trap = text().prop_map(Outcome::Trap);
    let counts = (any::<u16>(), any::<u16>(), any::<u32>(), option::of(any::<u64>()), any::<u16>());
    let fields = (name(), intent_id(), digest(), phase(), counts, option::of(prop_oneof![outcome(), trap]));
    (fields, option::of(text()), any::<bool>()).prop_map(
        |((name, intent, digest, phase, counts, last_outcome), reason, declared)| ComponentReport {
            name,
            intent,
            digest,
            phase,
            replicas: counts.0,
            running: counts.1,
            restarts: counts.2,
            last_outcome,
            reason,
            fetched: counts.3,
            declared,
            serving: counts.4,
        },
    )
}

/// A report of the node of `seed`, with a number of components out of `components`.
pub(crate) fn report(seed: [u8; 32], components: Range<usize>, detail: usize) -> impl Strategy<Value = NodeReport> {
    let rank = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>());
    let addrs = vec("[ -~]{0,80}", 0..=MAX_REPORT_ADDRS);
    let facts = (vec(tag(), 0..=MAX_NODE_TAGS), "[ -~]{0,64}", "[ -~]{0,64}", any::<bool>(), any::<bool>(), addrs);
    let manifest = option::of(manifests::report(detail));
    let alarms = vec((key(), any::<u64>()).prop_map(|(key, seq)| Alarm { key, seq }), 0..=MAX_REPORT_ALARMS);
    let told = (alarms, option::of(vec(any::<char>(), 0..=detail).prop_map(String::from_iter)));
    (realm(), rank, facts, summary(), manifest, vec(component(detail), components), told).prop_map(
        move |(realm, rank, facts, summary, manifest, components, told)| NodeReport {
            node: NodeId::of_seed(&seed),
            realm,
            boot: rank.0,
            count: rank.1,
            at: rank.2,
            heartbeat_ms: rank.3,
            tags: facts.0,
            version: facts.1,
            platform: facts.2,
            addrs: facts.5,
            clock_behind: facts.3,
            leaving: facts.4,
            summary,
            manifest,
            components,
            omitted: rank.4,
            alarms: told.0,
            fault: told.1,
        },
    )
}

pub(crate) fn signed_report() -> impl Strategy<Value = SignedReport> {
    (node(), vec(any::<u8>(), 0..300), signature()).prop_map(|(node, body, sig)| SignedReport { node, body, sig })
}

fn view() -> impl Strategy<Value = NodeView> {
    (signed_report(), any::<bool>()).prop_map(|(report, alive)| NodeView { report, alive })
}

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    let role = prop_oneof![Just(Role::Node), Just(Role::Operator)];
    let lists = (vec(tag(), 0..=MAX_NODE_TAGS), vec("[ -~]{0,320}", 0..=MAX_HELLO_ADDRS), any::<bool>());
    let fields = (option::of(realm()), role, any::<u64>(), "[ -~]{0,64}", "[ -~]{0,64}", lists, any::<u64>());
    fields.prop_map(|(realm, role, boot, version, platform, (tags, addrs, crowded), highest_seq)| Hello {
        realm,
        role,
        boot,
        version,
        platform,
        tags,
        addrs,
        highest_seq,
        crowded,
    })
}

pub(crate) fn sync_request() -> impl Strategy<Value = SyncRequest> {
    prop_oneof![
        summary().prop_map(SyncRequest::Compare),
        vec(key(), 0..8).prop_map(SyncRequest::Pull),
        Just(SyncRequest::Reports),
    ]
}

pub(crate) fn index(entries: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<IndexEntry>> {
    vec((key(), any::<u64>(), intent_id()).prop_map(|(key, seq, id)| IndexEntry { key, seq, id }), entries)
}

pub(crate) fn sync_reply() -> impl Strategy<Value = SyncReply> {
    let intents = vec(vec(any::<u8>(), 0..60).prop_map(serde_bytes::ByteBuf::from), 0..6);
    prop_oneof![
        Just(SyncReply::Same),
        index(0..8).prop_map(SyncReply::Index),
        intents.prop_map(SyncReply::Intents),
        vec(view(), 0..4).prop_map(SyncReply::Reports),
    ]
}

pub(crate) fn blob_request() -> impl Strategy<Value = BlobRequest> {
    prop_oneof![
        artifact().prop_map(BlobRequest::Open),
        Just(BlobRequest::List),
        any::<u32>().prop_map(BlobRequest::Chunk),
    ]
}

pub(crate) fn blob_reply() -> impl Strategy<Value = BlobReply> {
    let bytes = || vec(any::<u8>(), 0..400);
    prop_oneof![
        Just(BlobReply::Unknown),
        (any::<bool>(), bytes()).prop_map(|(complete, have)| BlobReply::Have { complete, have }),
        bytes().prop_map(BlobReply::List),
        bytes().prop_map(BlobReply::Chunk),
        Just(BlobReply::Missing),
    ]
}

pub(crate) fn watch_request() -> impl Strategy<Value = WatchRequest> {
    prop_oneof![
        any::<bool>().prop_map(|follow| WatchRequest::Status { follow }),
        log_query().prop_map(WatchRequest::Logs),
        (name(), any::<bool>()).prop_map(|(component, local)| WatchRequest::Runs { component, local }),
    ]
}

fn log_query() -> impl Strategy<Value = LogQuery> {
    let fields =
        (option::of(name()), any::<u32>(), any::<bool>(), option::of(any::<u64>()), any::<bool>(), vec(node(), 0..4));
    fields.prop_map(|(component, tail, local, since, follow, nodes)| LogQuery {
        component,
        tail,
        local,
        since,
        follow,
        nodes,
    })
}

fn usage() -> impl Strategy<Value = RunUsage> {
    any::<[u64; 4]>().prop_map(|[memory_bytes, memory_peak_bytes, fuel_used, cpu_ms]| RunUsage {
        memory_bytes,
        memory_peak_bytes,
        fuel_used,
        cpu_ms,
    })
}

fn runs() -> impl Strategy<Value = NodeRuns> {
    let live = (intent_id(), any::<u64>(), usage());
    let live = live.prop_map(|(intent, begun_at, usage)| LiveRun { intent, begun_at, usage });
    let ended = (intent_id(), any::<[u64; 2]>(), outcome(), usage()).prop_map(
        |(intent, [begun_at, ended_at], outcome, usage)| EndedRun { intent, begun_at, ended_at, outcome, usage },
    );
    (node(), vec(live, 0..4), any::<u32>(), vec(ended, 0..4)).prop_map(|(node, live, omitted, ended)| NodeRuns {
        node,
        live,
        omitted,
        ended,
    })
}

pub(crate) fn watch_reply() -> impl Strategy<Value = WatchReply> {
    let stream = prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr), Just(Stream::Agent)];
    let line = (node(), name(), any::<u64>(), stream, "(?s).{0,80}");
    prop_oneof![
        view().prop_map(WatchReply::Node),
        Just(WatchReply::Current),
        line.prop_map(|(node, component, at, stream, text)| {
            WatchReply::Log(LogLine { node, component, at, stream, text })
        }),
        runs().prop_map(WatchReply::Runs),
        (node(), ".{0,60}").prop_map(|(node, reason)| WatchReply::Problem { node, reason }),
        Just(WatchReply::End),
    ]
}
