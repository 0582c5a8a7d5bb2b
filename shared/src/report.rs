//! What a node says about itself. A report counts only when the node it is about has signed it.

use crate::apply::MAX_PAST;
use crate::digest::Digest;
use crate::frame;
use crate::intent::IntentKey;
use crate::name::{ComponentName, Tag};
use crate::node_id::NodeId;
use crate::outcome::{Outcome, Phase};
use crate::owner::{OwnerKey, Signature};
use crate::realm_id::RealmId;
use crate::rollout::ManifestState;
use crate::seal::{IntentId, pae};
use crate::sync::Summary;
use crate::text::clip;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fmt;

/// The type string inside a report's signature.
const REPORT_TYPE: &str = "realm/report/v1";

/// The most components that a report lists: 128 with short names and no reasons stay below a gossip message of 32 KiB.
pub const MAX_REPORT_COMPONENTS: usize = 128;

/// The longest reason or trap text in a report, in bytes: two lines of a terminal hold a fault and its hint. The logs of
/// the node have the rest.
pub const MAX_DETAIL_BYTES: usize = 240;

/// The most addresses in a report: the LAN and a VPN, over QUIC and TCP.
pub const MAX_REPORT_ADDRS: usize = 4;

/// The longest of them, in bytes: an IPv6 address and a port over QUIC have 65.
pub const MAX_REPORT_ADDR_BYTES: usize = 80;

/// The most alarms in a report: one is reason enough to look after the key, and with the longest names these have 400 bytes.
pub const MAX_REPORT_ALARMS: usize = 4;

/// The longest version or platform in a report, in bytes; as in a hello.
const MAX_WORD_BYTES: usize = 64;

/// The largest encoded report.
const MAX_REPORT_BYTES: usize = 31 * 1024;

/// One component on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentReport {
    /// Its name.
    pub name: ComponentName,
    /// The intent that wants it, or the declaration of the manifest.
    pub intent: IntentId,
    /// Its artifact.
    pub digest: Digest,
    /// Where it stands.
    pub phase: Phase,
    /// Instances that are wanted.
    pub replicas: u16,
    /// Instances that run.
    pub running: u16,
    /// Runs after the first of each instance, since this intent was accepted or the agent was started.
    pub restarts: u32,
    /// How the last run ended.
    pub last_outcome: Option<Outcome>,
    /// Why it stands where it stands, when that is not plain; at most [`MAX_DETAIL_BYTES`].
    pub reason: Option<String>,
    /// Bytes of the artifact that are here, as long as some are missing.
    pub fetched: Option<u64>,
    /// Whether the manifest declares it; otherwise it was pushed by hand.
    pub declared: bool,
    /// Instances of what it replaces that serve meanwhile: until it has room and its code is here, and by a manifest mostly until
    /// it is healthy. Left out where there are none, and by agents that do not tell it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub serving: u16,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none(count: &u16) -> bool {
    *count == 0
}

impl ComponentReport {
    fn cut(&mut self) {
        if let Some(outcome) = &mut self.last_outcome {
            outcome.cut(MAX_DETAIL_BYTES);
        }
        cut_reason(&mut self.reason);
    }

    fn is_bounded(&self) -> bool {
        let trap = match &self.last_outcome {
            Some(Outcome::Trap(text)) => text.len(),
            _ => 0,
        };
        trap <= MAX_DETAIL_BYTES && is_reason_bounded(self.reason.as_deref())
    }
}

fn cut_reason(reason: &mut Option<String>) {
    if let Some(text) = reason {
        text.truncate(clip(text, MAX_DETAIL_BYTES).len());
    }
}

fn is_reason_bounded(reason: Option<&str>) -> bool {
    reason.is_none_or(|text| text.len() <= MAX_DETAIL_BYTES)
}

