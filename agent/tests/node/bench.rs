//! A node on the bench: inputs and time in, orders out.

use agent::control::node::{
    Config, Effect, Forces, Held, Input, Instance, Node, Now, PrepareError, Restored, RunRecord, Source, Ticket,
};
use shared::RunUsage;
use shared::{
    Artifact, Audience, BUILD_FLOOR_UNIX_MS, Body, ComponentName, ComponentReport, ComponentSpec, Digest, Hello,
    Limits, NodeId, NodeReport, Outcome, OwnerId, OwnerKey, Push, RealmId, Remove, Replicas, Restart, Role,
    SignedReport, Summary, Trust, Verdict, open, seal,
};
use std::collections::{BTreeMap, BTreeSet};

pub const EPOCH: u64 = BUILD_FLOOR_UNIX_MS + 1_000_000_000;

pub fn owner() -> OwnerKey {
    OwnerKey::of_seed(&[1; 32])
}

pub fn stranger() -> OwnerKey {
    OwnerKey::of_seed(&[2; 32])
}

pub fn peer(number: u8) -> NodeId {
    NodeId::of_seed(&[number; 32])
}

pub fn addr(number: u8) -> String {
    format!("/ip4/10.0.0.{number}/udp/1/quic-v1/p2p/{}", peer(number))
}

pub fn name(text: &str) -> ComponentName {
    text.parse().unwrap()
}

/// The artifact that pushes pin unless they say otherwise.
pub fn artifact(number: u8) -> Artifact {
    Artifact { digest: Digest::of(&[number]), size: 1000, chunks: Digest::of(b"list") }
}

/// A push of `hello` for everybody by the owner, with some of it changed.
pub fn push(seq: u64, change: impl FnOnce(&mut Body<Push>)) -> Vec<u8> {
    push_by(&owner(), seq, change)
}

pub fn push_by(key: &OwnerKey, seq: u64, change: impl FnOnce(&mut Body<Push>)) -> Vec<u8> {
    let component = ComponentSpec {
        name: name("hello"),
        artifact: artifact(1),
        limits: Limits::default(),
        replicas: Replicas::default(),
        restart: Restart::OnFailure,
        start: true,
        args: Vec::new(),
        env: Vec::new(),
        isolation: shared::Isolation::Shared,
    };
    let mut body = Body {
        realm: RealmId::of_owner(&key.id()),
        seq: EPOCH + seq,
        issued_at: EPOCH,
        not_after: None,
        audience: Audience::default(),
        note: String::new(),
        payload: Push { component, verb: None },
    };
    change(&mut body);
    seal(key, &body).unwrap()
}

/// A removal of `hello` by the owner.
pub fn removal(seq: u64) -> Vec<u8> {
    removal_of("hello", seq)
}

/// A removal by the owner.
pub fn removal_of(text: &str, seq: u64) -> Vec<u8> {
    let body = Body {
        realm: RealmId::of_owner(&owner().id()),
        seq: EPOCH + seq,
        issued_at: EPOCH,
        not_after: None,
        audience: Audience::default(),
        note: String::new(),
        payload: Remove { name: name(text) },
    };
    seal(&owner(), &body).unwrap()
}

/// A push under another name.
pub fn named(text: &str, seq: u64) -> Vec<u8> {
    push(seq, |body| body.payload.component.name = name(text))
}

pub fn held(bytes: &[u8]) -> Held {
    Held { bytes: bytes.into(), opened: open(bytes, &Trust::Owner(owner().id())).unwrap() }
}

pub struct Bench {
    pub node: Node,
    pub now: Now,
    tickets: Ticket,
}

impl Bench {
    /// A node that knows its owner and nothing else.
    pub fn new() -> Bench {
        Bench::trusting(Trust::Owner(owner().id()))
    }

    pub fn trusting(trust: Trust) -> Bench {
        Bench::with(Restored { trust, ..nothing() }, |_| {})
    }

    pub fn with(restored: Restored, change: impl FnOnce(&mut Config)) -> Bench {
        let mut bench = Bench::off(restored, change);
        bench.give(Input::Booted);
        bench
    }

