//! `realm ps`: what there is, component by component.

use super::Context;
use super::connect::{Connected, connect, converse, survey};
use crate::cli::PsArgs;
use crate::exit::{Exit, Failure};
use crate::output::{PS_HEADS, PsObject, Tone, ps_objects, ps_rows, table};

pub(super) fn run(args: &PsArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let object = converse(async |executor| {
        let Connected { mut session, reached, .. } = connect(&mut context, executor, false).await?;
        let survey = survey(&mut session, &reached.members, false).await?;
        survey.warn_of_silent(context.terminal);
        let views = survey.views;
        Ok::<_, Failure>(PsObject { schema: 1, realm: *session.realm(), components: ps_objects(views.values()) })
    })?;
    if args.json {
        let text = serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?;
        context.terminal.data(&text);
        return Ok(Exit::Done);
    }
    context.terminal.data(&table(&PS_HEADS, &ps_rows(&object.components)));
    if object.components.is_empty() {
        context.terminal.say(Tone::Plain, "no node has a component; `realm push` brings one");
    }
    Ok(Exit::Done)
}
