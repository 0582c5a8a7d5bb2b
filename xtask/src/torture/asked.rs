//! What was asked for, name by name, and whether what a node says of itself is just that.

use std::collections::BTreeMap;

use serde_json::Value;

use super::plan::{Order, Spec, Verb};
use super::wares::Nature;

/// Part of what a node says of a run that ended with its runner.
const RUNNER_ENDED: &str = "the runner ended";

/// What was last asked for under a name that was not removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wish {
    /// The step that pushed it; its environment has the number.
    pub(super) pushed_in: usize,
    pub(super) spec: Spec,
    /// What was done to it since.
    pub(super) verb: Option<Verb>,
    /// What was signed last.
    pub(super) intent: String,
}

impl Wish {
    /// The phases that an agent may tell of it when all has come to rest, and whether all of its instances run.
    fn phases(&self) -> (&'static [&'static str], Option<bool>) {
        let fails_for_good = self.spec.restart == "never";
        if self.verb == Some(Verb::Stop) {
            return (&["stopped"], Some(false));
        }
        if !self.spec.start && self.verb.is_none() {
            return (&["staged"], Some(false));
        }
        match (self.spec.ware.nature, self.spec.restart) {
            (Nature::Service, _) => (&["running"], Some(true)),
            // Again and again, so it may be seen at it, or after a run that ended with its runner.
            (Nature::Task, "always") => (&["completed", "running", "backoff"], None),
            (Nature::Task, _) => (&["completed"], Some(false)),
            (Nature::Broken, _) if fails_for_good => (&["failed"], Some(false)),
            (Nature::Broken, _) => (&["backoff", "running"], None),
        }
    }

    /// Whether it runs all the time.
    pub(super) fn runs(&self) -> bool {
        self.phases() == (&["running"], Some(true))
    }

    /// Why what an agent says of it is not what was asked for.
    fn fault(&self, stands: &Value) -> Option<String> {
        let intent = stands["intent"].as_str().unwrap_or_default();
        let (phase, running) = (stands["phase"].as_str().unwrap_or_default(), stands["running"].as_u64());
        let (phases, runs) = self.phases();
        let all = self.spec.replicas as u64;
        if intent != self.intent {
            return Some(format!("it follows the intent {intent} and not {}", self.intent));
        }
        if stands["replicas"].as_u64() != Some(all) {
            return Some(format!("{} instances are wanted and not {all}", stands["replicas"]));
        }
        // Where nothing is started again, a run that ended with its runner has failed for good.
        let ended_with_runner = self.spec.restart == "never"
            && phase == "failed"
            && stands["last_outcome"].as_str().is_some_and(|outcome| outcome.contains(RUNNER_ENDED));
        if !phases.contains(&phase) && !ended_with_runner {
            return Some(format!("it is {phase} ({}) and not {}", stands["last_outcome"], phases.join(" or ")));
        }
        let wanted = runs.map(|runs| if runs { all } else { 0 });
        (wanted.is_some() && running != wanted).then(|| format!("{running:?} of its instances run, not {wanted:?}"))
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Asked {
    /// `None` under a name that was removed.
    names: BTreeMap<String, Option<Wish>>,
    /// Everything that was ever pushed, by its step.
    pushes: BTreeMap<usize, Spec>,
}

impl Asked {
    /// A push was signed.
    pub(super) fn pushed(&mut self, name: &str, step: usize, spec: Spec, intent: String) {
        self.pushes.insert(step, spec.clone());
        self.names.insert(name.to_owned(), Some(Wish { pushed_in: step, spec, verb: None, intent }));
    }

    /// Something else was signed.
    pub(super) fn steered(&mut self, name: &str, verb: Verb, intent: String) {
        match self.names.get_mut(name) {
            Some(wish) if verb == Verb::Remove => *wish = None,
            Some(Some(wish)) => (wish.verb, wish.intent) = (Some(verb), intent),
            _ => {}
        }
    }

    /// The operator's end found another push in force than the last one, or one where there was none, and repeated that.
    pub(super) fn repeated(&mut self, name: &str, step: usize, intent: &str) {
        let Some(spec) = self.pushes.get(&step) else { return };
        let wish = Wish { pushed_in: step, spec: spec.clone(), verb: None, intent: intent.to_owned() };
        self.names.insert(name.to_owned(), Some(wish));
    }

    /// Whether an order changes nothing; `known` is whether the name was found to be in use.
    pub(super) fn is_so(&self, name: &str, order: &Order, known: bool) -> bool {
        match (self.wish(name), order) {
            (_, Order::Push { .. }) => false,
            (None, Order::Steer(verb)) => *verb == Verb::Remove || !known,
            (Some(wish), Order::Steer(Verb::Stop)) => known && wish.verb == Some(Verb::Stop),
            (Some(wish), Order::Steer(Verb::Start)) => known && wish.verb != Some(Verb::Stop),
            (Some(_), Order::Steer(Verb::Restart | Verb::Remove)) => false,
        }
    }

    /// What is asked for under a name.
    pub(super) fn wish(&self, name: &str) -> Option<&Wish> {
        self.names.get(name)?.as_ref()
    }

    /// All that is asked for.
    pub(super) fn wishes(&self) -> impl Iterator<Item = (&str, &Wish)> {
        self.names.iter().filter_map(|(name, wish)| Some((name.as_str(), wish.as_ref()?)))
    }

    /// Every name that was ever used.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Where an agent's own `/status` differs from what was asked for.
    pub(super) fn differences(&self, agent: usize, status: &Value) -> Vec<String> {
        let mut stands: BTreeMap<&str, &Value> = BTreeMap::new();
        for component in status["components"].as_array().into_iter().flatten() {
            stands.insert(component["name"].as_str().unwrap_or_default(), component);
        }
        let mut faults = Vec::new();
        let mut fault = |name: &str, why: String| faults.push(format!("agent {}, {name}: {why}", agent + 1));
        for (name, wish) in self.wishes().filter(|(_, wish)| wish.spec.is_for(agent)) {
            match stands.remove(name) {
                None => fault(name, "it is not there".into()),
                Some(stands) => _ = wish.fault(stands).map(|why| fault(name, why)),
            }
        }
        for (name, component) in stands {
            fault(name, format!("it is {}, and is not to be there", component["phase"]));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::torture::wares::WARES;

    fn spec(ware: usize, restart: &'static str) -> Spec {
        Spec { ware: &WARES[ware], variant: 0, tag: "left", replicas: 2, restart, own: false, start: true }
    }

    fn asked(spec: Spec) -> Asked {
        let mut asked = Asked::default();
        asked.pushed("a", 1, spec, "one".into());
        asked
    }

    fn status(phase: &str, running: u64, intent: &str) -> Value {
        let outcome = "trap: the runner ended: killed";
        json!({"components": [{"name": "a", "phase": phase, "replicas": 2, "running": running, "intent": intent,
            "last_outcome": outcome}]})
    }

    fn faults(asked: &Asked, status: &Value) -> usize {
        asked.differences(0, status).len()
    }

    #[test]
    fn a_service_runs_whole_where_it_should_and_nowhere_else() {
        let asked = asked(spec(0, "always"));
        assert_eq!(faults(&asked, &status("running", 2, "one")), 0);
        assert_eq!(faults(&asked, &status("running", 1, "one")), 1);
        assert_eq!(faults(&asked, &status("backoff", 0, "one")), 1);
        assert_eq!(faults(&asked, &status("running", 2, "other")), 1, "an older intent");
        assert_eq!(faults(&asked, &json!({"components": []})), 1);
        assert_eq!(asked.differences(2, &status("running", 2, "one")).len(), 1, "it is for the others");
        assert_eq!(asked.differences(2, &json!({"components": []})).len(), 0);
    }

    #[test]
    fn what_was_done_to_it_counts() {
        let mut asked = asked(spec(0, "always"));
        asked.steered("a", Verb::Stop, "two".into());
        assert_eq!(faults(&asked, &status("stopped", 0, "two")), 0);
        assert_eq!(faults(&asked, &status("running", 2, "one")), 1);
        asked.steered("a", Verb::Restart, "three".into());
        assert_eq!(faults(&asked, &status("running", 2, "three")), 0);
        asked.steered("a", Verb::Remove, "four".into());
        assert_eq!(faults(&asked, &status("running", 2, "three")), 1);
        assert_eq!(faults(&asked, &json!({"components": []})), 0);
    }

    #[test]
    fn an_older_push_that_was_signed_again_is_what_is_asked_for() {
        let mut asked = asked(spec(0, "always"));
        asked.pushed("a", 2, spec(5, "never"), "two".into());
        asked.repeated("a", 1, "three");
        assert_eq!(faults(&asked, &status("running", 2, "three")), 0);
        asked.steered("a", Verb::Remove, "four".into());
        asked.repeated("a", 2, "five");
        assert_eq!(faults(&asked, &status("completed", 0, "five")), 0, "whoever had heard of the removal was away");
    }

    #[test]
    fn what_changes_nothing_was_so_before() {
        let mut asked = asked(spec(0, "always"));
        let is_so = |asked: &Asked, verb, known| asked.is_so("a", &Order::Steer(verb), known);
        assert!(is_so(&asked, Verb::Start, true) && !is_so(&asked, Verb::Start, false));
        for verb in [Verb::Stop, Verb::Restart, Verb::Remove] {
            assert!(!is_so(&asked, verb, true) && !is_so(&asked, verb, false), "{verb:?}");
        }
        asked.steered("a", Verb::Stop, "two".into());
        assert!(is_so(&asked, Verb::Stop, true) && !is_so(&asked, Verb::Start, true));
        asked.steered("a", Verb::Remove, "three".into());
        assert!(is_so(&asked, Verb::Remove, true) && is_so(&asked, Verb::Stop, false));
        assert!(!is_so(&asked, Verb::Stop, true));
    }

    #[test]
    fn what_ends_has_ended_as_it_should() {
        assert_eq!(faults(&asked(spec(5, "on-failure")), &status("completed", 0, "one")), 0);
        assert_eq!(faults(&asked(spec(5, "on-failure")), &status("failed", 0, "one")), 1);
        assert_eq!(faults(&asked(spec(5, "never")), &status("failed", 0, "one")), 0, "with its runner");
        assert_eq!(faults(&asked(spec(10, "on-failure")), &status("backoff", 0, "one")), 0);
        assert_eq!(faults(&asked(spec(10, "never")), &status("failed", 0, "one")), 0);
        assert_eq!(faults(&asked(spec(10, "never")), &status("completed", 0, "one")), 1);
        let staged = Spec { start: false, ..spec(0, "always") };
        assert_eq!(faults(&asked(staged.clone()), &status("staged", 0, "one")), 0);
        assert_eq!(faults(&asked(staged), &status("running", 2, "one")), 1);
    }
}
