//! `realm status`.

use super::Context;
use super::connect::{Connected, connect, converse, survey};
use crate::cli::StatusArgs;
use crate::exit::{Exit, Failure};
use crate::output::{
    NodeObject, STATUS_HEADS, StatusObject, Tone, UnclaimedObject, alarms, behind, counted, status_rows, table,
    unlisted,
};

pub(super) fn run(args: &StatusArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let status = converse(async |executor| {
        let Connected { mut session, reached, .. } = connect(&mut context, executor, true).await?;
        let survey = survey(&mut session, &reached.members, false).await?;
        survey.warn_of_silent(context.terminal);
        let views = survey.views;
        let unclaimed = reached.unclaimed.iter().filter_map(|node| {
            session.peers().get(node).map(|peer| UnclaimedObject {
                peer: *node,
                addr: peer.addr.clone(),
                tags: peer.hello.tags.clone(),
                version: peer.hello.version.clone(),
                platform: peer.hello.platform.clone(),
            })
        });
        Ok::<_, Failure>(StatusObject {
            schema: 1,
            realm: *session.realm(),
            nodes: views.values().map(|(report, alive)| NodeObject::of(report, *alive)).collect(),
            unclaimed: unclaimed.collect(),
        })
    })?;
    if args.json {
        let text = serde_json::to_string(&status).map_err(|error| Failure::new(error.to_string()))?;
        context.terminal.data(&text);
        return Ok(Exit::Done);
    }
    context.terminal.data(&table(&STATUS_HEADS, &status_rows(&status.nodes, &status.unclaimed)));
    for line in alarms(&status.nodes) {
        context.terminal.say(Tone::Bad, &line);
    }
    for line in status.nodes.iter().filter_map(unlisted).chain(status.nodes.iter().filter_map(behind)) {
        context.terminal.say(Tone::Warning, &line);
    }
    if !status.unclaimed.is_empty() {
        let nodes = counted(status.unclaimed.len(), "node");
        context.terminal.say(
            Tone::Warning,
            &format!("{nodes} without an owner: the next `realm push` that reaches it makes it yours"),
        );
    }
    Ok(Exit::Done)
}
