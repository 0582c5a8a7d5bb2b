//! A push reaches every node that it is meant for, wherever it was handed over, and is reported node by node.

use crate::operator::Operator;
use crate::support::{Agent, eventually, owner};
use shared::{Outcome, Phase};

const DEV: &[&str] = &["--role", "dev"];

/// All of them meet the first one in the same moment, before it can tell any of them of the others.
#[test]
fn nodes_that_start_at_once_find_one_another_and_do_not_need_the_first() {
    let mut agents = Agent::realm(&owner(1), &[DEV, DEV, DEV, DEV]);
    let met = |agents: &[Agent]| {
        for agent in agents {
            eventually("a connection to each of the others", || match agent.metric("realm_peers") {
                seen if seen == agents.len() as u64 - 1 => Ok(()),
                seen => Err(format!("{seen} connections of {}", agent.id())),
            });
        }
    };
    met(&agents);
    agents.remove(0).kill();
    met(&agents);
}

#[test]
fn a_push_by_tag_runs_on_every_node_with_the_tag_and_is_reported_by_each() {
    let key = owner(1);
    let agents = Agent::realm(&key, &[DEV, DEV, DEV, &["--role", "other"]]);
    let operator = Operator::of(&key);
    // The entry is a node that the push is not meant for.
    let (entry, admitted) = operator.meet(agents[3].addr());
    assert!(admitted);
    operator.push(entry, "hello", "hello", |body| body.audience.tags = vec!["dev".parse().unwrap()]);

    let seen = eventually("three nodes report that it completed", || {
        let seen = operator.watch(entry);
        let completed = |report: &shared::NodeReport| {
            report.components.iter().any(|component| {
                component.name.as_str() == "hello"
                    && component.phase == Phase::Completed
                    && component.last_outcome == Some(Outcome::Completed)
            })
        };
        let count = seen.values().filter(|(report, alive)| *alive && completed(report)).count();
        if count == 3 { Ok(seen) } else { Err(format!("{seen:?}")) }
    });
    assert_eq!(seen.len(), 4);
    for agent in &agents[..3] {
        let (report, _) = &seen[&agent.id()];
        assert_eq!(report.components.len(), 1);
        assert_eq!(agent.component("hello")["last_outcome"], "completed");
        let greetings = agent.output("hello").iter().filter(|line| *line == "hello from a wasm component").count();
        assert_eq!(greetings, 1, "on {}", agent.id());
    }
    let (report, alive) = &seen[&agents[3].id()];
    assert!(*alive && report.components.is_empty(), "{report:?}");
    assert!(agents[3].component("hello").is_null());
    assert_eq!(agents[3].output("hello"), Vec::<String>::new());
}

#[test]
fn peer_and_tag_must_both_match() {
    let key = owner(1);
    let agents = Agent::realm(&key, &[DEV, DEV]);
    let operator = Operator::of(&key);
    let (entry, _) = operator.meet(agents[0].addr());
    let only = agents[1].id();
    operator.push(entry, "finish", "finish", |body| {
        body.audience.tags = vec!["dev".parse().unwrap()];
        body.audience.peers = vec![only];
    });
    operator.push(entry, "nowhere", "finish", |body| {
        body.audience.tags = vec!["absent".parse().unwrap()];
        body.audience.peers = vec![only];
    });
    agents[1].until("finish", "completed");
    // The second push came after the first: whoever has acted on it has acted on both.
    agents.iter().for_each(|agent| agent.until_accepted(2));
    assert!(agents[0].component("finish").is_null());
    assert!(agents.iter().all(|agent| agent.component("nowhere").is_null()));
}

#[test]
fn a_node_that_was_off_gets_the_push_from_its_neighbour() {
    let key = owner(1);
    let mut agents = Agent::realm(&key, &[DEV, DEV]);
    let mut late = agents.pop().unwrap();
    late.kill();
    let operator = Operator::of(&key);
    let (entry, _) = operator.meet(agents[0].addr());
    operator.push(entry, "hello", "hello", |_| {});
    operator.push(entry, "ticker", "ticker", |_| {});
    agents[0].until("hello", "completed");
    agents[0].until("ticker", "running");
    drop(operator);

    late.start_again(&[]);
    late.until("hello", "completed");
    late.until("ticker", "running");
    assert!(late.output("hello").contains(&"hello from a wasm component".to_owned()));
}

#[test]
fn a_later_push_replaces_what_runs() {
    let key = owner(1);
    let agents = Agent::realm(&key, &[DEV, DEV]);
    let operator = Operator::of(&key);
    let (entry, _) = operator.meet(agents[0].addr());
    operator.push(entry, "service", "ticker", |_| {});
    agents.iter().for_each(|agent| drop(agent.until("service", "running")));
    operator.push(entry, "service", "hello", |_| {});
    for agent in &agents {
        agent.until("service", "completed");
        assert!(agent.output("service").contains(&"hello from a wasm component".to_owned()));
        assert_eq!(agent.component("service")["running"], 0);
    }
}
