//! What an apply would change, for people and as JSON.

use super::{clean, counted, listed};
use crate::plan::{Action, Change, ComponentPlan, Step, Summary};
use serde::Serialize;
use shared::RealmId;
use std::collections::BTreeMap;

/// A plan has no more lines than this between its first one and its last two: a person reads two screens of a terminal.
const MAX_LINES: usize = 60;

/// So many keys of one component are shown; an environment alone can have 64 variables.
const MAX_KEYS: usize = 16;

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

/// What changes, one paragraph a component, and a line with the sums; what stays as it is is only counted. What would have more
/// than [`MAX_LINES`] says once what is alike; what is still more is counted, and `all` is where all of it is to be had.
pub(crate) fn plan_text(plan: &PlanObject<'_>, all: &str) -> String {
    let mut lines = vec![match (plan.held, plan.changes) {
        (held, false) if held == Some(plan.version) => format!("version {} is held", plan.version),
        (None, _) => format!("version {}, the first", plan.version),
        (Some(held), _) => format!("version {held} -> {}", plan.version),
    }];
    let changed: Vec<&ComponentPlan> = plan.components.iter().filter(|it| it.action != Summary::Unchanged).collect();
    let width = changed.iter().map(|component| component.name.as_str().len()).max().unwrap_or(0);
    let mut paragraphs: Vec<(usize, Vec<String>)> =
        changed.iter().map(|component| (1, paragraph(&[*component], width))).collect();
    if paragraphs.iter().map(|(_, lines)| lines.len()).sum::<usize>() > MAX_LINES {
        paragraphs = alike(&changed).iter().map(|group| (group.len(), paragraph(group, 0))).collect();
    }
    let (mut left, mut hidden) = (MAX_LINES, 0);
    for (components, paragraph) in paragraphs {
        // One that does not fit ends it: what comes behind it is not more important.
        if hidden == 0 && paragraph.len() <= left {
            left -= paragraph.len();
            lines.extend(paragraph);
        } else {
            hidden += components;
        }
    }
    if hidden > 0 {
        lines.push(format!("… and {hidden} more: `{all}` has all"));
    }
    lines.push(sums(plan.components));
    lines.join("\n")
}

/// Components of which the same becomes on the same nodes, and of which the same keys change. What interrupts comes first.
fn alike<'p>(changed: &[&'p ComponentPlan]) -> Vec<Vec<&'p ComponentPlan>> {
    let mut groups: BTreeMap<_, Vec<&ComponentPlan>> = BTreeMap::new();
    for component in changed {
        let rank = match component.action {
            Summary::Stop => 0,
            Summary::Replace => 1,
            Summary::Scale => 2,
            Summary::Move => 3,
            Summary::Change => 4,
            Summary::Create | Summary::Unchanged => 5,
        };
        let nodes: Vec<_> = component.nodes.iter().map(|step| (step.peer, step.alive, step.action)).collect();
        let keys: Vec<&str> = component.changes.iter().map(|change| change.key.as_str()).collect();
        let audience = component.audience.as_ref().map(ToString::to_string);
        groups.entry((rank, component.action, audience, nodes, keys)).or_default().push(component);
    }
    groups.into_values().collect()
}