/// How far the manifest is on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestReport {
    /// The number of the one that it holds.
    pub version: u32,
    /// The intent that pins it.
    pub intent: IntentId,
    /// Where the node stands with it.
    pub state: ManifestState,
    /// The number of the one that is in force, that is: that the node runs, also after it is started again.
    pub in_force: Option<u32>,
    /// Components of the one in force that are meant for this node.
    pub wanted: u16,
    /// Those of them that are as they should be.
    pub well: u16,
    /// Those that failed.
    pub failed: u16,
    /// Why the one that it holds is not in force, when that is not plain; at most [`MAX_DETAIL_BYTES`].
    pub reason: Option<String>,
    /// Numbers of those that were in force there and failed, there or on others, in ascending order: the newest, at most
    /// [`MAX_PAST`]. Left out where there are none, and by agents that do not tell it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past_failed: Vec<u32>,
}

/// The owner's key has signed two different intents with one sequence: it is used in two places at once, or somebody else
/// has it. A node raises it when it sees both, and keeps it until it holds an intent with a higher sequence under the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// What both are about.
    pub key: IntentKey,
    /// The sequence of both.
    pub seq: u64,
}

/// A node's state, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Who says so.
    pub node: NodeId,
    /// In which realm.
    pub realm: RealmId,
    /// How often the agent has been started: of two reports the one with the higher (boot, count) is newer,
    /// whatever any clock says.
    pub boot: u64,
    /// How many reports came before it since that start.
    pub count: u64,
    /// Unix milliseconds by the node's own clock. For people only.
    pub at: u64,
    /// After how many milliseconds the next report follows at the latest.
    pub heartbeat_ms: u32,
    /// The node's tags.
    pub tags: Vec<Tag>,
    /// Version of the agent.
    pub version: String,
    /// `os/arch`.
    pub platform: String,
    /// Where it can be reached, at most [`MAX_REPORT_ADDRS`] multiaddrs without `/p2p/`.
    pub addrs: Vec<String>,
    /// Whether its clock is behind what is known to have passed, so that it could not judge the future.
    pub clock_behind: bool,
    /// Whether the agent is about to end.
    pub leaving: bool,
    /// What it holds: peers whose summary differs pull what is newer.
    pub summary: Summary,
    /// How far the manifest is; none while it holds none.
    pub manifest: Option<ManifestReport>,
    /// Components that are meant for this node, by name, at most [`MAX_REPORT_COMPONENTS`].
    pub components: Vec<ComponentReport>,
    /// How many further components there was no room for.
    pub omitted: u32,
    /// The last alarms that stand, the newest first, at most [`MAX_REPORT_ALARMS`]. Left out where there are none, and by
    /// agents that know none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// Why its disk did not keep an intent or a manifest that arrived lately, at most [`MAX_DETAIL_BYTES`]: the node stays with
    /// what it had, and takes what it has missed when the disk lets it. Left out where there is nothing of the kind, and by
    /// agents that do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl NodeReport {
    /// Its place in the order of this node's reports.
    #[must_use]
    pub fn rank(&self) -> (u64, u64) {
        (self.boot, self.count)
    }

    /// Whether the node has a component of this name, as far as the report tells: it is listed, or may be one of those that
    /// there was no room for.
    #[must_use]
    pub fn may_have(&self, name: &ComponentName) -> bool {
        // When the last one that is listed is of the least urgent, only names behind its own were left out.
        let is_left_out = |last: &ComponentReport| urgency(last.phase) > urgency(Phase::Running) || last.name < *name;
        self.components.iter().any(|component| component.name == *name)
            || (self.omitted > 0 && self.components.last().is_none_or(is_left_out))
    }

    /// Leaves out and counts all components but so many: the least urgent, of which the last ones by name. Nobody has to look
    /// after them.
    fn leave_out(&mut self, most: usize) {
        let more = self.components.len().saturating_sub(most);
        if more > 0 {
            self.components.sort_by_key(|component| Reverse(urgency(component.phase)));
            self.components.truncate(most);
            self.omitted = self.omitted.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
    }
}

/// How much a component belongs into a report that has no room for all: what is not well, the worst phase first; then what was
/// stopped, for somebody waits to see that; then all others.
fn urgency(phase: Phase) -> (Phase, bool) {
    (phase.max(Phase::Staged), phase == Phase::Stopped)
}

