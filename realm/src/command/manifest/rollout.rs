//! An apply on its way: shown, asked about, signed, handed over, and followed until the nodes run what it declares.

use super::current::Current;
use super::told;
use super::version::{Course, Typed, course, past};
use crate::artifact::{Component, Source};
use crate::command::change::{Sealed, highest_seq, seal};
use crate::command::connect::{Connected, Survey, survey};
use crate::command::drive::Drive;
use crate::exit::{Exit, Failure};
use crate::output::{PlanObject, Terminal, Tone, listed, plan_text};
use crate::plan::{Node, Plan};
use crate::rollout::{Applied, Rollout, Until};
use shared::{Apply, Audience, Hasher, Manifest, NodeId, RealmId};
use std::sync::Arc;
use std::time::Instant;

/// So many components that are for nobody are named: they mostly share the tag that was mistyped.
const MAX_NAMED: usize = 20;

/// What the realm has before.
pub(super) struct Scene {
    pub(super) survey: Survey,
    pub(super) current: Option<Current>,
    /// What the apply that is held declares; none where nobody can tell.
    pub(super) before: Option<Manifest>,
    pub(super) nodes: Vec<Node>,
}

impl Scene {
    pub(super) fn plan(&self, next: &Manifest) -> Plan {
        Plan::of(self.before.as_ref(), next, &self.nodes)
    }

    /// # Errors
    /// When a component is for no known node: mostly a tag that was mistyped.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), Failure> {
        let nobody = plan.components.iter().filter(|component| component.is_for_nobody());
        let mut nobody: Vec<String> = nobody
            .filter_map(|component| Some(format!("\n  `{}`, for {}", component.name, component.audience.as_ref()?)))
            .collect();
        if nobody.is_empty() {
            return Ok(());
        }
        let more = nobody.len().saturating_sub(MAX_NAMED);
        if more > 0 {
            nobody.truncate(MAX_NAMED);
            nobody.push(format!("\n  and {more} more"));
        }
        let tags: std::collections::BTreeSet<&str> =
            self.nodes.iter().flat_map(|node| &node.tags).map(shared::Tag::as_str).collect();
        let hint = match tags.is_empty() {
            true => "no known node has a tag; `realm-agent --role TAG` gives it one".to_owned(),
            false => format!("known tags: {}", listed(tags.into_iter().map(str::to_owned))),
        };
        Err(Failure::new(format!("no known node matches; nothing was sent:{}", nobody.concat())).hint(hint))
    }

    fn object<'p>(&self, plan: &'p Plan, course: &Course, realm: &RealmId) -> PlanObject<'p> {
        let held = self.current.as_ref().map(|current| current.apply.version);
        let next = match course {
            Course::New(version) => Some(*version),
            Course::Held => held,
        };
        PlanObject {
            schema: 1,
            realm: *realm,
            held,
            version: next.unwrap_or_default(),
            changes: plan.has_changes(),
            interrupts: plan.interrupts(),
            components: &plan.components,
        }
    }

    /// The plan, where it is what was asked for.
    pub(super) fn show_as_data(
        &self,
        plan: &Plan,
        course: &Course,
        terminal: &mut Terminal<'_>,
        json: bool,
        realm: &RealmId,
    ) -> Result<(), Failure> {
        let object = self.object(plan, course, realm);
        let text = if json {
            serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?
        } else {
            plan_text(&object, "--json")
        };
        terminal.data(&text);
        Ok(())
    }
}

/// What is to come.
pub(super) struct Next {
    pub(super) manifest: Arc<Manifest>,
    /// What this end sends with it; empty where nodes have what they need.
    pub(super) components: Vec<Component>,
    pub(super) note: String,
    pub(super) typed: Typed,
}

/// How it is to be done.
pub(super) struct Flags {
    pub(super) dry_run: bool,
    pub(super) detach: bool,
    pub(super) yes: bool,
    pub(super) require_all: bool,
    pub(super) json: bool,
    pub(super) begun: Instant,
    pub(super) deadline: Instant,
}

impl Flags {
    /// # Errors
    /// Where they exclude one another.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.detach && self.require_all {
            return Err(Failure::usage("`--require-all` waits for nodes to run it, and `--detach` leaves earlier"));
        }
        Ok(())
    }
}

