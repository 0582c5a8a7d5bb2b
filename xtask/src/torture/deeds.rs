//! Steps as they are carried out: by `realm` as an operator would type it, and by signals to the processes of agents.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::asked::Asked;
use super::plan::{AGENTS, Blow, How, NAMES, Order, Spec, Step, TAGS, Verb, name};
use super::told::Told;
use super::wares::Shelf;
use crate::Failure;
use crate::cluster::Cluster;
use crate::command::{self, Echo, Finished};
use crate::proc::{family, kind};
use crate::workspace::Programs;

/// What a command is told to wait for at most: what is to run does so in a second or two.
const TIMEOUT: &str = "20s";
/// How long a command may take in all, with looking for a node that answers.
const COMMAND_WITHIN: Duration = Duration::from_secs(90);
/// So often a command is given whose word was lost with the node that it talked to. One agent is always there.
const TRIES: usize = 5;
/// The variable that tells by which step a component was pushed.
const STEP: &str = "TORTURE_STEP";

/// Three agents, and what was asked of them.
pub(super) struct Doer {
    pub(super) cluster: Cluster,
    pub(super) asked: Asked,
    shelf: Shelf,
    /// Whose control process was killed and has not said since that it is ready.
    recovering: [bool; AGENTS],
    /// Who was ended.
    away: [bool; AGENTS],
    /// What happened, and how often.
    pub(super) counts: BTreeMap<&'static str, usize>,
}

impl Doer {
    /// Starts the agents, with a program file that nobody else runs: so none of their processes can hide.
    pub(super) fn start(programs: &Programs) -> Result<Doer, Failure> {
        let mut cluster = Cluster::new(programs.clone())?;
        let shelf = Shelf::fill(&cluster.folder)?;
        cluster.run_own_copy()?;
        let owner = cluster.init(Echo::Quiet)?;
        for tags in TAGS {
            cluster.add_tagged(&owner, tags)?;
        }
        cluster.formed()?;
        let asked = Asked::default();
        Ok(Doer { cluster, asked, shelf, recovering: [false; AGENTS], away: [false; AGENTS], counts: BTreeMap::new() })
    }

    /// Carries out a step, and gives what came of it.
    pub(super) fn step(&mut self, step: &Step) -> Result<String, Failure> {
        for agent in &step.back {
            self.start_again(*agent)?;
        }
        let mut realm = self.cluster.realm(&self.words(step).iter().map(String::as_str).collect::<Vec<_>>());
        let under_way = thread::spawn(move || command::bounded(&mut realm, COMMAND_WITHIN, Echo::Quiet));
        if let Some(blow) = &step.blow {
            // How far the command is by then is not to be known: that is what is tried.
            thread::sleep(blow.after);
            self.strike(blow)?;
        }
        let done = under_way.join().map_err(|_| "the thread of a command panicked".to_owned())??;
        self.take(step, done)
    }

    fn words(&self, step: &Step) -> Vec<String> {
        let mut words: Vec<String> = match &step.order {
            Order::Steer(verb) => vec![verb.word().into(), step.name.clone()],
            Order::Push { spec, detach } => {
                let file = self.shelf.file(spec.ware, spec.variant).to_string_lossy().into_owned();
                let env = format!("{STEP}={}", step.number);
                let mut words = vec!["push", "--name", &step.name, "--file", &file, "--tag", spec.tag, "--env", &env];
                let replicas = spec.replicas.to_string();
                words.extend(["--memory-max-mb", "8", "--restart", spec.restart, "--replicas", &replicas]);
                words.extend(spec.own.then_some(["--isolation", "process"]).into_iter().flatten());
                words.extend(spec.ware.words);
                words.extend((!spec.start).then_some("--no-start"));
                words.extend(detach.then_some("--detach"));
                words.into_iter().map(str::to_owned).collect()
            }
        };
        words.extend(["--json", "--timeout", TIMEOUT].map(str::to_owned));
        words
    }

    /// Takes down what was asked for by a command that has ended; gives it again where nobody can tell whether it was heard.
    fn take(&mut self, step: &Step, mut done: Finished) -> Result<String, Failure> {
        let mut lost = Vec::new();
        loop {
            let code = done.code.map_or("a signal".into(), |code| code.to_string());
            match Told::of(&step.order, &done) {
                Told::Signed { intent } => {
                    self.signed(step, intent)?;
                    return Ok(format!("{code}{}", lost.concat()));
                }
                Told::Unchanged { known } => {
                    self.count("commands that had nothing to change");
                    if !lost.is_empty() {
                        self.adopt(&step.name, None)?;
                    } else if !self.is_disturbed(step) && !self.asked.is_so(&step.name, &step.order, known) {
                        let (wish, said) = (self.asked.wish(&step.name), done.stderr.trim_end());
                        return Err(format!("there was nothing to change, where {wish:?} is asked for: {said}"));
                    }
                    return Ok(format!("{code}, nothing to change{}", lost.concat()));
                }
                Told::Unknown(why) if lost.len() + 1 < TRIES => {
                    self.count("commands given again");
                    let said = format!("{}{}", done.stderr, done.stdout);
                    lost.push(format!(
                        "; given again after: {why}\n      {}",
                        said.trim_end().replace('\n', "\n      ")
                    ));
                }
                Told::Unknown(why) => return Err(format!("given {TRIES} times, and still {why}{}", lost.concat())),
            }
            let mut realm = self.cluster.realm(&self.words(step).iter().map(String::as_str).collect::<Vec<_>>());
            done = command::bounded(&mut realm, COMMAND_WITHIN, Echo::Quiet)?;
        }
    }

