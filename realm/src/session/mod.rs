//! One command's time in the mesh, under a throw-away peer id: reach nodes, hand over, serve artifacts, watch.
//!
//! Whatever waits for a peer is a task of its own and reports here; [`Session::next`] alone consumes what happens, and
//! never waits for a task. Dropping the session ends all of it.

mod fetch;
mod handover;
mod places;
mod reach;
mod serve;
mod watch;

pub(crate) use places::Places;
pub(crate) use reach::Reached;
pub(crate) use watch::WatchId;

use crate::exit::Failure;
use crate::home::fresh_seed;
use serve::Shelf;
use shared::mesh::{Limits, Mesh, MeshConfig, MeshEvent, MeshTask};
use shared::protocol::Protocol;
use shared::{Artifact, Hello, IndexEntry, NodeId, RealmId, Receipt, Role, WatchReply};
use smol::channel::{Receiver, Sender, bounded};
use smol::{Executor, Task, Timer, future};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// What tasks have to say and nobody has heard yet: a status of a large realm in one burst. They wait beyond that.
const INBOX: usize = 256;

/// Tasks at once: a watch, a hand-over to each node that was reached, and the streams that nodes pull through. Streams
/// beyond that are reset; the node that opened one tries again.
const MAX_TASKS: usize = 512;

/// Members whose addresses are remembered for the case that the entry node is lost: its own, and those that it told of.
const MAX_MEMBERS: usize = 64;

/// Addresses of each: LAN, VPN and loopback, over QUIC and TCP.
const MAX_MEMBER_ADDRS: usize = 6;

/// A node that said hello.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Where it answered, with `/p2p/`.
    pub(crate) addr: String,
    /// What it said.
    pub(crate) hello: Hello,
    /// Whether it is of our realm.
    pub(crate) admitted: bool,
}

impl Peer {
    /// Whether it is a node that has no owner.
    pub(crate) fn is_unclaimed(&self) -> bool {
        self.hello.role == Role::Node && self.hello.realm.is_none()
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A node said hello, or says something else than before; see [`Session::peers`].
    Met(NodeId),
    /// A node is not connected any more; see [`Session::peers`].
    Gone,
    /// A node announces these addresses on the local network.
    Found(NodeId, Vec<String>),
    /// An address led nowhere.
    Unreached { addr: String, reason: String },
    /// A node answered to an intent, or could not be asked.
    Receipt { node: NodeId, receipt: Result<Receipt, String> },
    /// What a node says on a watch.
    Watched { watch: WatchId, reply: WatchReply },
    /// A watch is over.
    WatchEnded { watch: WatchId, fault: Option<String> },
    /// Those of the artifacts that a node was asked for of which it has not everything, or was not asked after the first such.
    Lacks { node: NodeId, artifacts: Vec<Artifact> },
    /// The bytes of an artifact, which are what was pinned.
    Fetched { node: NodeId, result: Result<Vec<u8>, String> },
    /// What a node holds: keys of intents.
    Indexed { node: NodeId, result: Result<Vec<IndexEntry>, String> },
    /// What a node holds under the keys that were asked for: the sealed bytes.
    Pulled { node: NodeId, result: Result<Vec<Vec<u8>>, String> },
    /// Each chunk of an artifact has been sent to some node.
    AllServed,
    /// A file is not what was pinned any more.
    FileChanged,
    /// The mesh has ended.
    Stopped,
}

pub(crate) struct Session {
    // Tasks use the mesh, so they end first.
    tasks: Vec<Task<()>>,
    mesh: Mesh,
    events: Receiver<MeshEvent>,
    inbox: Receiver<Event>,
    outbox: Sender<Event>,
    executor: Arc<Executor<'static>>,
    realm: RealmId,
    peers: BTreeMap<NodeId, Peer>,
    /// Addresses of members: where they answered, and as they were told by members.
    members: BTreeMap<NodeId, Vec<String>>,
    shelf: Arc<Shelf>,
    /// Who may fetch from it; see [`Session::hand_over`].
    entries: BTreeSet<NodeId>,
    watches: u32,
    _mesh_task: MeshTask,
}

impl Session {
    /// Joins as an operator of `realm`, and with `lan` looks for nodes on the local network.
    pub(crate) async fn start(realm: RealmId, executor: Arc<Executor<'static>>, lan: bool) -> Result<Session, Failure> {
        let hello = Hello {
            realm: Some(realm),
            role: Role::Operator,
            boot: 0,
            version: shared::VERSION.into(),
            platform: shared::platform(),
            tags: Vec::new(),
            addrs: Vec::new(),
            highest_seq: 0,
            crowded: false,
        };
        let config = MeshConfig { seed: fresh_seed(), hello, listen: Vec::new(), lan, limits: Limits::default() };
        let (sender, events) = bounded(INBOX);
        let (mesh, _, mesh_task) = Mesh::start(config, Arc::clone(&executor), sender)
            .await
            .map_err(|error| Failure::new(format!("cannot use the network: {error}")))?;
        let (outbox, inbox) = bounded(INBOX);
        Ok(Session {
            tasks: Vec::new(),
            mesh,
            events,
            inbox,
            outbox,
            executor,
            realm,
            peers: BTreeMap::new(),
            members: BTreeMap::new(),
            shelf: Arc::default(),
            entries: BTreeSet::new(),
            watches: 0,
            _mesh_task: mesh_task,
        })
    }