    /// Not booted yet.
    pub fn off(restored: Restored, change: impl FnOnce(&mut Config)) -> Bench {
        let mut config = Config {
            seed: [100; 32],
            tags: vec!["dev".parse().unwrap()],
            version: "0.1.0".into(),
            platform: "linux/x86_64".into(),
            boot: 1,
            budget_bytes: 1 << 30,
            store_max_bytes: u64::MAX,
            default_memory_mb: 64,
            bootstrap: Vec::new(),
            lan: false,
            max_peers: 256,
            random_seed: 5,
        };
        change(&mut config);
        let now = Now { mono_ms: 0, unix_ms: EPOCH, synchronised: true };
        Bench { node: Node::new(config, restored), now, tickets: 100 }
    }

    pub fn give(&mut self, input: Input) -> Vec<Effect> {
        self.node.handle(input, self.now)
    }

    /// Lets time pass, and wakes the node whenever it asks for it.
    pub fn wait(&mut self, ms: u64) -> Vec<Effect> {
        let until = self.now.mono_ms + ms;
        let mut effects = Vec::new();
        while let Some(wake) = self.node.next_wake().filter(|wake| *wake <= until) {
            self.pass(wake.max(self.now.mono_ms) - self.now.mono_ms);
            effects.extend(self.give(Input::Woke));
            let next = self.node.next_wake();
            assert!(
                next.is_none_or(|next| next > self.now.mono_ms),
                "woken at {}, it wants {next:?}",
                self.now.mono_ms
            );
        }
        self.pass(until - self.now.mono_ms);
        effects
    }

    /// Lets time pass without a word.
    pub fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ms += ms;
    }

    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    pub fn offer(&mut self, bytes: &[u8]) -> Vec<Effect> {
        let source = Source::Stream { ticket: self.ticket(), peer: peer(50) };
        self.give(Input::Offered { source, bytes: bytes.to_vec() })
    }

    /// Offers, and has it written.
    pub fn accept(&mut self, bytes: &[u8]) -> Vec<Effect> {
        let (ticket, _) = persist(&self.offer(bytes)).expect("it is to be written");
        self.give(Input::Persisted { ticket, result: Ok(()) })
    }

    /// All the way to its first instances, which run.
    pub fn run(&mut self, bytes: &[u8]) -> Vec<Instance> {
        let effects = self.accept(bytes);
        let ready = if fetches(&effects).is_empty() {
            effects
        } else {
            self.give(Input::Stored { digest: fetches(&effects)[0] })
        };
        let (digest, fuel) = prepares(&ready)[0];
        let started = starts(&self.give(Input::Prepared { digest, fuel, result: Ok(()) }));
        for instance in &started {
            self.give(Input::Started { instance: *instance });
        }
        started
    }

    pub fn unable(&mut self, digest: Digest) -> Vec<Effect> {
        let result = Err(PrepareError::Unable("no memory".into()));
        self.give(Input::Prepared { digest, fuel: false, result })
    }

    pub fn exit(&mut self, instance: Instance, outcome: Outcome) -> Vec<Effect> {
        self.give(Input::Exited { instance, outcome, usage: RunUsage { memory_peak_bytes: 7, ..RunUsage::default() } })
    }

    pub fn meet(&mut self, number: u8, role: Role, admitted: bool) -> Vec<Effect> {
        self.meet_with(number, role, admitted, vec![addr(number)])
    }

    pub fn meet_with(&mut self, number: u8, role: Role, admitted: bool, addrs: Vec<String>) -> Vec<Effect> {
        let hello = self.hello_of(role, admitted, addrs);
        self.give(Input::Met { peer: peer(number), addr: addr(number), hello, admitted })
    }

    /// A node of this realm that has hardly any place left.
    pub fn meet_crowded(&mut self, number: u8) -> Vec<Effect> {
        let hello = Hello { crowded: true, ..self.hello_of(Role::Node, true, vec![addr(number)]) };
        self.give(Input::Met { peer: peer(number), addr: addr(number), hello, admitted: true })
    }

    fn hello_of(&self, role: Role, admitted: bool, addrs: Vec<String>) -> Hello {
        Hello {
            realm: admitted.then(|| RealmId::of_owner(&owner().id())),
            role,
            boot: 1,
            version: "0.1.0".into(),
            platform: "linux/x86_64".into(),
            tags: Vec::new(),
            addrs,
            highest_seq: 0,
            crowded: false,
        }
    }

    pub fn component(&self, text: &str) -> ComponentReport {
        let components = self.node.components();
        components.into_iter().find(|component| component.name == name(text)).expect("it is meant for this node")
    }

    pub fn refused(&self, code: &str) -> u64 {
        self.node.figures().intents_refused.get(code).copied().unwrap_or(0)
    }
}

