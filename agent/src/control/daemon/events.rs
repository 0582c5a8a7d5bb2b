//! What happens next, of all that can happen; and what an event of an edge means to the node.

use super::alarm::Alarm;
use super::journal::log;
use super::{Daemon, Inboxes, MAX_WATCHERS, Waiting, Word, backtrace, pages, streams, usage, watch};
use crate::control::artifacts::ArtifactEvent;
use crate::control::host::{HostEvent, HostOrder};
use crate::control::http::{HttpKind, HttpRequest};
use crate::control::node::{Input, Level, PrepareError, Source};
use crate::control::store::StoreEvent;
use shared::mesh::{self, MeshEvent};
use shared::protocol::{Protocol, Topic};
use shared::{LogQuery, Outcome, frame};
use smol::channel::{Receiver, bounded};
use smol::future::FutureExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) enum Event {
    Woke,
    Overdue,
    Mesh(MeshEvent),
    Artifact(ArtifactEvent),
    Host(HostEvent),
    Store(StoreEvent),
    Http(HttpRequest),
    Word(Word),
}

/// Waits for the next event. Of several that are there, what ends the agent comes first, then what frees somebody
/// who waits.
pub(super) async fn next(
    inboxes: &Inboxes,
    alarm: &mut Alarm,
    wake: Option<Instant>,
    ending: Option<Instant>,
) -> Event {
    at(ending, Event::Overdue)
        .or(from(&inboxes.host, Event::Host))
        .or(from(&inboxes.store, Event::Store))
        .or(async {
            alarm.wait(wake).await;
            Event::Woke
        })
        .or(from(&inboxes.http, Event::Http))
        .or(from(&inboxes.words, Event::Word))
        .or(from(&inboxes.artifacts, Event::Artifact))
        .or(from(&inboxes.mesh, Event::Mesh))
        .await
}

async fn from<T>(inbox: &Receiver<T>, event: fn(T) -> Event) -> Event {
    match inbox.recv().await {
        Ok(word) => event(word),
        // An edge that has ended says nothing more.
        Err(_) => std::future::pending().await,
    }
}

async fn at(instant: Option<Instant>, event: Event) -> Event {
    match instant {
        Some(instant) => {
            smol::Timer::at(instant).await;
            event
        }
        None => std::future::pending().await,
    }
}

impl Daemon {
    pub(super) fn mesh_event(&mut self, event: MeshEvent) {
        match event {
            MeshEvent::Met { peer, addr, hello, admitted } => {
                // An edge that has no room now learns of its peers by asking again.
                let _ = match admitted {
                    true => self.artifacts.peer_joined(peer, hello.role),
                    false => self.artifacts.peer_gone(peer),
                };
                self.feed(Input::Met { peer, addr, hello, admitted });
            }
            MeshEvent::Gone { peer } => {
                let _ = self.artifacts.peer_gone(peer);
                self.feed(Input::Gone { peer });
            }
            MeshEvent::Leads { addr, peer } => self.feed(Input::Leads { addr, peer }),
            MeshEvent::DialFailed { addr, reason } => self.feed(Input::DialFailed { addr, reason }),
            MeshEvent::Gossip { id, from, topic, data } => self.gossip(id, from, topic, data),
            // Whoever is connected asks for what it lacks as soon as it listens.
            MeshEvent::PublishUnheard { .. } => {}
            MeshEvent::Subscribed { peer, topic: Topic::Reports } => self.feed(Input::Subscribed { peer }),
            MeshEvent::Subscribed { .. } => {}
            MeshEvent::NewAddr { addr } => self.feed(Input::Listening { addr }),
            MeshEvent::LostAddr { addr } => self.feed(Input::NotListening { addr }),
            MeshEvent::Found { addrs, .. } => self.feed(Input::Found { addrs }),
            MeshEvent::NoLan { reason } => {
                log(Level::Warn, &format!("other nodes are not looked for on the local network: {reason}"));
            }
            MeshEvent::Lost { addr } => self.feed(Input::Lost { addr }),
            MeshEvent::Stream { peer, protocol, stream } => {
                let words = self.words.clone();
                match protocol {
                    Protocol::Intent => self.crew.spawn(streams::take_intent(peer, stream, words)),
                    Protocol::Sync => self.crew.spawn(streams::answer_sync(stream, words)),
                    Protocol::Watch => {
                        let (me, mesh, logs) = (self.node.me(), self.mesh.clone(), Arc::clone(&self.logs));
                        let relayed = Arc::clone(&self.relayed);
                        self.crew.spawn(watch::serve(stream, watch::Watching { me, mesh, logs, words, relayed }))
                    }
                    Protocol::Blob => self.artifacts.serve(peer, stream).is_ok(),
                    Protocol::Hello => true,
                };
            }
        }
    }

