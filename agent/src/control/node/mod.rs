//! The policy of a node, and all of it: inputs and time go in, orders come out. No clock, socket, file or `async`
//! is named here, so that a simulator can drive a hundred nodes from one seed.

mod accept;
mod dialer;
mod effect;
mod input;
mod ledger;
mod neighbours;
mod random;
mod reporting;
mod roster;
mod work;
mod workload;

pub use effect::{Effect, Level, Member, RunRecord, Verdict};
pub use input::{Input, Instance, Now, PrepareError, Source, Ticket};
pub use ledger::{FUTURE_MS, Held};

use dialer::Dialer;
use ledger::Ledger;
use neighbours::Neighbours;
use random::Random;
use reporting::Reporting;
use roster::Roster;
use shared::{ComponentName, Digest, Hello, NodeId, NodeView, RealmId, Role, SignedReport, Tag, Trust};
use std::collections::{BTreeMap, BTreeSet};
use workload::Workload;

/// What does not change while the agent lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// The secret seed of the node's key; signs its reports.
    pub seed: [u8; 32],
    /// The node's tags.
    pub tags: Vec<Tag>,
    /// Version of the agent.
    pub version: String,
    /// `os/arch`.
    pub platform: String,
    /// How often the agent has been started in this data directory.
    pub boot: u64,
    /// Bytes of memory that all instances may take together.
    pub budget_bytes: u64,
    /// The cap of an instance whose spec has none, in MiB.
    pub default_memory_mb: u32,
    /// Addresses that are dialled until they answer.
    pub bootstrap: Vec<String>,
    /// Where jitter comes from.
    pub random_seed: u64,
}

/// What the disk held when the agent was started.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Who is obeyed.
    pub trust: Trust,
    /// Accepted intents, opened again.
    pub intents: Vec<Held>,
    /// How components ended for good.
    pub runs: BTreeMap<ComponentName, RunRecord>,
    /// Other nodes.
    pub members: Vec<Member>,
    /// Artifacts that are complete.
    pub blobs: BTreeSet<Digest>,
}

/// Counters and sizes for `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Connected and admitted nodes.
    pub peers: usize,
    /// Nodes of the realm that are alive, this one included.
    pub nodes_alive: usize,
    /// Intents accepted since start.
    pub intents_accepted: u64,
    /// Intents refused since start, by code.
    pub intents_refused: BTreeMap<&'static str, u64>,
    /// Reports that did not count.
    pub reports_refused: u64,
    /// Equal sequences of different intents.
    pub alarms: u64,
    /// The most memory of an instance of each component, in bytes.
    pub memory_peak_bytes: BTreeMap<ComponentName, u64>,
}

/// See the module.
pub struct Node {
    config: Config,
    me: NodeId,
    ledger: Ledger,
    runs: BTreeMap<ComponentName, RunRecord>,
    blobs: BTreeSet<Digest>,
    works: BTreeMap<ComponentName, Workload>,
    /// Instances that were ordered to stop and that no workload waits for.
    orphans: BTreeSet<Instance>,
    next_instance: Instance,
    neighbours: Neighbours,
    roster: Roster,
    dialer: Dialer,
    reporting: Reporting,
    random: Random,
    leaving: bool,
    out: Vec<Effect>,
}

impl Node {
    /// Takes up what the disk held. Nothing happens before the first input, which should be `Booted`.
    #[must_use]
    pub fn new(config: Config, restored: Restored) -> Node {
        let me = NodeId::of_seed(&config.seed);
        let mut roster = Roster::default();
        let mut dialer = Dialer::new(me, &config.bootstrap);
        if let Some(realm) = restored.trust.realm() {
            roster.restore(&realm, &restored.members);
            for member in &restored.members {
                dialer.learn(&member.addrs);
            }
        }
        Node {
            me,
            ledger: Ledger::new(restored.trust, restored.intents),
            runs: restored.runs,
            blobs: restored.blobs,
            works: BTreeMap::new(),
            orphans: BTreeSet::new(),
            next_instance: 0,
            neighbours: Neighbours::default(),
            roster,
            dialer,
            reporting: Reporting::default(),
            random: Random::new(config.random_seed),
            leaving: false,
            out: Vec::new(),
            config,
        }
    }

