//! What was accepted survives the end of every process: it runs again, with or without the others, and what had completed
//! is not run a second time.

use crate::operator::Operator;
use crate::support::{Agent, eventually, owner};

fn greetings(agent: &Agent) -> usize {
    agent.output("hello").iter().filter(|line| *line == "hello from a wasm component").count()
}

fn starts(agent: &Agent) -> usize {
    agent.output("ticker").iter().filter(|line| *line == "ticker: started").count()
}

/// The ticker was started so many times, hello once, and both stand as they should.
fn assert_restored(agent: &Agent, started: usize) {
    agent.until("ticker", "running");
    // Running is told before the guest has said its first word.
    eventually("the first word of the ticker", || match starts(agent) {
        seen if seen == started => Ok(()),
        seen => Err(seen.to_string()),
    });
    let hello = agent.component("hello");
    assert_eq!((&hello["phase"], &hello["last_outcome"]), (&"completed".into(), &"completed".into()), "{hello}");
    assert_eq!(greetings(agent), 1, "hello was run again");
}

#[test]
fn three_agents_killed_at_once_run_again_what_they_had_accepted() {
    let key = owner(1);
    let mut agents = Agent::realm(&key, &[&[], &[], &[]]);
    let operator = Operator::of(&key);
    let (entry, _) = operator.meet(agents[0].addr());
    operator.push(entry, "hello", "hello", |_| {});
    operator.push(entry, "ticker", "ticker", |_| {});
    for agent in &agents {
        agent.until("hello", "completed");
        assert_restored(agent, 1);
    }
    drop(operator);

    agents.iter_mut().for_each(Agent::kill);
    // No others are there.
    agents[2].start_again(&[]);
    assert_restored(&agents[2], 2);
    assert_eq!(agents[2].metric("realm_peers"), 0);

    agents[0].start_again(&[]);
    agents[1].start_again(&[]);
    for agent in &agents {
        assert_restored(agent, 2);
        // Ports are kept, so the nodes find one another again.
        agent.until_sees(3);
    }
}

#[test]
fn a_push_is_on_the_disk_when_its_receipt_is_there() {
    let key = owner(1);
    let mut agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    let bytes = operator.push(node, "ticker", "ticker", |_| {});
    agent.kill();
    drop(operator);
    agent.start_again(&[]);
    // The artifact may not have arrived before: the operator has it, and comes back.
    let operator = Operator::of(&key);
    operator.intent("ticker", "ticker");
    let (node, admitted) = operator.meet(agent.addr());
    assert!(admitted);
    assert_eq!(operator.hand(node, &bytes), shared::Verdict::AlreadyHeld);
    agent.until("ticker", "running");
}
