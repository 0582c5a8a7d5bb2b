//! An operator without the command line: speaks the protocol itself, so that it can also do what `realm` never would.

use crate::support::{PATIENCE, guest};
use shared::mesh::{Limits as MeshLimits, Mesh, MeshConfig, MeshError, MeshEvent, MeshStream};
use shared::protocol::{MAX_INTENT_FRAME, Protocol, Topic};
use shared::{
    Artifact, Audience, BlobReply, BlobRequest, Body, CHUNK_BYTES, ChunkList, ComponentSpec, Hasher, Hello, Limits,
    MAX_WATCH_FRAME, NodeId, NodeReport, OwnerKey, Push, RealmId, Receipt, Replicas, Restart, Role, Verdict,
    WatchReply, WatchRequest, seal,
};
use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::{Executor, Timer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes that are encoded as such, and not as a list of numbers.
struct ByteString<'a>(&'a [u8]);

impl serde::Serialize for ByteString<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Artifacts that are served, by their digest.
type Shelf = Arc<Mutex<BTreeMap<Artifact, (ChunkList, Vec<u8>)>>>;

/// An operator of the realm of one owner, who signs with a key that need not be the owner's.
pub(crate) struct Operator {
    key: OwnerKey,
    realm: RealmId,
    mesh: Mesh,
    addrs: Vec<String>,
    met: Receiver<(NodeId, bool)>,
    listened: Receiver<()>,
    shelf: Shelf,
    last_seq: Mutex<u64>,
    end: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Operator {
    /// Who commands the realm.
    pub(crate) fn of(key: &OwnerKey) -> Operator {
        Operator::signing_with(key, RealmId::of_owner(&key.id()))
    }

    /// Who names a realm, and signs with this key.
    pub(crate) fn signing_with(key: &OwnerKey, realm: RealmId) -> Operator {
        Operator::start(key, realm, Role::Operator)
    }

    /// Somebody who says to be a node of the realm, and takes part in its gossip.
    pub(crate) fn member(key: &OwnerKey, realm: RealmId) -> Operator {
        Operator::start(key, realm, Role::Node)
    }

    fn start(key: &OwnerKey, realm: RealmId, role: Role) -> Operator {
        let hello = Hello {
            realm: Some(realm),
            role,
            boot: 0,
            version: shared::VERSION.into(),
            platform: shared::platform(),
            tags: vec![],
            addrs: vec![],
            highest_seq: 0,
            crowded: false,
        };
        let seed = *ed25519_compact::Seed::generate();
        let listen = match role {
            Role::Node => vec!["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()],
            Role::Operator => vec![],
        };
        let config = MeshConfig { seed, hello, listen, lan: false, limits: MeshLimits::default() };
        let shelf = Shelf::default();
        let (end, ended) = bounded::<()>(1);
        let (mesh_sender, mesh) = bounded(1);
        let ((meet, met), (listen, listened)) = (unbounded(), unbounded());
        let serve_from = Arc::clone(&shelf);
        let thread = std::thread::spawn(move || {
            let executor = Arc::new(Executor::new());
            smol::block_on(executor.run(async {
                let (sender, events) = bounded(64);
                let (mesh, addrs, task) = Mesh::start(config, Arc::clone(&executor), sender).await.unwrap();
                mesh_sender.send((mesh, addrs)).await.unwrap();
                let pump = executor.spawn(pump(Arc::clone(&executor), events, meet, listen, serve_from));
                // Closed when the operator goes.
                let _ = ended.recv().await;
                task.shutdown().await;
                drop(pump);
            }));
        });
        let (mesh, addrs) = mesh.recv_blocking().unwrap();
        Operator {
            key: key.clone(),
            realm,
            mesh,
            addrs,
            met,
            listened,
            shelf,
            last_seq: Mutex::default(),
            end,
            thread: Some(thread),
        }
    }

    /// Who it is.
    pub(crate) fn id(&self) -> NodeId {
        self.mesh.local()
    }

    /// Where a member listens.
    pub(crate) fn addr(&self) -> &str {
        &self.addrs[0]
    }

    /// Connects, and waits for the hello: whether the node counts us as one of its realm.
    pub(crate) fn meet(&self, addr: &str) -> (NodeId, bool) {
        self.mesh.dial(&[addr]).unwrap();
        patiently("hello", self.met.recv()).unwrap()
    }

    /// Waits until a neighbour listens to intents.
    pub(crate) fn until_heard(&self) {
        patiently("listener", self.listened.recv()).unwrap();
    }

    /// Floods bytes as an intent; somebody has to listen.
    pub(crate) fn flood(&self, bytes: Vec<u8>) {
        self.mesh.publish(Topic::Intents, bytes).unwrap();
    }

    /// An intent for a guest, not signed yet: runs it once, with no limits, everywhere.
    pub(crate) fn intent(&self, name: &str, guest_name: &str) -> Body<Push> {
        self.intent_of(name, guest(guest_name))
    }

    /// The same for any bytes.
    pub(crate) fn intent_of(&self, name: &str, bytes: Vec<u8>) -> Body<Push> {
        let mut hasher = Hasher::default();
        hasher.update(&bytes);
        let (artifact, list) = hasher.finish();
        self.shelf.lock().unwrap().insert(artifact, (list, bytes));
        let component = ComponentSpec {
            name: name.parse().unwrap(),
            artifact,
            limits: Limits::default(),
            replicas: Replicas::default(),
            restart: Restart::Never,
            start: true,
            args: vec![],
            env: vec![],
            isolation: shared::Isolation::Shared,
        };
        let seq = self.next_seq();
        Body {
            realm: self.realm,
            seq,
            issued_at: seq,
            not_after: None,
            audience: Audience::default(),
            note: String::new(),
            payload: Push { component, verb: None },
        }
    }

    fn next_seq(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let mut last = self.last_seq.lock().unwrap();
        *last = u64::try_from(now).unwrap().max(*last + 1);
        *last
    }

    /// The bytes of an intent, signed.
    pub(crate) fn seal(&self, body: &Body<Push>) -> Vec<u8> {
        seal(&self.key, body).unwrap()
    }

    /// Hands bytes to a node and gives its word on them.
    pub(crate) fn try_hand(&self, node: NodeId, bytes: &[u8]) -> Result<Verdict, MeshError> {
        let receipt: Receipt = patiently("receipt", async {
            let mut stream = self.mesh.open(node, Protocol::Intent).await?;
            stream.write_frame(&ByteString(bytes), MAX_INTENT_FRAME).await?;
            stream.read_frame(MAX_INTENT_FRAME).await
        })?;
        assert_eq!(receipt.node, node);
        Ok(receipt.verdict)
    }

    pub(crate) fn hand(&self, node: NodeId, bytes: &[u8]) -> Verdict {
        self.try_hand(node, bytes).unwrap()
    }

    /// Pushes a guest that has to be accepted, after `change`.
    pub(crate) fn push(&self, node: NodeId, name: &str, guest: &str, change: impl FnOnce(&mut Body<Push>)) -> Vec<u8> {
        let mut body = self.intent(name, guest);
        change(&mut body);
        let bytes = self.seal(&body);
        assert_eq!(self.hand(node, &bytes), Verdict::Accepted, "{name}");
        bytes
    }

    /// Opens a stream with a question on it.
    pub(crate) fn ask(&self, node: NodeId, request: &WatchRequest) -> MeshStream {
        let opened = patiently("stream", async {
            let mut stream = self.mesh.open(node, Protocol::Watch).await?;
            stream.write_frame(request, MAX_WATCH_FRAME).await?;
            Ok::<_, MeshError>(stream)
        });
        opened.unwrap()
    }

    /// The realm as a node sees it: the report of each node, signed by that node, and whether it is alive.
    pub(crate) fn watch(&self, node: NodeId) -> BTreeMap<NodeId, (NodeReport, bool)> {
        let seen = patiently("status", async {
            let mut stream = self.mesh.open(node, Protocol::Watch).await?;
            stream.write_frame(&WatchRequest::Status { follow: false }, MAX_WATCH_FRAME).await?;
            let mut seen = BTreeMap::new();
            loop {
                match stream.read_frame(MAX_WATCH_FRAME).await? {
                    WatchReply::Node(view) => {
                        let report = view.report.open(&self.realm).unwrap();
                        seen.insert(report.node, (report, view.alive));
                    }
                    WatchReply::Current => {}
                    WatchReply::End => return Ok::<_, MeshError>(seen),
                    other => panic!("{other:?}"),
                }
            }
        });
        seen.unwrap()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.end.close();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The code of a refusal.
pub(crate) fn code(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Refused { code, .. } => code,
        Verdict::Accepted => "accepted",
        Verdict::AlreadyHeld => "already-held",
    }
}

/// The next word of an answer.
pub(crate) fn next(stream: &mut MeshStream) -> WatchReply {
    patiently("answer", stream.read_frame(MAX_WATCH_FRAME)).unwrap()
}

fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let late = async {
        Timer::after(PATIENCE).await;
        panic!("no {what} within {PATIENCE:?}")
    };
    smol::block_on(smol::future::or(wait, late))
}

async fn pump(
    executor: Arc<Executor<'static>>,
    events: Receiver<MeshEvent>,
    meet: Sender<(NodeId, bool)>,
    listen: Sender<()>,
    shelf: Shelf,
) {
    let (mut serving, mut silent) = (Vec::new(), Vec::new());
    while let Ok(event) = events.recv().await {
        match event {
            MeshEvent::Met { peer, admitted, .. } => {
                let _ = meet.try_send((peer, admitted));
            }
            MeshEvent::Subscribed { topic: Topic::Intents, .. } => {
                let _ = listen.try_send(());
            }
            MeshEvent::Stream { protocol: Protocol::Blob, stream, .. } => {
                serving.push(executor.spawn(serve(stream, Arc::clone(&shelf))));
            }
            // Whoever asks waits in vain.
            MeshEvent::Stream { protocol: Protocol::Watch, stream, .. } => silent.push(stream),
            _ => {}
        }
    }
}

/// Gives chunks to a node, until it has what it wants.
async fn serve(mut stream: MeshStream, shelf: Shelf) -> Option<()> {
    let mut opened: Option<(ChunkList, Vec<u8>)> = None;
    loop {
        let request = stream.read_frame(BlobReply::MAX_FRAME).await.ok()?;
        let reply = match (request, &opened) {
            (BlobRequest::Open(artifact), _) => {
                opened = shelf.lock().unwrap().get(&artifact).cloned();
                let have = vec![0xFF; artifact.chunk_count().div_ceil(8) as usize];
                if opened.is_some() { BlobReply::Have { complete: true, have } } else { BlobReply::Unknown }
            }
            (BlobRequest::List, Some((list, _))) => BlobReply::List(list.to_bytes()),
            (BlobRequest::Chunk(index), Some((_, bytes))) => {
                let chunk = bytes.chunks(CHUNK_BYTES).nth(index as usize);
                chunk.map_or(BlobReply::Missing, |chunk| BlobReply::Chunk(chunk.to_vec()))
            }
            (_, None) => BlobReply::Missing,
        };
        stream.write_frame(&reply, BlobReply::MAX_FRAME).await.ok()?;
    }
}
