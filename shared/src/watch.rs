//! `/realm/watch/1`: what an operator asks a node, about that node and about the realm as the node knows it.

use crate::name::ComponentName;
use crate::node_id::NodeId;
use crate::report::SignedReport;
use serde::{Deserialize, Serialize};

/// The most log lines that one request gets from each node.
pub const MAX_LOG_TAIL: u32 = 10_000;

/// The largest frame: one report, or one log line.
pub const MAX_WATCH_FRAME: usize = 64 * 1024;

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
    /// The last lines of a component's output.
    Logs {
        /// Which component; left out, all of them.
        component: Option<ComponentName>,
        /// How many lines of each node, at most [`MAX_LOG_TAIL`].
        tail: u32,
        /// Only from the node that is asked; otherwise it asks the others on the operator's behalf.
        local: bool,
    },
}

/// A node, as the node that is asked sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// The newest report, signed by the node that it is about.
    pub report: SignedReport,
    /// Whether it has been heard of lately.
    pub alive: bool,
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