/// Why a report does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportRefused {
    /// Not a report.
    Malformed(String),
    /// Not signed by the node that it is about.
    BadSignature,
    /// About a node of another realm.
    OtherRealm,
}

impl fmt::Display for ReportRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportRefused::Malformed(why) => f.write_str(why),
            ReportRefused::BadSignature => f.write_str("not signed by the node that it is about"),
            ReportRefused::OtherRealm => f.write_str("about a node of another realm"),
        }
    }
}

impl std::error::Error for ReportRefused {}

/// A report as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReport {
    /// Who signed it.
    pub node: NodeId,
    /// The CBOR of a [`NodeReport`].
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// Ed25519 by the node's key.
    pub sig: Signature,
}

impl SignedReport {
    /// Signs `report` with the node's secret seed. Where there is no room for all components, those that do not stand well
    /// come first, the worst phase before the others, then those that were stopped, and the last ones are left out and counted; reasons, trap texts and the
    /// fault are cut to [`MAX_DETAIL_BYTES`], and alarms to [`MAX_REPORT_ALARMS`].
    #[must_use]
    pub fn sign(seed: &[u8; 32], report: &NodeReport) -> SignedReport {
        let mut report = report.clone();
        report.alarms.truncate(MAX_REPORT_ALARMS);
        report.components.iter_mut().for_each(ComponentReport::cut);
        if let Some(manifest) = &mut report.manifest {
            cut_reason(&mut manifest.reason);
            manifest.past_failed.drain(..manifest.past_failed.len().saturating_sub(MAX_PAST));
        }
        cut_reason(&mut report.fault);
        let mut keep = report.components.len().min(MAX_REPORT_COMPONENTS);
        let body = loop {
            report.leave_out(keep);
            match frame::to_bytes(&report, MAX_REPORT_BYTES) {
                Ok(body) => break body,
                // Without components every field is bounded far below the cap.
                Err(_) if keep == 0 => break Vec::new(),
                Err(_) => keep -= keep.div_ceil(8),
            }
        };
        let key = OwnerKey::of_seed(seed);
        let sig = key.sign(&pae(REPORT_TYPE, &body));
        SignedReport { node: NodeId::from_bytes(*key.id().as_bytes()), body, sig }
    }

    /// Checks signature and realm and gives what was signed.
    ///
    /// # Errors
    /// The first of these that does not hold.
    pub fn open(&self, realm: &RealmId) -> Result<NodeReport, ReportRefused> {
        if self.body.len() > MAX_REPORT_BYTES {
            return Err(ReportRefused::Malformed(format!("a report of {} bytes", self.body.len())));
        }
        if !self.node.verify(&pae(REPORT_TYPE, &self.body), &self.sig) {
            return Err(ReportRefused::BadSignature);
        }
        let report: NodeReport =
            frame::decode(&self.body).map_err(|error| ReportRefused::Malformed(error.to_string()))?;
        if report.node != self.node {
            return Err(ReportRefused::BadSignature);
        }
        if report.realm != *realm {
            return Err(ReportRefused::OtherRealm);
        }
        if report.components.len() > MAX_REPORT_COMPONENTS
            || report.tags.len() > crate::hello::MAX_NODE_TAGS
            || report.addrs.len() > MAX_REPORT_ADDRS
            || report.alarms.len() > MAX_REPORT_ALARMS
            || report.manifest.iter().any(|manifest| manifest.past_failed.len() > MAX_PAST)
        {
            return Err(ReportRefused::Malformed("a list in the report is too long".into()));
        }
        let words = [&report.version, &report.platform].map(String::len);
        if words.iter().any(|length| *length > MAX_WORD_BYTES)
            || report.addrs.iter().any(|addr| addr.len() > MAX_REPORT_ADDR_BYTES)
            || !report.components.iter().all(ComponentReport::is_bounded)
            || !report.manifest.iter().all(|manifest| is_reason_bounded(manifest.reason.as_deref()))
            || !is_reason_bounded(report.fault.as_deref())
        {
            return Err(ReportRefused::Malformed("a text in the report is too long".into()));
        }
        Ok(report)
    }
}
