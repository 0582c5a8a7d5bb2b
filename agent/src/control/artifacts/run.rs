//! The task of the edge: takes messages, and owns a task for each fetch and each stream that is served.

use super::fetch::{Fetch, Hints, Outcome};
use super::limits::{MAX_PEERS, MAX_SERVED, MAX_SERVED_PER_PEER, MAX_WANTED, READ_MOST};
use super::lists::Look;
use super::partial::Partial;
use super::{ArtifactEvent, Context, Message, serve};
use crate::control::timeout::within;
use shared::mesh::MeshStream;
use shared::{Artifact, Digest, MAX_ARTIFACT_BYTES, NodeId, Role};
use smol::channel::{Receiver, Sender, bounded};
use smol::{Task, unblock};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// Runs until it is dropped.
pub(super) async fn run(context: Arc<Context>, inbox: Receiver<Message>, queue: Sender<Message>) {
    let mut edge = Edge {
        context,
        queue,
        fetches: BTreeMap::new(),
        served: Vec::new(),
        examining: None,
        reading: None,
        leaving: BTreeMap::new(),
        last_number: 0,
    };
    while let Ok(message) = inbox.recv().await {
        edge.handle(message).await;
    }
}

struct Edge {
    context: Arc<Context>,
    /// For what a fetch says when it ends.
    queue: Sender<Message>,
    fetches: BTreeMap<Digest, Running>,
    served: Vec<(NodeId, Task<()>)>,
    /// The look at an artifact that somebody found to be torn. What it cannot tell is found again.
    examining: Option<Task<()>>,
    /// The artifact that is being read as a whole; one at a time, as they are wanted.
    reading: Option<Task<()>>,
    /// Those that wait until nobody reads an artifact any more that is to be removed.
    leaving: BTreeMap<Digest, Task<()>>,
    /// Counts orders, to tell runs of the same fetch, and connections of the same peer, apart.
    last_number: u64,
}

/// A fetch.
struct Running {
    run: u64,
    partial: Arc<Partial>,
    hints: Arc<Hints>,
    kick: Sender<()>,
    // Dropped with the rest: the transfer ends.
    _task: Task<()>,
}

impl Edge {
    async fn handle(&mut self, message: Message) {
        match message {
            Message::Fetch { artifact, hints } => self.fetch(artifact, hints).await,
            Message::Cancel(digest) => self.cancel(&digest).await,
            Message::Examine(digest) => self.examine(digest),
            Message::Read(digest) => self.read(digest),
            Message::Remove(digest) => self.leave(digest).await,
            Message::Unread(digest) => self.unread(digest).await,
            Message::PeerJoined(peer, role) => self.peer_joined(peer, role),
            Message::PeerGone(peer) => {
                self.context.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
            }
            Message::Serve { peer, stream } => self.serve(peer, stream),
            Message::Ended { digest, run, outcome } => self.ended(digest, run, outcome).await,
        }
    }

