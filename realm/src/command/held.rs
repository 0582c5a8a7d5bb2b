//! What nodes hold, as the owner signed it: single intents, and all that was pushed.

use crate::exit::Failure;
use crate::session::{Event, Session};
use shared::{ComponentName, IntentKey, NodeId, Opened, OwnerKey, Trust, open};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Within this time an entry node says what it holds: it has it in memory.
const PULL_TIMEOUT: Duration = Duration::from_secs(10);

/// Keys of one question: the answer has room for as many intents of any size.
const KEYS_AT_ONCE: usize = 16;

/// An intent that a node holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// What it says.
    pub(super) opened: Opened,
    /// As it was signed.
    pub(super) bytes: Vec<u8>,
}

/// The newest intent that any of `members` holds under `key`.
///
/// # Errors
/// When none of them answers.
pub(super) async fn newest(
    session: &mut Session,
    members: &[NodeId],
    owner: &OwnerKey,
    key: IntentKey,
) -> Result<Option<Held>, Failure> {
    Ok(all(session, members, owner, std::slice::from_ref(&key)).await?.remove(&key))
}

/// Nobody has such a component, and nothing that is held names it.
pub(super) fn unknown(name: &ComponentName) -> Failure {
    Failure::new(format!("nothing is known by the name `{name}`")).hint("`realm ps` lists what there is")
}

/// The newest intents that any of `members` hold under these keys.
///
/// # Errors
/// When none of them answers.
pub(super) async fn all(
    session: &mut Session,
    members: &[NodeId],
    owner: &OwnerKey,
    keys: &[IntentKey],
) -> Result<BTreeMap<IntentKey, Held>, Failure> {
    let asked: BTreeSet<&IntentKey> = keys.iter().collect();
    let mut newest: BTreeMap<IntentKey, Held> = BTreeMap::new();
    for keys in keys.chunks(KEYS_AT_ONCE) {
        members.iter().for_each(|node| session.pull(*node, keys.to_vec()));
        let answers = answers(session, members.len(), |event| match event {
            Event::Pulled { node, result } => Some((node, result)),
            _ => None,
        });
        for bytes in answers.await?.into_iter().flatten() {
            // What the owner did not sign does not count, nor what was not asked for.
            let Ok(opened) = open(&bytes, &Trust::Owner(owner.id())) else { continue };
            let key = opened.key();
            let is_newer = newest.get(&key).is_none_or(|held| held.opened.rank() < opened.rank());
            if asked.contains(&key) && is_newer {
                newest.insert(key, Held { opened, bytes });
            }
        }
    }
    Ok(newest)
}

/// Names that any of `members` holds an intent for: of a push, or of a removal.
///
/// # Errors
/// When none of them answers.
pub(super) async fn names(session: &mut Session, members: &[NodeId]) -> Result<BTreeSet<ComponentName>, Failure> {
    members.iter().for_each(|node| session.index(*node));
    let answers = answers(session, members.len(), |event| match event {
        Event::Indexed { node, result } => Some((node, result)),
        _ => None,
    });
    Ok(answers.await?.into_iter().flatten().filter_map(|entry| entry.key.component().cloned()).collect())
}

/// The answers to a question that so many nodes were asked, as many as come.
///
/// # Errors
/// When there is none.
async fn answers<T>(
    session: &mut Session,
    asked: usize,
    pick: impl Fn(Event) -> Option<(NodeId, Result<T, String>)>,
) -> Result<Vec<T>, Failure> {
    let until = Instant::now() + PULL_TIMEOUT;
    let (mut answers, mut faults) = (Vec::new(), Vec::new());
    while answers.len() + faults.len() < asked {
        match session.next(Some(until)).await {
            None => break,
            Some(Event::Stopped) => return Err(Failure::new("the network has ended")),
            Some(event) => match pick(event) {
                Some((_, Ok(answer))) => answers.push(answer),
                Some((node, Err(why))) => faults.push(format!("\n  {node}: {why}")),
                None => {}
            },
        }
    }
    if answers.is_empty() && asked > 0 {
        return Err(Failure::new(format!("no node says what it holds:{}", faults.concat()))
            .hint("name another node with `--via ADDR`"));
    }
    Ok(answers)
}
