//! Ends of a test: a node with the edge under test, and a peer that is scripted frame by frame.

use agent::control::artifacts::{ArtifactEvent, Artifacts};
use shared::mesh::{Limits, Mesh, MeshConfig, MeshEvent, MeshStream, MeshTask};
use shared::protocol::Protocol;
use shared::{Artifact, BlobReply, BlobRequest, CHUNK_BYTES, ChunkList, Digest, Hasher, Hello, NodeId, RealmId, Role};
use smol::channel::{Receiver, bounded, unbounded};
use smol::{Executor, Task, Timer};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A bound on each wait; what is waited for comes in milliseconds, where a test does not say otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Spawner = Arc<Executor<'static>>;

pub(crate) fn run(test: impl AsyncFnOnce(Spawner)) {
    let executor = Arc::new(Executor::new());
    smol::block_on(executor.run(test(Arc::clone(&executor))));
}

pub(crate) async fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let late = async {
        Timer::after(PATIENCE).await;
        panic!("no {what} within {PATIENCE:?}")
    };
    smol::future::or(wait, late).await
}

/// Some bytes, and how they are pinned.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) artifact: Artifact,
    pub(crate) list: ChunkList,
    pub(crate) bytes: Vec<u8>,
}

impl Sample {
    /// So many chunks, the last of which is short; no two are alike.
    pub(crate) fn of(chunks: usize) -> Sample {
        let size = (chunks * CHUNK_BYTES).saturating_sub(1000);
        Sample::from((0..size).map(|at| (at / 1000 * 31 + at) as u8).collect())
    }

    pub(crate) fn from(bytes: Vec<u8>) -> Sample {
        let mut hasher = Hasher::default();
        hasher.update(&bytes);
        let (artifact, list) = hasher.finish();
        Sample { artifact, list, bytes }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.artifact.digest
    }

    pub(crate) fn chunk(&self, index: u32) -> Vec<u8> {
        self.bytes.chunks(CHUNK_BYTES).nth(index as usize).unwrap().to_vec()
    }

    /// Where an edge in `dir` keeps it.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        let hex = self.digest().hex();
        dir.join("sha256").join(&hex[..2]).join(hex)
    }

    /// Puts it there, as an earlier run would have.
    pub(crate) fn store(&self, dir: &Path) {
        let path = self.path(dir);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &self.bytes).unwrap();
    }

    pub(crate) fn is_stored(&self, dir: &Path) -> bool {
        fs::read(self.path(dir)).is_ok_and(|bytes| bytes == self.bytes)
    }
}

/// A mesh, and what it takes to connect it.
pub(crate) struct Link {
    pub(crate) mesh: Mesh,
    addrs: Vec<String>,
    joined: Receiver<NodeId>,
    // Dropped in this order, so that nothing is pumped into what has ended.
    _pump: Task<()>,
    _task: MeshTask,
}

impl Link {
    async fn start(executor: &Spawner, seed: u8, mut on: impl FnMut(&MeshEvent) + Send + 'static) -> (Link, Streams) {
        let hello = Hello {
            realm: Some(RealmId::from_bytes([7; 32])),
            role: Role::Node,
            boot: 1,
            version: "0.1.0".into(),
            platform: "linux/x86_64".into(),
            tags: vec![],
            addrs: vec![],
            highest_seq: 0,
            crowded: false,
        };
        let listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".into()];
        let config = MeshConfig { seed: [seed; 32], hello, listen, lan: false, limits: Limits::default() };
        let (sender, events) = bounded(64);
        let (mesh, addrs, task) = Mesh::start(config, Arc::clone(executor), sender).await.unwrap();
        let ((joiner, joined), (streamer, streams)) = (unbounded(), unbounded());
        let pump = executor.spawn(async move {
            while let Ok(event) = events.recv().await {
                on(&event);
                match event {
                    MeshEvent::Met { peer, admitted: true, .. } => joiner.try_send(peer).unwrap(),
                    MeshEvent::Stream { peer, protocol: Protocol::Blob, stream } => {
                        // Nobody may be there to serve it any more.
                        let _ = streamer.try_send((peer, stream));
                    }
                    _ => {}
                }
            }
        });
        (Link { mesh, addrs, joined, _pump: pump, _task: task }, streams)
    }

