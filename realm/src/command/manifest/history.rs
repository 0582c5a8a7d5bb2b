//! `realm history`: the versions of the manifest that the realm knows of.

use super::current::{current, none_yet};
use crate::cli::HistoryArgs;
use crate::command::Context;
use crate::command::connect::{Connected, connect_to_members, converse};
use crate::exit::{Exit, Failure};
use crate::output::{HISTORY_HEADS, HistoryObject, VersionObject, history_rows, table};

pub(in crate::command) fn run(args: &HistoryArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let object = converse(async |executor| {
        let Connected { key, mut session, reached } = connect_to_members(&mut context, executor).await?;
        let current = current(&mut session, &reached.members, &key).await?.ok_or_else(none_yet)?;
        let body = current.held.opened.body();
        let held = VersionObject {
            version: current.apply.version,
            held: true,
            issued_at: body.issued_at,
            note: body.note.clone(),
            digest: current.apply.manifest.digest,
        };
        let past = current.apply.past.iter().map(|past| VersionObject {
            version: past.version,
            held: false,
            issued_at: past.issued_at,
            note: past.note.clone(),
            digest: past.manifest.digest,
        });
        let versions = std::iter::once(held).chain(past).collect();
        Ok::<_, Failure>(HistoryObject { schema: 1, realm: *session.realm(), versions })
    })?;
    let text = if args.json {
        serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?
    } else {
        table(&HISTORY_HEADS, &history_rows(&object))
    };
    context.terminal.data(&text);
    Ok(Exit::Done)
}
