//! `realm ps`: what there is, component by component.

use super::Context;
use super::connect::{Connected, connect_to_members, converse, survey};
use crate::cli::PsArgs;
use crate::exit::{Exit, Failure};
use crate::output::{PS_HEADS, PsObject, Tone, not_shown, ps_objects, ps_omitted, ps_rows, table};

pub(super) fn run(args: &PsArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let object = converse(async |executor| {
        let Connected { mut session, reached, .. } = connect_to_members(&mut context, executor).await?;
        let survey = survey(&mut session, &reached.members, false).await?;
        survey.warn_of_silent(context.terminal);
        let views = survey.views;
        let (components, omitted) = (ps_objects(views.values()), ps_omitted(views.values()));
        Ok::<_, Failure>(PsObject { schema: 1, realm: *session.realm(), components, omitted })
    })?;
    if args.json {
        let text = serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?;
        context.terminal.data(&text);
        return Ok(Exit::Done);
    }
    context.terminal.data(&table(&PS_HEADS, &ps_rows(&object.components)));
    for node in &object.omitted {
        let line = not_shown(&node.peer, node.components, None);
        line.iter().for_each(|line| context.terminal.say(Tone::Warning, line));
    }
    if object.components.is_empty() {
        context.terminal.say(Tone::Plain, "no node has a component; `realm push` brings one");
    }
    Ok(Exit::Done)
}