    /// The realm that reports must belong to.
    pub(crate) fn realm(&self) -> &RealmId {
        &self.realm
    }

    /// The nodes that are connected.
    pub(crate) fn peers(&self) -> &BTreeMap<NodeId, Peer> {
        &self.peers
    }

    /// A connected node of our realm, but not this one.
    pub(crate) fn entry_but(&self, node: Option<NodeId>) -> Option<NodeId> {
        self.peers.iter().find(|(id, peer)| peer.admitted && Some(**id) != node).map(|(id, _)| *id)
    }

    /// What happens next; `None` when `until` comes first.
    pub(crate) async fn next(&mut self, until: Option<Instant>) -> Option<Event> {
        loop {
            let own = async { Some(self.inbox.recv().await.map_or(Input::Event(Event::Stopped), Input::Event)) };
            let mesh = async { Some(self.events.recv().await.map_or(Input::Event(Event::Stopped), Input::Mesh)) };
            let late = async {
                match until {
                    Some(until) => Timer::at(until).await,
                    None => future::pending().await,
                };
                None
            };
            match future::or(future::or(own, mesh), late).await? {
                Input::Event(event) => return Some(event),
                Input::Mesh(event) => {
                    if let Some(event) = self.take(event) {
                        return Some(event);
                    }
                }
            }
        }
    }

    fn take(&mut self, event: MeshEvent) -> Option<Event> {
        match event {
            MeshEvent::Met { peer, addr, hello, admitted } => {
                if admitted {
                    self.learn(std::slice::from_ref(&addr));
                    self.learn(&hello.addrs);
                }
                self.peers.insert(peer, Peer { addr, hello, admitted });
                Some(Event::Met(peer))
            }
            MeshEvent::Gone { peer } => {
                self.peers.remove(&peer);
                Some(Event::Gone)
            }
            MeshEvent::DialFailed { addr, reason } => Some(Event::Unreached { addr, reason }),
            MeshEvent::Found { peer, addrs } => Some(Event::Found(peer, addrs)),
            MeshEvent::Stream { peer, protocol: Protocol::Blob, stream } => {
                if self.entries.contains(&peer) {
                    self.spawn(serve::serve(Arc::clone(&self.shelf), stream, self.outbox.clone()));
                }
                None
            }
            // An operator takes no part in gossip and offers nothing else.
            MeshEvent::Stream { .. }
            | MeshEvent::Gossip { .. }
            | MeshEvent::PublishUnheard { .. }
            | MeshEvent::Subscribed { .. }
            | MeshEvent::Leads { .. }
            | MeshEvent::NewAddr { .. }
            | MeshEvent::LostAddr { .. }
            | MeshEvent::NoLan { .. }
            | MeshEvent::Lost { .. } => None,
        }
    }

    fn learn(&mut self, addrs: &[String]) {
        for addr in addrs {
            let Some(node) = addr.rsplit_once("/p2p/").and_then(|(_, node)| node.parse().ok()) else { continue };
            if self.members.len() < MAX_MEMBERS || self.members.contains_key(&node) {
                let known = self.members.entry(node).or_default();
                if known.len() < MAX_MEMBER_ADDRS && !known.contains(addr) {
                    known.push(addr.clone());
                }
            }
        }
    }

    /// Dials the members that answered once or were told of, and are not connected; [`Event::Met`] follows for those that answer.
    pub(crate) fn reach_others(&self) {
        for (_, addrs) in self.members.iter().filter(|(node, _)| !self.peers.contains_key(node)) {
            // One that cannot be dialled now is no worse than one that does not answer.
            let _ = self.mesh.dial(addrs);
        }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.retain(|task| !task.is_finished());
        if self.tasks.len() < MAX_TASKS {
            self.tasks.push(self.executor.spawn(task));
        }
    }
}

enum Input {
    Event(Event),
    Mesh(MeshEvent),
}
