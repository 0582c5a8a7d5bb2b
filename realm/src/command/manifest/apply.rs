//! `realm plan`, `apply` and `rollback`: from a manifest to what it changes, and to having it changed.

use super::current::{Current, Judged, current, document, judged, kept, nodes, none_yet, pushed, tell_kept};
use super::load::{Loaded, load};
use super::rollout::{Flags, Next, Scene, carry_out};
use super::stock;
use super::version::{Typed, course};
use crate::cli::{ApplyArgs, PlanArgs, RollbackArgs};
use crate::command::Context;
use crate::command::connect::{Connected, connect, connect_to_members, converse, survey};
use crate::exit::{Exit, Failure};
use crate::output::{Terminal, Tone, listed};
use shared::{Apply, Artifact, ComponentName, Manifest, NodeFacts, NodeReport, OwnerKey, Past};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// So many versions are looked at for one of which all bytes are there: nodes keep those of three, and some of them others than
/// their neighbours.
const WAYS_TRIED: usize = 4;

/// What both verbs that change something take.
macro_rules! flags {
    ($args:expr) => {{
        let begun = Instant::now();
        let flags = Flags {
            dry_run: $args.dry_run,
            detach: $args.detach,
            yes: $args.yes,
            require_all: $args.require_all,
            json: $args.json,
            deadline: begun + $args.timeout.unwrap_or_default().0,
            begun,
        };
        flags.check()?;
        flags
    }};
}

pub(in crate::command) fn plan(args: &PlanArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let loaded = load(args.file.as_deref(), args.auto_rollback, context.settings, context.terminal)?;
    converse(async |executor| {
        let mut connected = connect(&mut context, executor, true).await?;
        let current = held(&mut connected).await?;
        let scene = scene(&mut connected, context.terminal, current, &loaded.manifest).await?;
        let plan = scene.plan(&loaded.manifest);
        scene.check(&plan)?;
        scene.current.iter().for_each(|current| tell_kept(context.terminal, &scene.survey.views, current));
        let held = scene.current.as_ref().map(|current| &current.apply);
        let course = course(held, loaded.manifest.artifact(), Typed::default())?;
        scene.show_as_data(&plan, &course, context.terminal, args.json, connected.session.realm())?;
        Ok(if args.detailed_exitcode && plan.has_changes() { Exit::Changes } else { Exit::Done })
    })
}

pub(in crate::command) fn apply(args: &ApplyArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let flags = flags!(args);
    let Loaded { manifest, note, components } =
        load(args.file.as_deref(), args.auto_rollback, context.settings, context.terminal)?;
    let typed = Typed { version: args.version, if_version: args.if_version };
    converse(async |executor| {
        let mut connected = connect(&mut context, executor, true).await?;
        let current = held(&mut connected).await?;
        let scene = scene(&mut connected, context.terminal, current, &manifest).await?;
        scene.check(&scene.plan(&manifest))?;
        let next = Next { manifest: Arc::new(manifest), components, note: args.note.clone().unwrap_or(note), typed };
        carry_out(&mut connected, context.terminal, scene, next, &flags).await
    })
}

pub(in crate::command) fn rollback(args: &RollbackArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let flags = flags!(args);
    converse(async |executor| {
        let mut connected = connect_to_members(&mut context, executor).await?;
        let current = held(&mut connected).await?.ok_or_else(none_yet)?;
        let judged = judged(&mut connected.session, &connected.reached.members, &current).await?;
        let ways = match args.to {
            Some(version) if version == current.apply.version => vec![(version, current.apply.manifest)],
            to => before(&current.apply, to, &judged)?.iter().map(|past| (past.version, past.manifest)).collect(),
        };
        let Earlier { version, manifest, missing } = first_whole(&mut connected, &ways, &judged.live).await?;
        if let Some((first, _)) = ways.first().filter(|(first, _)| *first != version) {
            let text = format!("version {first} is passed over: no node that answers has all of it any more");
            context.terminal.say(Tone::Warning, &text);
        }
        let scene = scene(&mut connected, context.terminal, Some(current), &manifest).await?;
        let plan = scene.plan(&manifest);
        stock::check(&missing, version, &plan, &manifest, context.terminal)?;
        for component in plan.components.iter().filter(|component| component.is_for_nobody()) {
            // It must be possible to go back, whatever became of some node.
            context.terminal.say(Tone::Warning, &format!("no known node matches `{}`", component.name));
        }
        let note = args.note.clone().unwrap_or_else(|| format!("rollback to version {version}"));
        let typed = Typed { version: None, if_version: args.if_version };
        let next = Next { manifest: Arc::new(manifest), components: Vec::new(), note, typed };
        carry_out(&mut connected, context.terminal, scene, next, &flags).await
    })
}

