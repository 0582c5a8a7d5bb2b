//! What `--json` prints. Each object has a `schema` number; fields may be added under the same number.

use serde::Serialize;
use shared::{
    Alarm, ComponentName, ComponentReport, Digest, IntentId, IntentKey, ManifestReport, ManifestState, NodeId,
    NodeReport, Outcome, Phase, RealmId, Tag,
};

/// `realm status --json`.
#[derive(Debug, Serialize)]
pub struct StatusObject {
    /// 1
    pub schema: u32,
    /// Which realm.
    pub realm: RealmId,
    /// Its nodes, by peer id.
    pub nodes: Vec<NodeObject>,
    /// Nodes that answered and have no owner.
    pub unclaimed: Vec<UnclaimedObject>,
}

/// A node.
#[derive(Debug, Serialize)]
pub struct NodeObject {
    /// Peer id.
    pub peer: NodeId,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Version of the agent.
    pub version: String,
    /// `os/arch`
    pub platform: String,
    /// Whether it has been heard of lately.
    pub alive: bool,
    /// How far the manifest is there; null while it holds none.
    pub manifest: Option<ManifestObject>,
    /// What it is to run, as far as its report had room for it; what is not well comes first.
    pub components: Vec<ComponentObject>,
    /// How many further components there was no room for.
    pub omitted: u32,
    /// Alarms that stand there, the newest first, four at the most.
    pub alarms: Vec<AlarmObject>,
    /// Why its disk did not keep what arrived lately, so that it stays with what it had; null where there is nothing of the kind.
    pub fault: Option<String>,
}

/// Two different intents with one sequence, both of which a node has seen.
#[derive(Debug, Serialize)]
pub struct AlarmObject {
    /// What both are about: `component/NAME`, or `manifest`.
    pub key: IntentKey,
    /// The sequence of both.
    pub seq: u64,
}

impl AlarmObject {
    fn of(alarm: &Alarm) -> AlarmObject {
        AlarmObject { key: alarm.key.clone(), seq: alarm.seq }
    }
}

/// How far the manifest is on a node.
#[derive(Debug, Serialize)]
pub struct ManifestObject {
    /// The number of the one that it holds.
    pub version: u32,
    /// `coming`, `waiting` for its turn, `changing`, `healthy`, `failing`, `halted` because of others, or `rolled-back`.
    pub state: ManifestState,
    /// The number of the one that is in force; null until one is.
    pub in_force: Option<u32>,
    /// Components that are declared for it.
    pub wanted: u16,
    /// Those of them that are as they should be.
    pub well: u16,
    /// Those that failed.
    pub failed: u16,
    /// Why the one that it holds is not in force, when that is not plain.
    pub reason: Option<String>,
}

impl ManifestObject {
    fn of(manifest: &ManifestReport) -> ManifestObject {
        ManifestObject {
            version: manifest.version,
            state: manifest.state,
            in_force: manifest.in_force,
            wanted: manifest.wanted,
            well: manifest.well,
            failed: manifest.failed,
            reason: manifest.reason.clone(),
        }
    }
}

/// A component on a node.
#[derive(Debug, Serialize)]
pub struct ComponentObject {
    /// Its name.
    pub name: ComponentName,
    /// Whether the manifest declares it; otherwise it was pushed by hand.
    pub declared: bool,
    /// Its artifact.
    pub digest: Digest,
    /// Where it stands.
    pub phase: Phase,
    /// Instances that are wanted.
    pub replicas: u16,
    /// Instances that run.
    pub running: u16,
    /// Instances of what it replaces that serve meanwhile.
    pub serving: u16,
    /// Runs after the first.
    pub restarts: u32,
    /// How the last run ended.
    pub last_outcome: Option<Outcome>,
    /// Why it stands where it stands.
    pub reason: Option<String>,
}

impl ComponentObject {
    pub(crate) fn of(component: &ComponentReport) -> ComponentObject {
        ComponentObject {
            name: component.name.clone(),
            declared: component.declared,
            digest: component.digest,
            phase: component.phase,
            replicas: component.replicas,
            running: component.running,
            serving: component.serving,
            restarts: component.restarts,
            last_outcome: component.last_outcome.clone(),
            reason: component.reason.clone(),
        }
    }
}

impl NodeObject {
    pub(crate) fn of(report: &NodeReport, alive: bool) -> NodeObject {
        let components = report.components.iter().map(ComponentObject::of);
        NodeObject {
            peer: report.node,
            tags: report.tags.clone(),
            version: report.version.clone(),
            platform: report.platform.clone(),
            alive,
            manifest: report.manifest.as_ref().map(ManifestObject::of),
            components: components.collect(),
            omitted: report.omitted,
            alarms: report.alarms.iter().map(AlarmObject::of).collect(),
            fault: report.fault.clone(),
        }
    }
}

/// A node without an owner.
#[derive(Debug, Serialize)]
pub struct UnclaimedObject {
    /// Peer id.
    pub peer: NodeId,
    /// Where it answered.
    pub addr: String,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Version of the agent.
    pub version: String,
    /// `os/arch`
    pub platform: String,
}

/// One line of `realm logs --json`.
#[derive(Debug, Serialize)]
pub struct LogObject {
    /// 1
    pub schema: u32,
    /// Peer id of the node.
    pub peer: NodeId,
    /// Component.
    pub component: ComponentName,
    /// Unix milliseconds by the node's clock.
    pub at: u64,
    /// The same for people, UTC.
    pub time: String,
    /// `stdout`, `stderr`, or `agent` for the agent's own words.
    pub stream: &'static str,
    /// The line.
    pub text: String,
}

/// What `realm push --json` prints when it is over, whatever came of it; `stop`, `start`, `restart` and `rm` too.
#[derive(Debug, Serialize)]
pub struct PushObject {
    /// 1
    pub schema: u32,
    /// Which realm.
    pub realm: RealmId,
    /// The component's name.
    pub name: ComponentName,
    /// Its artifact; null after a removal.
    pub digest: Option<Digest>,
    /// Bytes of the artifact.
    pub size: Option<u64>,
    /// The intent that was signed.
    pub intent: IntentId,
    /// Its sequence.
    pub seq: u64,
    /// `good`, `failed`, `part`, `none-live`, `timed-out`, `cut-off` or `detached`.
    pub verdict: &'static str,
    /// The exit code.
    pub exit: u8,
    /// Every node that it is for, by peer id.
    pub nodes: Vec<PushNodeObject>,
    /// Nodes that stop the component, because this push leaves them out.
    pub stops: Vec<NodeId>,
    /// Nodes that had no owner and were claimed.
    pub claimed: Vec<NodeId>,
}

/// A node that a push is for.
#[derive(Debug, Serialize)]
pub struct PushNodeObject {
    /// Peer id.
    pub peer: NodeId,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Whether it is there.
    pub alive: bool,
    /// `good`, `failed`, `waiting`, `away` or `lost`.
    pub result: &'static str,
    /// Its phase, when it has spoken of this push.
    pub phase: Option<Phase>,
    /// How its last run ended.
    pub last_outcome: Option<Outcome>,
    /// Why it stands where it stands.
    pub reason: Option<String>,
}
