//! `realm stop`, `start`, `restart` and `rm`: a component that is known gets a later intent under its name. Nodes need no
//! bytes for that, and whoever is away gets it when it is back.

use super::Context;
use super::change::{Sealed, highest_seq, members, seal};
use super::connect::{Connected, Views, connect_to_members, converse, survey};
use super::drive::Drive;
use super::tell;
use crate::cli::{Steer, SteerArgs};
use crate::exit::{Exit, Failure};
use crate::output::{PushNodeObject, PushObject, Tone};
use crate::rollout::{Goal, Known, Result as Stand, Rollout, Until, Verdict, Wanted};
use crate::session::{Event, Session};
use shared::{
    Artifact, Body, ComponentName, ComponentReport, IntentKey, NodeFacts, NodeId, Opened, OwnerKey, Payload, Phase,
    Push, Remove, Trust, Verb, open,
};
use std::time::{Duration, Instant};

/// Within this time an entry node says what it holds: it has it in memory.
const PULL_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(steer: Steer, args: &SteerArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let begun = Instant::now();
    converse(async |executor| {
        let Connected { key, mut session, reached, .. } = connect_to_members(&mut context, executor).await?;
        let held = newest(&mut session, &reached.members, &key, IntentKey::Component(args.name.clone())).await?;
        let survey = survey(&mut session, &reached.members, true).await?;
        let held = held.ok_or_else(|| {
            Failure::new(format!("nothing is known by the name `{}`", args.name)).hint("`realm ps` lists what there is")
        })?;
        let change = change(steer, args, &held, &survey.views)?;
        if change.is_so {
            if args.json {
                let object = change.object(&session, &args.name, &held, &survey.views);
                let text = serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?;
                context.terminal.data(&text);
            }
            context.terminal.say(Tone::Good, &format!("`{}` {}", args.name, already(steer)));
            return Ok(Exit::Done);
        }
        let signed = change.sign(args, &key, highest_seq(&session, &survey.views))?;
        tell::targets(context.terminal, &change.targets);
        let goal = Goal {
            name: args.name.clone(),
            intent: signed.intent,
            wanted: wanted(steer),
            require_all: args.require_all,
            until: if args.detach { Until::Accepted } else { Until::Running },
        };
        let targets = change.targets.iter().map(|known| (known.node, known.tags.clone(), known.alive));
        let rollout = Rollout::new(goal, targets);
        let deadline = begun + args.timeout.0;
        let drive = Drive::new(&mut session, context.terminal, rollout, None, signed.bytes, deadline, begun);
        let ended = drive.run(&survey.watches, &[]).await?;
        let signed = tell::Signed { artifact: change.artifact(), seq: signed.seq, stops: Vec::new(), json: args.json };
        tell::ended(&mut session, context.terminal, &ended, &signed).await
    })
}

fn wanted(steer: Steer) -> Wanted {
    match steer {
        Steer::Start | Steer::Restart => Wanted::Running,
        Steer::Stop => Wanted::Stopped,
        Steer::Remove => Wanted::Gone,
    }
}

fn already(steer: Steer) -> &'static str {
    match steer {
        Steer::Start | Steer::Restart => "runs already, on every live node where it should",
        Steer::Stop => "is stopped already",
        Steer::Remove => "is removed already",
    }
}

/// What is to be signed, and for whom.
struct Change {
    body: Body,
    payload: Payload,
    targets: Vec<Known>,
    /// Whether nothing is to be done: it is so already.
    is_so: bool,
}

impl Change {
    fn artifact(&self) -> Option<Artifact> {
        match &self.payload {
            Payload::Push(push) => Some(push.component.artifact),
            Payload::Remove(_) => None,
        }
    }

    /// What is printed where it is so already: as after a change, with the intent that made it so.
    fn object(&self, session: &Session, name: &ComponentName, held: &Opened, views: &Views) -> PushObject {
        let node = |known: &Known| {
            let report = views.get(&known.node).map(|(report, _)| report);
            let component = report.and_then(|report| report.components.iter().find(|it| it.intent == held.id()));
            PushNodeObject {
                peer: known.node,
                tags: known.tags.clone(),
                alive: known.alive,
                result: if known.alive { Stand::Good.word() } else { Stand::Away.word() },
                phase: component.map(|component| component.phase),
                last_outcome: component.and_then(|component| component.last_outcome.clone()),
                reason: component.and_then(|component| component.reason.clone()),
            }
        };
        PushObject {
            schema: 1,
            realm: *session.realm(),
            name: name.clone(),
            digest: self.artifact().map(|artifact| artifact.digest),
            size: self.artifact().map(|artifact| artifact.size),
            intent: held.id(),
            seq: held.body().seq,
            verdict: Verdict::Good.word(),
            exit: Exit::Done.code(),
            nodes: self.targets.iter().map(node).collect(),
            stops: Vec::new(),
            claimed: Vec::new(),
        }
    }

