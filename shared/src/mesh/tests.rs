//! What a hostile peer can do, tried with a swarm that does not keep our rules.

use super::gossip;
use super::limits::MAX_HELD_GOSSIP;
use super::node::{self, Behaviour, BehaviourEvent};
use super::task::Connections;
use super::*;
use crate::protocol::MAX_HELLO_BYTES;
use crate::{RealmId, Role};
use futures::{StreamExt, pin_mut, select};
use libp2p::PeerId;
use libp2p::gossipsub::Event as GossipEvent;
use libp2p::swarm::{Swarm, SwarmEvent};
use std::time::Duration;

const REALM: [u8; 32] = [3; 32];
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

fn config(seed: u8, limits: Limits) -> MeshConfig {
    let hello = Hello {
        realm: Some(RealmId::from_bytes(REALM)),
        role: Role::Node,
        boot: 0,
        version: "0.1.0".into(),
        platform: "linux/x86_64".into(),
        tags: Vec::new(),
        addrs: Vec::new(),
        highest_seq: 0,
        crowded: false,
    };
    MeshConfig { seed: [seed; 32], hello, listen: vec![QUIC.into()], lan: false, limits }
}

fn run<T>(test: impl AsyncFnOnce(Arc<Executor<'static>>) -> T) -> T {
    let executor = Arc::new(Executor::new());
    let late = async {
        Timer::after(Duration::from_secs(30)).await;
        panic!("took too long")
    };
    smol::block_on(executor.run(Compat::new(smol::future::or(test(Arc::clone(&executor)), late))))
}

/// A swarm without `Node`, which does nothing that it is not told to do.
fn raw(seed: u8, executor: &Arc<Executor<'static>>) -> Swarm<Behaviour> {
    node::swarm(&config(seed, Limits::default()), Connections::new(executor)).unwrap()
}

async fn listening(swarm: &mut Swarm<Behaviour>) -> libp2p::Multiaddr {
    swarm.listen_on(QUIC.parse().unwrap()).unwrap();
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return address;
        }
    }
}

/// What the victim has read, and how much it holds, when a peer that it does not admit has sent a flood; then what it
/// reads once the peer is admitted.
#[test]
fn gossip_of_a_stranger_is_held_within_bounds() {
    run(async |executor| {
        let (mut victim, mut peer) = (raw(1, &executor), raw(2, &executor));
        let victim_id = *victim.local_peer_id();
        let intents = gossip::ident(&RealmId::from_bytes(REALM), Topic::Intents);
        for swarm in [&mut victim, &mut peer] {
            swarm.behaviour_mut().gossip.subscribe(&intents).unwrap();
        }
        peer.dial(listening(&mut victim).await).unwrap();
        let written = future::Fuse::terminated();
        pin_mut!(written);
        loop {
            select! {
                event = peer.select_next_some() => match event {
                    SwarmEvent::ConnectionEstablished { .. } => peer.behaviour_mut().gossip.admit(victim_id, true),
                    SwarmEvent::Behaviour(BehaviourEvent::Gossip(GossipEvent::Subscribed { .. })) => {
                        for byte in 0..100 {
                            peer.behaviour_mut().gossip.publish(intents.clone(), vec![byte; 100]).unwrap();
                        }
                        let (reply, opened) = oneshot::channel();
                        peer.behaviour_mut().streams.open(victim_id, None, Protocol::Hello, reply);
                        written.set(opened.fuse());
                    }
                    _ => {}
                },
                event = victim.select_next_some() => {
                    let told = matches!(event, SwarmEvent::Behaviour(BehaviourEvent::Gossip(_)));
                    assert!(!told, "{event:?}");
                }
                // Both ends have worked on the connection since the flood was handed to it.
                _ = written => break,
            }
        }
        let peer_id = *peer.local_peer_id();
        let held = victim.behaviour().gossip.held(&peer_id);
        assert!((2..=MAX_HELD_GOSSIP).contains(&held), "{held}");

        victim.behaviour_mut().gossip.admit(peer_id, true);
        assert_eq!(victim.behaviour().gossip.held(&peer_id), 0);
        assert_eq!(victim.behaviour().gossip.mesh_peers(&intents.hash()).count(), 1, "a neighbour at once");
    });
}

