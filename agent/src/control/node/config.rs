//! What a node begins with.

use super::effect::{Member, RunRecord};
use super::force::Forces;
use super::ledger::Held;
use super::quota::Usage;
use shared::{ComponentName, Digest, Tag, Trust};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Bytes that artifacts and compiled code may take together on the disk.
    pub store_max_bytes: u64,
    /// The cap of an instance whose spec has none, in MiB.
    pub default_memory_mb: u32,
    /// Addresses that are dialled until they answer.
    pub bootstrap: Vec<String>,
    /// Whether the local network is asked who is there.
    pub lan: bool,
    /// The most connections that the mesh has at once.
    pub max_peers: usize,
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
    /// What was in force.
    pub in_force: Forces,
    /// How components ended for good.
    pub runs: BTreeMap<ComponentName, RunRecord>,
    /// Other nodes.
    pub members: Vec<Member>,
    /// Artifacts that are complete.
    pub blobs: BTreeSet<Digest>,
    /// What the disk has of each artifact.
    pub usage: BTreeMap<Digest, Usage>,
    /// Artifacts that there is anything else of: a part, or compiled code.
    pub strays: BTreeSet<Digest>,
    /// Components that there is output or a run record of.
    pub kept: BTreeSet<ComponentName>,
}