/// A version that there may be a way back to.
struct Earlier {
    version: u32,
    manifest: Manifest,
    /// What no node has of it that answers.
    missing: BTreeSet<Artifact>,
}

/// The first of `ways` of which all is there that `live` nodes need, or else the first.
///
/// # Errors
/// When nobody has the document of any.
async fn first_whole(
    connected: &mut Connected,
    ways: &[(u32, Artifact)],
    live: &[NodeReport],
) -> Result<Earlier, Failure> {
    let mut first = Err(none_yet());
    for (at, (version, artifact)) in ways.iter().take(WAYS_TRIED).enumerate() {
        let manifest = match document(&mut connected.session, &connected.reached.members, *artifact).await {
            Ok(manifest) => manifest,
            Err(failure) if at == 0 => {
                first = Err(failure);
                continue;
            }
            Err(_) => continue,
        };
        let missing = stock::missing(connected, &manifest).await?;
        let is_whole = !manifest.components().values().any(|declared| {
            missing.contains(&declared.spec.artifact)
                && live.iter().any(|report| {
                    let facts = NodeFacts { node: report.node, tags: &report.tags, platform: &report.platform };
                    declared.audience.matches(&facts)
                })
        });
        let earlier = Earlier { version: *version, manifest, missing };
        if is_whole {
            return Ok(earlier);
        }
        first = first.or(Ok(earlier));
    }
    first
}

/// The versions to go back to, the best first: the one that was named; or else, of those with other contents, the newest that nodes
/// keep to and that is good there, then those that have not failed anywhere.
///
/// # Errors
/// When there is none.
fn before<'a>(held: &'a Apply, to: Option<u32>, judged: &Judged) -> Result<Vec<&'a Past>, Failure> {
    let past = &held.past;
    let others = || past.iter().filter(|past| past.manifest != held.manifest);
    let found: Vec<&Past> = match to {
        None => {
            let has_failed = |past: &&&Past| judged.failed.contains(&past.version);
            let kept = || others().filter(|past| judged.good.contains(&past.version));
            let kept = kept().find(|past| !has_failed(&past)).or_else(|| kept().next());
            let well = others().filter(|past| !has_failed(&past));
            kept.into_iter().chain(well.filter(|past| kept != Some(*past))).collect()
        }
        Some(version) => past.iter().filter(|past| past.version == version).collect(),
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let listed = |past: &mut dyn Iterator<Item = &Past>| listed(past.map(|past| past.version.to_string()));
    Err(match to {
        Some(version) if !past.is_empty() => Failure::new(format!("version {version} is not known any more"))
            .hint(format!("known are {}", listed(&mut past.iter()))),
        None if others().next().is_some() => {
            Failure::new(format!("all that is known from before version {} has failed", held.version)).hint(format!(
                "`realm rollback --to N` goes back all the same, to {}; `realm apply` brings another one",
                listed(&mut others())
            ))
        }
        _ => Failure::new(format!("there is nothing else before version {}", held.version)),
    })
}

/// The apply that is held, as far as those who answered know.
async fn held(connected: &mut Connected) -> Result<Option<Current>, Failure> {
    current(&mut connected.session, &connected.reached.members, &connected.key).await
}

/// Asks the realm what there is, beside the apply that is held.
///
/// # Errors
/// When what is to come has names that were pushed by hand, and when nobody answers.
async fn scene(
    connected: &mut Connected,
    terminal: &mut Terminal<'_>,
    current: Option<Current>,
    next: &Manifest,
) -> Result<Scene, Failure> {
    let Connected { session, reached, .. } = connected;
    let before = match &current {
        None => None,
        // What is to be applied is at hand.
        Some(current) if next.artifact() == current.apply.manifest => Some(next.clone()),
        Some(current) => match document(session, &reached.members, current.apply.manifest).await {
            Ok(manifest) => Some(manifest),
            Err(failure) => {
                terminal.say(Tone::Warning, &format!("{}; compared with nothing", failure.message));
                None
            }
        },
    };
    refuse(&conflicts(connected, before.as_ref(), next).await?)?;
    let is_news = |current: &&Current| next.artifact() != current.apply.manifest;
    let kept = match current.as_ref().filter(is_news) {
        Some(current) => kept(&mut connected.session, &connected.reached.members, current).await?,
        None => BTreeMap::new(),
    };
    // The last question: what nodes tell from here on is not to be missed.
    let Connected { session, reached, .. } = connected;
    let survey = survey(session, &reached.members, true).await?;
    // The same again changes nothing where it has failed.
    let of = current.as_ref().filter(is_news);
    let nodes = nodes(&survey.views, &reached.unclaimed, session, of, &kept);
    Ok(Scene { survey, current, before, nodes })
}

