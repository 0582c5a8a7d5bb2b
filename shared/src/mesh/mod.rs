//! The mesh: connections, hello and the gate, gossip and streams. The only place that names libp2p.
//!
//! An edge in four parts: [`Mesh`] is the handle, `Command` the message, and `Node` in `node` waits for the next input
//! and runs. Events go up through a bounded channel, and the mesh waits when it is full; commands go down through
//! another, and nobody waits for that one: when it is full, they are refused with [`MeshError::Busy`].

mod addr;
#[cfg(test)]
mod crowd;
mod dials;
mod error;
mod event;
mod gate;
mod gated;
mod gossip;
mod handler;
mod hello;
mod lan;
mod limits;
mod node;
mod peer;
mod peers;
mod stream;
mod streams;
mod task;
#[cfg(test)]
mod tests;
mod topics;
mod transport;

pub use error::MeshError;
pub use event::{GossipId, MeshEvent, Verdict};
pub use limits::Limits;
pub use stream::MeshStream;
pub use task::MeshTask;

use crate::protocol::{MAX_GOSSIP_BYTES, Protocol, Topic};
use crate::{Hello, NodeId};
use addr::Addr;
use async_compat::Compat;
use futures::channel::oneshot;
use futures::{FutureExt, future};
use handler::Reply;
use node::Node;
use smol::channel::{Receiver, Sender, TrySendError, bounded};
use smol::{Executor, Timer};
use std::fmt;
use std::sync::Arc;

/// Whether a text is an address that can be dialled.
///
/// # Errors
/// [`MeshError::BadAddr`] says what is wrong.
pub fn check_addr(text: &str) -> Result<(), MeshError> {
    Addr::parse(text).map(drop)
}

/// Whether a text is an address that can be listened on.
///
/// # Errors
/// [`MeshError::BadAddr`] says what is wrong.
pub fn check_listen_addr(text: &str) -> Result<(), MeshError> {
    Addr::for_listening(text).map(drop)
}

/// What a mesh is started with.
pub struct MeshConfig {
    /// The secret of the node's ed25519 key; the peer id follows from it.
    pub seed: [u8; 32],
    /// What is said of us to every peer. Version and tags also go into identify, which is public.
    pub hello: Hello,
    /// Addresses to listen on, such as `/ip4/0.0.0.0/udp/0/quic-v1`; an operator has none.
    pub listen: Vec<String>,
    /// Whether to look for peers on the local network, and to be found there (mDNS).
    pub lan: bool,
    /// Bounds that depend on the machine.
    pub limits: Limits,
}

impl fmt::Debug for MeshConfig {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MeshConfig { seed: _, hello, listen, lan, limits } = self;
        let mut text = f.debug_struct("MeshConfig");
        text.field("hello", hello).field("listen", listen).field("lan", lan).field("limits", limits).finish()
    }
}

/// The handle. Everything but [`Mesh::open`] returns at once.
#[derive(Debug, Clone)]
pub struct Mesh {
    local: NodeId,
    commands: Sender<Command>,
}

/// What the handle asks of the swarm task.
#[derive(Debug)]
enum Command {
    /// Never empty.
    Dial(Vec<Addr>),
    Publish {
        topic: Topic,
        data: Vec<u8>,
    },
    Verdict {
        id: GossipId,
        verdict: Verdict,
    },
    SetHello(Box<Hello>),
    AskLan,
    DropPeer(NodeId),
    Open {
        peer: NodeId,
        protocol: Protocol,
        reply: Reply,
    },
}

impl Mesh {
    /// Binds every listen address and starts. Gives the handle, the bound addresses with `/p2p/`, and the task: when
    /// it is dropped, everything ends. `events` should be bounded; the mesh waits when it is full, so its consumer
    /// must never wait for the mesh.
    ///
    /// # Errors
    /// [`MeshError::Listen`] when an address is taken or not ours, [`MeshError::BadAddr`] when it is none.
    pub async fn start(
        config: MeshConfig,
        executor: Arc<Executor<'static>>,
        events: Sender<MeshEvent>,
    ) -> Result<(Mesh, Vec<String>, MeshTask), MeshError> {
        let (commands, inbox) = bounded(limits::COMMAND_QUEUE);
        // libp2p's sockets are made and polled within a Tokio context, which `Compat` provides.
        let (local, addrs, task) = Compat::new(Box::pin(start(config, executor, inbox, events))).await?;
        Ok((Mesh { local, commands }, addrs, task))
    }

    /// Who we are.
    #[must_use]
    pub fn local(&self) -> NodeId {
        self.local
    }

