//! What a node wants done. Imperative: an effect is an order to an edge, carried out by the daemon.

use super::input::{Instance, Ticket};
pub use crate::control::disk::{ManifestFile, Member, PinnedFile, RunRecord};
use shared::{
    Artifact, ComponentName, ComponentSpec, Digest, Hello, IntentId, IntentKey, NodeId, NodeView, OwnerId, Receipt,
    SignedReport, SyncReply, SyncRequest,
};
use std::sync::Arc;

/// How loud a message to the agent's own log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the record.
    Info,
    /// Somebody should look at it.
    Warn,
}

/// What gossip does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Forward,
    /// Drop it: old or not for now, and nobody's fault.
    Ignore,
    /// Drop it and hold it against the sender.
    Reject,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write an intent durably, then answer `Persisted`. With `claim`, the owner is bound durably first.
    Persist {
        /// Comes back in the answer.
        ticket: Ticket,
        /// The entry of the state map.
        key: IntentKey,
        /// The sealed bytes.
        bytes: Arc<[u8]>,
        /// The owner that this intent binds.
        claim: Option<OwnerId>,
    },
    /// Read the document of a manifest, and answer `ManifestRead`.
    ReadManifest(Digest),
    /// Write what is in force, durably and as a whole, and answer `ManifestSaved`.
    SaveManifest {
        /// The intent that it is about; comes back in the answer.
        id: IntentId,
        /// What is in force from then on.
        file: ManifestFile,
    },
    /// Answer a stream.
    Receipt {
        /// The waiting stream.
        ticket: Ticket,
        /// The answer.
        receipt: Receipt,
    },
    /// Tell gossip what to do with a message.
    Judge {
        /// The waiting message.
        ticket: Ticket,
        /// What to do.
        verdict: Verdict,
    },
    /// Flood an intent.
    Announce(Arc<[u8]>),
    /// Hand an intent to a peer directly.
    HandOver {
        /// To whom.
        peer: NodeId,
        /// The sealed bytes.
        bytes: Arc<[u8]>,
    },
    /// Flood this node's report.
    PublishReport(SignedReport),
    /// Ask a peer on the sync protocol, and answer `SyncAnswered`.
    AskSync {
        /// Whom.
        peer: NodeId,
        /// What.
        request: SyncRequest,
    },
    /// Answer a peer on the sync protocol.
    AnswerSync {
        /// The waiting stream.
        ticket: Ticket,
        /// The answer.
        reply: SyncReply,
    },
    /// Tell those who watch.
    NodeChanged(NodeView),
    /// Get an artifact and answer `Stored`; `Fetched` and `FetchFailed` on the way.
    Fetch {
        /// Which.
        artifact: Artifact,
        /// Who probably has it.
        hints: Vec<NodeId>,
    },
    /// Nobody waits for this artifact any more: stop fetching it, and keep what has come.
    Cancel(Digest),
    /// Nobody wants this artifact any more: stop fetching it, and remove it with its compiled code. `Removed` follows once nobody
    /// reads it any more and it is gone.
    Drop(Digest),
    /// Remove the compiled code of an artifact, which nothing here runs.
    DropCode(Digest),
    /// Have compiled code at hand, and answer `Prepared`.
    Prepare {
        /// Of which artifact.
        digest: Digest,
        /// Whether for metered runs.
        fuel: bool,
        /// How many bytes it may have.
        room: u64,
    },
    /// Start a run, and answer `Started` and `Exited`.
    Start {
        /// Its name from now on.
        instance: Instance,
        /// What to run.
        spec: Arc<ComponentSpec>,
        /// The cap on memory, with the node's default filled in.
        memory_max_bytes: u64,
    },
    /// End a run; `Exited` follows.
    Stop(Instance),
    /// Write how the runs of a component ended, or that they wait for room.
    SaveRun {
        /// Which component.
        name: ComponentName,
        /// How.
        record: RunRecord,
    },
    /// A component was removed: remove its logs.
    Forget {
        /// Which component.
        name: ComponentName,
        /// Whether there is a record of how its runs ended, to be removed too.
        ran: bool,
    },
    /// Write whom this node knows.
    SaveMembers(Vec<Member>),
    /// Dial all addresses of one peer at once; `Met` follows, or `DialFailed` with the first of them.
    Dial(Vec<String>),
    /// Ask the local network who is there; `Found` follows for whom this node has not heard of yet.
    AskLan,
    /// End the connections to this peer; `Gone` follows.
    Leave(NodeId),
    /// Say this in every hello from now on.
    SetHello(Hello),
    /// Write a line to the agent's log.
    Log(Level, String),
    /// Write a line of the agent's own to a component's log.
    Note(ComponentName, String),
}
