//! What can happen to a node. Past tense: an input is a fact that an edge has observed.

use shared::RunUsage;
use shared::{Digest, Hello, IntentId, NodeId, Outcome, SignedReport, SyncReply, SyncRequest};

/// The clocks, read once per event by the loop and passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the agent was started; never goes back.
    pub mono_ms: u64,
    /// Unix milliseconds by the system's clock, which may lie.
    pub unix_ms: u64,
    /// Whether the system says that its clock is synchronised.
    pub synchronised: bool,
}

/// Names an open question of an edge (a stream that waits for its answer); the edge chooses the number.
pub type Ticket = u64;

/// Names a run of a component; unique while the agent lives.
pub type Instance = u64;

/// From where an intent came, and so who waits for the word on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Handed over on a stream, which waits for a receipt.
    Stream {
        /// The waiting stream.
        ticket: Ticket,
        /// Who handed it over.
        peer: NodeId,
    },
    /// Heard in gossip, which waits for a verdict before it forwards.
    Gossip {
        /// The waiting message.
        ticket: Ticket,
        /// Who sent it here.
        peer: NodeId,
    },
    /// Pulled from a peer.
    Sync {
        /// That peer.
        peer: NodeId,
    },
}

impl Source {
    /// Who brought it.
    #[must_use]
    pub fn peer(&self) -> NodeId {
        match self {
            Source::Stream { peer, .. } | Source::Gossip { peer, .. } | Source::Sync { peer } => *peer,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The agent has started; everything that was restored may begin.
    Booted,
    /// Somebody brought an intent.
    Offered {
        /// Who, and what waits for the word on it.
        source: Source,
        /// The sealed bytes.
        bytes: Vec<u8>,
    },
    /// A `Persist` has ended; the bytes are on the disk, or the text says why not.
    Persisted {
        /// The ticket of the `Persist`.
        ticket: Ticket,
        /// How it ended.
        result: Result<(), String>,
    },
    /// A `ReadManifest` has ended.
    ManifestRead {
        /// Which document.
        digest: Digest,
        /// Its bytes, or why not.
        result: Result<Vec<u8>, String>,
    },
    /// A `SaveManifest` has ended.
    ManifestSaved {
        /// The intent that pins it.
        id: IntentId,
        /// How it ended.
        result: Result<(), String>,
    },
    /// Hellos were exchanged with a peer, or exchanged again.
    Met {
        /// Who.
        peer: NodeId,
        /// Under which address.
        addr: String,
        /// What it says about itself.
        hello: Hello,
        /// Whether it belongs to this realm.
        admitted: bool,
    },
    /// The last connection to a peer has closed.
    Gone {
        /// Who.
        peer: NodeId,
    },
    /// A peer now hears this node's gossip.
    Subscribed {
        /// Who.
        peer: NodeId,
    },
    /// A dial of an address that names no peer has led to this one.
    Leads {
        /// The address, as it was dialled.
        addr: String,
        /// The peer.
        peer: NodeId,
    },
    /// A dial came to nothing.
    DialFailed {
        /// The address as it was given.
        addr: String,
        /// Why.
        reason: String,
    },
    /// Somebody announces addresses on the local network; each ends in a peer id.
    Found {
        /// The addresses.
        addrs: Vec<String>,
    },
    /// An address is not announced on the local network any more.
    Lost {
        /// The address.
        addr: String,
    },
    /// The node cannot be reached under this address any more.
    NotListening {
        /// The address.
        addr: String,
    },
    /// The node can be reached under this address, which ends in its peer id.
    Listening {
        /// The address.
        addr: String,
    },
    /// A peer asks on the sync protocol.
    SyncAsked {
        /// The waiting stream.
        ticket: Ticket,
        /// What it asks.
        request: SyncRequest,
    },
    /// A peer answered an `AskSync`, or did not.
    SyncAnswered {
        /// Who.
        peer: NodeId,
        /// What it answered.
        result: Result<SyncReply, String>,
    },
    /// A report was heard.
    Reported {
        /// The gossip message that waits for a verdict; none when it was pulled.
        ticket: Option<Ticket>,
        /// The report.
        report: SignedReport,
    },
    /// All bytes of an artifact are here, verified.
    Stored {
        /// Which.
        digest: Digest,
    },
    /// What was to be dropped of an artifact is gone from the disk, or is not, until the next start.
    Removed {
        /// Which.
        digest: Digest,
        /// Whether it is gone.
        gone: bool,
    },
    /// All compiled code of an artifact takes so much of the disk by now.
    Code {
        /// Of which artifact.
        digest: Digest,
        /// How many bytes.
        bytes: u64,
    },
    /// So many bytes of an artifact are here.
    Fetched {
        /// Which.
        digest: Digest,
        /// How many bytes.
        bytes: u64,
    },
    /// No connected peer has what is missing of an artifact; it is fetched as soon as one does.
    NoSource {
        /// Which.
        digest: Digest,
    },
    /// What was here as an artifact was something else, and has been set aside.
    Torn {
        /// Which.
        digest: Digest,
    },
    /// An artifact could not be stored.
    FetchFailed {
        /// Which.
        digest: Digest,
        /// Why, as the operator should read it.
        reason: String,
    },
    /// A `Prepare` has ended: compiled code is at hand, or the text says why not.
    Prepared {
        /// Which artifact.
        digest: Digest,
        /// Whether for metered runs.
        fuel: bool,
        /// How it ended.
        result: Result<(), PrepareError>,
    },
    /// An instance runs.
    Started {
        /// Which.
        instance: Instance,
    },
    /// An instance has ended.
    Exited {
        /// Which.
        instance: Instance,
        /// How.
        outcome: Outcome,
        /// What it used.
        usage: RunUsage,
    },
    /// What instances use by now, each that runs once.
    Usages(Vec<(Instance, RunUsage)>),
    /// The runner is gone, and every instance with it.
    RunnerLost {
        /// Which instances were in it.
        instances: Vec<Instance>,
        /// How it ended.
        reason: String,
    },
    /// The time that the node asked for has come.
    Woke,
    /// The agent is about to end.
    Leaving,
}

/// Why there is no compiled code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrepareError {
    /// The artifact is refused; another attempt would end the same.
    Refused(String),
    /// The node could not do it this time; another attempt may succeed.
    Unable(String),
    /// It takes so many bytes, more than it was given.
    TooLarge(u64),
}
