//! Artifacts: kept by digest, fetched in verified chunks from whoever has them, and served to those who fetch.
//!
//! An edge in four parts: [`Artifacts`] is the handle, `Message` the message, [`ArtifactEvent`] the event, and a task in
//! `run` waits and runs. Each fetch and each stream that is served is a task that this one owns. Files block, and are
//! touched on smol's blocking threads only.

mod fetch;
mod limits;
mod lists;
mod partial;
mod readers;
mod run;
mod serve;
mod slots;
mod source;
mod store;

use lists::Lists;
use partial::Partial;
use readers::Readers;
use shared::mesh::{Mesh, MeshStream};
use shared::{Artifact, Digest, NodeId, Role};
use smol::channel::{Sender, bounded};
use smol::lock::Semaphore;
use smol::{Executor, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use store::Store;

/// What happened to an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactEvent {
    /// All of it is here: checked chunk by chunk and as a whole, durable, under [`Artifacts::path`].
    Stored {
        /// Which.
        digest: Digest,
    },
    /// A part of it is here; told a few times per second at the most.
    Progress {
        /// Which.
        digest: Digest,
        /// How many bytes are here, those of an earlier run included.
        bytes: u64,
    },
    /// It is not fetched any more; asking for it again goes on where it ended.
    Failed {
        /// Which.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// No connected peer has what is missing of it, or had it a moment before. It is fetched as soon as one does.
    NoSource {
        /// Which.
        digest: Digest,
    },
    /// What lay here under its name was something else and has been set aside. When it is needed, it has to be fetched.
    Torn {
        /// Which.
        digest: Digest,
        /// What was found, and where it is.
        reason: String,
    },
    /// What [`Artifacts::remove`] asked for has been done: nothing of it takes room on the disk any more, or the disk failed.
    Removed {
        /// Which.
        digest: Digest,
        /// Whether it is gone.
        gone: bool,
    },
    /// What [`Artifacts::read`] asked for.
    Read {
        /// Which.
        digest: Digest,
        /// Its bytes, or why not.
        result: Result<Vec<u8>, String>,
    },
    /// A peer broke the rules, and is not asked for this artifact for a minute; for information.
    Misbehaved {
        /// Which.
        digest: Digest,
        /// Who.
        peer: NodeId,
        /// What it sent.
        reason: &'static str,
    },
}

/// Too much waits already; the same may work a moment later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the artifact store is busy")
    }
}

impl std::error::Error for Busy {}

/// The handle. Nothing here waits. Dropping it ends every transfer; what was fetched in part is kept and used later.
#[derive(Debug)]
pub struct Artifacts {
    store: Arc<Store>,
    queue: Sender<Message>,
    _task: Task<()>,
}

/// What the handle, or a fetch that has ended, asks of the task.
enum Message {
    Fetch {
        artifact: Artifact,
        hints: Vec<NodeId>,
    },
    Cancel(Digest),
    Examine(Digest),
    Read(Digest),
    Remove(Digest),
    /// Nobody reads it any more, which is to be removed.
    Unread(Digest),
    PeerJoined(NodeId, Role),
    PeerGone(NodeId),
    Serve {
        peer: NodeId,
        stream: MeshStream,
    },
    Ended {
        digest: Digest,
        run: u64,
        outcome: fetch::Outcome,
    },
}

/// What all tasks of the edge share.
struct Context {
    mesh: Mesh,
    events: Sender<ArtifactEvent>,
    /// Weak, because the executor owns the tasks, which own this.
    executor: Weak<Executor<'static>>,
    store: Arc<Store>,
    lists: Arc<Lists>,
    /// Members that are connected, each with a number that no other connection had.
    peers: Mutex<BTreeMap<NodeId, (u64, Role)>>,
    fetching: Mutex<BTreeMap<Digest, Arc<Partial>>>,
    /// Places for transfers.
    places: Arc<Semaphore>,
    sending: serve::Sending,
    readers: Readers,
}

