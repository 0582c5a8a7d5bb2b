//! One artifact that is wanted: finds sources among the peers, gives each a task, and goes on until everything is here.

use super::limits::{
    DISTRUST, MAX_HINTS, MAX_SOURCES, PROGRESS_EVERY, RETRY_BESIDE, RETRY_FIRST, RETRY_MOST, STALLED, USELESS_FOR,
};
use super::partial::{Partial, Unfinished, random};
use super::slots::Slots;
use super::source::{self, End, Note};
use super::{ArtifactEvent, Context};
use shared::{ChunkList, Digest, NodeId, files};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;
use smol::lock::SemaphoreGuardArc;
use smol::{Task, Timer, unblock};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a fetch ended.
pub(super) enum Outcome {
    /// Everything is here.
    Stored,
    /// It cannot be had or kept; the text says why.
    Failed(String),
    /// Nobody wants it any more.
    GivenUp,
}

/// Peers that probably have the artifact, the likeliest first, each with the number of the call that named it.
#[derive(Default)]
pub(super) struct Hints(Mutex<Vec<(NodeId, u64)>>);

impl Hints {
    /// The latest are the likeliest: one of them has just asked for it to be fetched.
    pub(super) fn add(&self, latest: Vec<NodeId>, number: u64) {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hints.retain(|(hint, _)| !latest.contains(hint));
        hints.splice(..0, latest.into_iter().take(MAX_HINTS).map(|hint| (hint, number)));
        hints.truncate(MAX_HINTS);
    }

    fn get(&self) -> Vec<(NodeId, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) struct Fetch {
    context: Arc<Context>,
    partial: Arc<Partial>,
    hints: Arc<Hints>,
    /// Something has changed among peers or hints.
    kicked: Receiver<()>,
    notes: Receiver<Note>,
    sender: Sender<Note>,
    /// Each with the number that it was asked under; see [`Fetch::candidate`].
    sources: BTreeMap<NodeId, (Task<()>, u64)>,
    /// When a source last offered something that was missing.
    offered_at: Instant,
    /// Peers that were asked since the last retry; see [`Fetch::candidate`] for the number.
    asked: BTreeMap<NodeId, u64>,
    distrusted: BTreeMap<NodeId, Instant>,
    /// One of the places for transfers, while there are sources.
    place: Option<SemaphoreGuardArc>,
    retry_at: Option<Instant>,
    pause: Duration,
    told: Told,
}

/// What was told of it last.
struct Told {
    no_source: bool,
    bytes: u64,
    at: Option<Instant>,
}

/// What a fetch waits for.
enum Input {
    Note(Note),
    Kicked,
    Retry,
}

impl Fetch {
    pub(super) fn new(context: Arc<Context>, partial: Arc<Partial>, hints: Arc<Hints>, kicked: Receiver<()>) -> Fetch {
        // One note of each source; they wait for their turn.
        let (sender, notes) = bounded(MAX_SOURCES);
        Fetch {
            context,
            partial,
            hints,
            kicked,
            notes,
            sender,
            sources: BTreeMap::new(),
            offered_at: Instant::now(),
            asked: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            place: None,
            retry_at: None,
            pause: RETRY_FIRST,
            told: Told { no_source: false, bytes: 0, at: None },
        }
    }

    pub(super) async fn run(mut self) -> Outcome {
        match self.prepare().await {
            Ok(true) => return Outcome::Stored,
            Ok(false) => {}
            Err(reason) => return Outcome::Failed(reason),
        }
        while !self.partial.look(|slots| slots.is_complete()) {
            self.find_sources().await;
            let fault = match self.next_input().await {
                Input::Note(note) => self.take(note).await,
                Input::Kicked => {
                    self.pause = RETRY_FIRST;
                    Ok(())
                }
                Input::Retry => {
                    self.retry_at = None;
                    self.pause = if self.sources.is_empty() { (self.pause * 2).min(RETRY_MOST) } else { RETRY_BESIDE };
                    self.asked.clear();
                    self.give_way().await;
                    Ok(())
                }
            };
            if let Err(reason) = fault {
                return Outcome::Failed(reason);
            }
        }
        self.sources.clear();
        match self.partial.finish().await {
            Ok(list) => {
                self.context.lists.remember(self.partial.artifact, list);
                Outcome::Stored
            }
            Err(Unfinished::Disk(error)) => Outcome::Failed(files::fault(&error)),
            Err(Unfinished::GivenUp) => Outcome::GivenUp,
        }
    }

    /// Looks whether it is here already, which is `true`.
    async fn prepare(&mut self) -> Result<bool, String> {
        let (store, artifact) = (Arc::clone(&self.context.store), self.partial.artifact);
        let looked = unblock(move || match store.size(&artifact.digest)? {
            Some(size) if size == artifact.size => Ok(Some(Ok(()))),
            Some(size) => Ok(Some(Err((size, store.set_aside(&artifact.digest)?)))),
            None => io::Result::Ok(None),
        });
        match looked.await.map_err(|error| files::fault(&error))? {
            Some(Ok(())) => return Ok(true),
            Some(Err((size, path))) => {
                self.context.lists.forget(&artifact.digest);
                let reason =
                    format!("it has {size} bytes and not {}: set aside as `{}`", artifact.size, path.display());
                self.context.tell(ArtifactEvent::Torn { digest: artifact.digest, reason }).await;
            }
            None => {}
        }
        if artifact.size == 0 {
            // Its list is empty too: there is nothing to ask anybody for.
            let list = ChunkList::check(&artifact, &[]).map_err(|error| error.to_string())?;
            self.partial.adopt(list).await.map_err(|error| files::fault(&error))?;
        }
        Ok(false)
    }

