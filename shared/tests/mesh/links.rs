//! Addresses, dials, listeners, and the end of connections.

use super::end::{End, QUIC, TCP, config, connect, hello, realm, run};
use shared::mesh::{Mesh, MeshError, MeshEvent};
use shared::protocol::{Protocol, Topic};
use shared::{Hello, NodeId, Role};
use smol::channel::{Sender, bounded};
use smol::{Executor, Timer};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn both_dial_at_once_and_meet_once() {
    for listen in [QUIC, TCP] {
        run(async |executor| {
            let a = End::start(&executor, config(1, hello(Role::Node, realm(1)), &[listen])).await;
            let b = End::start(&executor, config(2, hello(Role::Node, realm(1)), &[listen])).await;
            a.mesh.dial(&[&b.addrs[0]]).unwrap();
            b.mesh.dial(&[&a.addrs[0]]).unwrap();
            assert!(a.met(b.id()).await.1 && b.met(a.id()).await.1);
            // A stream each way proves that the pair works, whichever connections have survived.
            assert!(a.mesh.open(b.id(), Protocol::Sync).await.is_ok());
            assert!(b.mesh.open(a.id(), Protocol::Sync).await.is_ok());
            a.mesh.drop_peer(b.id()).unwrap();
            for (end, other) in [(&a, b.id()), (&b, a.id())] {
                end.until("Gone without another Met", |event| match event {
                    MeshEvent::Met { .. } => panic!("met twice: {event:?}"),
                    MeshEvent::DialFailed { .. } => panic!("failed: {event:?}"),
                    MeshEvent::Gone { peer } => (peer == other).then_some(()),
                    _ => None,
                })
                .await;
            }
        });
    }
}

#[test]
fn a_taken_port_is_named() {
    run(async |executor| {
        let a = End::start(&executor, config(1, hello(Role::Node, None), &[QUIC, TCP])).await;
        assert_eq!(a.addrs.len(), 2);
        for addr in &a.addrs {
            let taken = addr.split("/p2p/").next().unwrap();
            let (sender, _events) = bounded(8);
            let second = config(2, hello(Role::Node, None), &[QUIC, taken]);
            let error = Mesh::start(second, Arc::clone(&executor), sender).await.map(drop).unwrap_err();
            let MeshError::Listen { addr, reason } = &error else { panic!("{error:?}") };
            assert_eq!(addr, taken);
            assert!(reason.contains("in use"), "{reason}");
            assert!(error.to_string().contains("\nhint: "), "{error}");
        }
    });
}

#[test]
fn a_wildcard_tells_its_addresses() {
    run(async |executor| {
        let listen = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"];
        let a = End::start(&executor, config(1, hello(Role::Node, None), &listen)).await;
        for (host, transport) in [("/ip4/127.0.0.1/", "/quic-v1/"), ("/ip4/127.0.0.1/", "/tcp/")] {
            assert!(a.addrs.iter().any(|addr| addr.starts_with(host) && addr.contains(transport)), "{:?}", a.addrs);
        }
        assert!(a.addrs.iter().all(|addr| !addr.contains("0.0.0.0")), "{:?}", a.addrs);
    });
}

#[test]
fn shutdown_is_noticed_at_once() {
    for listen in [QUIC, TCP] {
        run(async |executor| {
            let a = End::start(&executor, config(1, hello(Role::Node, realm(1)), &[listen])).await;
            let b = End::start(&executor, config(2, hello(Role::Node, realm(1)), &[listen])).await;
            connect(&b, &a).await;
            let (id, begun) = (b.id(), Instant::now());
            b.task.shutdown().await;
            a.gone(id).await;
            // The idle time of a connection that ends without a word is ten seconds.
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
            assert!(matches!(b.mesh.dial(&[&a.addrs[0]]), Err(MeshError::Stopped)));
        });
    }
}

#[test]
fn who_was_started_anew_begins_from_nothing() {
    for listen in [QUIC, TCP] {
        run(async |executor| {
            let a = End::start(&executor, config(1, hello(Role::Node, realm(1)), &[listen])).await;
            let started = |boot| config(2, Hello { boot, ..hello(Role::Node, realm(1)) }, &[listen]);
            // It stays, as the connections of a process that was killed do for a while: nothing tells its peers.
            let before = End::start(&executor, started(1)).await;
            connect(&before, &a).await;
            let after = End::start(&executor, started(2)).await;
            after.mesh.dial(&[&a.addrs[0]]).unwrap();
            a.until("Gone without another Met", |event| match event {
                MeshEvent::Met { hello, .. } if hello.boot == 2 => panic!("met beside its former connection"),
                MeshEvent::Gone { peer } => (peer == after.id()).then_some(()),
                _ => None,
            })
            .await;
            after
                .until("the end of its connection", |event| {
                    matches!(event, MeshEvent::DialFailed { .. } | MeshEvent::Gone { .. }).then_some(())
                })
                .await;
            connect(&after, &a).await;
            a.subscribed(after.id(), Topic::Intents).await;
            after.subscribed(a.id(), Topic::Intents).await;
        });
    }
}