    fn sign(&self, args: &SteerArgs, key: &OwnerKey, highest: u64) -> Result<Sealed, Failure> {
        let note = args.note.clone().unwrap_or_default();
        let highest = highest.max(self.body.seq);
        let audience = self.body.audience.clone();
        match self.payload.clone() {
            Payload::Push(push) => seal(key, audience, note, push, highest),
            Payload::Remove(remove) => seal(key, audience, note, remove, highest),
        }
    }
}

/// The change that leads from what is held to what is wanted.
fn change(steer: Steer, args: &SteerArgs, held: &Opened, views: &Views) -> Result<Change, Failure> {
    let name = &args.name;
    let nodes: Vec<Known> = members(name, views).collect();
    let Payload::Push(before) = held.body().payload.clone() else {
        if steer != Steer::Remove {
            return Err(Failure::new(format!("`{name}` was removed")).hint("`realm push` brings it back"));
        }
        // Whoever still has it has not heard of the removal, or has lost it.
        let targets: Vec<Known> = nodes.into_iter().filter(|known| known.has_name).collect();
        let payload = Payload::Remove(Remove { name: name.clone() });
        let is_so = is_settled(&targets, args.require_all, |_| false);
        return Ok(Change { body: held.body().clone(), payload, targets, is_so });
    };
    let audience = &held.body().audience;
    let meant =
        |known: &Known| audience.matches(&NodeFacts { node: known.node, tags: &known.tags, platform: &known.platform });
    let targets: Vec<Known> = match steer {
        Steer::Remove => nodes.into_iter().filter(|known| known.has_name).collect(),
        _ => nodes.into_iter().filter(meant).collect(),
    };
    let verb = match steer {
        Steer::Remove => {
            let payload = Payload::Remove(Remove { name: name.clone() });
            return Ok(Change { body: held.body().clone(), payload, targets, is_so: false });
        }
        Steer::Stop => Verb::Stop,
        Steer::Start => Verb::Start,
        Steer::Restart => Verb::Restart,
    };
    let is_so = match verb {
        Verb::Stop if before.verb == Some(Verb::Stop) => {
            is_settled(&targets, args.require_all, |known| stands(held, views, known, |it| it.phase == Phase::Stopped))
        }
        Verb::Start if before.component.start => {
            let runs = |it: &ComponentReport| it.phase == Phase::Running && it.running == it.replicas;
            targets.iter().any(|known| known.alive)
                && is_settled(&targets, args.require_all, |known| stands(held, views, known, runs))
        }
        _ => false,
    };
    let mut component = before.component;
    component.start = verb != Verb::Stop;
    let payload = Payload::Push(Push { component, verb: Some(verb) });
    Ok(Change { body: held.body().clone(), payload, targets, is_so })
}

/// Whether nothing is left to do: every live target is as wanted, and none is away where that matters.
fn is_settled(targets: &[Known], require_all: bool, is_good: impl Fn(&Known) -> bool) -> bool {
    targets.iter().all(|known| if known.alive { is_good(known) } else { !require_all })
}

/// Whether a node reports of the intent that is held, and what is looked for.
fn stands(held: &Opened, views: &Views, known: &Known, is_good: impl Fn(&ComponentReport) -> bool) -> bool {
    let view = views.get(&known.node);
    view.is_some_and(|(report, _)| report.components.iter().any(|it| it.intent == held.id() && is_good(it)))
}

/// The newest intent that any of `members` holds under `key`, as the owner signed it.
///
/// # Errors
/// When none of them answers.
pub(super) async fn newest(
    session: &mut Session,
    members: &[NodeId],
    owner: &OwnerKey,
    key: IntentKey,
) -> Result<Option<Opened>, Failure> {
    members.iter().for_each(|node| session.pull(*node, vec![key.clone()]));
    let until = Instant::now() + PULL_TIMEOUT;
    let (mut newest, mut faults, mut answers): (Option<Opened>, Vec<String>, usize) = (None, Vec::new(), 0);
    while answers + faults.len() < members.len() {
        match session.next(Some(until)).await {
            None => break,
            Some(Event::Stopped) => return Err(Failure::new("the network has ended")),
            Some(Event::Pulled { node, result: Err(why) }) => faults.push(format!("\n  {node}: {why}")),
            Some(Event::Pulled { result: Ok(intents), .. }) => {
                answers += 1;
                // What the owner did not sign does not count, nor what was not asked for.
                let opened = intents.iter().filter_map(|bytes| open(bytes, &Trust::Owner(owner.id())).ok());
                newest = opened.filter(|it| it.key() == key).chain(newest).max_by_key(Opened::rank);
            }
            Some(_) => {}
        }
    }
    if answers == 0 {
        return Err(Failure::new(format!("no node says what it holds:{}", faults.concat()))
            .hint("name another node with `--via ADDR`"));
    }
    Ok(newest)
}
