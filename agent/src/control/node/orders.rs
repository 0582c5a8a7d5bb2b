//! Orders to the edges, in portions: a manifest of a thousand components asks for all of its artifacts in one breath, and edges
//! have room for so many orders.

use super::effect::Effect;
use super::input::Input;
use shared::{Artifact, Digest, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Artifacts that are asked for at once, those that nobody has not counted: many more than are transferred at the same time, and
/// a quarter of what the edge keeps.
pub const MAX_ASKED: usize = 64;

/// So many peers that probably have an artifact are remembered until it is asked for.
const MAX_HINTS: usize = 8;

/// See the module.
#[derive(Default)]
pub struct Orders {
    /// Artifacts that the edge is asked for.
    asked: BTreeSet<Digest>,
    /// Those that it is to be asked for, and who probably has them: components of this node wait for each.
    later: BTreeMap<Digest, (Artifact, Vec<NodeId>)>,
}

impl Orders {
    /// Takes note of an answer.
    pub fn answered(&mut self, input: &Input) {
        if let Input::Stored { digest } | Input::FetchFailed { digest, .. } | Input::NoSource { digest } = input {
            self.asked.remove(digest);
        }
    }

    /// Gives those of the orders for which it is time. What is asked for twice is asked for once.
    pub fn due(&mut self, orders: Vec<Effect>) -> Vec<Effect> {
        let mut prepared = BTreeSet::new();
        let mut due = Vec::with_capacity(orders.len());
        let mut fetched: BTreeMap<Digest, Vec<(Artifact, Vec<NodeId>)>> = BTreeMap::new();
        for order in orders {
            match order {
                Effect::Fetch { artifact, hints } => {
                    let digest = artifact.digest;
                    let of_digest = fetched.entry(digest).or_default();
                    let same = (artifact, hints);
                    if of_digest.contains(&same) {
                        continue;
                    }
                    let (artifact, hints) = same.clone();
                    of_digest.push(same);
                    if self.asked.contains(&digest) || self.asked.len() < MAX_ASKED {
                        self.asked.insert(digest);
                        due.push(Effect::Fetch { artifact, hints });
                    } else {
                        let (of, known) = self.later.entry(digest).or_insert((artifact, Vec::new()));
                        known.retain(|hint| !hints.contains(hint));
                        (*of, *known) = (artifact, [hints, std::mem::take(known)].concat());
                        known.truncate(MAX_HINTS);
                    }
                }
                Effect::Prepare { digest, fuel, .. } => {
                    if prepared.insert((digest, fuel)) {
                        due.push(order);
                    }
                }
                Effect::Cancel(digest) | Effect::Drop(digest) => {
                    // What comes behind it is an order of its own.
                    fetched.remove(&digest);
                    prepared.retain(|(of, _)| *of != digest);
                    self.asked.remove(&digest);
                    self.later.remove(&digest);
                    due.push(order);
                }
                order => due.push(order),
            }
        }
        while self.asked.len() < MAX_ASKED
            && let Some((digest, (artifact, hints))) = self.later.pop_first()
        {
            self.asked.insert(digest);
            due.push(Effect::Fetch { artifact, hints });
        }
        due
    }
}
