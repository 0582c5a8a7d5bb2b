//! What an apply would change, for people and as JSON.

use super::{clean, counted, listed};
use crate::plan::{Action, Change, ComponentPlan, Step, Summary};
use serde::Serialize;
use shared::RealmId;
use std::collections::BTreeMap;

/// So much of a digest or of another value is shown.
const VALUE_CHARS: usize = 60;
const DIGEST_CHARS: usize = 12;

/// `realm plan --json`, and `realm apply --dry-run --json`.
#[derive(Debug, Serialize)]
pub struct PlanObject<'p> {
    /// 1
    pub schema: u32,
    /// Which realm.
    pub realm: RealmId,
    /// The version that is held; null when nothing was applied yet.
    pub held: Option<u32>,
    /// The version that this would be.
    pub version: u32,
    /// Whether anything would change.
    pub changes: bool,
    /// Whether something that runs would be stopped or replaced.
    pub interrupts: bool,
    /// Every component that is declared before or after, by name.
    pub components: &'p [ComponentPlan],
}

/// One paragraph a component, and a line with the sums.
pub(crate) fn plan_text(plan: &PlanObject<'_>) -> String {
    let mut lines = vec![match (plan.held, plan.changes) {
        (held, false) if held == Some(plan.version) => format!("version {} is held", plan.version),
        (None, _) => format!("version {}, the first", plan.version),
        (Some(held), _) => format!("version {held} -> {}", plan.version),
    }];
    let width = plan.components.iter().map(|component| component.name.as_str().len()).max().unwrap_or(0);
    for component in plan.components {
        lines.extend(paragraph(component, width));
    }
    lines.push(sums(plan.components));
    lines.join("\n")
}

fn paragraph(component: &ComponentPlan, width: usize) -> Vec<String> {
    let sign = match component.action {
        Summary::Create => '+',
        Summary::Replace | Summary::Change => '~',
        Summary::Move => '>',
        Summary::Stop => '-',
        Summary::Unchanged => ' ',
    };
    let audience = component.audience.as_ref().map(|audience| format!(", for {audience}")).unwrap_or_default();
    let name = component.name.as_str();
    let mut lines = vec![format!("{sign} {name:<width$}  {}{audience}", summary_word(component.action))];
    let mut by_action: BTreeMap<Action, Vec<&Step>> = BTreeMap::new();
    component.nodes.iter().for_each(|step| by_action.entry(step.action).or_default().push(step));
    for (action, steps) in by_action {
        let nodes = listed(steps.iter().map(|step| {
            let away = if step.alive { "" } else { " (away)" };
            format!("{}{away}", step.peer.short())
        }));
        lines.push(format!("    {} on {}: {nodes}", action_word(action), counted(steps.len(), "node")));
    }
    if component.nodes.is_empty() {
        lines.push("    on no known node".into());
    }
    let keys = component.changes.iter().map(|change| change.key.chars().count()).max().unwrap_or(0);
    lines.extend(component.changes.iter().map(|change| change_text(change, keys)));
    lines
}

fn change_text(change: &Change, width: usize) -> String {
    let most = if change.key == "digest" { DIGEST_CHARS } else { VALUE_CHARS };
    let shown = |value: &Option<String>| match value {
        None => "none".to_owned(),
        Some(value) if value.chars().count() <= most => clean(value),
        Some(value) if change.key == "digest" => value.chars().take(most).collect(),
        Some(value) => format!("{}…", clean(&value.chars().take(most).collect::<String>())),
    };
    format!("      {:<width$}  {} -> {}", clean(&change.key), shown(&change.before), shown(&change.after))
}

fn sums(components: &[ComponentPlan]) -> String {
    let mut counts: BTreeMap<Summary, usize> = BTreeMap::new();
    components.iter().for_each(|component| *counts.entry(component.action).or_default() += 1);
    if counts.keys().all(|action| *action == Summary::Unchanged) {
        return "nothing changes".into();
    }
    let parts = counts.iter().map(|(action, count)| match action {
        Summary::Unchanged => format!("{count} unchanged"),
        action => format!("{count} to {}", summary_word(*action)),
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn summary_word(action: Summary) -> &'static str {
    match action {
        Summary::Create => "create",
        Summary::Replace => "replace",
        Summary::Move => "move",
        Summary::Stop => "stop",
        Summary::Change => "change",
        Summary::Unchanged => "unchanged",
    }
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Replace => "replace",
        Action::Stop => "stop",
        Action::Unchanged => "unchanged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{Audience, NodeId};

    #[test]
    fn a_plan_for_people() {
        let step = |byte: u8, alive, action| Step { peer: NodeId::of_seed(&[byte; 32]), alive, action, runs: true };
        let change = |key: &str, before: Option<&str>, after: Option<&str>| Change {
            key: key.into(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let audience = Some(Audience { tags: vec!["dev".parse().unwrap()], ..Audience::default() });
        let web = ComponentPlan {
            name: "web".parse().unwrap(),
            action: Summary::Replace,
            audience,
            changes: vec![
                change("digest", Some(&"ab".repeat(32)), Some(&"cd".repeat(32))),
                change("env.PLACE", None, Some("\u{1b}[31mhere")),
            ],
            nodes: vec![step(1, true, Action::Replace), step(2, false, Action::Replace)],
        };
        let old = ComponentPlan {
            name: "older".parse().unwrap(),
            action: Summary::Stop,
            audience: None,
            changes: Vec::new(),
            nodes: vec![step(1, true, Action::Stop)],
        };
        let components = [old, web];
        let plan = PlanObject {
            schema: 1,
            realm: RealmId::from_bytes([0; 32]),
            held: Some(3),
            version: 4,
            changes: true,
            interrupts: true,
            components: &components,
        };
        let (one, two) = (NodeId::of_seed(&[1; 32]).short(), NodeId::of_seed(&[2; 32]).short());
        let expected = format!(
            "version 3 -> 4\n\
             - older  stop\n    stop on 1 node: {one}\n\
             ~ web    replace, for tag dev\n    replace on 2 nodes: {one}, {two} (away)\n      \
             digest     abababababab -> cdcdcdcdcdcd\n      \
             env.PLACE  none -> \\u{{1b}}[31mhere\n\
             1 to replace, 1 to stop"
        );
        assert_eq!(plan_text(&plan), expected);
        let nothing = PlanObject { version: 3, changes: false, components: &[], ..plan };
        assert_eq!(plan_text(&nothing), "version 3 is held\nnothing changes");
    }
}
