//! Gossip, frames and queues between peers that know one another.

use super::end::{End, PATIENCE, QUIC, Spawner, TCP, config, connect, hello, realm, run};
use shared::Role;
use shared::frame::FrameError;
use shared::mesh::{Mesh, MeshError, MeshEvent, Verdict};
use shared::protocol::{MAX_GOSSIP_BYTES, Protocol, Topic};
use smol::channel::bounded;
use std::sync::Arc;
use std::time::Duration;

async fn members_of_one_realm(executor: Spawner, listen: &str) {
    let a = End::start(&executor, config(1, hello(Role::Node, realm(1)), &[listen])).await;
    let b = End::start(&executor, config(2, hello(Role::Node, realm(1)), &[listen])).await;
    assert_eq!(a.addrs.len(), 1);
    assert!(a.addrs[0].ends_with(&format!("/p2p/{}", a.id())), "{:?}", a.addrs);

    b.mesh.dial(&[&a.addrs[0]]).unwrap();
    let (said, admitted, addr) = b.met_at(a.id()).await;
    assert_eq!((said, admitted, addr), (hello(Role::Node, realm(1)), true, a.addrs[0].clone()));
    assert!(a.met(b.id()).await.1);

    let mut missing = Topic::ALL.to_vec();
    a.until("Subscribed", |event| {
        if let MeshEvent::Subscribed { topic, .. } = event {
            missing.retain(|expected| *expected != topic);
        }
        missing.is_empty().then_some(())
    })
    .await;
    a.mesh.publish(Topic::Reports, b"fine".to_vec()).unwrap();
    assert_eq!(b.gossip(Verdict::Accept).await, (a.id(), Topic::Reports, b"fine".to_vec()));
    a.mesh.publish(Topic::Intents, vec![9; MAX_GOSSIP_BYTES]).unwrap();
    assert_eq!(b.gossip(Verdict::Accept).await.2.len(), MAX_GOSSIP_BYTES);
    let too_long = a.mesh.publish(Topic::Intents, vec![9; MAX_GOSSIP_BYTES + 1]);
    assert!(matches!(too_long, Err(MeshError::TooLong { .. })));

    // Both directions, as soon as Met has said so.
    for (opener, other) in [(&a, &b), (&b, &a)] {
        let mut ours = opener.mesh.open(other.id(), Protocol::Sync).await.unwrap();
        let mut theirs = other.stream(opener.id(), Protocol::Sync).await;
        ours.write_frame(&"question", 100).await.unwrap();
        ours.close().await.unwrap();
        assert_eq!(theirs.read_frame::<String>(100).await, Ok("question".to_owned()));
        assert_eq!(theirs.read_frame::<String>(100).await, Err(MeshError::Ended));
        theirs.write_frame(&"answer", 100).await.unwrap();
        assert_eq!(ours.read_frame::<String>(100).await, Ok("answer".to_owned()));
    }
}

#[test]
fn members_of_one_realm_over_quic() {
    run(async |executor| members_of_one_realm(executor, QUIC).await);
}

#[test]
fn members_of_one_realm_over_tcp() {
    run(async |executor| members_of_one_realm(executor, TCP).await);
}

#[test]
fn a_message_is_passed_on_only_when_it_is_accepted() {
    run(async |executor| {
        let a = End::node(&executor, 1, realm(1)).await;
        let middle = End::node(&executor, 2, realm(1)).await;
        let c = End::node(&executor, 3, realm(1)).await;
        connect(&a, &middle).await;
        connect(&c, &middle).await;
        a.subscribed(middle.id(), Topic::Intents).await;
        middle.subscribed(c.id(), Topic::Intents).await;
        for (data, verdict) in [("forged", Verdict::Reject), ("odd", Verdict::Ignore), ("good", Verdict::Accept)] {
            a.mesh.publish(Topic::Intents, data.into()).unwrap();
            assert_eq!(middle.gossip(verdict).await.2, data.as_bytes());
        }
        let (from, _, data) = c.gossip(Verdict::Accept).await;
        assert_eq!((from, data), (middle.id(), b"good".to_vec()));
    });
}

