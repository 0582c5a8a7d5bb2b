//! What an apply would change, component by component and node by node: the manifest that is held and the one that is to
//! come, and what is known of the nodes. Pure.

mod changes;
#[cfg(test)]
mod tests;

pub use changes::{Change, changes};

use serde::Serialize;
use shared::{Audience, ComponentName, Declaration, Manifest, NodeFacts, NodeId, Tag};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A node as it is known before.
#[derive(Debug, Clone)]
pub struct Node {
    /// Who.
    pub node: NodeId,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// `os/arch`.
    pub platform: String,
    /// Whether it is there.
    pub alive: bool,
    /// Components of the manifest of which something runs there, by the node's last word.
    pub running: BTreeSet<ComponentName>,
    /// Those of which an earlier one serves there, because the one that it goes by has no room, or is not healthy.
    pub serving: BTreeSet<ComponentName>,
    /// The manifest that it follows until another one is applied.
    pub follows: Follows,
}

/// What a node goes by.
#[derive(Debug, Clone)]
pub enum Follows {
    /// What is held, by now or soon.
    Held,
    /// What it had before, if anything: what is held has failed.
    Kept(Option<Arc<Manifest>>),
}

impl Node {
    /// What it goes by of a component, where `held` is what is held of it.
    fn follows<'n>(&'n self, name: &ComponentName, held: Option<&'n Declaration>) -> Option<&'n Declaration> {
        match &self.follows {
            Follows::Held => held,
            Follows::Kept(manifest) => manifest.as_ref()?.components().get(name),
        }
    }

    /// Whether a component is declared for it.
    fn is_meant(&self, declared: &Declaration) -> bool {
        let facts = NodeFacts { node: self.node, tags: &self.tags, platform: &self.platform };
        declared.audience.matches(&facts)
    }
}

/// What becomes of a component on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It comes there.
    Create,
    /// Another one takes its place.
    Replace,
    /// More instances of it start beside those that run.
    ScaleUp,
    /// Some of its instances end, and the others run on.
    ScaleDown,
    /// It ends there.
    Stop,
    /// It stays as it is.
    Unchanged,
}

impl Action {
    /// Where it is declared by both.
    fn between(before: &Declaration, next: &Declaration) -> Action {
        let replicas = |declared: &Declaration| declared.spec.replicas.get();
        match (before.id == next.id, next.spec.start && before.spec.scales_to(&next.spec)) {
            (true, _) => Action::Unchanged,
            (false, true) if replicas(before) < replicas(next) => Action::ScaleUp,
            (false, true) => Action::ScaleDown,
            (false, false) => Action::Replace,
        }
    }
}

/// One node that has a component or is to have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Peer id.
    pub peer: NodeId,
    /// Whether it is there; otherwise it follows when it is back.
    pub alive: bool,
    /// What becomes of the component there.
    pub action: Action,
    /// Whether something of it runs there now.
    pub runs: bool,
    /// Whether that is an earlier one, which serves until the one that was applied last is healthy or has room.
    pub serves: bool,
}

impl Step {
    /// Whether something that runs may end. What serves does so also where there is only to be more of what has yet to take its place.
    fn interrupts(&self) -> bool {
        match self.action {
            Action::Stop | Action::Replace | Action::ScaleDown => self.runs,
            Action::ScaleUp => self.serves,
            Action::Create | Action::Unchanged => false,
        }
    }
}

/// What becomes of a component as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Summary {
    /// It is new.
    Create,
    /// It becomes another one.
    Replace,
    /// It has another number of instances.
    Scale,
    /// It is for other nodes than before.
    Move,
    /// It is not declared any more.
    Stop,
    /// Something of it changes that makes no difference to what runs now.
    Change,
    /// Nothing of it changes.
    Unchanged,
}

/// What becomes of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentPlan {
    /// Its name.
    pub name: ComponentName,
    /// What becomes of it as a whole.
    pub action: Summary,
    /// Whom it is for; none when it is not declared any more.
    pub audience: Option<Audience>,
    /// What differs between before and after.
    pub changes: Vec<Change>,
    /// Every known node that has it or is to have it, by peer id.
    pub nodes: Vec<Step>,
}