/// Connects a hostile swarm to a real mesh, lets it do `act`, and waits until the mesh closes the connection.
fn until_closed(
    limits: Limits,
    act: impl FnOnce(&mut Swarm<Behaviour>, PeerId) -> Option<future::BoxFuture<'static, ()>>,
) {
    run(async |executor| {
        let (events, _inbox) = bounded(8);
        let (mesh, addrs, _task) = Mesh::start(config(1, limits), Arc::clone(&executor), events).await.unwrap();
        let mut hostile = raw(2, &executor);
        hostile.dial(addrs[0].parse::<libp2p::Multiaddr>().unwrap()).unwrap();
        let victim = peer::peer_id(&mesh.local()).unwrap();
        let mut act = Some(act);
        let work = future::OptionFuture::from(None::<future::BoxFuture<'static, ()>>).fuse();
        pin_mut!(work);
        loop {
            select! {
                event = hostile.select_next_some() => match event {
                    SwarmEvent::ConnectionEstablished { .. } => {
                        let begun = act.take().and_then(|act| act(&mut hostile, victim));
                        work.set(future::OptionFuture::from(begun).fuse());
                    }
                    SwarmEvent::ConnectionClosed { .. } => return,
                    _ => {}
                },
                _ = work => {}
            }
        }
    });
}

#[test]
fn gossip_without_a_hello_is_never_told() {
    run(async |executor| {
        let (events, inbox) = bounded(64);
        let limits = Limits { hello_timeout: Duration::from_millis(500), ..Limits::default() };
        let (_mesh, addrs, _task) = Mesh::start(config(1, limits), Arc::clone(&executor), events).await.unwrap();
        let mut hostile = raw(2, &executor);
        hostile.dial(addrs[0].parse::<libp2p::Multiaddr>().unwrap()).unwrap();
        let intents = gossip::ident(&RealmId::from_bytes(REALM), Topic::Intents);
        hostile.behaviour_mut().gossip.subscribe(&intents).unwrap();
        loop {
            match hostile.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    hostile.behaviour_mut().gossip.admit(peer_id, true)
                }
                SwarmEvent::Behaviour(BehaviourEvent::Gossip(GossipEvent::Subscribed { .. })) => {
                    // The second one meets a connection that is warm. The victim subscribes to two topics.
                    let _ = hostile.behaviour_mut().gossip.publish(intents.clone(), vec![1; 100]);
                    let _ = hostile.behaviour_mut().gossip.publish(intents.clone(), vec![2; 100]);
                }
                SwarmEvent::ConnectionClosed { .. } => break,
                _ => {}
            }
        }
        // Neither the messages, nor the subscription of somebody who was never met.
        let told = inbox.try_recv();
        assert!(told.is_err(), "{told:?}");
    });
}

#[test]
fn silence_is_ended_by_the_deadline() {
    let limits = Limits { hello_timeout: Duration::from_millis(100), ..Limits::default() };
    until_closed(limits, |_, _| None);
}

#[test]
fn a_hello_that_is_too_long_ends_the_connection() {
    // No deadline may be what ends it.
    let limits = Limits { hello_timeout: Duration::from_secs(3600), ..Limits::default() };
    until_closed(limits, |hostile, victim| {
        let (reply, stream) = oneshot::channel();
        hostile.behaviour_mut().streams.open(victim, None, Protocol::Hello, reply);
        let work = async move {
            let mut stream = MeshStream::new(stream.await.unwrap().unwrap(), None);
            // An announcement of one byte too many is enough, whatever follows.
            let _ = stream.write_frame(&vec![0_u8; MAX_HELLO_BYTES], MAX_HELLO_BYTES * 2).await;
            future::pending::<()>().await;
        };
        Some(work.boxed())
    });
}

#[test]
fn a_stranger_is_offered_nothing_but_hello() {
    run(async |executor| {
        let (events, _inbox) = bounded(8);
        let config = config(1, Limits::default());
        let (mesh, addrs, _task) = Mesh::start(config, Arc::clone(&executor), events).await.unwrap();
        let mut hostile = raw(2, &executor);
        hostile.dial(addrs[0].parse::<libp2p::Multiaddr>().unwrap()).unwrap();
        let victim = peer::peer_id(&mesh.local()).unwrap();
        while !matches!(hostile.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
        // Hello comes last: it is not followed up, which ends the connection.
        for protocol in Protocol::ALL.into_iter().rev() {
            let (reply, answer) = oneshot::channel();
            hostile.behaviour_mut().streams.open(victim, None, protocol, reply);
            let answer = answer.fuse();
            pin_mut!(answer);
            let opened = loop {
                select! {
                    _ = hostile.select_next_some() => {}
                    answer = answer => break answer.unwrap(),
                }
            };
            match protocol {
                Protocol::Hello => assert!(opened.is_ok(), "{opened:?}"),
                _ => assert!(matches!(opened, Err(MeshError::Refused { .. })), "{protocol:?}: {opened:?}"),
            }
        }
    });
}
