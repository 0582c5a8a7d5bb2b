//! `realm history`: the versions of the manifest that the realm knows of.

use super::current::{current, judged, none_yet};
use crate::cli::HistoryArgs;
use crate::command::Context;
use crate::command::connect::{Connected, connect_to_members, converse};
use crate::exit::{Exit, Failure};
use crate::output::{HISTORY_HEADS, HistoryObject, VersionObject, history_rows, table};
use shared::ManifestReport;

pub(in crate::command) fn run(args: &HistoryArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let object = converse(async |executor| {
        let Connected { key, mut session, reached } = connect_to_members(&mut context, executor).await?;
        let current = current(&mut session, &reached.members, &key).await?.ok_or_else(none_yet)?;
        let judged = judged(&mut session, &reached.members, &current).await?;
        let version = |version, held, issued_at, note: &str, digest| {
            // Two operators may have given the same number at once.
            let is_other =
                |told: &ManifestReport| held && told.version == version && told.intent != current.held.opened.id();
            let told = judged.live.iter().filter_map(|report| report.manifest.as_ref());
            let in_force = told.filter(|told| told.in_force == Some(version) && !is_other(told)).count();
            let failed = judged.failed.contains(&version);
            VersionObject { version, held, in_force, failed, issued_at, note: note.to_owned(), digest }
        };
        let (apply, body) = (&current.apply, current.held.opened.body());
        let held = version(apply.version, true, body.issued_at, &body.note, apply.manifest.digest);
        let past = apply.past.iter();
        let past = past.map(|past| version(past.version, false, past.issued_at, &past.note, past.manifest.digest));
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
