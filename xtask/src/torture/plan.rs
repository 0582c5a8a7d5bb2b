//! What is done, step by step, as a seed decides it. Nothing that happens on the way has a say, so that a seed that has found
//! a fault finds it again, as far as the machine's own timing lets it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::random::Random;
use super::wares::{Nature, VARIANTS, WARES, Ware};

/// Agents; enough that a component can be for one, for two and for all of them.
pub(super) const AGENTS: usize = 3;
/// Their tags, beside `dev`, which all have.
pub(super) const TAGS: [&[&str]; AGENTS] = [&["left"], &["left", "right"], &["right", "single"]];
/// Whom a push can be for.
const AUDIENCES: [&str; 4] = ["dev", "left", "right", "single"];
/// Names of components: so few that a name is pushed again and again, with something else.
pub(super) const NAMES: usize = 6;
/// One order in so many is for a component that may not be there.
const STRANGERS: usize = 10;
/// One step in so many has a blow.
const BLOWS: usize = 3;
/// The longest that a blow waits while the command of its step is under way, in ms: a push takes about that long.
const BLOW_WITHIN_MS: usize = 600;
/// An agent that was ended is away for less than so many steps.
const AWAY_FOR: usize = 4;

/// A component as it is pushed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spec {
    pub(super) ware: &'static Ware,
    pub(super) variant: usize,
    pub(super) tag: &'static str,
    pub(super) replicas: usize,
    pub(super) restart: &'static str,
    /// Whether it has a process of its own.
    pub(super) own: bool,
    pub(super) start: bool,
}

impl Spec {
    /// Whether an agent is to run it.
    pub(super) fn is_for(&self, agent: usize) -> bool {
        self.tag == "dev" || TAGS[agent].contains(&self.tag)
    }
}

/// What is done to a component that is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Stop,
    Start,
    Restart,
    Remove,
}

impl Verb {
    /// As it is typed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Verb::Stop => "stop",
            Verb::Start => "start",
            Verb::Restart => "restart",
            Verb::Remove => "rm",
        }
    }
}

/// What the operator does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Push { spec: Spec, detach: bool },
    Steer(Verb),
}

/// What becomes of an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// Its runner is killed.
    Runner,
    /// Its control process is killed.
    Control,
    /// Its guard is killed, and all ends with it.
    Kill,
    /// It is told to end.
    End,
}

/// Something bad that happens while the operator's command is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Blow {
    pub(super) agent: usize,
    pub(super) how: How,
    pub(super) after: Duration,
}

/// One step.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Step {
    pub(super) number: usize,
    /// Agents that were away and are started again before anything else is done.
    pub(super) back: Vec<usize>,
    pub(super) name: String,
    pub(super) order: Order,
    pub(super) blow: Option<Blow>,
}

impl Step {
    /// One that nothing bad happens in.
    pub(super) fn calm(number: usize, name: String, order: Order) -> Step {
        Step { number, back: Vec::new(), name, order, blow: None }
    }
}

/// Makes the steps.
pub(super) struct Plan {
    random: Random,
    /// Never ended as a whole, so that what leaks in it has all the time to show, and so that somebody always answers.
    pub(super) spared: usize,
    /// Names that were pushed and not removed, as far as orders are taken in.
    there: BTreeSet<usize>,
    /// Steps for which each agent is still away.
    away: [usize; AGENTS],
    steps: usize,
    blows: bool,
}

/// The name of a component.
pub(super) fn name(number: usize) -> String {
    format!("torture-{number}")
}

impl Plan {
    pub(super) fn new(seed: u64) -> Plan {
        let mut random = Random::new(seed);
        let spared = random.below(AGENTS);
        Plan { random, spared, there: BTreeSet::new(), away: [0; AGENTS], steps: 0, blows: true }
    }

    /// The same without blows, in steps of numbers from `first` on.
    pub(super) fn calm(seed: u64, first: usize) -> Plan {
        Plan { steps: first, blows: false, ..Plan::new(seed) }
    }

    /// The next step.
    pub(super) fn next(&mut self) -> Step {
        self.steps += 1;
        let mut back = Vec::new();
        for (agent, away) in self.away.iter_mut().enumerate().filter(|(_, away)| **away > 0) {
            *away -= 1;
            if *away == 0 {
                back.push(agent);
            }
        }
        let order = self.order();
        let number = self.number(&order);
        let blow = if self.blows && self.random.one_in(BLOWS) { self.blow() } else { None };
        Step { number: self.steps, back, name: name(number), order, blow }
    }

    /// Which component is meant: where it has to be there, mostly one that is.
    fn number(&mut self, order: &Order) -> usize {
        let any = self.random.below(NAMES);
        let Order::Steer(verb) = order else {
            self.there.insert(any);
            return any;
        };
        let known = self.there.iter().nth(self.random.below(self.there.len())).copied();
        let number = known.filter(|_| !self.random.one_in(STRANGERS)).unwrap_or(any);
        if *verb == Verb::Remove {
            self.there.remove(&number);
        }
        number
    }

