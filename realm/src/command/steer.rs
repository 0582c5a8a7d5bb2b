//! `realm stop`, `start`, `restart` and `rm`: a component that is known gets a later intent under its name. Nodes need no
//! bytes for that, and whoever is away gets it when it is back.

use super::Context;
use super::change::{Sealed, check_undeclared, highest_seq, members, seal};
use super::connect::{Connected, Views, connect_to_members, converse, survey};
use super::drive::Drive;
use super::held::{newest, unknown};
use super::tell;
use crate::cli::{Steer, SteerArgs};
use crate::exit::{Exit, Failure};
use crate::output::{PushNodeObject, PushObject, Tone};
use crate::rollout::{Goal, Known, Result as Stand, Rollout, Until, Verdict, Wanted};
use crate::session::Session;
use shared::{
    Artifact, Body, ComponentName, ComponentReport, IntentKey, NodeFacts, Opened, OwnerKey, Payload, Phase, Push,
    Remove, Verb,
};
use std::time::{Duration, Instant};

/// Nobody is there whom it is for, says the entry node: for how long it is listened to whether somebody is, at most; half of the
/// time that was given is for what comes then. One that was just started has heard of the others within a second or two.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn run(steer: Steer, args: &SteerArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let begun = Instant::now();
    converse(async |executor| {
        let Connected { key, mut session, reached, .. } = connect_to_members(&mut context, executor).await?;
        let held = newest(&mut session, &reached.members, &key, IntentKey::Component(args.name.clone())).await?;
        let mut survey = survey(&mut session, &reached.members, true).await?;
        check_undeclared(&args.name, &survey.views)?;
        let held = held.map(|held| held.opened).ok_or_else(|| unknown(&args.name))?;
        if matches!(held.body().payload, Payload::Push(_)) {
            let is_there = |views: &Views| targets(steer, &args.name, &held, views).iter().any(|known| known.alive);
            let until = (Instant::now() + HEARD_WITHIN).min(begun + args.timeout.0 / 2);
            survey.hear(&mut session, until, is_there).await?;
        }
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
            size: 0,
            intent: signed.intent,
            seq: signed.seq,
            wanted: wanted(steer),
            require_all: args.require_all,
            until: if args.detach { Until::Accepted } else { Until::Running },
        };
        let targets = change.targets.iter().map(|known| (known.node, known.tags.clone(), known.alive));
        let mut rollout = Rollout::new(goal, targets);
        survey.views.values().for_each(|(report, _)| rollout.foresee(report));
        let deadline = begun + args.timeout.0;
        let drive = Drive::new(&mut session, context.terminal, rollout, Vec::new(), signed.bytes, deadline, begun);
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
        self.payload.component().map(|component| component.artifact)
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
            Payload::Apply(apply) => seal(key, audience, note, apply, highest),
        }
    }
}

/// Whom a change is for. Who is meant by what is removed is told, too, though it does not say that it has it: it may have
/// got it just now, and the entry node may have heard nothing of it since it was started.
fn targets(steer: Steer, name: &ComponentName, held: &Opened, views: &Views) -> Vec<Known> {
    let body = held.body();
    let is_push = matches!(body.payload, Payload::Push(_));
    let is_meant = |known: &Known| {
        let facts = NodeFacts { node: known.node, tags: &known.tags, platform: &known.platform };
        is_push && body.audience.matches(&facts)
    };
    members(name, views).filter(|known| steer == Steer::Remove && known.has_name || is_meant(known)).collect()
}

