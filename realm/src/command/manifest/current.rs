//! What the realm has now: the apply that is held, its document, and the nodes as a plan sees them.

use crate::command::connect::{Views, survey};
use crate::command::held::{self, Held, newest};
use crate::exit::Failure;
use crate::output::{Terminal, Tone, counted};
use crate::plan::{Follows, Node};
use crate::session::{Event, Session};
use shared::{
    Apply, Artifact, ComponentName, ComponentReport, IntentKey, Manifest, ManifestState, NodeId, NodeReport, OwnerKey,
    Payload,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For how long other nodes are looked for when those that answered do not have a document: a dial takes a second or two.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(5);

/// The apply that is held.
pub(in crate::command) struct Current {
    pub(in crate::command) held: Held,
    pub(in crate::command) apply: Apply,
}

/// The newest apply that any of `members` holds.
///
/// # Errors
/// When none of them answers.
pub(super) async fn current(
    session: &mut Session,
    members: &[NodeId],
    owner: &OwnerKey,
) -> Result<Option<Current>, Failure> {
    if members.is_empty() {
        return Ok(None);
    }
    let held = newest(session, members, owner, IntentKey::Manifest).await?;
    Ok(held.and_then(|held| match &held.opened.body().payload {
        Payload::Apply(apply) => Some(Current { apply: apply.clone(), held }),
        Payload::Push(_) | Payload::Remove(_) => None,
    }))
}

/// What every verb needs that asks for an apply that must be there.
pub(super) fn none_yet() -> Failure {
    Failure::new("nothing was applied yet").hint("`realm apply --file realm.toml` begins")
}

/// A document, from whoever has it: those that answered, and then the others that they know.
///
/// # Errors
/// When nobody has it.
pub(super) async fn document(
    session: &mut Session,
    members: &[NodeId],
    artifact: Artifact,
) -> Result<Manifest, Failure> {
    let mut asked = BTreeSet::new();
    for node in members {
        asked.insert(*node);
        if let Some(manifest) = fetch(session, *node, artifact).await? {
            return Ok(manifest);
        }
    }
    session.reach_others();
    let until = Instant::now() + OTHERS_TIMEOUT;
    loop {
        let next = session.peers().iter().find(|(node, peer)| peer.admitted && !asked.contains(node));
        if let Some(node) = next.map(|(node, _)| *node) {
            asked.insert(node);
            if let Some(manifest) = fetch(session, node, artifact).await? {
                return Ok(manifest);
            }
        } else if session.next(Some(until)).await.is_none() {
            let nodes = counted(asked.len(), "node");
            return Err(Failure::new(format!(
                "the manifest {} is nowhere to be had: {nodes} asked",
                &artifact.digest.hex()[..12]
            ))
            .hint("a node that has it may be away: `realm status` lists those that are known"));
        }
    }
}

/// The apply that is held, and its document.
///
/// # Errors
/// When none of them answers, or nobody has the document.
pub(in crate::command) async fn declared(
    session: &mut Session,
    members: &[NodeId],
    owner: &OwnerKey,
) -> Result<Option<(Current, Manifest)>, Failure> {
    let Some(current) = current(session, members, owner).await? else { return Ok(None) };
    let manifest = document(session, members, current.apply.manifest).await?;
    Ok(Some((current, manifest)))
}

/// The document, if this node has it.
async fn fetch(session: &mut Session, node: NodeId, artifact: Artifact) -> Result<Option<Manifest>, Failure> {
    session.fetch(node, artifact);
    loop {
        // In any case there is an answer: the task behind it has a time limit of its own.
        match session.next(None).await {
            None | Some(Event::Stopped) => return Err(Failure::new("the network has ended")),
            Some(Event::Fetched { node: of, result }) if of == node => {
                return Ok(result.ok().and_then(|bytes| Manifest::decode(&bytes).ok()));
            }
            Some(_) => {}
        }
    }
}

/// Names of `manifest` that were pushed by hand, and that `before` does not declare: those would be in both.
///
/// # Errors
/// When no member says what it holds.
pub(super) async fn pushed(
    session: &mut Session,
    members: &[NodeId],
    owner: &OwnerKey,
    is_meant: impl Fn(&ComponentName) -> bool,
) -> Result<Vec<Held>, Failure> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let names = held::names(session, members).await?.into_iter().filter(is_meant);
    let keys: Vec<IntentKey> = names.map(IntentKey::Component).collect();
    let all = held::all(session, members, owner, &keys).await?.into_values();
    Ok(all.filter(|held| matches!(held.opened.body().payload, Payload::Push(_))).collect())
}