    /// Connects to a peer: at the one address given, with or without `/p2p/PEER`, or at whichever of several answers
    /// first; several must all end in the same `/p2p/PEER`. The result comes as [`MeshEvent::Met`] or
    /// [`MeshEvent::DialFailed`]; nothing is done, and nothing comes, when the peer is connected already, was reached at
    /// this very address, or is being dialled a few times already. Attempts may overlap.
    ///
    /// # Errors
    /// [`MeshError::BadAddr`], also for no address and for addresses of different peers; [`MeshError::Busy`],
    /// [`MeshError::Stopped`].
    pub fn dial<T: AsRef<str>>(&self, addrs: &[T]) -> Result<(), MeshError> {
        let parsed = addrs.iter().map(|addr| Addr::parse(addr.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let same = parsed.first().is_some_and(|first| {
            parsed.len() == 1 || first.peer.is_some() && parsed.iter().all(|addr| addr.peer == first.peer)
        });
        if !same {
            let addr = addrs.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
            return Err(MeshError::BadAddr { addr, reason: "several addresses are those of one peer".into() });
        }
        self.send(Command::Dial(parsed))
    }

    /// Asks the local network once more who is there. The library asks again only as long as nobody has answered, and the
    /// answer of one peer does not mean that those of the others were not lost. Who was not heard before is told of.
    ///
    /// # Errors
    /// [`MeshError::Busy`], [`MeshError::Stopped`].
    pub fn ask_lan(&self) -> Result<(), MeshError> {
        self.send(Command::AskLan)
    }

    /// Floods `data` through the realm. A message that was published or received within the last minute is not sent
    /// again.
    ///
    /// # Errors
    /// [`MeshError::TooLong`] above [`MAX_GOSSIP_BYTES`], [`MeshError::Busy`], [`MeshError::Stopped`].
    pub fn publish(&self, topic: Topic, data: Vec<u8>) -> Result<(), MeshError> {
        if data.len() > MAX_GOSSIP_BYTES {
            return Err(MeshError::TooLong { size: data.len(), cap: MAX_GOSSIP_BYTES });
        }
        self.send(Command::Publish { topic, data })
    }

    /// Says what becomes of a message; each one should get a verdict.
    ///
    /// # Errors
    /// [`MeshError::Busy`], [`MeshError::Stopped`].
    pub fn verdict(&self, id: GossipId, verdict: Verdict) -> Result<(), MeshError> {
        self.send(Command::Verdict { id, verdict })
    }

    /// Replaces what is said of us. Takes effect on every gate at once; peers that are connected are told when realm
    /// or role have changed, and peers that connect later in any case.
    ///
    /// # Errors
    /// [`MeshError::Busy`], [`MeshError::Stopped`].
    pub fn set_hello(&self, hello: Hello) -> Result<(), MeshError> {
        self.send(Command::SetHello(Box::new(hello)))
    }

    /// Closes all connections to a peer.
    ///
    /// # Errors
    /// [`MeshError::Busy`], [`MeshError::Stopped`].
    pub fn drop_peer(&self, peer: NodeId) -> Result<(), MeshError> {
        self.send(Command::DropPeer(peer))
    }

    /// Opens a stream to a connected peer, within 10 s. Not for the loop that consumes the events.
    ///
    /// # Errors
    /// [`MeshError::NotConnected`], [`MeshError::Refused`] when the peer does not offer the protocol (to us),
    /// [`MeshError::TimedOut`], [`MeshError::Io`], [`MeshError::Busy`], [`MeshError::Stopped`].
    pub async fn open(&self, peer: NodeId, protocol: Protocol) -> Result<MeshStream, MeshError> {
        if protocol == Protocol::Hello {
            // The mesh says hello itself, and a peer would take another opening for it.
            return Err(MeshError::Refused { protocol });
        }
        match self.open_once(peer, protocol).await {
            // The newest connection was just about to end. Another one carries the stream, if there is one.
            Err(MeshError::NotConnected | MeshError::Io(_)) => self.open_once(peer, protocol).await,
            opened => opened,
        }
    }

    async fn open_once(&self, peer: NodeId, protocol: Protocol) -> Result<MeshStream, MeshError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Open { peer, protocol, reply })?;
        // A dropped reply means that the connection closed meanwhile.
        let answer = answer.map(|opened| opened.unwrap_or(Err(MeshError::NotConnected)));
        let late = Timer::after(limits::OPEN_TIMEOUT).map(|_| Err(MeshError::TimedOut));
        let opened = future::select(answer, late).await.factor_first().0;
        Ok(MeshStream::new(opened?, None))
    }

    fn send(&self, command: Command) -> Result<(), MeshError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => MeshError::Busy,
            TrySendError::Closed(_) => MeshError::Stopped,
        })
    }
}

async fn start(
    config: MeshConfig,
    executor: Arc<Executor<'static>>,
    commands: Receiver<Command>,
    events: Sender<MeshEvent>,
) -> Result<(NodeId, Vec<String>, MeshTask), MeshError> {
    let connections = task::Connections::new(&executor);
    let (stop, stopped) = bounded(1);
    let swarm = node::swarm(&config, connections.clone())?;
    let listen = config.listen.clone();
    let mut node = Box::new(Node::new(swarm, config, commands, stopped, events));
    let addrs = node.listen(&listen).await?;
    let local = node.local;
    let task = executor.spawn(Compat::new(async move { node.run().await }));
    Ok((local, addrs, MeshTask::new(task, stop, connections)))
}