impl ComponentPlan {
    fn of<'d>(
        name: &ComponentName,
        held: Option<&'d Declaration>,
        next: Option<&'d Declaration>,
        nodes: &'d [Node],
    ) -> Self {
        let step = |node: &'d Node| {
            let meant = |declared: Option<&'d Declaration>| declared.filter(|declared| node.is_meant(declared));
            let action = match (meant(node.follows(name, held)), meant(next)) {
                (None, None) => return None,
                (None, Some(_)) => Action::Create,
                (Some(_), None) => Action::Stop,
                (Some(before), Some(next)) => Action::between(before, next),
            };
            let serves = node.serving.contains(name);
            let runs = serves || node.running.contains(name);
            Some(Step { peer: node.node, alive: node.alive, action, runs, serves })
        };
        let steps: Vec<Step> = nodes.iter().filter_map(step).collect();
        let any = |action: Action| steps.iter().any(|step| step.action == action);
        let befores = || std::iter::once(held).chain(nodes.iter().map(|node| node.follows(name, held))).flatten();
        let changed = next.and_then(|next| befores().map(|before| changes(before, next)).find(|of| !of.is_empty()));
        let whole = held.zip(next).map(|(held, next)| Action::between(held, next));
        let scales = [Action::ScaleUp, Action::ScaleDown];
        let action = match next {
            None => Summary::Stop,
            Some(_) if befores().next().is_none() || (held.is_none() && any(Action::Create)) => Summary::Create,
            // Nobody who is there has it, whatever was declared.
            Some(_) if !steps.is_empty() && steps.iter().all(|step| step.action == Action::Create) => Summary::Create,
            Some(_) if any(Action::Replace) || whole == Some(Action::Replace) => Summary::Replace,
            Some(_) if scales.iter().any(|scale| any(*scale) || whole == Some(*scale)) => Summary::Scale,
            Some(_) if any(Action::Create) || any(Action::Stop) => Summary::Move,
            Some(_) if changed.is_none() => Summary::Unchanged,
            Some(_) => Summary::Change,
        };
        let (audience, changes) = (next.map(|next| next.audience.clone()), changed.unwrap_or_default());
        ComponentPlan { name: name.clone(), action, audience, changes, nodes: steps }
    }

    /// Whether it is declared, and no known node is meant.
    #[must_use]
    pub fn is_for_nobody(&self) -> bool {
        self.audience.is_some() && self.nodes.iter().all(|step| step.action == Action::Stop)
    }
}

/// What would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Every component that is declared before or after, by name.
    pub components: Vec<ComponentPlan>,
}

impl Plan {
    /// What leads from where these nodes are, `held` or what they follow instead, to `next`.
    #[must_use]
    pub fn of(held: Option<&Manifest>, next: &Manifest, nodes: &[Node]) -> Plan {
        let kept = nodes.iter().filter_map(|node| match &node.follows {
            Follows::Kept(manifest) => manifest.as_deref(),
            Follows::Held => None,
        });
        let names: BTreeSet<&ComponentName> =
            kept.chain(held).chain([next]).flat_map(|manifest| manifest.components().keys()).collect();
        let of_held = |name: &ComponentName| held.and_then(|held| held.components().get(name));
        let component =
            |name: &ComponentName| ComponentPlan::of(name, of_held(name), next.components().get(name), nodes);
        Plan { components: names.into_iter().map(component).collect() }
    }

    /// Whether anything changes.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.components.iter().any(|component| component.action != Summary::Unchanged)
    }

    /// Whether something that runs would be stopped or replaced.
    #[must_use]
    pub fn interrupts(&self) -> bool {
        self.components.iter().flat_map(|component| &component.nodes).any(Step::interrupts)
    }

    /// Every node on which something is to be, or is to end.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        self.components.iter().flat_map(|component| &component.nodes).map(|step| step.peer).collect()
    }
}