    fn gossip(&mut self, id: mesh::GossipId, peer: shared::NodeId, topic: Topic, data: Vec<u8>) {
        match topic {
            Topic::Intents => {
                let ticket = self.ticket(Waiting::Gossip(id));
                self.feed(Input::Offered { source: Source::Gossip { ticket, peer }, bytes: data });
            }
            Topic::Reports => match frame::decode(&data) {
                Ok(report) => {
                    let ticket = self.ticket(Waiting::Gossip(id));
                    self.feed(Input::Reported { ticket: Some(ticket), report });
                }
                Err(_) => {
                    let _ = self.mesh.verdict(id, mesh::Verdict::Reject);
                }
            },
        }
    }

    pub(super) fn artifact_event(&mut self, event: ArtifactEvent) {
        match event {
            ArtifactEvent::Stored { digest } => self.feed(Input::Stored { digest }),
            ArtifactEvent::Read { digest, result } => self.feed(Input::ManifestRead { digest, result }),
            ArtifactEvent::Progress { digest, bytes } => self.feed(Input::Fetched { digest, bytes }),
            ArtifactEvent::Failed { digest, reason } => self.feed(Input::FetchFailed { digest, reason }),
            ArtifactEvent::NoSource { digest } => {
                log(Level::Info, &format!("no connected peer has {digest}; waiting for one that does"));
                self.feed(Input::NoSource { digest });
            }
            ArtifactEvent::Removed { digest, gone } => self.feed(Input::Removed { digest, gone }),
            ArtifactEvent::Torn { digest, reason } => {
                log(Level::Warn, &format!("{digest} is torn: {reason}"));
                self.feed(Input::Torn { digest });
            }
            ArtifactEvent::Misbehaved { digest, peer, reason } => {
                log(Level::Warn, &format!("{peer} is not asked for {digest} for a while: {reason}"));
            }
        }
    }

    pub(super) fn store_event(&mut self, event: StoreEvent) {
        match event {
            StoreEvent::Persisted { ticket, result } => self.feed(Input::Persisted { ticket, result }),
            StoreEvent::ManifestSaved { id, result } => self.feed(Input::ManifestSaved { id, result }),
            StoreEvent::Failed { reason } => log(Level::Warn, &reason),
        }
    }

    pub(super) fn host_event(&mut self, event: HostEvent) {
        match event {
            HostEvent::Prepared { digest, fuel, result, code_bytes } => {
                let result = result.map_err(|failed| match (failed.takes, failed.for_good) {
                    (Some(bytes), _) => PrepareError::TooLarge(bytes),
                    (None, true) => PrepareError::Refused(failed.reason),
                    (None, false) => PrepareError::Unable(failed.reason),
                });
                self.feed(Input::Code { digest, bytes: code_bytes });
                self.feed(Input::Prepared { digest, fuel, result });
            }
            HostEvent::Torn { digest } => {
                // An edge without room looks at it when the same is found again.
                let _ = self.artifacts.examine(digest);
            }
            HostEvent::CodeTorn { digest, reason } => {
                log(Level::Warn, &format!("{digest} is compiled anew: {reason}"));
            }
            HostEvent::Started { instance } => self.feed(Input::Started { instance }),
            HostEvent::Output { instance, stream, bytes } => self.output(instance, stream, bytes),
            HostEvent::Dropped { instance, bytes } => {
                self.output_dropped_bytes += bytes;
                if let Some(name) = self.running.get(&instance).cloned() {
                    self.note(name, format!("{bytes} bytes of output were dropped: it writes faster than it may"));
                }
            }
            HostEvent::Exited { instance, outcome, detail, usage } => {
                self.log_end(instance, &outcome, detail);
                self.feed(Input::Exited { instance, outcome, usage });
            }
            HostEvent::Usages { of, complete } => {
                self.feed(Input::Usages(of));
                if complete {
                    self.asking_usage.drain(..).for_each(|asking| _ = asking.try_send(()));
                }
            }
            HostEvent::RunnerLost { instances, how } => {
                log(Level::Warn, &format!("a runner ended: {how}; {} instances went with it", instances.len()));
                for instance in &instances {
                    self.log_end(*instance, &Outcome::Trap(format!("the runner ended: {how}")), Vec::new());
                }
                self.feed(Input::RunnerLost { instances, reason: how });
            }
            HostEvent::Shutdown { grace_ms } => {
                self.ending = Some(Instant::now() + Duration::from_millis(grace_ms));
                self.feed(Input::Leaving);
                if self.host.order(HostOrder::Shutdown).is_err() {
                    self.drained = true;
                }
            }
            HostEvent::Drained => self.drained = true,
        }
    }

