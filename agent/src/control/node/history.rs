//! The runs of components on this node, those that live and the last that have ended: what an operator looks at to see
//! how a component does. It begins anew with the agent; the logs on disk go back further.

use super::input::{Instance, Now};
use shared::{
    ComponentName, EndedRun, IntentId, LiveRun, MAX_DETAIL_BYTES, MAX_ENDED_RUNS, MAX_LIVE_RUNS, NodeId, NodeRuns,
    Outcome, RunUsage,
};
use std::collections::{BTreeMap, VecDeque};

/// Runs of a component in sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// How many have ended in which way; see [`Outcome::word`].
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Units of fuel of all of them.
    pub fuel_used: u64,
    /// Time on a core of all of them, in milliseconds.
    pub cpu_ms: u64,
    /// What those that live take by now, in bytes.
    pub memory_bytes: u64,
    /// The most memory that one of them had, in bytes.
    pub memory_peak_bytes: u64,
}

impl Total {
    fn add(&mut self, usage: RunUsage) {
        self.fuel_used = self.fuel_used.saturating_add(usage.fuel_used);
        self.cpu_ms = self.cpu_ms.saturating_add(usage.cpu_ms);
        self.memory_peak_bytes = self.memory_peak_bytes.max(usage.memory_peak_bytes);
    }
}

/// Runs of a component that have ended.
#[derive(Default)]
struct Ended {
    /// The newest first.
    last: VecDeque<EndedRun>,
    total: Total,
}

/// See the module. Bounded by the instances that live, and by the names in the state map, of the manifest, and of one that was taken
/// back.
#[derive(Default)]
pub struct History {
    live: BTreeMap<Instance, (ComponentName, LiveRun)>,
    ended: BTreeMap<ComponentName, Ended>,
}

impl History {
    /// An instance was ordered to start.
    pub fn begun(&mut self, instance: Instance, name: ComponentName, intent: IntentId, now: Now) {
        let run = LiveRun { intent, begun_at: now.unix_ms, usage: RunUsage::default() };
        self.live.insert(instance, (name, run));
    }

    /// What instances use by now.
    pub fn uses(&mut self, of: impl IntoIterator<Item = (Instance, RunUsage)>) {
        for (instance, usage) in of {
            if let Some((_, run)) = self.live.get_mut(&instance) {
                run.usage = usage;
            }
        }
    }

    /// An instance has ended. Without its own word, what was last heard of it is what it used.
    pub fn ended(&mut self, instance: Instance, outcome: &Outcome, usage: Option<RunUsage>, now: Now) {
        let Some((name, run)) = self.live.remove(&instance) else { return };
        let usage = RunUsage { memory_bytes: 0, ..usage.unwrap_or(run.usage) };
        let mut outcome = outcome.clone();
        outcome.cut(MAX_DETAIL_BYTES);
        let ended = self.ended.entry(name).or_default();
        *ended.total.outcomes.entry(outcome.word()).or_default() += 1;
        ended.total.add(usage);
        ended.last.truncate(MAX_ENDED_RUNS - 1);
        let LiveRun { intent, begun_at, .. } = run;
        ended.last.push_front(EndedRun { intent, begun_at, ended_at: now.unix_ms, outcome, usage });
    }

    /// A component was removed.
    pub fn forget(&mut self, name: &ComponentName) {
        self.ended.remove(name);
    }

    /// All runs of a component together, those that live and those that have ended.
    pub fn total(&self, name: &ComponentName) -> Total {
        let mut total = self.ended.get(name).map(|ended| ended.total.clone()).unwrap_or_default();
        for run in self.live_of(name) {
            total.memory_bytes = total.memory_bytes.saturating_add(run.usage.memory_bytes);
            total.add(run.usage);
        }
        total
    }

    /// What lives of a component, the oldest first.
    pub fn live_of<'a>(&'a self, name: &'a ComponentName) -> impl Iterator<Item = &'a LiveRun> {
        self.live.values().filter(move |(of, _)| of == name).map(|(_, run)| run)
    }

    /// All that is remembered of a component, for an operator.
    pub fn runs(&self, node: NodeId, name: &ComponentName) -> NodeRuns {
        let live = self.live_of(name);
        let omitted = live.count().saturating_sub(MAX_LIVE_RUNS);
        NodeRuns {
            node,
            live: self.live_of(name).take(MAX_LIVE_RUNS).cloned().collect(),
            omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
            ended: self.ended.get(name).map(|ended| ended.last.iter().cloned().collect()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { mono_ms: 0, unix_ms: 1_000, synchronised: true };

    #[test]
    fn the_last_runs_are_kept_and_all_are_counted() {
        let (mut history, name) = (History::default(), "hello".parse::<ComponentName>().unwrap());
        let intent = IntentId::from_bytes([1; 32]);
        for at in 1..=20 {
            history.begun(at, name.clone(), intent, NOW);
            history.uses([(at, RunUsage { memory_bytes: 9, memory_peak_bytes: at, fuel_used: 2, cpu_ms: 1 })]);
            let outcome = if at == 20 { Outcome::Trap("x".repeat(1_000)) } else { Outcome::Exit(at as i32) };
            // The runner was lost before it could say more.
            history.ended(at, &outcome, None, Now { unix_ms: 1_000 + at, ..NOW });
        }
        history.begun(21, name.clone(), intent, NOW);
        let runs = history.runs(NodeId::from_bytes([2; 32]), &name);
        assert_eq!((runs.live.len(), runs.ended.len(), runs.omitted), (1, MAX_ENDED_RUNS, 0));
        assert_eq!(runs.ended[1].outcome, Outcome::Exit(19), "the newest first");
        assert_eq!((runs.ended[0].begun_at, runs.ended[0].ended_at), (1_000, 1_020));
        assert_eq!(runs.ended[0].outcome, Outcome::Trap("x".repeat(MAX_DETAIL_BYTES)));
        history.uses([(21, RunUsage { memory_bytes: 9, memory_peak_bytes: 9, fuel_used: 1, cpu_ms: 1 })]);
        let total = history.total(&name);
        assert_eq!((total.outcomes["exit"], total.outcomes["trap"]), (19, 1));
        let sums = (total.fuel_used, total.cpu_ms, total.memory_peak_bytes, total.memory_bytes);
        assert_eq!(sums, (41, 21, 20, 9), "of the one that lives, too");
        history.forget(&name);
        assert_eq!(history.total(&name).outcomes.len(), 0);
    }
}