    pub(crate) fn id(&self) -> NodeId {
        self.mesh.local()
    }

    /// Connects two ends, and waits until both know.
    pub(crate) async fn connect(&self, other: &Link) {
        self.mesh.dial(&[&other.addrs[0]]).unwrap();
        for (end, peer) in [(self, other.id()), (other, self.id())] {
            patiently("connection", async { while end.joined.recv().await.unwrap() != peer {} }).await;
        }
    }
}

pub(crate) type Streams = Receiver<(NodeId, MeshStream)>;

/// A node with the edge under test, wired as the daemon does.
pub(crate) struct Node {
    pub(crate) artifacts: Arc<Artifacts>,
    pub(crate) events: Receiver<ArtifactEvent>,
    pub(crate) link: Link,
    pub(crate) dir: PathBuf,
    _serving: Task<()>,
    _temporary: Option<TempDir>,
}

impl Node {
    pub(crate) async fn start(executor: &Spawner, seed: u8) -> Node {
        let temporary = TempDir::new().unwrap();
        let node = Node::start_in(executor, seed, temporary.path()).await;
        Node { _temporary: Some(temporary), ..node }
    }

    pub(crate) async fn start_in(executor: &Spawner, seed: u8, dir: &Path) -> Node {
        let (orders, order) = unbounded();
        let (link, streams) = Link::start(executor, seed, move |event| match event {
            MeshEvent::Met { peer, admitted: true, .. } => orders.try_send((true, *peer)).unwrap(),
            MeshEvent::Gone { peer } => orders.try_send((false, *peer)).unwrap(),
            _ => {}
        })
        .await;
        let (sender, events) = unbounded();
        let artifacts = Arc::new(Artifacts::start(dir, executor, link.mesh.clone(), sender).unwrap());
        let edge = Arc::clone(&artifacts);
        let serving = executor.spawn(async move {
            let peers = async {
                while let Ok((joined, peer)) = order.recv().await {
                    let told = if joined { edge.peer_joined(peer, Role::Node) } else { edge.peer_gone(peer) };
                    told.unwrap();
                }
            };
            let serve = async {
                while let Ok((peer, stream)) = streams.recv().await {
                    edge.serve(peer, stream).unwrap();
                }
            };
            smol::future::zip(peers, serve).await;
        });
        Node { artifacts, events, link, dir: dir.to_owned(), _serving: serving, _temporary: None }
    }

    /// A node that has `sample`.
    pub(crate) async fn with(executor: &Spawner, seed: u8, sample: &Sample) -> Node {
        let node = Node::start(executor, seed).await;
        sample.store(&node.dir);
        node
    }

    pub(crate) fn id(&self) -> NodeId {
        self.link.id()
    }

    pub(crate) fn fetch(&self, sample: &Sample, hints: &[NodeId]) {
        self.artifacts.fetch(sample.artifact, hints.to_vec()).unwrap();
    }

    /// The next event but progress, and what else `skip` names.
    pub(crate) async fn next(&self, skip: impl Fn(&ArtifactEvent) -> bool) -> ArtifactEvent {
        patiently("event", async {
            loop {
                let event = self.events.recv().await.unwrap();
                if !matches!(event, ArtifactEvent::Progress { .. }) && !skip(&event) {
                    return event;
                }
            }
        })
        .await
    }