/// Names of `next` that were pushed by hand and that `before` does not declare.
async fn conflicts(
    connected: &mut Connected,
    before: Option<&Manifest>,
    next: &Manifest,
) -> Result<BTreeSet<ComponentName>, Failure> {
    let Connected { key, session, reached } = connected;
    let key: &OwnerKey = key;
    let is_new = |name: &ComponentName| {
        next.components().contains_key(name) && before.is_none_or(|before| !before.components().contains_key(name))
    };
    let pushed = pushed(session, &reached.members, key, is_new).await?;
    Ok(pushed.iter().filter_map(|held| held.opened.key().component().cloned()).collect())
}

fn refuse(conflicts: &BTreeSet<ComponentName>) -> Result<(), Failure> {
    let Some(first) = conflicts.first() else { return Ok(()) };
    let names = listed(conflicts.iter().map(|name| format!("`{name}`")));
    Err(Failure::new(format!("pushed by hand, and in the manifest: {names}; nothing was sent"))
        .hint(format!("`realm rm {first}` makes room for it, or leave it out of the manifest")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::Digest;

    fn artifact(byte: u8) -> Artifact {
        Artifact { digest: Digest::of(&[byte]), size: 1, chunks: Digest::of(b"list") }
    }

    /// Version `version`, with these ones before it and their contents.
    fn held(version: u32, contents: u8, past: &[(u32, u8)]) -> Apply {
        let past = past.iter().map(|(version, contents)| Past {
            version: *version,
            manifest: artifact(*contents),
            issued_at: 0,
            note: String::new(),
        });
        Apply { version, manifest: artifact(contents), past: past.collect() }
    }

    #[test]
    fn the_way_back_leads_to_what_is_good() {
        let judged = |held: &Apply, to, good: &[u32], failed: &[u32]| {
            let judged = Judged {
                good: good.iter().copied().collect(),
                failed: failed.iter().copied().collect(),
                ..Judged::default()
            };
            before(held, to, &judged).map(|past| past[0].version).map_err(|why| why.message)
        };
        let back = |held: &Apply, to, good: &[u32]| judged(held, to, good, &[]);
        let fourth = held(4, 4, &[(3, 3), (2, 2), (1, 1)]);
        assert_eq!(back(&fourth, None, &[]), Ok(3));
        assert_eq!(back(&fourth, None, &[2]), Ok(2), "the third has failed, too");
        assert_eq!(back(&fourth, None, &[1, 2]), Ok(2));
        assert_eq!(back(&fourth, Some(3), &[1, 2]), Ok(3), "as was typed");
        assert_eq!(back(&fourth, None, &[9]), Ok(3), "nobody knows any more what that was");
        assert_eq!(judged(&fourth, None, &[], &[3]), Ok(2), "all have followed the third, and it has failed");
        assert_eq!(judged(&fourth, None, &[], &[2, 3]), Ok(1));
        assert_eq!(judged(&fourth, None, &[2], &[2, 3]), Ok(2), "it is well by now on those that keep to it");
        assert_eq!(judged(&fourth, None, &[1, 2], &[2, 3]), Ok(1), "and another one has not failed at all");
        let all = "all that is known from before version 4 has failed";
        assert_eq!(judged(&fourth, None, &[], &[1, 2, 3]), Err(all.into()), "as was typed, and not otherwise");
        assert_eq!(judged(&fourth, Some(3), &[], &[3]), Ok(3), "as was typed");
        let same = held(4, 2, &[(3, 2), (2, 2), (1, 1)]);
        assert_eq!(back(&same, None, &[]), Ok(1), "the same again is no way back");
        assert_eq!(back(&same, None, &[3]), Ok(1));
        assert_eq!(back(&held(1, 1, &[]), None, &[]), Err("there is nothing else before version 1".into()));
        assert_eq!(back(&fourth, Some(9), &[]), Err("version 9 is not known any more".into()));
    }
}