    /// Who is away when the steps are over.
    pub(super) fn away(&self) -> Vec<usize> {
        (0..AGENTS).filter(|agent| self.away[*agent] > 0).collect()
    }

    fn order(&mut self) -> Order {
        match self.random.below(16) {
            0..8 => Order::Push { spec: self.spec(), detach: self.random.one_in(2) },
            8..10 => Order::Steer(Verb::Stop),
            10..12 => Order::Steer(Verb::Start),
            12..14 => Order::Steer(Verb::Restart),
            _ => Order::Steer(Verb::Remove),
        }
    }

    fn spec(&mut self) -> Spec {
        let ware = &WARES[self.random.below(WARES.len())];
        // A service that ends with its runner and stays ended is as it should be, but says nothing.
        let restarts: &[&str] =
            if ware.nature == Nature::Service { &["on-failure", "always"] } else { &["never", "on-failure", "always"] };
        Spec {
            ware,
            variant: self.random.below(VARIANTS),
            tag: self.random.pick(&AUDIENCES),
            replicas: 1 + self.random.below(3),
            restart: self.random.pick(restarts),
            own: self.random.one_in(3),
            start: !self.random.one_in(10),
        }
    }

    fn blow(&mut self) -> Option<Blow> {
        let agent = self.random.below(AGENTS);
        let after = Duration::from_millis(self.random.below(BLOW_WITHIN_MS) as u64);
        let how = self.random.pick(&[How::Runner, How::Runner, How::Control, How::Kill, How::End]);
        let away = 1 + self.random.below(AWAY_FOR);
        if self.away[agent] > 0 || (agent == self.spared && how != How::Runner) {
            return None;
        }
        if matches!(how, How::Kill | How::End) {
            self.away[agent] = away;
        }
        Some(Blow { agent, how, after })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:4}  ", self.number)?;
        for agent in &self.back {
            write!(f, "agent {} is started again; ", agent + 1)?;
        }
        match &self.order {
            Order::Push { spec, detach } => {
                let Spec { ware, variant, tag, replicas, restart, own, start } = spec;
                let words = ware.words.iter().map(|word| format!(" {word}")).collect::<String>();
                write!(f, "push {} {}.{variant}{words}, {replicas} on {tag}, {restart}", self.name, ware.guest)?;
                f.write_str(if *own { ", apart" } else { "" })?;
                f.write_str(if *start { "" } else { ", staged" })?;
                f.write_str(if *detach { ", detached" } else { "" })?;
            }
            Order::Steer(verb) => write!(f, "{} {}", verb.word(), self.name)?,
        }
        if let Some(Blow { agent, how, after }) = &self.blow {
            let (agent, after) = (agent + 1, after.as_millis());
            match how {
                How::Runner => write!(f, "; {after} ms later the runner of agent {agent} is killed")?,
                How::Control => write!(f, "; {after} ms later control of agent {agent} is killed")?,
                How::Kill => write!(f, "; {after} ms later agent {agent} is killed")?,
                How::End => write!(f, "; {after} ms later agent {agent} is told to end")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(seed: u64) -> (usize, Vec<Step>) {
        let mut plan = Plan::new(seed);
        (plan.spared, (0..400).map(|_| plan.next()).collect())
    }

    #[test]
    fn a_seed_decides_every_step() {
        assert_eq!(steps(3), steps(3));
        assert_ne!(steps(3).1, steps(4).1);
    }

    #[test]
    fn everything_happens() {
        let said: String = steps(1).1.iter().map(|step| format!("{step}\n")).collect();
        let verbs = ["push ", "stop ", "start ", "restart ", "rm ", ", apart", ", staged", ", detached"];
        let blows = ["the runner of agent", "control of agent", "is killed", "told to end", "is started again"];
        for part in verbs.iter().chain(&blows).chain(&AUDIENCES) {
            assert!(said.contains(part), "{part}");
        }
        for ware in &WARES {
            assert!(said.contains(ware.guest), "{ware:?}");
        }
    }

    #[test]
    fn who_is_away_is_left_alone_and_comes_back_and_one_is_spared() {
        for seed in 0..20 {
            let (spared, steps) = steps(seed);
            let mut away = [false; AGENTS];
            for step in steps {
                for agent in step.back {
                    assert!(std::mem::take(&mut away[agent]), "it was not away");
                }
                let Some(Blow { agent, how, .. }) = step.blow else { continue };
                assert!(!away[agent] && (agent != spared || how == How::Runner), "seed {seed}");
                away[agent] = matches!(how, How::Kill | How::End);
            }
        }
    }
}