    /// Waits until `sample` is here, and that nothing else is told but that a source was missing meanwhile.
    pub(crate) async fn stored(&self, sample: &Sample) {
        let event = self.next(|event| matches!(event, ArtifactEvent::NoSource { .. })).await;
        assert_eq!(event, ArtifactEvent::Stored { digest: sample.digest() });
        assert!(sample.is_stored(&self.dir));
        assert!(self.artifacts.holds(&sample.artifact));
        assert!(!sample.path(&self.dir).with_extension("part").exists());
    }

    pub(crate) async fn no_source(&self, sample: &Sample) {
        assert_eq!(self.next(|_| false).await, ArtifactEvent::NoSource { digest: sample.digest() });
    }
}

/// A peer that says what a test wants it to say.
pub(crate) struct Peer {
    pub(crate) link: Link,
    streams: Streams,
}

impl Peer {
    pub(crate) async fn start(executor: &Spawner, seed: u8) -> Peer {
        let (link, streams) = Link::start(executor, seed, |_| {}).await;
        Peer { link, streams }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.link.id()
    }

    /// The next stream that somebody opens here.
    pub(crate) async fn accept(&self) -> Talk {
        Talk(patiently("stream", self.streams.recv()).await.unwrap().1)
    }

    /// A stream to somebody.
    pub(crate) async fn open(&self, node: &Node) -> Talk {
        Talk(self.link.mesh.open(node.id(), Protocol::Blob).await.unwrap())
    }

    pub(crate) fn accepted_more(&self) -> bool {
        !self.streams.is_empty()
    }
}

/// One stream, from either side.
pub(crate) struct Talk(MeshStream);

impl Talk {
    pub(crate) async fn hear(&mut self) -> Option<BlobRequest> {
        patiently("request", self.0.read_frame(BlobReply::MAX_FRAME)).await.ok()
    }

    pub(crate) async fn say(&mut self, reply: &BlobReply) {
        // Whoever has what it wants does not listen any longer.
        let _ = self.0.write_frame(reply, BlobReply::MAX_FRAME).await;
    }

    /// Asks; `None` when the stream is closed instead of an answer.
    pub(crate) async fn ask(&mut self, request: &BlobRequest) -> Option<BlobReply> {
        self.0.write_frame(request, BlobReply::MAX_FRAME).await.ok()?;
        patiently("reply", self.0.read_frame(BlobReply::MAX_FRAME)).await.ok()
    }

    /// The beginning of every conversation: what is here, and the list of chunks, in case it is asked for.
    pub(crate) async fn begin(&mut self, sample: &Sample, have: BlobReply) -> Option<u32> {
        assert_eq!(self.hear().await?, BlobRequest::Open(sample.artifact));
        self.say(&have).await;
        match self.hear().await? {
            BlobRequest::List => self.say(&BlobReply::List(sample.list.to_bytes())).await,
            BlobRequest::Chunk(index) => return Some(index),
            BlobRequest::Open(_) => panic!("opened twice"),
        }
        self.chunk_asked_or_news(&have).await
    }

    /// The next chunk that is asked for by one who may ask meanwhile what else there is: that is `have`, as before, and
    /// is said when it has to be.
    pub(crate) async fn chunk_asked_or_news(&mut self, have: &BlobReply) -> Option<u32> {
        let mut owed = None;
        loop {
            match self.hear().await? {
                BlobRequest::Chunk(index) => {
                    if let Some(owed) = owed {
                        self.say(owed).await;
                    }
                    return Some(index);
                }
                BlobRequest::Open(_) => owed = Some(have),
                BlobRequest::List => panic!("asked for the list again"),
            }
        }
    }

    /// The next chunk that is asked for; `None` at the end.
    pub(crate) async fn chunk_asked(&mut self) -> Option<u32> {
        match self.hear().await? {
            BlobRequest::Chunk(index) => Some(index),
            other => panic!("asked for {other:?}"),
        }
    }
}

pub(crate) fn has_all() -> BlobReply {
    BlobReply::Have { complete: true, have: vec![0xFF; 512] }
}