pub fn nothing() -> Restored {
    Restored {
        trust: Trust::Owner(owner().id()),
        intents: Vec::new(),
        in_force: Forces::default(),
        runs: BTreeMap::new(),
        members: Vec::new(),
        blobs: BTreeSet::new(),
        usage: BTreeMap::new(),
        strays: BTreeSet::new(),
        kept: BTreeSet::new(),
    }
}

/// What a power cut leaves after `bytes` were accepted.
pub fn after(bytes: &[u8], run: Option<RunRecord>) -> Restored {
    Restored {
        intents: vec![held(bytes)],
        runs: run.into_iter().map(|run| (name("hello"), run)).collect(),
        blobs: [artifact(1).digest].into(),
        ..nothing()
    }
}

/// A report of node `number`.
pub fn report(number: u8, count: u64, change: impl FnOnce(&mut NodeReport)) -> SignedReport {
    let mut report = NodeReport {
        node: peer(number),
        realm: RealmId::of_owner(&owner().id()),
        boot: 1,
        count,
        at: EPOCH,
        heartbeat_ms: 10_000,
        tags: Vec::new(),
        version: "0.1.0".into(),
        platform: "linux/x86_64".into(),
        addrs: Vec::new(),
        clock_behind: false,
        leaving: false,
        summary: Summary::of(std::iter::empty()),
        manifest: None,
        components: Vec::new(),
        omitted: 0,
        alarms: Vec::new(),
        fault: None,
    };
    change(&mut report);
    SignedReport::sign(&[number; 32], &report)
}

macro_rules! pick {
    ($(#[$doc:meta])* $name:ident, $of:ty, $pattern:pat => $value:expr) => {
        $(#[$doc])*
        pub fn $name(effects: &[Effect]) -> Vec<$of> {
            let pick = |effect: &Effect| match effect {
                $pattern => Some($value),
                _ => None,
            };
            effects.iter().filter_map(pick).collect()
        }
    };
}

pick!(starts, Instance, Effect::Start { instance, .. } => *instance);
pick!(stops, Instance, Effect::Stop(instance) => *instance);
pick!(fetches, Digest, Effect::Fetch { artifact, .. } => artifact.digest);
pick!(cancels, Digest, Effect::Cancel(digest) => *digest);
pick!(drops, Digest, Effect::Drop(digest) => *digest);
pick!(prepares, (Digest, bool), Effect::Prepare { digest, fuel, .. } => (*digest, *fuel));
pick!(receipts, Verdict, Effect::Receipt { receipt, .. } => receipt.verdict.clone());
pick!(
    /// Whom: the first address of each.
    dials, String, Effect::Dial(addrs) => addrs[0].clone()
);
pick!(logs, String, Effect::Log(_, text) => text.clone());
pick!(notes, String, Effect::Note(_, text) => text.clone());
pick!(saved, RunRecord, Effect::SaveRun { record, .. } => record.clone());
pick!(asked, (NodeId, shared::SyncRequest), Effect::AskSync { peer, request } => (*peer, request.clone()));
pick!(handed, NodeId, Effect::HandOver { peer, .. } => *peer);
pick!(published, SignedReport, Effect::PublishReport(report) => report.clone());
pick!(judged, agent::control::node::Verdict, Effect::Judge { verdict, .. } => *verdict);
pick!(persists, (Ticket, Option<OwnerId>), Effect::Persist { ticket, claim, .. } => (*ticket, *claim));
pick!(changed, (NodeId, bool), Effect::NodeChanged(view) => (view.report.node, view.alive));

pub fn persist(effects: &[Effect]) -> Option<(Ticket, Option<OwnerId>)> {
    persists(effects).first().copied()
}

pub fn refused_with(effects: &[Effect], wanted: &str) -> bool {
    matches!(receipts(effects).as_slice(), [Verdict::Refused { code, .. }] if code == wanted)
}