    async fn next_input(&self) -> Input {
        let note = async {
            match self.notes.recv().await {
                Ok(note) => Input::Note(note),
                // Not while `sender` is held here.
                Err(_) => smol::future::pending().await,
            }
        };
        let kicked = async {
            match self.kicked.recv().await {
                Ok(()) => Input::Kicked,
                Err(_) => smol::future::pending().await,
            }
        };
        let retry = async {
            match self.retry_at {
                Some(at) => Timer::at(at).await,
                None => smol::future::pending().await,
            };
            Input::Retry
        };
        or(note, or(kicked, retry)).await
    }

    /// Gives every candidate a task, as far as there is room.
    async fn find_sources(&mut self) {
        while self.sources.len() < MAX_SOURCES {
            let Some((peer, number)) = self.candidate() else { break };
            let is_node = self.context.is_node(&peer);
            if self.place.is_none() {
                self.place = Some(self.context.places.acquire_arc().await);
            }
            self.asked.insert(peer, number);
            let (mesh, partial, notes) = (self.context.mesh.clone(), Arc::clone(&self.partial), self.sender.clone());
            let Some(task) = self.context.spawn(source::run(mesh, peer, is_node, partial, notes)) else { break };
            self.sources.insert(peer, (task, number));
        }
        if self.sources.is_empty() {
            self.place = None;
            // Those who have just heard of it as well have it a moment later.
            if self.pause > RETRY_FIRST {
                self.tell_no_source().await;
            }
        }
        if self.sources.len() < MAX_SOURCES && self.retry_at.is_none() {
            // Half to the whole of the pause, so that nodes that lost the same peer do not all come back at once.
            let millis = self.pause.as_millis() as u64;
            let jittered = millis / 2 + random() % (millis / 2 + 1);
            self.retry_at = Some(Instant::now() + Duration::from_millis(jittered));
        }
    }

    /// When nobody has offered anything that is missing for a while, others shall have the place: nodes that wait for one
    /// another would hold all places, and those for which there is a source would wait too.
    async fn give_way(&mut self) {
        if self.partial.look(Slots::is_anything_offered) {
            self.offered_at = Instant::now();
        } else if self.offered_at.elapsed() >= USELESS_FOR {
            self.sources.clear();
            self.place = None;
            self.tell_no_source().await;
        }
    }

    async fn tell_no_source(&mut self) {
        if !self.told.no_source {
            self.told.no_source = true;
            self.context.tell(ArtifactEvent::NoSource { digest: self.digest() }).await;
        }
    }

    /// The next peer to ask: hints in their order, then any. With it comes a number that is another one when the peer has
    /// connected anew, or was named anew, since it was asked.
    fn candidate(&mut self) -> Option<(NodeId, u64)> {
        let now = Instant::now();
        self.distrusted.retain(|_, until| *until > now);
        let (hints, mut peers) = (self.hints.get(), self.context.peers());
        for (hint, number) in &hints {
            peers.entry(*hint).and_modify(|connection| *connection = (*connection).max(*number)).or_insert(*number);
        }
        peers.retain(|peer, number| {
            *peer != self.context.mesh.local()
                && !self.sources.contains_key(peer)
                && !self.distrusted.contains_key(peer)
                && self.asked.get(peer) != Some(number)
        });
        let hint = hints.iter().map(|(hint, _)| *hint).find(|hint| peers.contains_key(hint));
        let any = || peers.keys().nth((random() % peers.len().max(1) as u64) as usize).copied();
        let chosen = hint.or_else(any)?;
        peers.get(&chosen).map(|number| (chosen, *number))
    }

    async fn take(&mut self, note: Note) -> Result<(), String> {
        match note {
            Note::Stored => self.tell_progress().await,
            Note::Ended { peer, useful, end } => {
                if let Some((_, number)) = self.sources.remove(&peer) {
                    self.asked.insert(peer, number);
                }
                if useful {
                    // It may be back in a moment, though there was a pause of others.
                    self.pause = RETRY_FIRST;
                    self.retry_at = None;
                    self.told.no_source = false;
                }
                match end {
                    End::Complete | End::Nothing => {}
                    End::Misbehaved(what) => {
                        // A link that was broken for a moment looks like a peer that stalls.
                        let time = if what == source::LATE { STALLED } else { DISTRUST };
                        self.distrusted.insert(peer, Instant::now() + time);
                        let event = ArtifactEvent::Misbehaved { digest: self.digest(), peer, reason: what };
                        self.context.tell(event).await;
                    }
                    End::Disk(error) => return Err(files::fault(&error)),
                    End::Mistaken(error) => return Err(error.to_string()),
                }
            }
        }
        Ok(())
    }

    async fn tell_progress(&mut self) {
        let now = Instant::now();
        if self.told.at.is_some_and(|at| now.duration_since(at) < PROGRESS_EVERY) {
            return;
        }
        let (bytes, complete) = self.partial.look(|slots| (slots.bytes(), slots.is_complete()));
        if bytes > self.told.bytes && !complete {
            self.told.bytes = bytes;
            self.told.at = Some(now);
            self.context.tell(ArtifactEvent::Progress { digest: self.digest(), bytes }).await;
        }
    }

    fn digest(&self) -> Digest {
        self.partial.artifact.digest
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        // Peers that wait for chunks here are told that they wait in vain, unless everything is here.
        self.partial.end();
    }
}