    async fn fetch(&mut self, artifact: Artifact, hints: Vec<NodeId>) {
        let digest = artifact.digest;
        // Wanted again, it stays.
        self.leaving.remove(&digest);
        self.context.readers.stay(&digest);
        self.last_number += 1;
        let number = self.last_number;
        if let Some(running) = self.fetches.get(&digest) {
            if running.partial.artifact == artifact {
                running.hints.add(hints, number);
                running.kick();
                return;
            }
            // Two intents pin the same digest with other sizes or lists: at most one of them is true to its word.
            let reason = "another intent pins the same digest with another size or list of chunks".to_owned();
            return self.context.tell(ArtifactEvent::Failed { digest, reason }).await;
        }
        if self.fetches.len() >= MAX_WANTED {
            let reason = format!("{MAX_WANTED} artifacts are wanted already");
            return self.context.tell(ArtifactEvent::Failed { digest, reason }).await;
        }
        if artifact.size > MAX_ARTIFACT_BYTES {
            // Intents are checked for it too; but here memory is taken for each chunk.
            let reason = format!("it has {} bytes, at most {MAX_ARTIFACT_BYTES} are allowed", artifact.size);
            return self.context.tell(ArtifactEvent::Failed { digest, reason }).await;
        }
        let partial = Partial::new(artifact, Arc::clone(&self.context.store), self.context.mesh.local());
        let known = Arc::new(Hints::default());
        known.add(hints, number);
        let (kick, kicked) = bounded(1);
        let fetch = Fetch::new(Arc::clone(&self.context), Arc::clone(&partial), Arc::clone(&known), kicked);
        let queue = self.queue.clone();
        let task = self.context.spawn(async move {
            let outcome = fetch.run().await;
            // Not while the edge runs, which takes it.
            let _ = queue.send(Message::Ended { digest, run: number, outcome }).await;
        });
        let Some(task) = task else { return };
        self.context.fetching.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, Arc::clone(&partial));
        self.fetches.insert(digest, Running { run: number, partial, hints: known, kick, _task: task });
    }

    async fn ended(&mut self, digest: Digest, run: u64, outcome: Outcome) {
        if self.fetches.get(&digest).is_none_or(|running| running.run != run) {
            // It was cancelled when it had just ended.
            return;
        }
        self.forget(&digest);
        match outcome {
            Outcome::Stored => self.context.tell(ArtifactEvent::Stored { digest }).await,
            Outcome::Failed(reason) => self.context.tell(ArtifactEvent::Failed { digest, reason }).await,
            Outcome::GivenUp => {}
        }
    }

    async fn cancel(&mut self, digest: &Digest) {
        if let Some(running) = self.forget(digest) {
            running.partial.give_up().await;
        }
    }

    /// What is known of it may be older than the damage: it is read anew. One at a time, as they are compiled.
    fn examine(&mut self, digest: Digest) {
        self.context.lists.forget(&digest);
        let context = Arc::clone(&self.context);
        self.examining = self.context.spawn(async move {
            if let Ok(Look::Torn(path)) = context.lists.open(digest).await {
                context.tell_torn(digest, &path).await;
            }
        });
    }

    fn read(&mut self, digest: Digest) {
        let context = Arc::clone(&self.context);
        self.reading = self.context.spawn(async move {
            let store = Arc::clone(&context.store);
            let result = unblock(move || store.read(&digest)).await.map_err(|error| shared::files::fault(&error));
            context.tell(ArtifactEvent::Read { digest, result }).await;
        });
    }

    /// It is removed once nobody reads it any more, or so late that whoever does may as well keep it open.
    async fn leave(&mut self, digest: Digest) {
        self.cancel(&digest).await;
        let Some(closed) = self.context.readers.leave(digest) else { return self.remove(digest).await };
        let queue = self.queue.clone();
        let task = self.context.spawn(async move {
            // Nothing is ever sent: it is closed.
            within(READ_MOST, closed.recv()).await;
            // Not while the edge runs, which takes it.
            let _ = queue.send(Message::Unread(digest)).await;
        });
        self.leaving.extend(task.map(|task| (digest, task)));
    }

    async fn unread(&mut self, digest: Digest) {
        // It may be wanted again by now.
        if self.leaving.remove(&digest).is_some() {
            self.remove(digest).await;
        }
    }

    async fn remove(&mut self, digest: Digest) {
        self.context.lists.forget(&digest);
        let store = Arc::clone(&self.context.store);
        let removed = unblock(move || store.remove(&digest)).await;
        if let Err(error) = &removed {
            // It takes up room and does no other harm.
            eprintln!("cannot remove artifact {digest}: {error}");
        }
        self.context.tell(ArtifactEvent::Removed { digest, gone: removed.is_ok() }).await;
        self.context.readers.stay(&digest);
    }

    fn forget(&mut self, digest: &Digest) -> Option<Running> {
        self.context.fetching.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        self.fetches.remove(digest)
    }

    fn peer_joined(&mut self, peer: NodeId, role: Role) {
        self.last_number += 1;
        let mut peers = self.context.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() < MAX_PEERS || peers.contains_key(&peer) {
            peers.insert(peer, (self.last_number, role));
        }
        drop(peers);
        self.fetches.values().for_each(Running::kick);
    }

    fn serve(&mut self, peer: NodeId, stream: MeshStream) {
        self.served.retain(|(_, task)| !task.is_finished());
        let of_peer = self.served.iter().filter(|(other, _)| *other == peer).count();
        if self.served.len() >= MAX_SERVED || of_peer >= MAX_SERVED_PER_PEER {
            // Dropped: the peer asks elsewhere, or here again later.
            return;
        }
        let work = serve::run(Arc::clone(&self.context), peer, stream);
        self.served.extend(self.context.spawn(work).map(|task| (peer, task)));
    }
}

impl Running {
    fn kick(&self) {
        // One that waits already is enough.
        let _ = self.kick.try_send(());
    }
}
