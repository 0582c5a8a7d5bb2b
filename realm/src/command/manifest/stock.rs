//! Whether the bytes that an earlier manifest needs are still somewhere: nodes keep those of the one in force, of the one before it,
//! and, where that was never well, of the last one that was.

use crate::command::connect::Connected;
use crate::exit::Failure;
use crate::output::{Terminal, Tone};
use crate::plan::{Action, Plan};
use crate::session::{Event, Session};
use shared::{Artifact, Manifest, NodeId};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// For how long nodes are looked for that may have what is missing: a dial takes a second or two.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(5);

/// The artifacts of `manifest` that no node has that can be reached.
///
/// # Errors
/// When the network ends.
pub(super) async fn missing(connected: &mut Connected, manifest: &Manifest) -> Result<BTreeSet<Artifact>, Failure> {
    let session = &mut connected.session;
    let mut missing: BTreeSet<Artifact> =
        manifest.components().values().map(|declared| declared.spec.artifact).collect();
    let mut asked = BTreeSet::new();
    let mut until = None;
    while !missing.is_empty() {
        let next = session.peers().iter().find(|(node, peer)| peer.admitted && !asked.contains(*node));
        if let Some(node) = next.map(|(node, _)| *node) {
            asked.insert(node);
            missing = lacks(session, node, missing).await?;
        } else if until.is_none() {
            session.reach_others();
            until = Some(Instant::now() + OTHERS_TIMEOUT);
        } else if session.next(until).await.is_none() {
            break;
        }
    }
    Ok(missing)
}

/// Those of `artifacts` that this node does not have.
async fn lacks(
    session: &mut Session,
    node: NodeId,
    artifacts: BTreeSet<Artifact>,
) -> Result<BTreeSet<Artifact>, Failure> {
    let (mut lacks, mut left) = (BTreeSet::new(), artifacts.into_iter().collect::<Vec<_>>());
    while !left.is_empty() {
        session.ask_for(node, left);
        left = loop {
            // In any case there is an answer: the task behind it has a time limit of its own.
            match session.next(None).await {
                None | Some(Event::Stopped) => return Err(Failure::new("the network has ended")),
                Some(Event::Lacks { node: of, artifacts }) if of == node => break artifacts,
                Some(_) => {}
            }
        };
        // The last one is what it lacks; those before were not asked for.
        lacks.extend(left.pop());
    }
    Ok(lacks)
}

/// Says what is missing.
///
/// # Errors
/// When a node that is there would wait for it.
pub(super) fn check(
    missing: &BTreeSet<Artifact>,
    version: u32,
    plan: &Plan,
    manifest: &Manifest,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    for component in &plan.components {
        let declared = manifest.components().get(&component.name);
        if !declared.is_some_and(|declared| missing.contains(&declared.spec.artifact)) {
            continue;
        }
        let name = &component.name;
        let waits = |action: Action| !matches!(action, Action::Stop | Action::Unchanged);
        if component.nodes.iter().any(|step| step.alive && waits(step.action)) {
            return Err(Failure::new(format!(
                "no node that answers has the bytes of `{name}` in version {version} any more; nothing was sent"
            ))
            .hint("`realm apply` with the manifest of that version sends them again"));
        }
        terminal.say(Tone::Warning, &format!("no node that answers has the bytes of `{name}`"));
    }
    Ok(())
}
