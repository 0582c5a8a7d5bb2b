//! Who gets what: members, strangers, operators, and a node that is claimed.

use super::end::{End, QUIC, config, connect, hello, is_refused, realm, run};
use shared::Role;
use shared::mesh::{MeshEvent, Verdict};
use shared::protocol::{Protocol, Topic};
use std::time::Duration;

#[test]
fn another_realm_gets_nothing() {
    run(async |executor| {
        let (a, b) = (End::node(&executor, 1, realm(1)).await, End::node(&executor, 2, realm(2)).await);
        assert_eq!(connect(&b, &a).await, (false, false));
        for protocol in [Protocol::Intent, Protocol::Sync, Protocol::Blob, Protocol::Watch] {
            assert!(is_refused(b.mesh.open(a.id(), protocol).await, protocol), "{protocol:?}");
            assert!(is_refused(a.mesh.open(b.id(), protocol).await, protocol), "{protocol:?}");
        }
        b.mesh.publish(Topic::Intents, b"for all".to_vec()).unwrap();
        b.until("PublishUnheard", |event| {
            matches!(event, MeshEvent::PublishUnheard { topic: Topic::Intents }).then_some(())
        })
        .await;
    });
}

#[test]
fn a_stranger_is_dropped_after_its_time() {
    run(async |executor| {
        let mut short = config(1, hello(Role::Node, realm(1)), &[QUIC]);
        short.limits.hello_timeout = Duration::from_secs(1);
        let a = End::start(&executor, short).await;
        let b = End::node(&executor, 2, None).await;
        let member = End::node(&executor, 3, realm(1)).await;
        assert_eq!(connect(&member, &a).await, (true, true));
        connect(&b, &a).await;
        b.gone(a.id()).await;
        a.gone(b.id()).await;
        assert!(member.mesh.open(a.id(), Protocol::Sync).await.is_ok(), "a member stays");
    });
}

#[test]
fn an_operator_claims_a_node() {
    run(async |executor| {
        // Time enough for a stranger only; the operator must not count as one.
        let mut unclaimed = config(1, hello(Role::Node, None), &[QUIC]);
        unclaimed.limits.hello_timeout = Duration::from_secs(1);
        let node = End::start(&executor, unclaimed).await;
        let operator = End::operator(&executor, 2, realm(1)).await;
        let stranger = End::node(&executor, 3, realm(1)).await;
        assert_eq!(connect(&operator, &node).await, (false, false));
        assert_eq!(connect(&stranger, &node).await, (false, false));
        assert!(is_refused(stranger.mesh.open(node.id(), Protocol::Intent).await, Protocol::Intent));
        stranger.gone(node.id()).await;

        for protocol in [Protocol::Sync, Protocol::Blob, Protocol::Watch] {
            assert!(is_refused(operator.mesh.open(node.id(), protocol).await, protocol), "{protocol:?}");
        }
        assert!(is_refused(node.mesh.open(operator.id(), Protocol::Intent).await, Protocol::Intent));
        let mut claim = operator.mesh.open(node.id(), Protocol::Intent).await.unwrap();
        claim.write_frame(&"mine", 100).await.unwrap();
        let mut asked = node.stream(operator.id(), Protocol::Intent).await;
        assert_eq!(asked.read_frame::<String>(100).await, Ok("mine".to_owned()));

        node.mesh.set_hello(hello(Role::Node, realm(1))).unwrap();
        assert_eq!(operator.met(node.id()).await, (hello(Role::Node, realm(1)), true));
        assert!(node.met(operator.id()).await.1);
        assert!(operator.mesh.open(node.id(), Protocol::Watch).await.is_ok());
        assert!(node.mesh.open(operator.id(), Protocol::Blob).await.is_ok());
        // The stream of the claim has outlived the change: the receipt can still be given.
        asked.write_frame(&"yours", 100).await.unwrap();
        assert_eq!(claim.read_frame::<String>(100).await, Ok("yours".to_owned()));

        assert_eq!(connect(&stranger, &node).await, (true, true));
        stranger.subscribed(node.id(), Topic::Intents).await;
    });
}

#[test]
fn two_that_are_claimed_one_after_the_other_find_together() {
    run(async |executor| {
        let (a, b) = (End::node(&executor, 1, None).await, End::node(&executor, 2, None).await);
        assert_eq!(connect(&a, &b).await, (false, false));
        a.mesh.set_hello(hello(Role::Node, realm(1))).unwrap();
        assert_eq!(b.met(a.id()).await, (hello(Role::Node, realm(1)), false));
        b.mesh.set_hello(hello(Role::Node, realm(1))).unwrap();
        assert_eq!(a.met(b.id()).await, (hello(Role::Node, realm(1)), true));
        assert!(b.met(a.id()).await.1);
        a.subscribed(b.id(), Topic::Intents).await;
        a.mesh.publish(Topic::Intents, b"at last".to_vec()).unwrap();
        assert_eq!(b.gossip(Verdict::Accept).await.2, b"at last");
    });
}

#[test]
fn one_peer_has_a_bounded_number_of_streams() {
    run(async |executor| {
        let (a, b) = (End::node(&executor, 1, realm(1)).await, End::node(&executor, 2, realm(1)).await);
        connect(&b, &a).await;
        let mut held = Vec::new();
        for _ in 0..32 {
            let ours = b.mesh.open(a.id(), Protocol::Sync).await.unwrap();
            held.push((ours, a.stream(b.id(), Protocol::Sync).await));
        }
        let mut beyond = b.mesh.open(a.id(), Protocol::Sync).await.unwrap();
        assert!(beyond.read_frame::<String>(10).await.is_err(), "the stream is reset");
        held.pop();
        let mut again = b.mesh.open(a.id(), Protocol::Sync).await.unwrap();
        let mut theirs = a.stream(b.id(), Protocol::Sync).await;
        theirs.write_frame(&"room", 10).await.unwrap();
        assert_eq!(again.read_frame::<String>(10).await, Ok("room".to_owned()));
    });
}
