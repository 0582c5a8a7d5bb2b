//! A node that nobody has claimed: the first valid push binds its owner and runs; nobody else is obeyed afterwards.

use crate::operator::{Operator, code};
use crate::support::{Agent, owner};
use shared::RealmId;
use shared::mesh::MeshError;
use shared::protocol::Protocol;

/// Somebody who names the realm of the owner, and signs with a key of their own.
fn intruder(number: u8) -> Operator {
    Operator::signing_with(&owner(number), RealmId::of_owner(&owner(1).id()))
}

fn assert_obeys_the_first_only(agent: &Agent) {
    let (node, admitted) = {
        let first = Operator::of(&owner(1));
        first.meet(agent.addr())
    };
    assert!(admitted, "the node is of the realm of its owner");
    let second = intruder(2);
    second.meet(agent.addr());
    let before = agent.refused("other-owner");
    let bytes = second.seal(&second.intent("other", "hello"));
    assert_eq!(code(&second.hand(node, &bytes)), "other-owner");
    assert_eq!(agent.refused("other-owner"), before + 1);
    assert!(agent.component("other").is_null());
}

#[test]
fn the_first_push_claims_the_node_and_runs() {
    let mut agent = Agent::start(&[]);
    assert!(agent.status()["realm"].is_null());
    let first = Operator::of(&owner(1));
    let (node, admitted) = first.meet(agent.addr());
    assert!(!admitted, "nobody has claimed it");
    first.push(node, "hello", "hello", |body| body.payload.component.args = vec!["one".into()]);

    let hello = agent.until("hello", "completed");
    assert_eq!(hello["last_outcome"], "completed");
    let output = agent.output("hello");
    assert!(output.contains(&"hello from a wasm component".to_owned()), "{output:?}");
    assert!(output.iter().any(|line| line.ends_with(": one")), "{output:?}");
    let realm = RealmId::of_owner(&owner(1).id()).to_string();
    assert_eq!(agent.status()["realm"], realm.as_str());
    assert_eq!(agent.stderr().matches("CLAIMED").count(), 1);
    drop(first);

    assert_obeys_the_first_only(&agent);
    agent.kill();
    agent.start_again(&[]);
    assert_eq!(agent.status()["realm"], realm.as_str());
    assert_obeys_the_first_only(&agent);
    assert_eq!(agent.component("hello")["phase"], "completed");
}

#[test]
fn somebody_of_another_realm_is_not_even_heard() {
    let agent = Agent::start(&["--owner", &owner(1).id().to_string()]);
    let stranger = Operator::of(&owner(2));
    let (node, admitted) = stranger.meet(agent.addr());
    assert!(!admitted);
    let bytes = stranger.seal(&stranger.intent("other", "hello"));
    let answer = stranger.try_hand(node, &bytes);
    assert_eq!(answer, Err(MeshError::Refused { protocol: Protocol::Intent }));
    assert!(agent.component("other").is_null());
}

#[test]
fn what_is_not_valid_claims_nothing() {
    let agent = Agent::start(&[]);
    let first = Operator::of(&owner(1));
    let (node, _) = first.meet(agent.addr());
    let mut bytes = first.seal(&first.intent("hello", "hello"));
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(code(&first.hand(node, &bytes)), "bad-signature");
    assert!(agent.status()["realm"].is_null());
    // It is still there for whoever comes with a valid one.
    first.push(node, "hello", "hello", |_| {});
    agent.until("hello", "completed");
}

#[test]
fn without_trust_on_first_use_nobody_is_obeyed() {
    let agent = Agent::start(&["--no-tofu"]);
    let first = Operator::of(&owner(1));
    let (node, _) = first.meet(agent.addr());
    let bytes = first.seal(&first.intent("hello", "hello"));
    assert_eq!(code(&first.hand(node, &bytes)), "unclaimed");
    assert_eq!(agent.refused("unclaimed"), 1);
    assert!(agent.status()["realm"].is_null());
    assert!(agent.component("hello").is_null());
}