#[test]
fn dropping_the_task_ends_everything() {
    run(async |executor| {
        let a = End::start(&executor, config(1, hello(Role::Node, realm(1)), &[TCP])).await;
        let b = End::start(&executor, config(2, hello(Role::Node, realm(1)), &[TCP])).await;
        connect(&b, &a).await;
        let End { mesh, addrs, events, task } = b;
        drop(task);
        a.gone(mesh.local()).await;
        while events.recv().await.is_ok() {}
        // The port is free again.
        let listen = addrs[0].split("/p2p/").next().unwrap();
        End::start(&executor, config(3, hello(Role::Node, None), &[listen])).await;
    });
}

#[test]
fn a_failed_dial_says_why() {
    run(async |executor| {
        let (a, b) = (End::node(&executor, 1, realm(1)).await, End::node(&executor, 2, realm(1)).await);
        let itself = "that is this node itself";
        assert_eq!(a.dial_failed(&a.addrs[0]).await, itself);
        let bare = b.addrs[0].split("/p2p/").next().unwrap();
        let wrong = format!("{bare}/p2p/{}", NodeId::of_seed(&[9; 32]));
        assert_eq!(a.dial_failed(&wrong).await, format!("another peer answers there: `{}`", b.id()));
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let reason = a.dial_failed(&format!("/ip4/127.0.0.1/tcp/{free}")).await;
        assert_eq!(reason, "connection refused: nothing listens there");
        let reason = a.dial_failed("/dns/no-such-host.invalid/tcp/1").await;
        assert!(reason.starts_with("cannot resolve `no-such-host.invalid`"), "{reason}");
        assert!(matches!(a.mesh.dial(&["192.0.2.1:4001"]), Err(MeshError::BadAddr { .. })));
    });
}

#[test]
fn names_and_the_old_spelling_of_quic_are_dialled() {
    run(async |executor| {
        let (a, b) = (End::node(&executor, 1, realm(1)).await, End::node(&executor, 2, realm(1)).await);
        let port = a.addrs[0].split('/').nth(4).unwrap();
        b.mesh.dial(&[&format!("/dns4/localhost/udp/{port}/quic")]).unwrap();
        let leads = b.until("Leads", |event| match event {
            MeshEvent::Leads { addr, peer } => Some((addr, peer)),
            _ => None,
        });
        assert_eq!(leads.await, (format!("/dns4/localhost/udp/{port}/quic"), a.id()));
        let (_, admitted, addr) = b.met_at(a.id()).await;
        assert_eq!((admitted, addr), (true, format!("/dns4/localhost/udp/{port}/quic-v1/p2p/{}", a.id())));
    });
}

#[test]
fn a_silent_tcp_peer_is_noticed() {
    run(async |executor| {
        let mut quick = config(1, hello(Role::Node, realm(1)), &[TCP]);
        quick.limits.hello_timeout = Duration::from_secs(2);
        quick.limits.probe_interval = Duration::from_millis(200);
        let a = End::start(&executor, quick).await;
        let member = End::start(&executor, config(2, hello(Role::Node, realm(1)), &[])).await;
        connect(&member, &a).await;

        let silent = Silent::peer_of(&a);
        assert!(a.met(silent.id()).await.1);
        silent.freeze();
        a.gone(silent.id()).await;
        assert!(member.mesh.open(a.id(), Protocol::Sync).await.is_ok(), "who answers stays");
    });
}

/// Its former connection is open still at the other end, which has to begin anew with it: gossip tells a peer that has never
/// been away nothing.
#[test]
fn a_peer_that_has_lost_its_connection_comes_again() {
    /// Longer than two peers that dial one another at the same time take.
    const LOST_FOR: Duration = Duration::from_millis(3_200);
    for listen in [QUIC, TCP] {
        run(async |executor| {
            let a = End::start(&executor, config(1, hello(Role::Node, realm(1)), &[listen])).await;
            let silent = Silent::peer_of(&a);
            a.subscribed(silent.id(), Topic::Intents).await;
            silent.freeze();
            Timer::after(LOST_FOR).await;
            let again = End::start(&executor, config(3, hello(Role::Node, realm(1)), &[])).await;
            assert_eq!(again.id(), silent.id());
            again.dial_failed(&a.addrs[0]).await;
            a.gone(again.id()).await;
            assert_eq!(connect(&again, &a).await, (true, true));
            again.subscribed(a.id(), Topic::Intents).await;
            a.subscribed(again.id(), Topic::Intents).await;
        });
    }
}

/// A peer that loses its power: its sockets stay open, but nobody reads them and nobody closes them.
struct Silent {
    freeze: Sender<()>,
    /// Dropped in the end, which lets go of the sockets.
    _held: std::sync::mpsc::Sender<()>,
}

impl Silent {
    /// Connected to `other` until it is frozen.
    fn peer_of(other: &End) -> Silent {
        let (freeze, frozen) = bounded::<()>(1);
        let (held, let_go) = std::sync::mpsc::channel::<()>();
        let (addr, id) = (other.addrs[0].clone(), other.id());
        std::thread::spawn(move || {
            let executor = Arc::new(Executor::new());
            let silent = smol::block_on(executor.run(async {
                let silent = End::start(&executor, config(3, hello(Role::Node, realm(1)), &[])).await;
                silent.mesh.dial(&[&addr]).unwrap();
                silent.met(id).await;
                let _ = frozen.recv().await;
                silent
            }));
            let _ = let_go.recv();
            drop(silent);
        });
        Silent { freeze, _held: held }
    }

    fn id(&self) -> NodeId {
        NodeId::of_seed(&[3; 32])
    }

    fn freeze(&self) {
        self.freeze.close();
    }
}