/// The change that leads from what is held to what is wanted.
fn change(steer: Steer, args: &SteerArgs, held: &Opened, views: &Views) -> Result<Change, Failure> {
    let name = &args.name;
    let targets = targets(steer, name, held, views);
    let Payload::Push(before) = held.body().payload.clone() else {
        if steer != Steer::Remove {
            return Err(Failure::new(format!("`{name}` was removed")).hint("`realm push` brings it back"));
        }
        // Whoever still has it has not heard of the removal, or has lost it.
        let payload = Payload::Remove(Remove { name: name.clone() });
        let is_so = is_settled(&targets, args.require_all, |_| false);
        return Ok(Change { body: held.body().clone(), payload, targets, is_so });
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
            !targets.is_empty() && is_settled(&targets, args.require_all, |known| stands(held, views, known, runs))
        }
        _ => false,
    };
    let mut component = before.component;
    component.start = verb != Verb::Stop;
    let payload = Payload::Push(Push { component, verb: Some(verb) });
    Ok(Change { body: held.body().clone(), payload, targets, is_so })
}

/// Whether nothing is left to do: every live target is as wanted, and none is away where that matters. Where all are away,
/// nobody can tell.
fn is_settled(targets: &[Known], require_all: bool, is_good: impl Fn(&Known) -> bool) -> bool {
    let can_tell = targets.is_empty() || targets.iter().any(|known| known.alive);
    can_tell && targets.iter().all(|known| if known.alive { is_good(known) } else { !require_all })
}

/// Whether a node reports of the intent that is held, and what is looked for.
fn stands(held: &Opened, views: &Views, known: &Known, is_good: impl Fn(&ComponentReport) -> bool) -> bool {
    let view = views.get(&known.node);
    view.is_some_and(|(report, _)| report.components.iter().any(|it| it.intent == held.id() && is_good(it)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{component, report};
    use shared::{Audience, ComponentSpec, Digest, Limits, RealmId, Replicas, Restart, Trust, open, seal};

    fn args() -> SteerArgs {
        SteerArgs {
            name: "hello".parse().unwrap(),
            timeout: crate::cli::Timeout::default(),
            require_all: false,
            detach: false,
            note: None,
            json: false,
        }
    }

    /// What is held: a push for everybody, last changed by this.
    fn held(verb: Option<Verb>) -> Opened {
        let key = OwnerKey::of_seed(&[1; 32]);
        let component = ComponentSpec {
            name: args().name,
            artifact: Artifact { digest: Digest::of(b"x"), size: 1, chunks: Digest::of(b"list") },
            limits: Limits::default(),
            replicas: Replicas::default(),
            restart: Restart::default(),
            start: verb != Some(Verb::Stop),
            args: Vec::new(),
            env: Vec::new(),
            isolation: shared::Isolation::Shared,
        };
        let body = Body {
            realm: RealmId::of_owner(&key.id()),
            seq: shared::BUILD_FLOOR_UNIX_MS + 1,
            issued_at: shared::BUILD_FLOOR_UNIX_MS + 1,
            not_after: None,
            audience: Audience::default(),
            note: String::new(),
            payload: Push { component, verb },
        };
        open(&seal(&key, &body).unwrap(), &Trust::Owner(key.id())).unwrap()
    }

    /// Two nodes, of which the first says that it has it, in this phase.
    fn views(held: &Opened, phase: Phase, alive: [bool; 2]) -> Views {
        let reports = [report(1, 1, vec![component(held.id(), phase)]), report(2, 1, Vec::new())];
        reports.into_iter().zip(alive).map(|(report, alive)| (report.node, (report, alive))).collect()
    }

    #[test]
    fn where_all_are_away_nobody_can_tell_that_it_is_so() {
        let stop = held(Some(Verb::Stop));
        let is_so = |views: &Views| change(Steer::Stop, &args(), &stop, views).unwrap().is_so;
        assert!(is_so(&views(&stop, Phase::Stopped, [true, false])));
        assert!(!is_so(&views(&stop, Phase::Stopped, [false, false])));
        let start = held(Some(Verb::Start));
        let nobody = views(&start, Phase::Running, [false, false]);
        assert!(!change(Steer::Start, &args(), &start, &nobody).unwrap().is_so);
    }

    #[test]
    fn a_removal_is_for_those_too_that_have_not_said_yet_that_they_have_it() {
        let push = held(None);
        let views = views(&push, Phase::Running, [true, true]);
        assert_eq!(change(Steer::Remove, &args(), &push, &views).unwrap().targets.len(), 2);
    }
}
