//! `realm push`: a file becomes a signed intent; it is handed to one node, and the realm does the rest.

mod drive;
mod plan;
mod tell;

use super::Context;
use super::connect::{Connected, Views, connect, converse, survey};
use crate::cli::PushArgs;
use crate::exit::{Exit, Failure};
use crate::rollout::{Goal, Known, Matched, NoMatch, Rollout, match_nodes};
use crate::session::Session;
use crate::world::unix_ms;
use drive::Drive;
use plan::Plan;
use shared::{Body, Kind, NodeId, OwnerKey, Push, Tag, Trust};
use std::time::Instant;

pub(super) fn run(args: &PushArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let begun = Instant::now();
    // All that can be said without a network is said before one is needed.
    let plan = Plan::of(args, context.settings)?;
    converse(async |executor| {
        let Connected { key, mut session, reached } = connect(&mut context, executor, true).await?;
        let survey = survey(&mut session, &reached.members, true).await?;
        let known = known(&plan, &survey.views, &reached.unclaimed, &session);
        let matched = match_nodes(&args.peer, &args.tag, &known).map_err(nobody)?;
        tell::matched(context.terminal, &plan, &matched, &reached.unclaimed);
        let (goal, seq, sealed) = seal(&plan, &matched, &key, highest_seq(&session, &survey.views))?;
        let targets = matched.nodes.iter().map(|known| (known.node, known.tags.clone(), known.alive));
        let rollout = Rollout::new(goal, targets);
        let artifact = plan.component.artifact;
        session.offer(plan.component);
        let drive = Drive::new(&mut session, context.terminal, rollout, artifact, sealed, begun + plan.timeout, begun);
        let ended = drive.run(&survey.watches, &reached.unclaimed).await?;
        tell::ended(
            &mut session,
            context.terminal,
            &ended,
            &tell::Pushed { artifact, seq, stops: matched.stops, json: args.json },
        )
        .await
    })
}

/// Everything that can be matched: nodes of the realm, and unclaimed ones, which will be.
fn known(plan: &Plan, views: &Views, unclaimed: &[NodeId], session: &Session) -> Vec<Known> {
    let members = views.values().map(|(report, alive)| Known {
        node: report.node,
        tags: report.tags.clone(),
        platform: report.platform.clone(),
        alive: *alive && !report.leaving,
        has_name: report.components.iter().any(|component| component.name == plan.spec.name),
    });
    let claims = unclaimed.iter().filter(|node| !views.contains_key(node)).filter_map(|node| {
        let hello = &session.peers().get(node)?.hello;
        let (tags, platform) = (hello.tags.clone(), hello.platform.clone());
        Some(Known { node: *node, tags, platform, alive: true, has_name: false })
    });
    members.chain(claims).collect()
}

/// The highest sequence that anybody we know has accepted.
fn highest_seq(session: &Session, views: &Views) -> u64 {
    let told = session.peers().values().filter(|peer| peer.admitted).map(|peer| peer.hello.highest_seq);
    told.chain(views.values().map(|(report, _)| report.summary.highest_seq)).max().unwrap_or(0)
}

fn seal(plan: &Plan, matched: &Matched, key: &OwnerKey, highest_seq: u64) -> Result<(Goal, u64, Vec<u8>), Failure> {
    let now = unix_ms();
    // A clock that is behind must not make this push older than the last one.
    let seq = now.max(highest_seq.saturating_add(1));
    let body = Body {
        realm: shared::RealmId::of_owner(&key.id()),
        seq,
        issued_at: now,
        not_after: None,
        audience: matched.audience.clone(),
        note: plan.note.clone(),
        payload: Push { component: plan.spec.clone() },
    };
    let refused = |refused: shared::Refused| Failure::new(format!("this cannot be pushed: {refused}"));
    let sealed = shared::seal(key, Kind::Push, &body).map_err(refused)?;
    // Opened as a node will open it: what it would refuse is never sent.
    let intent = shared::open(&sealed, &Trust::Owner(key.id())).map_err(refused)?.id();
    let goal = Goal {
        name: plan.spec.name.clone(),
        intent,
        start: plan.spec.start,
        require_all: plan.require_all,
        until: plan.until,
    };
    Ok((goal, seq, sealed))
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
