//! Of nodes whose disk does not keep what arrives: the sentences, and the next step.

use super::json::NodeObject;
use super::{clean, listed};
use crate::rollout::{Aim, Rollout};
use shared::NodeId;
use std::collections::BTreeMap;

/// What to do about it.
const NEXT_STEP: &str =
    "make room on that node, or put its disk right: what it has missed comes by itself, about a minute after that";

/// Where a node stands that has not taken a change, and said this of its disk.
pub(super) fn not_kept(fault: &str) -> String {
    format!("did not keep what arrived: {}", clean(fault))
}

/// The nodes of each fault.
fn by_fault<'f>(nodes: impl Iterator<Item = (&'f NodeId, &'f str)>) -> BTreeMap<&'f str, Vec<String>> {
    let mut faults: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    nodes.for_each(|(node, fault)| faults.entry(fault).or_default().push(node.short()));
    faults
}

fn of_rollout<A: Aim>(rollout: &Rollout<A>) -> BTreeMap<&str, Vec<String>> {
    by_fault(rollout.targets().iter().filter_map(|(node, target)| Some((node, target.fault()?))))
}

/// Who is waited for because of that, for the last sentence; empty where nobody is.
pub(super) fn and_not_kept<A: Aim>(rollout: &Rollout<A>) -> String {
    let part = |(fault, nodes)| format!("; {} {}", listed(nodes), not_kept(fault));
    of_rollout(rollout).into_iter().map(part).collect()
}

/// The next step where somebody is waited for because of that.
pub(crate) fn fault_hint<A: Aim>(rollout: &Rollout<A>) -> Option<&'static str> {
    (!of_rollout(rollout).is_empty()).then_some(NEXT_STEP)
}

/// Of each fault that nodes tell that are there: who, why, and the next step.
pub(crate) fn faults(nodes: &[NodeObject]) -> Vec<String> {
    let there = nodes.iter().filter(|node| node.alive);
    let line = |(fault, nodes)| {
        format!("{} {}; it stays with what it had before\nhint: {NEXT_STEP}", listed(nodes), not_kept(fault))
    };
    by_fault(there.filter_map(|node| Some((&node.peer, node.fault.as_deref()?)))).into_iter().map(line).collect()
}