    /// Takes an input and gives the orders that follow from it, in order.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Effect> {
        self.take(input, now);
        self.maybe_report(now);
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, input: Input, now: Now) {
        match input {
            Input::Booted => self.booted(now),
            Input::Offered { source, bytes } => self.offered(source, &bytes, now),
            Input::Persisted { ticket, result } => self.persisted(ticket, result, now),
            Input::Met { peer, addr, hello, admitted } => self.met(peer, &addr, &hello, admitted, now),
            Input::Gone { peer } => self.peer_gone(peer, now),
            Input::Subscribed { peer } => self.compare_with(peer),
            Input::DialFailed { addr, reason } => {
                self.out.push(Effect::Log(Level::Info, format!("could not reach `{addr}`: {reason}")));
                self.dialer.failed(&addr, now.mono_ms, &mut self.random);
            }
            Input::Listening { addr } => {
                if self.dialer.listening(addr) {
                    self.say_hello();
                }
            }
            Input::SyncAsked { ticket, request } => self.sync_asked(ticket, &request),
            Input::SyncAnswered { peer, result } => self.sync_answered(peer, result, now),
            Input::Reported { ticket, report } => self.reported(ticket, report, now),
            Input::Stored { digest } => self.stored(digest),
            Input::Fetched { digest, bytes } => self.fetched(&digest, bytes),
            Input::FetchFailed { digest, reason } => self.fetch_failed(&digest, &reason),
            Input::Prepared { digest, fuel, result } => self.prepared(&digest, fuel, &result, now),
            Input::Started { instance } => self.started(instance, now),
            Input::Exited { instance, outcome, memory_peak_bytes } => {
                self.exited(instance, &outcome, memory_peak_bytes, now);
            }
            Input::RunnerLost { instances, reason } => self.runner_lost(&instances, &reason, now),
            Input::Woke => self.woke(now),
            Input::Leaving => self.leaving = true,
        }
    }

    /// Starts what the disk says should run, before any network is there.
    fn booted(&mut self, now: Now) {
        let keys: Vec<_> = self.ledger.held().keys().cloned().collect();
        for key in keys {
            self.act_on(&key, &[], now);
        }
        self.say_hello();
        self.dialer.dial_due(now.mono_ms, &mut self.out);
    }

    fn woke(&mut self, now: Now) {
        self.start_due(now);
        self.dialer.dial_due(now.mono_ms, &mut self.out);
        self.expire_nodes(now);
        self.compare_with_somebody(now);
    }

    /// When `Woke` is due, in milliseconds since the agent was started.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        let works = self.works.values().filter_map(Workload::next_wake);
        let others = [
            self.dialer.next_wake(),
            self.roster.next_wake(&self.me),
            self.neighbours.next_wake(),
            self.realm().and_then(|_| self.reporting.next_wake()),
        ];
        works.chain(others.into_iter().flatten()).min()
    }

    /// Who this node is.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Which realm it belongs to; none while it is unclaimed.
    #[must_use]
    pub fn realm(&self) -> Option<RealmId> {
        self.ledger.owner().map(|owner| RealmId::of_owner(&owner))
    }

    /// What it says to every peer.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello {
            realm: self.realm(),
            role: Role::Node,
            version: self.config.version.clone(),
            platform: self.config.platform.clone(),
            tags: self.config.tags.clone(),
            addrs: self.dialer.hello_addrs(),
            highest_seq: self.ledger.summary().highest_seq,
        }
    }

    fn say_hello(&mut self) {
        let hello = self.hello();
        self.out.push(Effect::SetHello(hello));
    }

    /// Every node it knows of, itself included once it belongs to a realm.
    #[must_use]
    pub fn views(&self) -> Vec<NodeView> {
        self.roster.views().collect()
    }

    /// Its own newest report; none while it is unclaimed.
    #[must_use]
    pub fn own_report(&self) -> Option<&SignedReport> {
        self.reporting.newest()
    }

    /// Under which addresses it can be reached.
    #[must_use]
    pub fn own_addrs(&self) -> &[String] {
        self.dialer.own_addrs()
    }

    /// Connected and admitted nodes.
    #[must_use]
    pub fn neighbours(&self) -> Vec<NodeId> {
        self.neighbours.nodes().collect()
    }

    /// Every component that is meant for this node.
    #[must_use]
    pub fn components(&self) -> Vec<shared::ComponentReport> {
        self.works.values().map(Workload::report).collect()
    }

    /// Counters and sizes.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let peaks = self.works.iter().map(|(name, work)| (name.clone(), work.memory_peak_bytes));
        Figures {
            peers: self.neighbours.nodes().count(),
            nodes_alive: self.roster.alive(),
            intents_accepted: self.ledger.accepted,
            intents_refused: self.ledger.refused.clone(),
            reports_refused: self.reporting.refused,
            alarms: self.ledger.alarms,
            memory_peak_bytes: peaks.collect(),
        }
    }
}