    /// Whether what was asked for last may be held by none but an agent that does not answer.
    fn is_disturbed(&self, step: &Step) -> bool {
        step.blow.is_some() || self.away.contains(&true) || self.recovering.contains(&true)
    }

    fn signed(&mut self, step: &Step, intent: String) -> Result<(), Failure> {
        self.count("commands taken in");
        match &step.order {
            Order::Push { spec, .. } => self.asked.pushed(&step.name, step.number, spec.clone(), intent),
            Order::Steer(verb) => {
                self.asked.steered(&step.name, *verb, intent.clone());
                // Whoever held the last push may be gone, and what another one holds was signed again.
                if *verb != Verb::Remove && self.is_disturbed(step) {
                    self.adopt(&step.name, Some(&intent))?;
                }
            }
        }
        Ok(())
    }

    /// Takes over what the nodes hold under a name; only if it is `this`, where that is given.
    fn adopt(&mut self, name: &str, this: Option<&str>) -> Result<(), Failure> {
        let done =
            command::bounded(&mut self.cluster.realm(&["inspect", name, "--json"]), COMMAND_WITHIN, Echo::Quiet)?;
        let Ok(object) = serde_json::from_str::<Value>(&done.stdout) else {
            if this.is_none() && done.stderr.contains("` was removed") {
                self.asked.steered(name, Verb::Remove, String::new());
            }
            return Ok(());
        };
        let intent = object["intent"].as_str().unwrap_or_default();
        if this.is_some_and(|this| this != intent) {
            return Ok(());
        }
        let pushed_in = pushed_in(&object).ok_or_else(|| format!("`{name}` has no {STEP}: {object}"))?;
        if self.asked.wish(name).is_none_or(|wish| wish.pushed_in != pushed_in) {
            self.count("changes of what another agent than the newest one held");
            self.asked.repeated(name, pushed_in, intent);
        }
        match object["verb"].as_str() {
            Some("stop") => self.asked.steered(name, Verb::Stop, intent.to_owned()),
            Some("start") => self.asked.steered(name, Verb::Start, intent.to_owned()),
            Some("restart") => self.asked.steered(name, Verb::Restart, intent.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn strike(&mut self, blow: &Blow) -> Result<(), Failure> {
        let agent = blow.agent;
        match blow.how {
            How::Runner => self.kill_child(agent, "runner"),
            How::Control => {
                // Each has to come back before it is killed again: otherwise the guard's pauses were all that is tried.
                self.recovered(agent)?;
                self.recovering[agent] = true;
                self.kill_child(agent, "control")
            }
            How::Kill | How::End => {
                (self.away[agent], self.recovering[agent]) = (true, false);
                self.count(if blow.how == How::Kill { "agents killed" } else { "agents told to end" });
                if blow.how == How::Kill { self.cluster.kill(agent) } else { self.cluster.terminate(agent) }
            }
        }
    }

    fn kill_child(&mut self, agent: usize, which: &str) -> Result<(), Failure> {
        let children = family(self.cluster.agents[agent].pid).into_iter().filter(|pid| kind(*pid) == which);
        for pid in children {
            command::signal("KILL", pid)?;
            self.count(if which == "runner" { "runners killed" } else { "control processes killed" });
        }
        Ok(())
    }

    fn recovered(&mut self, agent: usize) -> Result<(), Failure> {
        if std::mem::take(&mut self.recovering[agent]) {
            self.cluster.agents[agent].until_ready()?;
        }
        Ok(())
    }

    fn start_again(&mut self, agent: usize) -> Result<(), Failure> {
        self.away[agent] = false;
        self.cluster.start_again(agent)
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Has every agent run, and know the others.
    pub(super) fn all_back(&mut self, away: &[usize]) -> Result<(), Failure> {
        for agent in away {
            self.start_again(*agent)?;
        }
        for agent in 0..AGENTS {
            self.recovered(agent)?;
        }
        self.cluster.agents.iter().try_for_each(|agent| self.cluster.formed_at(&agent.address))
    }

    /// Removes everything, in steps of numbers from `first` on.
    pub(super) fn remove_all(&mut self, first: usize) -> Result<(), Failure> {
        for number in 0..NAMES {
            if self.asked.wish(&name(number)).is_some() {
                self.step(&Step::calm(first + number, name(number), Order::Steer(Verb::Remove)))?;
            }
        }
        Ok(())
    }

    /// Pushes and waits until it runs, or has ended.
    pub(super) fn push(&mut self, number: usize, name: String, spec: Spec) -> Result<String, Failure> {
        self.step(&Step::calm(number, name, Order::Push { spec, detach: false }))
    }
}

/// By which step the component was pushed that `realm inspect --json` shows.
pub(super) fn pushed_in(object: &Value) -> Option<usize> {
    let pairs = object["component"]["env"].as_array()?;
    pairs.iter().find(|pair| pair[0] == STEP)?[1].as_str()?.parse().ok()
}
