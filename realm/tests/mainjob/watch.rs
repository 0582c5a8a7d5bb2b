//! What operators ask one node about all others: who is silent holds up nobody, and few may read along at once.

use crate::operator::{Operator, next};
use crate::shell::realm;
use crate::support::{Agent, eventually, owner};
use shared::{LogQuery, NodeId, OwnerKey, RealmId, WatchReply, WatchRequest};
use std::collections::{BTreeMap, BTreeSet};

/// Said of a member whose turn was not over when the whole answer had to end.
const OUT_OF_TIME: &str = "no answer in time";

/// Members that take every question and answer none.
fn silent_members(key: &OwnerKey, of: &Agent, count: usize) -> Vec<Operator> {
    let member = |_| {
        let member = Operator::member(key, RealmId::of_owner(&key.id()));
        assert!(member.meet(of.addr()).1);
        member
    };
    (0..count).map(member).collect()
}

/// Waits until a node is connected to so many others.
fn until_connected(agent: &Agent, peers: usize) {
    eventually("all to be connected", || match agent.metric("realm_peers") {
        seen if seen == peers as u64 => Ok(()),
        seen => Err(seen.to_string()),
    });
}

/// The whole answer to a question: who told of itself, and of whom it is said why not.
fn answer(operator: &Operator, entry: NodeId, request: &WatchRequest) -> (BTreeSet<NodeId>, BTreeMap<NodeId, String>) {
    let mut answer = operator.ask(entry, request);
    let (mut told, mut problems) = (BTreeSet::new(), BTreeMap::new());
    loop {
        match next(&mut answer) {
            WatchReply::Runs(runs) => _ = told.insert(runs.node),
            WatchReply::Log(line) => _ = told.insert(line.node),
            WatchReply::Problem { node, reason } => _ = problems.insert(node, reason),
            WatchReply::End => return (told, problems),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn members_that_are_silent_hold_up_nobody() {
    const SILENT: usize = 4;
    let key = owner(1);
    let agents = Agent::realm(&key, &[&[], &[]]);
    let _members = silent_members(&key, &agents[0], SILENT);
    until_connected(&agents[0], SILENT + 1);
    let operator = Operator::of(&key);
    let (entry, _) = operator.meet(agents[0].addr());
    operator.push(entry, "hello", "hello", |_| {});
    agents.iter().for_each(|agent| _ = agent.until("hello", "completed"));
    let component = "hello".parse().unwrap();
    let query = LogQuery { component: Some("hello".parse().unwrap()), tail: 10, ..LogQuery::default() };
    for request in [WatchRequest::Runs { component, local: false }, WatchRequest::Logs(query)] {
        let (told, problems) = answer(&operator, entry, &request);
        assert_eq!(told, agents.iter().map(Agent::id).collect());
        assert_eq!(problems.len(), SILENT, "{problems:?}");
        // One after another they would take ten seconds each, and there is time for no more than two of them.
        assert!(problems.values().all(|reason| reason != OUT_OF_TIME), "{problems:?}");
    }
}

#[test]
fn an_answer_ends_while_the_operator_waits_however_many_are_silent() {
    // Two rounds of those that are asked at once take as long as there is, and one of them is left.
    const SILENT: usize = 33;
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let _members = silent_members(&key, &agent, SILENT);
    until_connected(&agent, SILENT);
    let operator = Operator::of(&key);
    let (entry, _) = operator.meet(agent.addr());
    operator.push(entry, "hello", "hello", |_| {});
    agent.until("hello", "completed");
    let component = "hello".parse().unwrap();
    let (told, problems) = answer(&operator, entry, &WatchRequest::Runs { component, local: false });
    assert_eq!(told, [entry].into());
    assert_eq!(problems.len(), SILENT, "each of them is named");
    assert!(
        problems.values().any(|reason| reason == OUT_OF_TIME),
        "its end did not wait for all of them: {problems:?}"
    );
}

#[test]
fn a_member_that_does_not_tell_what_it_knows_is_named() {
    let (shell, agents) = realm(&[&[]]);
    assert_eq!(shell.push("hello", "hello", &[]).0, Some(0));
    let member = Operator::member(&owner(1), RealmId::of_owner(&shell.key().parse().unwrap()));
    member.meet(agents[0].addr());
    let both = format!("{},{}", agents[0].addr(), member.addr());
    let warning = format!("{} does not tell what it knows", member.id().short());
    for words in [&["ps"][..], &["inspect", "hello"]] {
        let (code, out, err) = shell.realm(&[words, &["--via", &both]].concat());
        assert!(code == Some(0) && out.contains("hello") && err.contains(&warning), "{words:?}: {code:?} {out} {err}");
    }
}

/// As one that was started a moment ago: it holds what was pushed, and has not heard of whom it is meant for.
#[test]
fn a_node_that_knows_nobody_who_has_it_does_not_say_that_it_is_done() {
    let (shell, agents) = realm(&[&[]]);
    let text = std::fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
    let operator = Operator::of(&OwnerKey::from_secret_text(&text).unwrap());
    let (entry, _) = operator.meet(agents[0].addr());
    operator.push(entry, "ticker", "ticker", |body| body.audience.tags = vec!["dev".parse().unwrap()]);
    for verb in ["stop", "rm"] {
        let (code, _, err) = shell.realm(&[verb, "ticker"]);
        assert!(code == Some(5) && err.contains("no known node matches"), "{verb}: {code:?} {err}");
    }
}

#[test]
fn so_many_read_along_through_a_node_and_no_more() {
    const MOST: usize = 8;
    let key = owner(1);
    let agents = Agent::realm(&key, &[&[], &[]]);
    let operator = Operator::of(&key);
    let (entry, _) = operator.meet(agents[0].addr());
    operator.push(entry, "ticker", "ticker", |_| {});
    agents.iter().for_each(|agent| _ = agent.until("ticker", "running"));
    let component = Some("ticker".parse().unwrap());
    let query = LogQuery { component, tail: 1, follow: true, ..LogQuery::default() };
    let follow = || operator.ask(entry, &WatchRequest::Logs(query.clone()));
    let line_of = |answer: &mut _, agent: &Agent| loop {
        match next(answer) {
            WatchReply::Log(line) if line.node == agent.id() => return,
            WatchReply::Log(_) => {}
            other => panic!("{other:?}"),
        }
    };
    let mut reading: Vec<_> = (0..MOST).map(|_| follow()).collect();
    reading.iter_mut().for_each(|answer| line_of(answer, &agents[1]));
    // One more reads along with this node alone, and is told so.
    let mut more = follow();
    match next(&mut more) {
        WatchReply::Problem { node, reason } => {
            assert_eq!(node, agents[1].id());
            assert!(reason.contains("too many read along"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    line_of(&mut more, &agents[0]);
    // A place that is given back can be had again.
    drop(reading.pop());
    eventually("a place", || match next(&mut follow()) {
        WatchReply::Problem { reason, .. } => Err(reason),
        _ => Ok(()),
    });
}
