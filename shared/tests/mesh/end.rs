//! One end of a test: a mesh and its events.

use shared::mesh::{Limits, Mesh, MeshConfig, MeshError, MeshEvent, MeshStream, MeshTask, Verdict};
use shared::protocol::{Protocol, Topic};
use shared::{Hello, NodeId, RealmId, Role};
use smol::channel::{Receiver, bounded};
use smol::{Executor, Timer};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";

/// A bound on each wait; what is waited for comes in milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Spawner = Arc<Executor<'static>>;

pub(crate) fn run(test: impl AsyncFnOnce(Spawner)) {
    let executor = Arc::new(Executor::new());
    smol::block_on(executor.run(test(Arc::clone(&executor))));
}

pub(crate) fn realm(byte: u8) -> Option<RealmId> {
    Some(RealmId::from_bytes([byte; 32]))
}

pub(crate) fn hello(role: Role, realm: Option<RealmId>) -> Hello {
    Hello {
        realm,
        role,
        boot: 1,
        version: "0.1.0".into(),
        platform: "linux/x86_64".into(),
        tags: vec!["dev".parse().unwrap()],
        addrs: vec!["/ip4/192.0.2.1/udp/1/quic-v1".into()],
        highest_seq: 7,
        crowded: false,
    }
}

pub(crate) fn config(seed: u8, hello: Hello, listen: &[&str]) -> MeshConfig {
    let listen = listen.iter().map(ToString::to_string).collect();
    MeshConfig { seed: [seed; 32], hello, listen, lan: false, limits: Limits::default() }
}

/// One end of a test.
pub(crate) struct End {
    pub(crate) mesh: Mesh,
    pub(crate) addrs: Vec<String>,
    pub(crate) events: Receiver<MeshEvent>,
    pub(crate) task: MeshTask,
}

impl End {
    pub(crate) async fn start(executor: &Spawner, config: MeshConfig) -> End {
        let (sender, events) = bounded(64);
        let (mesh, addrs, task) = Mesh::start(config, Arc::clone(executor), sender).await.unwrap();
        End { mesh, addrs, events, task }
    }

    pub(crate) async fn node(executor: &Spawner, seed: u8, realm: Option<RealmId>) -> End {
        End::start(executor, config(seed, hello(Role::Node, realm), &[QUIC])).await
    }

    pub(crate) async fn operator(executor: &Spawner, seed: u8, realm: Option<RealmId>) -> End {
        End::start(executor, config(seed, hello(Role::Operator, realm), &[])).await
    }

    pub(crate) fn id(&self) -> NodeId {
        self.mesh.local()
    }

    /// Reads events until `pick` takes one; the others are dropped.
    pub(crate) async fn until<T>(&self, what: &str, mut pick: impl FnMut(MeshEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the mesh runs");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        let late = async {
            Timer::after(PATIENCE).await;
            panic!("no {what} within {PATIENCE:?}")
        };
        smol::future::or(found, late).await
    }

    /// The next hello of `peer`: what it said, and whether it is admitted.
    pub(crate) async fn met(&self, peer: NodeId) -> (Hello, bool) {
        let (hello, admitted, _) = self.met_at(peer).await;
        (hello, admitted)
    }

    pub(crate) async fn met_at(&self, peer: NodeId) -> (Hello, bool, String) {
        self.until("Met", |event| match event {
            MeshEvent::Met { peer: who, hello, admitted, addr } if who == peer => Some((hello, admitted, addr)),
            _ => None,
        })
        .await
    }

    pub(crate) async fn subscribed(&self, peer: NodeId, topic: Topic) {
        self.until("Subscribed", |event| match event {
            MeshEvent::Subscribed { peer: who, topic: which } => (who == peer && which == topic).then_some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn gone(&self, peer: NodeId) {
        self.until("Gone", |event| matches!(event, MeshEvent::Gone { peer: who } if who == peer).then_some(())).await;
    }

    pub(crate) async fn dial_failed(&self, addr: &str) -> String {
        self.mesh.dial(&[addr]).unwrap();
        self.until("DialFailed", |event| match event {
            MeshEvent::DialFailed { addr: which, reason } if which == addr => Some(reason),
            _ => None,
        })
        .await
    }

    pub(crate) async fn stream(&self, peer: NodeId, protocol: Protocol) -> MeshStream {
        self.until("Stream", |event| match event {
            MeshEvent::Stream { peer: who, protocol: which, stream } if who == peer && which == protocol => {
                Some(stream)
            }
            _ => None,
        })
        .await
    }

    /// The next message, which gets `verdict`.
    pub(crate) async fn gossip(&self, verdict: Verdict) -> (NodeId, Topic, Vec<u8>) {
        let (id, message) = self
            .until("Gossip", |event| match event {
                MeshEvent::Gossip { id, from, topic, data } => Some((id, (from, topic, data))),
                _ => None,
            })
            .await;
        self.mesh.verdict(id, verdict).unwrap();
        message
    }
}

/// Dials, and waits until both know one another; whether each one is admitted at the other.
pub(crate) async fn connect(dialer: &End, other: &End) -> (bool, bool) {
    dialer.mesh.dial(&[&other.addrs[0]]).unwrap();
    (dialer.met(other.id()).await.1, other.met(dialer.id()).await.1)
}

pub(crate) fn is_refused(opened: Result<MeshStream, MeshError>, protocol: Protocol) -> bool {
    opened.is_err_and(|error| error == MeshError::Refused { protocol })
}
