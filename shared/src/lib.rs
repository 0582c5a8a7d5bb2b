//! The protocol of realm: what nodes and operators say to one another, and how it is checked.
//!
//! Everything here is pure (no clock, file, socket or `async`), so that it can be tested with vectors and
//! noise. Two modules are the exception, each behind a feature of its own: [`mesh`] carries frames over libp2p,
//! [`files`] replaces small files durably. The specification in prose is `docs/protocol.md`.

mod apply;
pub mod args;
mod audience;
mod blob;
mod chunks;
mod digest;
pub mod frame;
mod hello;
pub mod host;
mod intent;
mod limits;
mod manifest;
mod name;
mod node_id;
mod outcome;
mod owner;
pub mod protocol;
mod realm_id;
mod receipt;
mod report;
mod rollout;
mod seal;
mod spec;
mod sync;
mod text;
pub mod time;
mod watch;
mod wellformed;

#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "mesh")]
pub mod mesh;

pub use apply::{Apply, MAX_PAST, MAX_PAST_NOTE_BYTES, Past};
pub use audience::{Audience, MAX_AUDIENCE_PEERS, MAX_AUDIENCE_TAGS, NodeFacts};
pub use blob::{Artifact, BlobReply, BlobRequest, CHUNK_BYTES, MAX_ARTIFACT_BYTES};
pub use chunks::{ChunkList, ChunkListError, Hasher};
pub use digest::Digest;
pub use hello::{Hello, MAX_HELLO_ADDRS, MAX_NODE_TAGS, Role};
pub use intent::{Body, Content, IntentKey, Kind, MAX_NOTE_BYTES, Payload, Push, Remove, Verb};
pub use limits::{
    BOARD_MEMORY_MB, DEFAULT_MEMORY_MB, DeadlineMs, EpochMs, Fuel, LimitError, Limits, LogMaxKb, Mebibytes, Replicas,
    StoreMebibytes,
};
pub use manifest::{Declaration, MAX_MANIFEST_BYTES, MAX_MANIFEST_COMPONENTS, Manifest, Takeover};
pub use name::{ComponentName, NameError, Tag};
pub use node_id::NodeId;
pub use outcome::{Outcome, Phase};
pub use owner::{OwnerId, OwnerKey, Signature};
pub use realm_id::RealmId;
pub use receipt::{Receipt, Verdict};
pub use report::{
    Alarm, ComponentReport, MAX_DETAIL_BYTES, MAX_REPORT_ADDR_BYTES, MAX_REPORT_ADDRS, MAX_REPORT_ALARMS,
    MAX_REPORT_COMPONENTS, ManifestReport, NodeReport, ReportRefused, SignedReport,
};
pub use rollout::{MAX_HEALTHY_S, ManifestState, Rollout};
pub use seal::{IntentId, MAX_BODY_BYTES, MAX_SEALED_BYTES, Opened, Refused, Sealed, Trust, open, pae, seal};
pub use spec::{
    ComponentSpec, EnvPair, Isolation, MAX_ARGS, MAX_ENV, MAX_TEXT_BYTES, Restart, SpecError, check_inputs,
};
pub use sync::{IndexEntry, MAX_SYNC_BYTES, MAX_SYNC_KEYS, Summary, SyncReply, SyncRequest};
pub use text::ParseError;
pub use watch::{
    EndedRun, LiveRun, LogLine, LogQuery, MAX_ENDED_RUNS, MAX_LIVE_RUNS, MAX_LOG_NODES, MAX_LOG_TAIL, MAX_WATCH_FRAME,
    NodeRuns, NodeView, RunUsage, Stream, WatchReply, WatchRequest,
};

/// Version of the programs built from this workspace, as `MAJOR.MINOR.PATCH`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The lower bound of every clock: no release of this program existed before (2026-11-01T00:00:00Z, in Unix ms).
/// A board without a battery starts in 1970; whatever is earlier than this is known to be wrong.
pub const BUILD_FLOOR_UNIX_MS: u64 = 1_793_491_200_000;

/// The platform this was built for, `os/arch` as in `linux/x86_64`.
#[must_use]
pub fn platform() -> String {
    format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)
}
