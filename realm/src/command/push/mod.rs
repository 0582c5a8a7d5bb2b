//! `realm push`: a file becomes a signed intent; it is handed to one node, and the realm does the rest.

mod plan;

use super::Context;
use super::change::{check_undeclared, highest_seq, members, seal};
use super::connect::{Connected, Views, connect, converse, survey};
use super::drive::Drive;
use super::tell;
use crate::cli::PushArgs;
use crate::exit::{Exit, Failure};
use crate::rollout::{Goal, Known, NoMatch, Rollout, Wanted, match_nodes};
use crate::session::Session;
use plan::Plan;
use shared::{NodeId, Push, Tag};
use std::time::Instant;

pub(super) fn run(args: &PushArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let begun = Instant::now();
    // All that can be said without a network is said before one is needed.
    let plan = Plan::of(args, context.settings)?;
    converse(async |executor| {
        let Connected { key, mut session, reached } = connect(&mut context, executor, true).await?;
        let survey = survey(&mut session, &reached.members, true).await?;
        check_undeclared(&plan.spec.name, &survey.views)?;
        let known = known(&plan, &survey.views, &reached.unclaimed, &session);
        let matched = match_nodes(&args.peer, &args.tag, &known).map_err(nobody)?;
        tell::matched(context.terminal, &plan.spec.name, &matched, &reached.unclaimed);
        let payload = Push { component: plan.spec.clone(), verb: None };
        let highest = highest_seq(&session, &survey.views);
        let signed = seal(&key, matched.audience.clone(), plan.note.clone(), payload, highest)?;
        let goal = Goal {
            name: plan.spec.name.clone(),
            size: plan.spec.artifact.size,
            intent: signed.intent,
            seq: signed.seq,
            wanted: if plan.spec.start { Wanted::Running } else { Wanted::Staged },
            require_all: plan.require_all,
            until: plan.until,
        };
        let targets = matched.nodes.iter().map(|known| (known.node, known.tags.clone(), known.alive));
        let mut rollout = Rollout::new(goal, targets);
        survey.views.values().for_each(|(report, _)| rollout.foresee(report));
        let artifact = plan.component.artifact;
        session.offer(plan.component);
        let drive = Drive::new(
            &mut session,
            context.terminal,
            rollout,
            vec![artifact],
            signed.bytes,
            begun + plan.timeout,
            begun,
        );
        let ended = drive.run(&survey.watches, &reached.unclaimed).await?;
        tell::ended(
            &mut session,
            context.terminal,
            &ended,
            &tell::Signed { artifact: Some(artifact), seq: signed.seq, stops: matched.stops, json: args.json },
        )
        .await
    })
}

/// Everything that can be matched: nodes of the realm, and unclaimed ones, which will be.
fn known(plan: &Plan, views: &Views, unclaimed: &[NodeId], session: &Session) -> Vec<Known> {
    let claims = unclaimed.iter().filter(|node| !views.contains_key(node)).filter_map(|node| {
        let hello = &session.peers().get(node)?.hello;
        let (tags, platform) = (hello.tags.clone(), hello.platform.clone());
        Some(Known { node: *node, tags, platform, alive: true, has_name: false })
    });
    members(&plan.spec.name, views).chain(claims).collect()
}

fn nobody(no_match: NoMatch) -> Failure {
    let status = "`realm status` lists the nodes and their tags";
    match no_match {
        NoMatch::Peer(text) => Failure::new(format!("no known node is `{text}`; nothing was sent")).hint(status),
        NoMatch::Ambiguous(text, nodes) => {
            let nodes: String = nodes.iter().map(|node| format!("\n  {node}")).collect();
            Failure::new(format!("`{text}` can be any of several nodes; nothing was sent:{nodes}"))
                .hint("type more of it; the ends differ most")
        }
        NoMatch::Nobody(audience, tags) => {
            let failure = Failure::new(format!("no known node matches {audience}; nothing was sent"));
            if tags.is_empty() {
                return failure.hint("no known node has a tag; `realm-agent --role TAG` gives it one");
            }
            let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            failure.hint(format!("known tags: {}", tags.join(", ")))
        }
    }
}
