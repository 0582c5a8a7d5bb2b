//! Hundreds of whole meshes in one process, over channels instead of sockets: gossip reaches every node of a realm in
//! which nobody knows more than a few, and its price per node does not grow with their number.

use super::node::{self, Node};
use super::task::{self, MeshTask};
use super::{Limits, Mesh, MeshConfig, MeshEvent, Verdict, limits};
use crate::protocol::Topic;
use crate::{Hello, NodeId, RealmId, Role};
use async_compat::Compat;
use libp2p::core::multiaddr::{Multiaddr, Protocol};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::memory::{MemoryTransport, MemoryTransportError};
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, noise, yamux};
use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::{Executor, Task, Timer};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// As many connections as an agent looks for, half of which it dials itself.
const CONNECTIONS: usize = 16;

/// About what the intent of a push takes.
const INTENT_BYTES: usize = 2048;

/// Pushes over which the price is averaged. Each node also does its housekeeping once a second meanwhile.
const PUSHES: usize = 3;

/// A bound on the whole test, for machines that do ten other things.
const PATIENCE: Duration = Duration::from_secs(240);

thread_local! {
    /// Copies of messages that the meshes of this thread have received or published.
    static COPIES: Cell<usize> = const { Cell::new(0) };
}

/// Counts a copy of a message, for the test that runs on this thread.
pub(super) fn count_copy() {
    COPIES.set(COPIES.get() + 1);
}

/// Channels within the process, under addresses that the mesh can read: the port is that of the channel.
struct Channels(MemoryTransport);

fn channel(addr: &Multiaddr) -> Multiaddr {
    let port = addr.iter().find_map(|part| if let Protocol::Udp(port) = part { Some(u64::from(port)) } else { None });
    Protocol::Memory(port.unwrap_or_default()).into()
}

fn address(channel: &Multiaddr) -> Multiaddr {
    match channel.iter().next() {
        // Whoever dials has a port beyond those that can be written; nobody dials back.
        Some(Protocol::Memory(port)) => format!("/ip4/127.0.0.1/udp/{}/quic-v1", port as u16).parse().unwrap(),
        _ => channel.clone(),
    }
}

impl Transport for Channels {
    type Output = <MemoryTransport as Transport>::Output;
    type Error = MemoryTransportError;
    type ListenerUpgrade = <MemoryTransport as Transport>::ListenerUpgrade;
    type Dial = <MemoryTransport as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.0.listen_on(id, channel(&addr))
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.0.remove_listener(id)
    }

    fn dial(&mut self, addr: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        self.0.dial(channel(&addr), opts)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.0).poll(cx).map(|event| match event {
            TransportEvent::NewAddress { listener_id, listen_addr } => {
                TransportEvent::NewAddress { listener_id, listen_addr: address(&listen_addr) }
            }
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
                let (local_addr, send_back_addr) = (address(&local_addr), address(&send_back_addr));
                TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr }
            }
            other => other,
        })
    }
}

fn transport(keypair: &Keypair) -> Boxed<(PeerId, StreamMuxerBox)> {
    let secured = Channels(MemoryTransport::default()).upgrade(Version::V1Lazy);
    let secured = secured.authenticate(noise::Config::new(keypair).unwrap()).multiplex(yamux::Config::default());
    secured.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed()
}

/// What a member of the crowd tells the test.
enum News {
    Hears { peer: NodeId },
    Got(Vec<u8>),
}

struct Member {
    mesh: Mesh,
    addr: String,
    neighbours: BTreeSet<usize>,
    _task: MeshTask,
    _events: Task<()>,
}

/// As [`Mesh::start`] does it, but for the transport.
async fn start(executor: &Arc<Executor<'static>>, at: usize, news: Sender<(usize, News)>) -> Member {
    /// Channels are global to the process.
    static PORTS: AtomicU16 = AtomicU16::new(1);
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&at.to_be_bytes());
    let hello = Hello {
        realm: Some(RealmId::from_bytes([3; 32])),
        role: Role::Node,
        boot: 1,
        version: "0.1.0".into(),
        platform: "linux/x86_64".into(),
        tags: Vec::new(),
        addrs: Vec::new(),
        highest_seq: 0,
        crowded: false,
    };
    let listen = vec![format!("/ip4/127.0.0.1/udp/{}/quic-v1", PORTS.fetch_add(1, Ordering::Relaxed))];
    // One thread does the work of all: what takes milliseconds alone takes seconds here.
    let limits = Limits { hello_timeout: PATIENCE, ..Limits::default() };
    let config = MeshConfig { seed, hello, listen: listen.clone(), lan: false, limits };
    let connections = task::Connections::new(executor);
    let (commands, inbox) = bounded(limits::COMMAND_QUEUE);
    let (stop, stopped) = bounded(1);
    let (events, happened) = bounded(64);
    let keypair = Keypair::ed25519_from_bytes(seed).unwrap();
    let swarm = node::swarm_over(transport(&keypair), keypair, &config, connections.clone()).unwrap();
    let mut node = Box::new(Node::new(swarm, config, inbox, stopped, events));
    let addr = node.listen(&listen).await.unwrap().remove(0);
    let mesh = Mesh { local: node.local, commands };
    let task = executor.spawn(Compat::new(async move { node.run().await }));
    let events = executor.spawn(follow(at, mesh.clone(), happened, news));
    Member { mesh, addr, neighbours: BTreeSet::new(), _task: MeshTask::new(task, stop, connections), _events: events }
}

