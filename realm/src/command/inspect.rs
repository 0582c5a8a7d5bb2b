//! `realm inspect COMPONENT`: what is wanted, under which limits, how it stands on each node, and how its runs ended.

use super::Context;
use super::change::is_declared;
use super::connect::{Connected, Views, connect_to_members, converse, survey};
use super::held::{newest, unknown};
use super::manifest::declared;
use super::runs::{Runs, collect};
use crate::cli::InspectArgs;
use crate::exit::{Exit, Failure};
use crate::output::{InspectObject, Inspected, Tone, clean, inspect_text};
use shared::{ComponentName, IntentKey, NodeId, NodeReport};
use std::time::Duration;

/// Within this time the entry nodes have asked all others, and they have answered.
const RUNS_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn run(args: &InspectArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let name = &args.component;
    let (object, problems) = converse(async |executor| {
        let Connected { key, mut session, reached } = connect_to_members(&mut context, executor).await?;
        let held = newest(&mut session, &reached.members, &key, IntentKey::Component(name.clone())).await?;
        let survey = survey(&mut session, &reached.members, false).await?;
        survey.warn_of_silent(context.terminal);
        // Where both name it, the manifest counts. It may have been removed before it was declared, too.
        let is_pushed = held.as_ref().is_some_and(|held| Inspected::pushed(&held.opened).is_some());
        let declared = if !is_pushed || is_declared(name, &survey.views) {
            match declared(&mut session, &reached.members, &key).await {
                // It was removed, and nothing more is known of it.
                Err(_) if held.is_some() => None,
                declared => declared?,
            }
        } else {
            None
        };
        let entries: Vec<NodeId> = survey.watches.iter().map(|(_, entry)| *entry).collect();
        let views = survey.views;
        let (runs, mut problems) = collect(&mut session, &entries, name, |_| false, RUNS_TIMEOUT).await;
        for node in silent(&views, name, &runs) {
            problems.entry(node).or_insert_with(|| "it says nothing of them".into());
        }
        let declared = declared.as_ref().and_then(|(current, manifest)| {
            let declared = manifest.components().get(name)?;
            Some((Inspected::declared(current.apply.version, declared), &current.held))
        });
        match (declared, &held) {
            (Some((inspected, apply)), _) => {
                Ok((InspectObject::of(&inspected, &apply.opened, &views, &runs), problems))
            }
            (None, Some(held)) => match Inspected::pushed(&held.opened) {
                Some(inspected) => Ok((InspectObject::of(&inspected, &held.opened, &views, &runs), problems)),
                None => Err(Failure::new(format!("`{name}` was removed")).hint("`realm push` brings it back")),
            },
            (None, None) => Err(unknown(name)),
        }
    })?;
    if args.json {
        let text = serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?;
        context.terminal.data(&text);
    } else {
        context.terminal.data(&inspect_text(&object));
    }
    for (node, reason) in problems {
        context.terminal.say(Tone::Warning, &format!("no runs from {}: {}", node.short(), clean(&reason)));
    }
    Ok(Exit::Done)
}

/// Live nodes that have the component by their own word, and told of no runs.
fn silent<'a>(views: &'a Views, name: &'a ComponentName, runs: &'a Runs) -> impl Iterator<Item = NodeId> + 'a {
    let has = |report: &NodeReport| report.components.iter().any(|component| component.name == *name);
    let silent = views.iter().filter(move |(node, (report, alive))| *alive && has(report) && !runs.contains_key(node));
    silent.map(|(node, _)| *node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{component, intent, report};
    use shared::{NodeRuns, Phase};

    #[test]
    fn who_should_have_told_of_runs_and_did_not() {
        let has = || vec![component(intent(1), Phase::Running)];
        let nodes = [(report(1, 1, has()), true), (report(2, 1, has()), true), (report(3, 1, has()), false)];
        let idle = (report(4, 1, Vec::new()), true);
        let views: Views = nodes.into_iter().chain([idle]).map(|view| (view.0.node, view)).collect();
        let told = report(1, 1, Vec::new()).node;
        let runs = [(told, NodeRuns { node: told, live: Vec::new(), omitted: 0, ended: Vec::new() })].into();
        let name = "hello".parse().unwrap();
        assert_eq!(silent(&views, &name, &runs).collect::<Vec<_>>(), [report(2, 1, Vec::new()).node]);
    }
}