#[test]
fn long_frames_are_refused_by_both_ends() {
    run(async |executor| {
        let (a, b) = (End::node(&executor, 1, realm(1)).await, End::node(&executor, 2, realm(1)).await);
        connect(&b, &a).await;
        let mut ours = b.mesh.open(a.id(), Protocol::Blob).await.unwrap();
        let mut theirs = a.stream(b.id(), Protocol::Blob).await;
        let text = "x".repeat(1000);
        let refused = ours.write_frame(&text, 500).await;
        assert!(matches!(refused, Err(MeshError::Frame(FrameError::TooLong { cap: 500, .. }))), "{refused:?}");
        ours.write_frame(&text, 2000).await.unwrap();
        let refused = theirs.read_frame::<String>(500).await;
        assert!(matches!(refused, Err(MeshError::Frame(FrameError::TooLong { cap: 500, .. }))), "{refused:?}");
    });
}

#[test]
fn a_silent_peer_is_given_up_and_a_steady_one_is_not() {
    const SILENCE: Duration = Duration::from_millis(300);
    run(async |executor| {
        let (a, b) = (End::node(&executor, 1, realm(1)).await, End::node(&executor, 2, realm(1)).await);
        connect(&b, &a).await;
        let mut ours = b.mesh.open(a.id(), Protocol::Blob).await.unwrap();
        let mut theirs = a.stream(b.id(), Protocol::Blob).await;
        assert_eq!(ours.read_frame_steadily::<u8>(10, SILENCE).await, Err(MeshError::TimedOut));
        // Longer than a stream's window: it goes on only while the other end reads.
        let (long, cap) = ("x".repeat(4 << 20), 5 << 20);
        let text = long.clone();
        let writing = executor.spawn(async move {
            ours.write_frame_steadily(&text, cap, PATIENCE).await.unwrap();
            assert_eq!(ours.write_frame_steadily(&text, cap, SILENCE).await, Err(MeshError::TimedOut));
        });
        assert_eq!(theirs.read_frame_steadily(cap, PATIENCE).await, Ok(long));
        writing.await;
    });
}

#[test]
fn a_torn_frame_is_no_regular_end() {
    run(async |executor| {
        let (a, b) = (End::node(&executor, 1, realm(1)).await, End::node(&executor, 2, realm(1)).await);
        connect(&b, &a).await;
        let mut ours = b.mesh.open(a.id(), Protocol::Blob).await.unwrap();
        let mut theirs = a.stream(b.id(), Protocol::Blob).await;
        ours.write_frame(&1_u8, 10).await.unwrap();
        assert_eq!(theirs.read_frame::<u8>(10).await, Ok(1));
        b.mesh.drop_peer(a.id()).unwrap();
        let torn = theirs.read_frame::<u8>(10).await;
        assert!(matches!(torn, Err(MeshError::Io(_) | MeshError::Ended)), "{torn:?}");
        assert!(matches!(b.mesh.open(a.id(), Protocol::Blob).await, Err(MeshError::NotConnected | MeshError::Io(_))));
    });
}

#[test]
fn a_full_queue_is_refused_and_loses_nothing() {
    run(async |executor| {
        let (sender, events) = bounded(1);
        let config = config(1, hello(Role::Node, realm(1)), &[QUIC]);
        let (mesh, addrs, _task) = Mesh::start(config, Arc::clone(&executor), sender).await.unwrap();
        let mut accepted = 0;
        // Nothing is awaited here, so the mesh has no chance to work off its queue.
        let refusal = loop {
            match mesh.dial(&[&addrs[0]]) {
                Ok(()) => accepted += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refusal, MeshError::Busy);
        assert!(accepted >= 64, "{accepted}");
        for _ in 0..accepted {
            assert!(matches!(events.recv().await, Ok(MeshEvent::DialFailed { .. })));
        }
        mesh.dial(&[&addrs[0]]).unwrap();
        assert!(matches!(events.recv().await, Ok(MeshEvent::DialFailed { .. })));
    });
}