impl Artifacts {
    /// Keeps artifacts in `dir` (`<data>/blobs`), which is made when it is not there. Events go to `events`, and the
    /// edge waits when it is full. What lies in `dir` under other names is left alone.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn start(
        dir: &Path,
        executor: &Arc<Executor<'static>>,
        mesh: Mesh,
        events: Sender<ArtifactEvent>,
    ) -> io::Result<Artifacts> {
        let store = Arc::new(Store::open(dir)?);
        let context = Context {
            mesh,
            events,
            executor: Arc::downgrade(executor),
            store: Arc::clone(&store),
            lists: Arc::new(Lists::new(Arc::clone(&store))),
            peers: Mutex::default(),
            fetching: Mutex::default(),
            places: Arc::new(Semaphore::new(limits::MAX_FETCHES)),
            sending: serve::Sending::new(),
            readers: Readers::default(),
        };
        let (queue, inbox) = bounded(limits::QUEUE);
        let task = executor.spawn(run::run(Arc::new(context), inbox, queue.clone()));
        Ok(Artifacts { store, queue, _task: task })
    }

    /// Whether something is here under this name. It was checked when it was stored; see [`Artifacts::holds`].
    #[must_use]
    pub fn held(&self, digest: &Digest) -> bool {
        self.store.size(digest).is_ok_and(|size| size.is_some())
    }

    /// Whether the artifact is here in its full size: a disk may lose the end of a file.
    #[must_use]
    pub fn holds(&self, artifact: &Artifact) -> bool {
        self.store.size(&artifact.digest).is_ok_and(|size| size == Some(artifact.size))
    }

    /// Artifacts that something lies here of and that nothing names, `most` of them.
    #[must_use]
    pub fn unnamed(&self, is_named: impl Fn(&Digest) -> bool, most: usize) -> BTreeSet<Digest> {
        self.store.unnamed(is_named, most)
    }

    /// Bytes that the disk has of each artifact, whole or in part, and of what was set aside under its name.
    #[must_use]
    pub fn usage(&self) -> BTreeMap<Digest, (u64, u64)> {
        self.store.usage()
    }

    /// Where an artifact is, or would be.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.store.path(digest)
    }

    /// Fetches an artifact from `hints`, and from every member that has it, until [`ArtifactEvent::Stored`] or
    /// [`ArtifactEvent::Failed`]; the former comes at once when it is here. When it is being fetched already, the
    /// hints are added, and nothing else comes.
    ///
    /// # Errors
    /// [`Busy`]. When too many artifacts are wanted, [`ArtifactEvent::Failed`] comes.
    pub fn fetch(&self, artifact: Artifact, hints: Vec<NodeId>) -> Result<(), Busy> {
        self.send(Message::Fetch { artifact, hints })
    }

    /// Ends a fetch, without an event. What has come is kept. An event that was under way may still come.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn cancel(&self, digest: Digest) -> Result<(), Busy> {
        self.send(Message::Cancel(digest))
    }

    /// Reads an artifact that somebody found to be something else. If it is, it is set aside, and [`ArtifactEvent::Torn`] comes.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn examine(&self, digest: Digest) -> Result<(), Busy> {
        self.send(Message::Examine(digest))
    }

    /// Reads a small artifact as a whole, and answers [`ArtifactEvent::Read`].
    ///
    /// # Errors
    /// [`Busy`].
    pub fn read(&self, digest: Digest) -> Result<(), Busy> {
        self.send(Message::Read(digest))
    }

    /// Ends a fetch and removes the artifact, whole or in part, once the peers have done that are being served from it; others
    /// are not any more. Then [`ArtifactEvent::Removed`] comes, unless it is fetched again before.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn remove(&self, digest: Digest) -> Result<(), Busy> {
        self.send(Message::Remove(digest))
    }

    /// A member is connected, and may be fetched from: a node by every other one, an operator perhaps by this one alone.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn peer_joined(&self, peer: NodeId, role: Role) -> Result<(), Busy> {
        self.send(Message::PeerJoined(peer, role))
    }

    /// A member is no longer connected.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn peer_gone(&self, peer: NodeId) -> Result<(), Busy> {
        self.send(Message::PeerGone(peer))
    }

    /// Serves a stream of [`shared::protocol::Protocol::Blob`]. When too many are served, it is closed.
    ///
    /// # Errors
    /// [`Busy`]; the stream is closed.
    pub fn serve(&self, peer: NodeId, stream: MeshStream) -> Result<(), Busy> {
        self.send(Message::Serve { peer, stream })
    }

    fn send(&self, message: Message) -> Result<(), Busy> {
        self.queue.try_send(message).map_err(|_| Busy)
    }
}

impl Context {
    /// Tells the daemon, and waits when it is busy.
    async fn tell(&self, event: ArtifactEvent) {
        // A daemon that is gone takes this edge with it.
        let _ = self.events.send(event).await;
    }

    async fn tell_torn(&self, digest: Digest, path: &Path) {
        let reason = format!("it is not what its name says: set aside as `{}`", path.display());
        self.tell(ArtifactEvent::Torn { digest, reason }).await;
    }

    /// `None` when the executor is gone: everything ends.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Option<Task<()>> {
        self.executor.upgrade().map(|executor| executor.spawn(work))
    }

    fn peers(&self) -> BTreeMap<NodeId, u64> {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.iter().map(|(peer, (number, _))| (*peer, *number)).collect()
    }

    /// Whether a peer is a node, as far as it is known.
    fn is_node(&self, peer: &NodeId) -> bool {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(peer).is_none_or(|(_, role)| *role == Role::Node)
    }

    fn fetching(&self, digest: &Digest) -> Option<Arc<Partial>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }
}
