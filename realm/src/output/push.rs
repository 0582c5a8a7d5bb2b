//! The sentences of a push: one line per node while it goes on, the table and the verdict at its end.

use super::fault::{and_not_kept, not_kept};
use super::status::tags;
use super::{Shown, Tone, clean, counted};
use crate::rollout::{Goal, OnNode, Result, Rollout, State, Until, Verdict, Wanted};
use shared::{ComponentName, NodeId, Outcome, Phase};

pub(crate) const HEADS: [&str; 4] = ["NODE", "TAGS", "PHASE", "OUTCOME"];

type Target = crate::rollout::Target<OnNode>;

impl Shown for Goal {
    fn line(&self, node: &NodeId, target: &Target) -> (Tone, String) {
        state_text(node, target, self.size)
    }

    fn news(&self, node: &NodeId, target: &Target) -> String {
        match target.state() {
            // Each quarter of a large artifact, not each report of it.
            State::Moving { phase, fetched: Some(fetched), .. } => {
                let reason = target.last().and_then(|last| last.reason.as_deref()).unwrap_or_default();
                format!("{phase} {} {reason}", fetched * 4 / self.size.max(1))
            }
            _ => self.line(node, target).1,
        }
    }
}

/// Where a node stands, for a line of progress.
fn state_text(node: &NodeId, target: &Target, size: u64) -> (Tone, String) {
    let (tone, text) = match (target.result(), target.state()) {
        (Result::Away, _) => (Tone::Warning, "away, will get it".to_owned()),
        (Result::Lost, _) => (Tone::Warning, "went away".to_owned()),
        (_, State::Waiting) => match target.fault() {
            Some(fault) => (Tone::Bad, not_kept(fault)),
            None => (Tone::Faint, "waiting for its word".to_owned()),
        },
        (_, State::Moving { phase: Phase::Fetching, fetched: Some(fetched), rate }) => {
            let rate = if *rate > 0 { format!(", {}/s", bytes(*rate)) } else { String::new() };
            let text = format!("fetching {} of {}{rate}", bytes(*fetched), bytes(size));
            match target.last().and_then(|last| last.reason.as_deref()) {
                Some(reason) => (Tone::Warning, format!("{text}: {}", clean(reason))),
                None => (Tone::Plain, text),
            }
        }
        (_, State::Moving { phase, .. }) => (Tone::Plain, phase.to_string()),
        (_, State::Settling(_)) => (Tone::Plain, "started".to_owned()),
        (_, State::Good(phase)) => (Tone::Good, phase.to_string()),
        (_, State::Gone) => (Tone::Good, "removed".to_owned()),
        // Why it did is said in the end, once.
        (_, State::Failed { outcome: Some(outcome), .. }) => {
            (Tone::Bad, format!("failed: {}", clean(&outcome.to_string())))
        }
        (_, State::Failed { .. }) => (Tone::Bad, "failed".to_owned()),
    };
    (tone, format!("  {}  {text}", node.short()))
}

/// A node's reason: the fault, and what to do about it where the node says that.
fn parts(reason: &str) -> (&str, Option<&str>) {
    let parts = reason.strip_suffix(')').and_then(|reason| reason.split_once(" (hint: "));
    parts.map_or((reason, None), |(fault, hint)| (fault, Some(hint)))
}

/// Why a node failed, in one line. What to do about it is said by [`failure_hint`].
pub(crate) fn why(target: &Target) -> String {
    let State::Failed { phase, outcome, reason } = target.state() else { return String::new() };
    let outcome = outcome.as_ref().map(ToString::to_string);
    let reason = reason.as_deref().map(|reason| parts(reason).0);
    match (outcome, reason, phase) {
        (Some(outcome), Some(reason), _) if outcome != reason => clean(&format!("{outcome} ({reason})")),
        (Some(text), ..) => clean(&text),
        (None, Some(reason), _) => clean(reason),
        (None, None, Some(phase)) => phase.to_string(),
        (None, None, None) => "no reason given".into(),
    }
}

/// The rows of the final table.
pub(crate) fn outcome_rows(rollout: &Rollout) -> Vec<Vec<String>> {
    let row = |(node, target): (&NodeId, &Target)| {
        let phase = match (target.result(), target.last()) {
            (Result::Away, _) => "away".to_owned(),
            (Result::Lost, _) => "lost".to_owned(),
            (_, _) if *target.state() == State::Gone => "removed".to_owned(),
            (_, Some(last)) => last.phase.to_string(),
            (_, None) => "-".to_owned(),
        };
        let outcome = match (target.state(), target.last()) {
            (State::Failed { .. }, _) => why(target),
            (_, Some(last)) => {
                let outcome = last.last_outcome.as_ref().map(ToString::to_string);
                outcome.or_else(|| last.reason.clone()).map_or("-".into(), |text| clean(&text))
            }
            (_, None) => target.fault().map_or("-".into(), not_kept),
        };
        vec![node.short(), tags(target.tags()), phase, outcome]
    };
    rollout.targets().iter().map(row).collect()
}

