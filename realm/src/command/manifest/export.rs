//! `realm export`: what is held, as a file that can be applied. Where the bytes came from is known to nobody any more,
//! but their digests are.

use super::current::{current, document, none_yet, pushed, tell_kept};
use crate::cli::ExportArgs;
use crate::command::Context;
use crate::command::connect::{Connected, connect_to_members, converse, survey};
use crate::exit::{Exit, Failure};
use crate::manifest::{Component, Manifest, Places, Source};
use crate::output::Tone;
use shared::{Audience, ComponentSpec, Payload, Takeover};
use std::path::Path;

pub(in crate::command) fn run(args: &ExportArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let manifest = converse(async |executor| {
        let Connected { key, mut session, reached } = connect_to_members(&mut context, executor).await?;
        let current = current(&mut session, &reached.members, &key).await?;
        let mut manifest = Manifest::default();
        match &current {
            Some(current) => {
                let views = survey(&mut session, &reached.members, false).await?.views;
                tell_kept(context.terminal, &views, current);
                manifest.note = current.held.opened.body().note.clone();
                let document = document(&mut session, &reached.members, current.apply.manifest).await?;
                manifest.rollout = document.rollout();
                manifest.components = document
                    .components()
                    .values()
                    .map(|declared| component(&declared.spec, &declared.audience, declared.strategy))
                    .collect();
            }
            None if args.pushed => {}
            None => return Err(none_yet()),
        }
        if args.pushed {
            let declared: Vec<_> = manifest.components.iter().map(|component| component.name.clone()).collect();
            let pushed = pushed(&mut session, &reached.members, &key, |name| !declared.contains(name)).await?;
            manifest.components.extend(pushed.iter().filter_map(|held| match &held.opened.body().payload {
                Payload::Push(push) => {
                    Some(component(&push.component, &held.opened.body().audience, Takeover::default()))
                }
                Payload::Remove(_) | Payload::Apply(_) => None,
            }));
            manifest.components.sort_by(|one, other| one.name.cmp(&other.name));
        }
        Ok::<_, Failure>(manifest)
    })?;
    if manifest.components.is_empty() {
        return Err(Failure::new("nothing was applied or pushed yet").hint("`realm apply --file realm.toml` begins"));
    }
    context.terminal.data(manifest.to_toml(Path::new("")).trim_end());
    context.terminal.say(
        Tone::Plain,
        "each source is named after its component: put the files beside this one, `sha256` says which they are",
    );
    Ok(Exit::Done)
}

fn component(spec: &ComponentSpec, audience: &Audience, strategy: Takeover) -> Component {
    Component {
        name: spec.name.clone(),
        source: Source::Path(format!("{}.wasm", spec.name).into()),
        sha256: Some(spec.artifact.digest),
        limits: spec.limits,
        replicas: spec.replicas,
        restart: spec.restart,
        start: spec.start,
        args: spec.args.clone(),
        env: spec.env.clone(),
        audience: audience.clone(),
        isolation: spec.isolation,
        strategy,
        places: Places::default(),
    }
}
