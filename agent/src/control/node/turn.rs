//! Whose turn it is, while a manifest spreads. Every node comes to that by itself, from what the others report: there is an
//! order of all that it changes, the same for everybody, and who hears late only waits longer.

use shared::{IntentId, ManifestState, NodeId};

/// One of the nodes that a manifest changes.
#[derive(Debug, Clone, Copy)]
pub struct Participant {
    /// Who.
    pub node: NodeId,
    /// Where it stands; none when it does not hold it yet.
    pub state: Option<ManifestState>,
    /// Whether it says that it cannot take it by now, because its disk is full, for instance.
    pub is_stuck: bool,
}

/// What a node does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is its turn.
    Go,
    /// Others come before it.
    Wait,
    /// Too many have failed.
    Halt,
}

/// Whether too many have failed, by what `others` say, one's own failure included where it is among them. Who has halted keeps it so,
/// whatever becomes of those that failed.
pub fn is_halted(others: impl Iterator<Item = ManifestState>, max_failures: u16) -> bool {
    let mut failing = 0;
    for state in others {
        match state {
            ManifestState::Halted | ManifestState::RolledBack => return true,
            ManifestState::Failing => failing += 1,
            _ => {}
        }
    }
    failing >= u32::from(max_failures)
}

/// Whether it is the turn of `me`, where `parallel` may change at a time. `others` are those that the manifest `id` changes.
pub fn turn(id: &IntentId, me: &NodeId, others: &[Participant], parallel: usize) -> Turn {
    // Another order for each manifest, so that it is not always the same node that goes first.
    let place = |node: &NodeId| -> [u8; 32] { std::array::from_fn(|at| node.as_bytes()[at] ^ id.as_bytes()[at]) };
    let mine = place(me);
    let in_the_way = |other: &&Participant| match other.state {
        Some(ManifestState::Changing) => true,
        // They hold up nobody: what happens next is decided by how many they are.
        Some(ManifestState::Healthy | ManifestState::Failing) => false,
        // That may last, and its own turn comes when it is over.
        _ => !other.is_stuck && place(&other.node) < mine,
    };
    // One more than fits need not be counted.
    let before = others.iter().filter(|other| other.node != *me).filter(in_the_way).take(parallel).count();
    if before < parallel { Turn::Go } else { Turn::Wait }
}
