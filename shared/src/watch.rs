//! `/realm/watch/1`: what an operator asks a node, about that node and about the realm as the node knows it.

use crate::name::ComponentName;
use crate::node_id::NodeId;
use crate::outcome::Outcome;
use crate::report::SignedReport;
use crate::seal::IntentId;
use serde::{Deserialize, Serialize};

/// The most log lines that one request gets from each node.
pub const MAX_LOG_TAIL: u32 = 10_000;

/// The largest frame: one report, or one log line.
pub const MAX_WATCH_FRAME: usize = 64 * 1024;

/// The most runs that a node lists of those that live: with them a frame stays below [`MAX_WATCH_FRAME`].
pub const MAX_LIVE_RUNS: usize = 256;

/// So many runs that have ended are remembered of each component: enough to see how it fails.
pub const MAX_ENDED_RUNS: usize = 16;

/// The most nodes that one request can ask for lines.
pub const MAX_LOG_NODES: usize = 64;

/// Which output a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output of the guest.
    Stdout,
    /// Standard error of the guest.
    Stderr,
    /// The agent's own words about the guest.
    Agent,
}

/// What is asked; each request has a stream of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchRequest {
    /// Every node that is known. With `follow`, the stream goes on with each change after `Current`.
    Status {
        /// Whether to go on.
        follow: bool,
    },
    /// The last lines of output.
    Logs(LogQuery),
    /// What runs of a component there are and were: one [`WatchReply::Runs`] of each node.
    Runs {
        /// Which component.
        component: ComponentName,
        /// Only of the node that is asked; otherwise it asks the others on the operator's behalf.
        local: bool,
    },
}

/// Which lines of output are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// Of which component; left out, of all.
    pub component: Option<ComponentName>,
    /// How many lines of each node, at most [`MAX_LOG_TAIL`].
    pub tail: u32,
    /// Only from the node that is asked; otherwise it asks the others on the operator's behalf.
    pub local: bool,
    /// Only lines from this time on, in Unix milliseconds by the clock of the node that wrote them.
    pub since: Option<u64>,
    /// Whether to go on with each new line.
    #[serde(default)]
    pub follow: bool,
    /// Only of these nodes, at most [`MAX_LOG_NODES`]; none: of all.
    #[serde(default)]
    pub nodes: Vec<NodeId>,
}

/// A node, as the node that is asked sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// The newest report, signed by the node that it is about.
    pub report: SignedReport,
    /// Whether it has been heard of lately.
    pub alive: bool,
}

/// What a run of a component uses by now, or used, as Wasmtime and the runner know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunUsage {
    /// What memories and tables take together, in bytes; 0 of a run that has ended.
    pub memory_bytes: u64,
    /// The most that memories and tables took together, in bytes.
    pub memory_peak_bytes: u64,
    /// Units of fuel; 0 when the run has no limit of fuel. While it computes, and when it was ended from outside, up to a
    /// million less than it has used.
    pub fuel_used: u64,
    /// Time on a core, in milliseconds: what the system gave it, not what passed meanwhile.
    pub cpu_ms: u64,
}

/// An instance that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRun {
    /// The intent that wanted it.
    pub intent: IntentId,
    /// When it was begun, in Unix milliseconds by the node's clock.
    pub begun_at: u64,
    /// What it uses.
    pub usage: RunUsage,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRun {
    /// The intent that wanted it.
    pub intent: IntentId,
    /// When it was begun, in Unix milliseconds by the node's clock.
    pub begun_at: u64,
    /// When it ended, by the same clock.
    pub ended_at: u64,
    /// How it ended; the text of a trap has at most 240 bytes.
    pub outcome: Outcome,
    /// What it used.
    pub usage: RunUsage,
}

/// The runs of one component on one node, since its agent was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRuns {
    /// Where.
    pub node: NodeId,
    /// Those that run, the oldest first, at most [`MAX_LIVE_RUNS`].
    pub live: Vec<LiveRun>,
    /// How many further ones run.
    pub omitted: u32,
    /// The last that have ended, the newest first, at most [`MAX_ENDED_RUNS`].
    pub ended: Vec<EndedRun>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Where.
    pub node: NodeId,
    /// Of which component.
    pub component: ComponentName,
    /// When, in Unix milliseconds by the node's clock.
    pub at: u64,
    /// To which output.
    pub stream: Stream,
    /// The line without its end.
    pub text: String,
}

/// What is answered: any number of frames, closed by `End` where the request has an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchReply {
    /// A node, in the beginning and whenever it changes.
    Node(NodeView),
    /// Every node that is known has been told.
    Current,
    /// A line.
    Log(LogLine),
    /// The runs of the component on one node.
    Runs(NodeRuns),
    /// Something could not be had from a node.
    Problem {
        /// Which node.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// That was all.
    End,
}
