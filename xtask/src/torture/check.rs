//! Whether agents run what was asked for, and whether every file of theirs has its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::census::Census;
use super::deeds::{Doer, pushed_in};
use super::files::Explained;
use super::plan::AGENTS;
use crate::Failure;
use crate::command::Echo;

/// All has come to rest within this time: what ended with its runner begins again after a pause, which has doubled with every
/// runner that was killed in the minute before.
const AT_REST_WITHIN: Duration = Duration::from_secs(150);
/// Pause between two looks; see [`until`].
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Looks until it is so, or until [`AT_REST_WITHIN`] has passed. Agents tell an operator of each change, but nothing tells
/// anybody that all of them are done, so this looks again, as one would by hand.
pub(super) fn until<T, E>(mut look: impl FnMut() -> Result<Result<T, E>, Failure>) -> Result<Result<T, E>, Failure> {
    let begun = Instant::now();
    loop {
        match look()? {
            Err(_) if begun.elapsed() < AT_REST_WITHIN => thread::sleep(LOOK_AGAIN_AFTER),
            found => return Ok(found),
        }
    }
}

fn wrong(doer: &Doer) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    for (number, agent) in doer.cluster.agents.iter().enumerate() {
        wrong.extend(doer.asked.differences(number, &parsed(&agent.get("/status")?)?));
    }
    Ok(wrong)
}

/// Waits until each agent says of itself that it runs what was asked for, and says how long that took.
pub(super) fn at_rest(doer: &Doer) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let found = until(|| {
        let wrong = wrong(doer)?;
        Ok(if wrong.is_empty() { Ok(()) } else { Err(wrong) })
    })?;
    match found {
        Ok(()) => Ok(begun.elapsed()),
        Err(wrong) => {
            let (wrong, within) = (wrong.join("\n  "), AT_REST_WITHIN.as_secs());
            let logs: String = doer.cluster.agents.iter().map(|agent| agent.log_tail()).collect();
            Err(format!("{within} s after the last step it is not as asked for:\n  {wrong}{logs}"))
        }
    }
}

/// The same by `realm`, through each agent.
pub(super) fn confirm(doer: &Doer) -> Result<(), Failure> {
    for (number, agent) in doer.cluster.agents.iter().enumerate() {
        let via = ["--via", agent.address.as_str()];
        let ask =
            |words: &[&str]| parsed(&doer.cluster.expect(&[words, &["--json"], &via].concat(), 0, Echo::Quiet)?.stdout);
        // What one agent says of itself reaches the next a moment later.
        let wrong = until(|| {
            let wrong = [listed(doer, &ask(&["ps"])?), alive(&ask(&["status"])?)].concat();
            Ok(if wrong.is_empty() { Ok(()) } else { Err(wrong) })
        })?;
        if let Err(wrong) = wrong {
            return Err(format!("through agent {}:\n  {}", number + 1, wrong.join("\n  ")));
        }
        for (name, wish) in doer.asked.wishes() {
            let object = ask(&["inspect", name])?;
            let intent = object["intent"].as_str().unwrap_or_default();
            if intent != wish.intent || pushed_in(&object) != Some(wish.pushed_in) {
                return Err(format!("through agent {}, `{name}` is not {wish:?} but {object}", number + 1));
            }
        }
    }
    Ok(())
}

/// Where `realm ps` differs from what was asked for: names, nodes, and what runs all the time.
fn listed(doer: &Doer, ps: &Value) -> Vec<String> {
    let mut listed: BTreeMap<&str, &Value> = BTreeMap::new();
    for component in ps["components"].as_array().into_iter().flatten() {
        listed.insert(component["name"].as_str().unwrap_or_default(), component);
    }
    let mut wrong = Vec::new();
    for (name, wish) in doer.asked.wishes() {
        let nodes = (0..AGENTS).filter(|agent| wish.spec.is_for(*agent)).count() as u64;
        let instances = nodes * wish.spec.replicas as u64;
        let Some(found) = listed.remove(name) else {
            wrong.push(format!("`realm ps` lacks {name}"));
            continue;
        };
        let (on, away, running) = (found["nodes"].as_u64(), found["away"].as_u64(), found["running"].as_u64());
        if on != Some(nodes) || away != Some(0) || (wish.runs() && running != Some(instances)) {
            wrong.push(format!("`realm ps` has {found}, and {name} is for {nodes} nodes, {instances} instances"));
        }
    }
    wrong.extend(listed.keys().map(|name| format!("`realm ps` has {name}, which was removed")));
    wrong
}

fn alive(status: &Value) -> Vec<String> {
    let nodes = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let alive = nodes.iter().filter(|node| node["alive"] == true).count();
    if (nodes.len(), alive) == (AGENTS, AGENTS) {
        Vec::new()
    } else {
        vec![format!("`realm status` has {} nodes, {alive} of them alive", nodes.len())]
    }
}

/// Reasons for files, from what is asked for and what `realm ps` says of its artifacts.
pub(super) fn explanation(doer: &Doer) -> Result<Explained, Failure> {
    let ps = parsed(&doer.cluster.expect(&["ps", "--json"], 0, Echo::Quiet)?.stdout)?;
    let components = ps["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    let digests = components.iter().flat_map(|component| component["digests"].as_array().into_iter().flatten());
    let hex = |digest: &Value| Some(digest.as_str()?.strip_prefix("sha256:")?.to_owned());
    Ok(Explained {
        names: doer.asked.names().map(str::to_owned).collect(),
        live: doer.asked.wishes().map(|(name, _)| name.to_owned()).collect(),
        digests: digests.filter_map(hex).collect::<BTreeSet<_>>(),
    })
}

/// Every file has its reason, or has within a moment: artifacts go after what they were replaced by has come.
pub(super) fn explained(doer: &Doer) -> Result<(), Failure> {
    let left = until(|| {
        let left = Census::take(&doer.cluster, &explanation(doer)?)?.unexplained();
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })?;
    match left {
        Ok(()) => Ok(()),
        Err(left) => Err(format!("files without a reason:\n  {}", left.join("\n  "))),
    }
}

/// No process has panicked, whoever started it anew.
pub(super) fn panics(doer: &Doer) -> Result<(), Failure> {
    let mut panics = Vec::new();
    for (number, agent) in doer.cluster.agents.iter().enumerate() {
        panics.extend(
            agent
                .said()
                .lines()
                .filter(|line| line.contains("panicked at"))
                .map(|line| format!("agent {}: {line}", number + 1)),
        );
    }
    if panics.is_empty() { Ok(()) } else { Err(panics.join("\n")) }
}

fn parsed(json: &str) -> Result<Value, Failure> {
    serde_json::from_str(json).map_err(|error| format!("not JSON ({error}): {json}"))
}
