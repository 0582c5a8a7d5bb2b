//! The runs of a component, asked of all nodes; and of them the one whose output tells why it failed.

use crate::session::{Event, Session, WatchId};
use shared::{ComponentName, IntentId, LogLine, NodeId, NodeRuns, Outcome, WatchReply, WatchRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

/// What a run printed last, and how it ended, is in the log so long after its end at the latest.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Of each node that told.
pub(super) type Runs = BTreeMap<NodeId, NodeRuns>;

/// Asks `entries` at once; where several tell of a node, one of them counts. Ends when all
/// have told, or what has come is enough. Gives also from whom there are none, and why.
pub(super) async fn collect(
    session: &mut Session,
    entries: &[NodeId],
    component: &ComponentName,
    is_enough: impl Fn(&Runs) -> bool,
    patience: Duration,
) -> (Runs, BTreeMap<NodeId, String>) {
    let request = WatchRequest::Runs { component: component.clone(), local: false };
    let mut open: BTreeSet<WatchId> = entries.iter().map(|entry| session.watch(*entry, request.clone())).collect();
    let until = Instant::now() + patience;
    let (mut runs, mut problems) = (Runs::new(), BTreeMap::new());
    while !open.is_empty() && !is_enough(&runs) {
        match session.next(Some(until)).await {
            None | Some(Event::Stopped) => break,
            Some(Event::Watched { watch, reply }) if open.contains(&watch) => match reply {
                WatchReply::Runs(of) => _ = runs.insert(of.node, of),
                WatchReply::Problem { node, reason } => _ = problems.insert(node, reason),
                _ => {}
            },
            Some(Event::WatchEnded { watch, .. }) => _ = open.remove(&watch),
            Some(_) => {}
        }
    }
    problems.retain(|node, _| !runs.contains_key(node));
    (runs, problems)
}

/// When the last run of `intent` that failed wrote, by the node's clock; an empty range where none of it ever ran. None where it is
/// not known: the agent has been started again since.
fn failed_at(runs: &NodeRuns, intent: &IntentId) -> Option<Range<u64>> {
    if runs.live.is_empty() && runs.ended.is_empty() {
        return None;
    }
    let ended = || runs.ended.iter().filter(|run| run.intent == *intent);
    let failed = ended().find(|run| run.outcome != Outcome::Stopped).or_else(|| ended().next());
    let live = || runs.live.iter().find(|run| run.intent == *intent).map(|run| run.begun_at..u64::MAX);
    let last_words = u64::try_from(LAST_WORDS.as_millis()).unwrap_or(u64::MAX);
    let failed = failed.map(|run| {
        // What takes its place, or is the next attempt, may be there at once.
        let begun = runs.ended.iter().map(|run| run.begun_at).chain(runs.live.iter().map(|run| run.begun_at));
        let next = begun.filter(|at| *at > run.ended_at).min().unwrap_or(u64::MAX);
        let end = next.min(run.ended_at.saturating_add(last_words).saturating_add(1));
        // The clock may have been set back meanwhile.
        run.begun_at.min(run.ended_at)..end
    });
    Some(failed.or_else(live).unwrap_or(0..0))
}

/// Leaves of the output of a component on a node what the last failed run of `intent` wrote, as far as its runs are known.
pub(super) fn of_failure<'a>(
    lines: impl Iterator<Item = &'a LogLine>,
    runs: Option<&NodeRuns>,
    intent: &IntentId,
) -> Vec<&'a LogLine> {
    let at = runs.and_then(|runs| failed_at(runs, intent));
    lines.filter(|line| at.as_ref().is_none_or(|at| at.contains(&line.at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::intent;
    use shared::{EndedRun, LiveRun, RunUsage, Stream};

    fn ended(number: u8, begun_at: u64, ended_at: u64, outcome: Outcome) -> EndedRun {
        EndedRun { intent: intent(number), begun_at, ended_at, outcome, usage: RunUsage::default() }
    }

    /// The newest first.
    fn runs(live: Option<(u8, u64)>, ended: Vec<EndedRun>) -> NodeRuns {
        let live =
            live.map(|(number, begun_at)| LiveRun { intent: intent(number), begun_at, usage: RunUsage::default() });
        NodeRuns { node: NodeId::from_bytes([1; 32]), live: live.into_iter().collect(), omitted: 0, ended }
    }

    /// Which lines of those that were written at these times are of the failure of intent 2.
    fn shown(runs: Option<&NodeRuns>, at: &[u64]) -> Vec<u64> {
        let line = |at: &u64| LogLine {
            node: NodeId::from_bytes([1; 32]),
            component: "web".parse().unwrap(),
            at: *at,
            stream: Stream::Stdout,
            text: String::new(),
        };
        let lines: Vec<LogLine> = at.iter().map(line).collect();
        of_failure(lines.iter(), runs, &intent(2)).iter().map(|line| line.at).collect()
    }

    #[test]
    fn what_is_shown_of_a_failure_is_what_the_run_wrote_that_failed() {
        let exit = Outcome::Exit(1);
        let at = [5, 10, 15, 20, 21, 30, 5_000];
        // Before it, another version; after it, that one again.
        let back = runs(Some((1, 30)), vec![ended(2, 10, 20, exit.clone()), ended(1, 1, 9, Outcome::Stopped)]);
        assert_eq!(shown(Some(&back), &at), [10, 15, 20, 21]);
        // It was tried again and stopped before it could fail.
        let twice = vec![ended(2, 25, 28, Outcome::Stopped), ended(2, 10, 20, exit.clone())];
        assert_eq!(shown(Some(&runs(Some((1, 29)), twice)), &[9, 10, 20, 24, 25, 28, 29, 30]), [10, 20, 24]);
        // The other one serves all the time.
        let beside = runs(Some((1, 0)), vec![ended(2, 10, 20, exit.clone())]);
        assert_eq!(shown(Some(&beside), &at), [10, 15, 20, 21, 30], "and nothing from later than a second after it");
        // The clock was set back while it ran.
        let set_back = runs(None, vec![ended(2, 1_000, 20, exit)]);
        assert_eq!(shown(Some(&set_back), &at), [20, 21, 30]);
        // It has not ended, or was never there.
        assert_eq!(shown(Some(&runs(Some((2, 20)), Vec::new())), &at), [20, 21, 30, 5_000]);
        assert_eq!(shown(Some(&runs(Some((1, 0)), Vec::new())), &at), [0; 0], "it could not be compiled, for instance");
        // The agent was started again, or says nothing: better too much than nothing.
        assert_eq!(shown(Some(&runs(None, Vec::new())), &at), at);
        assert_eq!(shown(None, &at), at);
    }
}