/// The last line of a push.
pub(crate) fn verdict_text(rollout: &Rollout, verdict: Verdict) -> (Tone, String) {
    let count = |wanted: Result| rollout.targets().values().filter(|target| target.result() == wanted).count();
    let name = &rollout.goal().name;
    let (good, away) = (count(Result::Good), count(Result::Away));
    let live = rollout.targets().len() - away;
    let and_away = if away > 0 { format!("; {} away, will get it", counted(away, "node")) } else { String::new() };
    let and_away = and_away + &and_not_kept(rollout);
    match verdict {
        Verdict::Good => {
            let done = match rollout.goal().wanted {
                Wanted::Staged => "is staged",
                Wanted::Stopped => "is stopped",
                Wanted::Gone => "is removed",
                Wanted::Running if all_completed(rollout) => "completed",
                Wanted::Running => "runs",
            };
            (Tone::Good, format!("`{name}` {done} on {}{and_away}", counted(good, "node")))
        }
        Verdict::Failed | Verdict::RolledBack => {
            (Tone::Bad, format!("`{name}` failed on {}{and_away}", counted(live, "node")))
        }
        Verdict::Part => (Tone::Bad, format!("`{name}` is as wanted on {good} of {}{and_away}", counted(live, "node"))),
        Verdict::NoneLive if away == 0 => {
            (Tone::Warning, format!("no known node matches: whoever has `{name}` will hear of it"))
        }
        Verdict::NoneLive => (
            Tone::Warning,
            format!("no matching node is there: {} will get `{name}` when it is back", counted(away, "node")),
        ),
        Verdict::TimedOut if live == 0 => {
            (Tone::Bad, "out of time: no node has taken all of it, so that it may come to nothing".into())
        }
        Verdict::TimedOut => {
            (Tone::Bad, format!("out of time: `{name}` is as wanted on {good} of {}{and_away}", counted(live, "node")))
        }
        Verdict::CutOff => (
            Tone::Bad,
            format!(
                "the realm cannot be reached any more: `{name}` was as wanted on {good} of {}{and_away}",
                counted(live, "node")
            ),
        ),
        Verdict::Detached => (
            Tone::Plain,
            format!(
                "`{name}` is {} and on its way; as wanted on {good} of {} so far{and_away}",
                if rollout.goal().until == Until::Replicated { "replicated" } else { "accepted" },
                counted(live, "node")
            ),
        ),
    }
}

fn all_completed(rollout: &Rollout) -> bool {
    let live = rollout.targets().values().filter(|target| target.result() == Result::Good);
    live.map(Target::state).all(|state| *state == State::Good(Phase::Completed))
}

/// The next step after a failure: what the outcome asks for, what the node says, else where more is to be seen.
pub(crate) fn failure_hint(rollout: &Rollout) -> String {
    let failed = || {
        rollout.targets().values().filter_map(|target| match target.state() {
            State::Failed { outcome, reason, .. } => Some((outcome, reason)),
            _ => None,
        })
    };
    let outcome = failed().find_map(|(outcome, _)| outcome.clone());
    let reason = failed().find_map(|(_, reason)| reason.as_deref().filter(|reason| parts(reason).1.is_some()));
    hint_after(outcome.as_ref(), reason, &rollout.goal().name, |limit| format!("`--{}`", limit.replace('_', "-")))
}

/// The next step after this outcome, or for this reason. `limit` is how the operator gives a limit of this name.
pub(super) fn hint_after(
    outcome: Option<&Outcome>,
    reason: Option<&str>,
    name: &ComponentName,
    limit: impl Fn(&str) -> String,
) -> String {
    match outcome {
        Some(Outcome::OutOfMemory) => format!("give it more with {}", limit("memory_max_mb")),
        Some(Outcome::OutOfFuel) => {
            format!("give it more with {}, or none to let it run without that limit", limit("fuel"))
        }
        Some(Outcome::DeadlineExceeded) => format!("give it more time with {}", limit("deadline_ms")),
        Some(_) => format!("`realm logs {name}` shows more of what it printed"),
        None => reason
            .and_then(|reason| parts(reason).1)
            .map_or_else(|| format!("`realm ps` shows how `{name}` stands, and why"), clean),
    }
}

pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", count / 1024),
        _ => format!("{}.{} MiB", count / 1_048_576, count % 1_048_576 * 10 / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{component, goal, intent, report};
    use shared::ComponentReport;
    use std::time::Duration;

    #[test]
    fn why_there_is_no_room_and_what_to_do_are_said_once() {
        let mut push = Rollout::new(goal(), []);
        let reason = Some("needs 25 MiB, the node has 24 MiB left (hint: `realm stop` something there)".into());
        let failed = ComponentReport { reason, ..component(intent(1), Phase::Failed) };
        push.observe(Duration::ZERO, &report(1, 1, vec![failed]), true);
        let (node, target) = push.targets().iter().next().unwrap();
        assert_eq!(state_text(node, target, 0).1.trim_start(), format!("{}  failed", node.short()));
        assert_eq!(why(target), "needs 25 MiB, the node has 24 MiB left");
        assert_eq!(failure_hint(&push), "`realm stop` something there");
    }
}