/// Some that are alike.
fn paragraph(group: &[&ComponentPlan], width: usize) -> Vec<String> {
    let Some(component) = group.first() else { return Vec::new() };
    let sign = match component.action {
        Summary::Create => '+',
        Summary::Replace | Summary::Scale | Summary::Change => '~',
        Summary::Move => '>',
        Summary::Stop => '-',
        Summary::Unchanged => ' ',
    };
    let audience = component.audience.as_ref().map(|audience| format!(", for {audience}")).unwrap_or_default();
    let word = summary_word(component.action);
    let mut lines = vec![match group.len() {
        1 => format!("{sign} {:<width$}  {word}{audience}", component.name.as_str()),
        count => {
            let names = listed(group.iter().map(|component| component.name.to_string()));
            format!("{sign} {word} {count} components{audience}: {names}")
        }
    }];
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
    for (at, change) in component.changes.iter().enumerate().take(MAX_KEYS) {
        let is_same = group.iter().all(|other| other.changes[at] == *change);
        lines.push(match is_same {
            true => change_text(change, keys),
            false => format!("      {:<keys$}  another one for each", clean(&change.key)),
        });
    }
    let more = component.changes.len().saturating_sub(MAX_KEYS);
    lines.extend((more > 0).then(|| format!("      … and {more} more")));
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
        Summary::Scale => "scale",
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
        Action::ScaleUp => "scale up",
        Action::ScaleDown => "scale down",
        Action::Stop => "stop",
        Action::Unchanged => "unchanged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{Audience, NodeId};

    fn step(byte: u8, alive: bool, action: Action) -> Step {
        Step { peer: NodeId::of_seed(&[byte; 32]), alive, action, runs: true, serves: false }
    }

    fn change(key: &str, before: Option<&str>, after: Option<&str>) -> Change {
        let text = |value: Option<&str>| value.map(str::to_owned);
        Change { key: key.into(), before: text(before), after: text(after) }
    }

    fn plan_of(components: &[ComponentPlan]) -> PlanObject<'_> {
        let realm = RealmId::from_bytes([0; 32]);
        PlanObject { schema: 1, realm, held: Some(3), version: 4, changes: true, interrupts: true, components }
    }

    #[test]
    fn a_plan_for_people() {
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
        let plan = plan_of(&components);
        let (one, two) = (NodeId::of_seed(&[1; 32]).short(), NodeId::of_seed(&[2; 32]).short());
        let expected = format!(
            "version 3 -> 4\n\
             - older  stop\n    stop on 1 node: {one}\n\
             ~ web    replace, for tag dev\n    replace on 2 nodes: {one}, {two} (away)\n      \
             digest     abababababab -> cdcdcdcdcdcd\n      \
             env.PLACE  none -> \\u{{1b}}[31mhere\n\
             1 to replace, 1 to stop"
        );
        assert_eq!(plan_text(&plan, "--json"), expected);
        let nothing = PlanObject { version: 3, changes: false, components: &[], ..plan };
        assert_eq!(plan_text(&nothing, "--json"), "version 3 is held\nnothing changes");
    }

    #[test]
    fn what_is_alike_is_said_once_and_what_is_too_much_is_counted() {
        let component = |number: usize, action, nodes: Vec<Step>, changes| ComponentPlan {
            name: format!("c-{number:03}").parse().unwrap(),
            action,
            audience: (action != Summary::Stop).then(Audience::default),
            changes,
            nodes,
        };
        let digest = |number: usize| change("digest", Some("old"), Some(&format!("{number:064}")));
        let replaced = |number: usize| {
            let changes = vec![digest(number), change("replicas", Some("1"), Some("2"))];
            component(number, Summary::Replace, vec![step(1, true, Action::Replace)], changes)
        };
        let mut components: Vec<ComponentPlan> = (0..450).map(replaced).collect();
        let of_one = |action| vec![step(1, true, action)];
        components.extend((450..490).map(|at| component(at, Summary::Unchanged, of_one(Action::Unchanged), vec![])));
        components.extend((490..500).map(|at| component(at, Summary::Stop, of_one(Action::Stop), vec![])));
        let one = NodeId::of_seed(&[1; 32]).short();
        let names = |from: usize, to: usize| (from..to).map(|at| format!("c-{at:03}")).collect::<Vec<_>>().join(", ");
        let expected = format!(
            "version 3 -> 4\n\
             - stop 10 components: {}\n    stop on 1 node: {one}\n\
             ~ replace 450 components, for every node: {} and 438 more\n    replace on 1 node: {one}\n      \
             digest    another one for each\n      replicas  1 -> 2\n\
             450 to replace, 10 to stop, 40 unchanged",
            names(490, 500),
            names(0, 12),
        );
        assert_eq!(plan_text(&plan_of(&components), "--json"), expected);

        // Each on a node of its own, so that nothing is alike.
        let apart = |at: usize| {
            component(at, Summary::Create, vec![step(u8::try_from(at + 1).unwrap(), true, Action::Create)], vec![])
        };
        let components: Vec<ComponentPlan> = (0..200).map(apart).collect();
        let text = plan_text(&plan_of(&components), "--json");
        assert_eq!(text.lines().count(), MAX_LINES + 3, "{text}");
        assert!(text.ends_with("… and 170 more: `--json` has all\n200 to create"), "{text}");
        // As many as fit are told one by one.
        let text = plan_text(&plan_of(&components[..30]), "--json");
        assert!(!text.contains('…') && text.contains("+ c-029  create"), "{text}");
        let env = (0..64).map(|at| change(&format!("env.V{at:02}"), None, Some("x"))).collect();
        let one = component(1, Summary::Replace, vec![step(1, true, Action::Replace)], env);
        let text = plan_text(&plan_of(&[one]), "--json");
        assert!(text.contains("env.V15") && text.contains("      … and 48 more\n1 to replace"), "{text}");
    }
}