/// Accepts every message, as an agent does with what is signed and new.
async fn follow(at: usize, mesh: Mesh, happened: Receiver<MeshEvent>, news: Sender<(usize, News)>) {
    while let Ok(event) = happened.recv().await {
        let told = match event {
            MeshEvent::Subscribed { peer, topic: Topic::Intents } => News::Hears { peer },
            MeshEvent::Gossip { id, data, .. } => {
                mesh.verdict(id, Verdict::Accept).unwrap();
                News::Got(data)
            }
            MeshEvent::DialFailed { addr, reason } => panic!("{addr}: {reason}"),
            MeshEvent::PublishUnheard { .. } => panic!("nobody has heard {at}"),
            MeshEvent::Gone { peer } => panic!("{at} has lost {peer}"),
            _ => continue,
        };
        let _ = news.try_send((at, told));
    }
}

struct Crowd {
    members: Vec<Member>,
    news: Receiver<(usize, News)>,
}

impl Crowd {
    /// One after the other joins: it dials half of the connections that it wants, at nodes that have room for more.
    async fn gather(executor: &Arc<Executor<'static>>, count: usize) -> Crowd {
        let (sender, news) = unbounded();
        let mut crowd = Crowd { members: Vec::new(), news };
        let mut chance = 1_usize;
        for at in 0..count {
            crowd.members.push(start(executor, at, sender.clone()).await);
            let mut free: Vec<usize> =
                (0..at).filter(|other| crowd.members[*other].neighbours.len() < CONNECTIONS).collect();
            let mut hears = 0;
            for _ in 0..(CONNECTIONS / 2).min(free.len()) {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let other = free.swap_remove((chance >> 33) % free.len());
                crowd.members[at].mesh.dial(&[&crowd.members[other].addr]).unwrap();
                crowd.members[at].neighbours.insert(other);
                crowd.members[other].neighbours.insert(at);
                hears += 2;
            }
            while hears > 0 {
                let (who, News::Hears { peer }) = crowd.news.recv().await.unwrap() else { panic!("too early") };
                let neighbours = &crowd.members[who].neighbours;
                assert!(neighbours.iter().any(|other| crowd.members[*other].mesh.local() == peer));
                hears -= 1;
            }
        }
        crowd
    }

    /// Somebody publishes, and everybody else hears it, once.
    async fn publish(&self, at: usize, number: u8) {
        let data = vec![number; INTENT_BYTES];
        self.members[at].mesh.publish(Topic::Intents, data.clone()).unwrap();
        let mut missing: BTreeSet<usize> = (0..self.members.len()).filter(|other| *other != at).collect();
        while !missing.is_empty() {
            let (who, news) = self.news.recv().await.unwrap();
            let News::Got(got) = news else { continue };
            assert_eq!(got, data);
            assert!(missing.remove(&who), "{who} was told twice");
        }
    }
}

/// Copies of a message that a node of so many receives.
async fn price(executor: &Arc<Executor<'static>>, count: usize) -> f64 {
    let crowd = Crowd::gather(executor, count).await;
    crowd.publish(0, 0).await;
    let before = COPIES.get();
    for number in 1..=PUSHES {
        crowd.publish(number * count / PUSHES - 1, number as u8).await;
    }
    // The publisher counts one, too.
    let copies = (COPIES.get() - before - PUSHES) as f64 / (PUSHES * count) as f64;
    println!(
        "{count} nodes: each receives {copies:.1} copies of a push, {:.1} KB",
        copies * INTENT_BYTES as f64 / 1024.0
    );
    copies
}

#[test]
fn a_push_reaches_two_hundred_at_a_bounded_price() {
    let executor = Arc::new(Executor::new());
    let late = async {
        Timer::after(PATIENCE).await;
        panic!("took too long")
    };
    let test = async {
        for count in [10, 50, 200] {
            let copies = price(&executor, count).await;
            // One from each neighbour is the worst that can be.
            assert!(copies >= 0.9 && copies <= CONNECTIONS as f64, "{copies}");
        }
    };
    smol::block_on(executor.run(Compat::new(smol::future::or(test, late))));
}