    fn output(&mut self, instance: u64, stream: shared::Stream, bytes: Vec<u8>) {
        let Some(name) = self.running.get(&instance).cloned() else { return };
        let at = self.now().unix_ms;
        // What finds no room is counted by the edge.
        let _ = self.logs.append(name, instance, stream, at, bytes);
    }

    /// Writes how a run ended to the component's log, unless it ended as it should and has nothing to tell.
    fn log_end(&mut self, instance: u64, outcome: &Outcome, detail: Vec<String>) {
        let Some(name) = self.running.remove(&instance) else { return };
        let _ = self.logs.end(name.clone(), instance);
        for line in backtrace::of_the_guest(detail) {
            self.note(name.clone(), line);
        }
        if outcome.is_failure() {
            self.note(name, format!("ended: {outcome}"));
        }
    }

    pub(super) fn note(&self, name: shared::ComponentName, text: String) {
        let _ = self.logs.note(name, self.now().unix_ms, text);
    }

    pub(super) fn http_request(&mut self, request: HttpRequest) {
        const TEXT: &str = "text/plain; charset=utf-8";
        match request.kind {
            HttpKind::Healthz => request.reply.send(200, TEXT, b"ok\n".to_vec()),
            HttpKind::Readyz if self.ending.is_some() => {
                request.reply.send(503, TEXT, b"the agent is leaving\n".to_vec())
            }
            // The loop turns only once the state is loaded and the node listens.
            HttpKind::Readyz => request.reply.send(200, TEXT, b"ready\n".to_vec()),
            HttpKind::Status => request.reply.send(200, "application/json", pages::status(&self.node, &self.tags)),
            HttpKind::Metrics => {
                let words = self.words.clone();
                self.crew.spawn(async move {
                    usage::refresh(&words).await;
                    let _ = words.send(Word::Metrics(request)).await;
                });
            }
            HttpKind::Logs { component, tail, since, follow } => {
                let logs = Arc::clone(&self.logs);
                let since = since.map(|since| since.unix_ms(self.now().unix_ms));
                let tail = u32::try_from(tail).unwrap_or(u32::MAX);
                let query = LogQuery { component, tail, since, follow, ..LogQuery::default() };
                self.crew.spawn(async move {
                    if follow {
                        pages::follow(&logs, query, request.reply).await;
                    } else {
                        let entries = watch::own_tail(&logs, &query).await;
                        request.reply.send(200, TEXT, pages::logs(&entries));
                    }
                });
            }
        }
    }

    pub(super) fn word(&mut self, word: Word) {
        match word {
            Word::Offered { peer, bytes, reply } => {
                let ticket = self.ticket(Waiting::Receipt(reply));
                self.feed(Input::Offered { source: Source::Stream { ticket, peer }, bytes });
            }
            Word::SyncAsked { request, reply } => {
                let ticket = self.ticket(Waiting::Sync(reply));
                self.feed(Input::SyncAsked { ticket, request });
            }
            Word::SyncAnswered { peer, result } => self.feed(Input::SyncAnswered { peer, result }),
            Word::Watch { follow, reply } => {
                let (unseen, changes) = bounded(watch::MAX_UNSEEN);
                if follow && self.watchers.len() < MAX_WATCHERS {
                    self.watchers.push(unseen);
                }
                let _ = reply.try_send((self.node.views(), changes));
            }
            Word::Usage { reply } => self.ask_usage(reply),
            Word::Metrics(request) => {
                let dropped = self.output_dropped_bytes + self.logs.dropped_bytes();
                let text = pages::metrics(&self.node, self.store.syncs(), dropped);
                request.reply.send(200, crate::control::http::metrics::CONTENT_TYPE, text);
            }
            Word::Runs { component, reply } => {
                let _ = reply.try_send(self.node.runs(&component));
            }
            Word::Others { reply } => {
                let neighbours = self.node.neighbours();
                let far = |node: &shared::NodeId| *node != self.node.me() && !neighbours.contains(node);
                let alive = self.node.views().into_iter().filter(|view| view.alive).map(|view| view.report.node);
                let far = alive.filter(far).collect();
                let _ = reply.try_send((neighbours, far));
            }
        }
    }
}