/// What nodes say of earlier versions.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Those that nodes keep to because the one that is held has failed, and of which all is as it should be on all that do.
    pub(super) good: BTreeSet<u32>,
    /// Those that have failed where they were in force.
    pub(super) failed: BTreeSet<u32>,
    /// Nodes that are there.
    pub(super) live: Vec<NodeReport>,
}

/// What nodes say of the versions before the one that is held.
///
/// # Errors
/// When nobody answers.
pub(super) async fn judged(session: &mut Session, members: &[NodeId], current: &Current) -> Result<Judged, Failure> {
    let views = survey(session, members, false).await?.views;
    let (mut judged, mut broken) = (Judged::default(), BTreeSet::new());
    for (report, alive) in views.into_values() {
        if let Some(told) = &report.manifest {
            judged.failed.extend(&told.past_failed);
            // Of one that is away, what it told last.
            if matches!(told.state, ManifestState::Failing | ManifestState::Halted | ManifestState::RolledBack) {
                judged.failed.insert(told.version);
            }
            if alive {
                let kept = kept_by(&report, current).flatten();
                if told.well == told.wanted { &mut judged.good } else { &mut broken }.extend(kept);
            }
        }
        judged.live.extend(alive.then_some(report));
    }
    judged.good.retain(|version| !broken.contains(version));
    Ok(judged)
}

/// Says which nodes keep to an earlier version because the one that is held has failed.
pub(super) fn tell_kept(terminal: &mut Terminal<'_>, views: &Views, current: &Current) {
    let mut kept: BTreeMap<Option<u32>, usize> = BTreeMap::new();
    let live = views.values().filter(|(_, alive)| *alive);
    for version in live.filter_map(|(report, _)| kept_by(report, current)) {
        *kept.entry(version).or_default() += 1;
    }
    for (version, nodes) in kept {
        let nodes = counted(nodes, "node");
        let version = version.map_or("none".into(), |version| format!("version {version}"));
        let held = current.apply.version;
        terminal
            .say(Tone::Warning, &format!("version {held} is held and has failed: in force on {nodes} is {version}"));
    }
}

/// The manifests that nodes keep to because the one that is held has failed, by version. What nobody has is left out.
///
/// # Errors
/// When nobody answers.
pub(super) async fn kept(
    session: &mut Session,
    members: &[NodeId],
    current: &Current,
) -> Result<BTreeMap<u32, Arc<Manifest>>, Failure> {
    let views = survey(session, members, false).await?.views;
    let versions: BTreeSet<u32> = views.values().filter_map(|(report, _)| kept_by(report, current).flatten()).collect();
    let mut kept = BTreeMap::new();
    for past in current.apply.past.iter().filter(|past| versions.contains(&past.version)) {
        if let Ok(manifest) = document(session, members, past.manifest).await {
            kept.insert(past.version, Arc::new(manifest));
        }
    }
    Ok(kept)
}

/// The version that a node keeps to, if any, where what is held has failed.
fn kept_by(report: &NodeReport, current: &Current) -> Option<Option<u32>> {
    let told = report.manifest.as_ref().filter(|told| told.intent == current.held.opened.id())?;
    matches!(told.state, ManifestState::Halted | ManifestState::RolledBack).then_some(told.in_force)
}

/// The nodes of the realm, and those without an owner, which an apply makes its own.
pub(super) fn nodes(
    views: &Views,
    unclaimed: &[NodeId],
    session: &Session,
    current: Option<&Current>,
    kept: &BTreeMap<u32, Arc<Manifest>>,
) -> Vec<Node> {
    let follows = |report: &NodeReport| match current.and_then(|current| kept_by(report, current)) {
        None => Follows::Held,
        Some(version) => Follows::Kept(version.and_then(|version| kept.get(&version).cloned())),
    };
    let names = |report: &NodeReport, is_one: fn(&ComponentReport) -> bool| {
        let ours = report.components.iter().filter(|component| component.declared && is_one(component));
        ours.map(|component| component.name.clone()).collect()
    };
    let member = |(report, alive): &(NodeReport, bool)| Node {
        node: report.node,
        tags: report.tags.clone(),
        platform: report.platform.clone(),
        alive: *alive && !report.leaving,
        running: names(report, |component| component.running > 0),
        serving: names(report, |component| component.serving > 0),
        follows: follows(report),
    };
    let claims = unclaimed.iter().filter(|node| !views.contains_key(node)).filter_map(|node| {
        let hello = &session.peers().get(node)?.hello;
        let (tags, platform) = (hello.tags.clone(), hello.platform.clone());
        Some(Node {
            node: *node,
            tags,
            platform,
            alive: true,
            running: BTreeSet::new(),
            serving: BTreeSet::new(),
            follows: Follows::Held,
        })
    });
    views.values().map(member).chain(claims).collect()
}
