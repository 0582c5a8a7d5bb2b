//! A machine: what survives a power cut, what does not, and what the checks remember of it.

use crate::remembered;
use crate::rng::Rng;
use crate::turns::Went;
use agent::control::node::{
    Config, Forces, Held, InForce, Input, Instance, ManifestFile, Member, Node, Now, Restored, RunRecord, Ticket,
};
use shared::{
    BUILD_FLOOR_UNIX_MS, ComponentName, ComponentSpec, Digest, Hello, IntentId, IntentKey, NodeFacts, NodeId, OwnerId,
    Tag, Trust,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// When a simulation begins, by a clock that is right.
pub const EPOCH_UNIX_MS: u64 = BUILD_FLOOR_UNIX_MS + 24 * 3_600_000;

/// What an instance may take: no push says anything else.
pub const MEMORY_MB: u32 = 64;

/// Place in the order of intents under one key.
pub type Rank = (u64, IntentId);

/// What a power cut leaves.
#[derive(Default)]
pub struct Disk {
    pub owner: Option<OwnerId>,
    pub intents: BTreeMap<IntentKey, Arc<[u8]>>,
    pub runs: BTreeMap<ComponentName, RunRecord>,
    pub members: Vec<Member>,
    /// What is in force: one file, so that there is never a part of it without the other.
    pub manifest: ManifestFile,
    pub blobs: BTreeSet<Digest>,
    /// Artifacts of which a part is here, and those that are here and damaged.
    pub parts: BTreeSet<Digest>,
    pub torn: BTreeSet<Digest>,
    pub boots: u64,
}

/// A run that has not ended.
pub struct Live {
    pub spec: Arc<ComponentSpec>,
    /// Who wants it: a push, or a declaration.
    pub id: IntentId,
    /// Whether that is a declaration.
    pub declared: bool,
    /// Since when it runs, once the node knows.
    pub since: Option<u64>,
    /// It was told to end.
    pub stopping: bool,
}

/// On its way to the disk.
pub struct Write {
    pub ticket: Ticket,
    pub key: IntentKey,
    pub rank: Rank,
    pub bytes: Arc<[u8]>,
    pub claim: Option<OwnerId>,
}

/// Who waits for a word on an intent.
pub enum Waiting {
    Gossip { from: usize, data: crate::network::Data },
    Stream { key: IntentKey, rank: Rank, push: Option<IntentId> },
    Sync { ask: u64 },
}

/// What a clock shows.
#[derive(Clone, Copy)]
pub enum Clock {
    /// Right up to this many milliseconds.
    Off(i64),
    /// A board without a battery.
    Since1970,
}

/// An operator's command line, connected.
pub struct Visitor {
    pub peer: NodeId,
    pub push: IntentId,
    pub brings: Vec<Digest>,
    pub received: bool,
    /// It must not come into force, and is no good to try here again.
    pub refused: bool,
}

/// What must never go back, whatever happens to the machine.
#[derive(Default)]
pub struct Past {
    pub acknowledged: BTreeMap<IntentKey, Rank>,
    pub written: BTreeMap<IntentKey, Rank>,
    pub ever: BTreeSet<IntentId>,
    pub started: BTreeMap<ComponentName, Rank>,
    /// The newest manifest that was in force here, also if it was rejected.
    pub in_force: Option<Rank>,
    /// What it went by when it last let a manifest come into force; manifests with which it has said to be done; and those of
    /// which its disk has it that they have halted.
    pub went: BTreeMap<IntentId, Went>,
    pub over: BTreeSet<IntentId>,
    pub halted: BTreeSet<IntentId>,
    /// Runs of a component that have ended well.
    pub completed: BTreeMap<ComponentName, Vec<Arc<ComponentSpec>>>,
}

pub struct Machine {
    pub seed: [u8; 32],
    pub id: NodeId,
    pub addr: String,
    pub tags: Vec<Tag>,
    pub bootstrap: Vec<String>,
    /// How many connections it has at most.
    pub links: usize,
    pub clock: Clock,
    /// Configured by hand, where trust on first use is not wanted.
    pub owner: Option<OwnerId>,
    /// Memory that all instances may take together.
    pub budget_bytes: u64,
    pub disk: Disk,
    pub past: Past,
    pub node: Option<Node>,
    /// What was under way in an earlier life is lost.
    pub life: u64,
    pub started_ms: u64,
    pub hello: Option<Hello>,
    pub wake: Option<u64>,
    pub writes: VecDeque<Write>,
    /// A manifest on its way to the disk.
    pub saving: Option<(IntentId, ManifestFile)>,
    /// What is in force as far as the node knows.
    pub forces: Forces,
    pub fetching: BTreeSet<Digest>,
    pub live: BTreeMap<Instance, Live>,
    /// Peers that the node was told of, with what it was told.
    pub peers: BTreeMap<usize, (Hello, bool)>,
    pub seen: BTreeSet<u64>,
    pub waiting: BTreeMap<Ticket, Waiting>,
    pub visitors: Vec<Visitor>,
    /// Whether nobody switches it on for now.
    pub stays_off: bool,
}

impl Machine {
    pub fn new(index: usize, owner: Option<OwnerId>, tags: Vec<Tag>) -> Machine {
        let seed = Rng::new(index as u64).bytes();
        let id = remembered::identify(&seed);
        Machine {
            seed,
            id,
            addr: format!("/ip4/10.0.{}.{}/udp/1/quic-v1/p2p/{id}", index / 250, index % 250 + 1),
            tags,
            bootstrap: Vec::new(),
            links: usize::MAX,
            clock: Clock::Off(0),
            owner,
            budget_bytes: 8 << 30,
            disk: Disk::default(),
            past: Past::default(),
            node: None,
            life: 0,
            started_ms: 0,
            hello: None,
            wake: None,
            writes: VecDeque::new(),
            saving: None,
            forces: Forces::default(),
            fetching: BTreeSet::new(),
            live: BTreeMap::new(),
            peers: BTreeMap::new(),
            seen: BTreeSet::new(),
            waiting: BTreeMap::new(),
            visitors: Vec::new(),
            stays_off: false,
        }
    }

    pub fn now(&self, now_ms: u64) -> Now {
        let (unix_ms, synchronised) = match self.clock {
            Clock::Off(by) => ((EPOCH_UNIX_MS + now_ms).saturating_add_signed(by), by == 0),
            Clock::Since1970 => (now_ms - self.started_ms, false),
        };
        Now { mono_ms: now_ms - self.started_ms, unix_ms, synchronised }
    }

    /// Switches it on: the node begins with what the disk holds, and with nothing else.
    pub fn boot(&mut self, now_ms: u64) {
        assert!(self.node.is_none(), "a machine that runs is not switched on");
        self.life += 1;
        self.started_ms = now_ms;
        self.disk.boots += 1;
        let trust = self.owner.or(self.disk.owner).map_or(Trust::FirstUse, Trust::Owner);
        let forces = remembered::forces(&self.disk.manifest, &trust);
        self.forces = forces.unwrap_or_else(|why| panic!("a mixture on the disk of {}: {why}", self.addr));
        let held = |bytes: &Arc<[u8]>| Held {
            opened: remembered::open(bytes, &trust)
                .unwrap_or_else(|refused| panic!("on the disk of {}: {refused}", self.addr)),
            bytes: Arc::clone(bytes),
        };
        let config = Config {
            seed: self.seed,
            tags: self.tags.clone(),
            version: "0.1.0".into(),
            platform: "linux/x86_64".into(),
            boot: self.disk.boots,
            budget_bytes: self.budget_bytes,
            store_max_bytes: u64::MAX,
            default_memory_mb: MEMORY_MB,
            bootstrap: self.bootstrap.clone(),
            lan: true,
            max_peers: self.links,
            random_seed: self.disk.boots ^ u64::from(self.seed[0]) << 8,
        };
        let restored = Restored {
            trust,
            intents: self.disk.intents.values().map(held).collect(),
            in_force: self.forces.clone(),
            runs: self.disk.runs.clone(),
            members: self.disk.members.clone(),
            blobs: self.disk.blobs.clone(),
            usage: BTreeMap::new(),
            strays: self.disk.parts.clone(),
            kept: BTreeSet::new(),
        };
        self.node = Some(Node::with_signatures(config, restored, remembered::SIGNATURES));
    }

    /// The power is cut. Of what was on its way to the disk, a random part was written.
    pub fn crash(&mut self, rng: &mut Rng) {
        let kept = rng.below(self.writes.len() as u64 + 1);
        for _ in 0..kept {
            self.write();
        }
        if rng.chance(50) {
            self.save();
        }
        self.node = None;
        self.hello = None;
        self.wake = None;
        self.writes.clear();
        (self.saving, self.forces) = (None, Forces::default());
        self.fetching.clear();
        self.live.clear();
        self.peers.clear();
        self.seen.clear();
        self.waiting.clear();
        self.visitors.clear();
    }

    /// Carries out the oldest write, and gives its ticket.
    pub fn write(&mut self) -> Option<Ticket> {
        let Write { ticket, key, rank, bytes, claim } = self.writes.pop_front()?;
        if let Some(owner) = claim {
            assert!(self.disk.owner.is_none_or(|bound| bound == owner), "the owner of a node was replaced");
            self.disk.owner = Some(owner);
        }
        assert!(self.owner.or(self.disk.owner).is_some(), "an intent without an owner");
        self.past.ever.insert(rank.1);
        let before = self.past.written.insert(key.clone(), rank);
        assert!(before.is_none_or(|before| before < rank), "{key}: something older was written after something newer");
        self.disk.intents.insert(key, bytes);
        Some(ticket)
    }

    /// Carries out the write of what is in force.
    pub fn save(&mut self) {
        if let Some((_, file)) = self.saving.take() {
            self.disk.manifest = file;
        }
    }

    /// The manifest that is in force, as far as the node knows.
    pub fn in_force(&self) -> Option<&InForce> {
        self.forces.in_force.as_ref()
    }

    /// Artifacts of components that are declared by what is in force, and by what there is a way back to.
    pub fn declared(&self) -> impl Iterator<Item = Digest> + '_ {
        let declared = self.forces.manifests().flat_map(|of| of.manifest.components().values());
        declared.map(|declared| declared.spec.artifact.digest)
    }

    /// What is meant for this machine.
    pub fn facts(&self) -> NodeFacts<'_> {
        NodeFacts { node: self.id, tags: &self.tags, platform: "linux/x86_64" }
    }

    /// The checks remember what the node is told.
    pub fn observe(&mut self, input: &Input, now_ms: u64) {
        if let Input::Started { instance } = input
            && let Some(live) = self.live.get_mut(instance)
        {
            live.since = Some(now_ms);
        }
    }

    /// The rank that is on the disk under a key.
    pub fn durable(&self, key: &IntentKey) -> Option<Rank> {
        self.past.written.get(key).copied()
    }
}