/// Does it, and waits.
pub(super) async fn carry_out(
    connected: &mut Connected,
    terminal: &mut Terminal<'_>,
    mut scene: Scene,
    next: Next,
    flags: &Flags,
) -> Result<Exit, Failure> {
    let held = scene.current.as_ref().map(|current| &current.apply);
    let course = course(held, next.manifest.artifact(), next.typed)?;
    let plan = scene.plan(&next.manifest);
    let realm = *connected.session.realm();
    if flags.dry_run {
        scene.show_as_data(&plan, &course, terminal, flags.json, &realm)?;
        return Ok(Exit::Done);
    }
    let mut deadline = flags.deadline;
    let (signed, version) = match (&course, &scene.current) {
        (Course::New(version), _) => {
            terminal.say(Tone::Plain, &plan_text(&scene.object(&plan, &course, &realm), "--dry-run --json"));
            let asked_at = Instant::now();
            if confirm(terminal, &plan, flags.yes).await? {
                // Nobody listened meanwhile, and whoever thinks does not wait for nodes.
                scene.survey = survey(&mut connected.session, &connected.reached.members, true).await?;
                deadline += asked_at.elapsed();
            }
            (sign(connected, &scene, &next, *version)?, *version)
        }
        (Course::Held, Some(current)) => (again(current), current.apply.version),
        (Course::Held, None) => return Err(Failure::new("nothing is held")),
    };
    let until = if flags.detach { Until::Accepted } else { Until::Running };
    let (intent, manifest) = (signed.intent, Arc::clone(&next.manifest));
    let goal = Applied { version, intent, manifest, require_all: flags.require_all, until };
    let mut rollout = Rollout::new(goal, targets(&scene.nodes, &plan));
    for (report, alive) in scene.survey.views.values() {
        if rollout.targets().contains_key(&report.node) {
            rollout.observe(flags.begun.elapsed(), report, *alive);
        }
    }
    let told = told::Told { seq: signed.seq, document: next.manifest.artifact(), json: flags.json };
    if course == Course::Held {
        if told::is_in_force(&rollout) {
            return told::already(&connected.session, terminal, rollout, &told);
        }
        terminal.say(Tone::Plain, &format!("version {version} is held already, and not well everywhere yet"));
    }
    let unclaimed = &connected.reached.unclaimed;
    told::claiming(terminal, unclaimed);
    let mut artifacts: Vec<_> = next.components.iter().map(|component| component.artifact).collect();
    artifacts.push(next.manifest.artifact());
    let session = &mut connected.session;
    next.components.into_iter().chain([as_component(&next.manifest)]).for_each(|component| session.offer(component));
    let drive = Drive::new(session, terminal, rollout, artifacts, signed.bytes, deadline, flags.begun);
    let ended = drive.run(&scene.survey.watches, unclaimed).await?;
    told::ended(&mut connected.session, terminal, &ended, &told).await
}

/// Asks before something that runs is stopped or replaced. Gives whether that was so.
async fn confirm(terminal: &mut Terminal<'_>, plan: &Plan, yes: bool) -> Result<bool, Failure> {
    if yes || !plan.interrupts() {
        return Ok(false);
    }
    let Some(answer) = terminal.ask("something that runs will be stopped or replaced; go on? [y/N]").await else {
        return Err(Failure::usage(
            "something that runs would be stopped or replaced, and there is no terminal to ask on",
        )
        .hint("`--yes` (or REALM_YES=1) answers; `--dry-run` only shows what would change"));
    };
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(true);
    }
    Err(Failure::new("not confirmed; nothing was sent"))
}

fn sign(connected: &Connected, scene: &Scene, next: &Next, version: u32) -> Result<Sealed, Failure> {
    let past = scene.current.as_ref().map(|current| past(&current.held.opened, &current.apply)).unwrap_or_default();
    let held_seq = scene.current.as_ref().map_or(0, |current| current.held.opened.body().seq);
    let highest = highest_seq(&connected.session, &scene.survey.views).max(held_seq);
    let apply = Apply { version, manifest: next.manifest.artifact(), past };
    seal(&connected.key, Audience::default(), next.note.clone(), apply, highest)
}

/// What is held, once more: whoever applied it may have left before all of it was sent.
fn again(current: &Current) -> Sealed {
    let opened = &current.held.opened;
    Sealed { intent: opened.id(), seq: opened.body().seq, bytes: current.held.bytes.clone() }
}

/// The nodes on which something is to be, or is to end.
fn targets<'n>(nodes: &'n [Node], plan: &Plan) -> impl Iterator<Item = (NodeId, Vec<shared::Tag>, bool)> + use<'n> {
    let meant = plan.nodes();
    nodes.iter().filter(move |node| meant.contains(&node.node)).map(|node| (node.node, node.tags.clone(), node.alive))
}

/// The document, to be served like any artifact.
fn as_component(manifest: &Manifest) -> Component {
    let bytes = manifest.bytes();
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    let (artifact, chunks) = hasher.finish();
    Component { artifact, chunks, source: Source::Memory(Arc::clone(bytes)) }
}
