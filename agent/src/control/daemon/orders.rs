//! Orders of the node, handed down to the edges. None of them waits: an edge without room is an input of its own.

use super::journal::log;
use super::{Daemon, Waiting, streams};
use crate::control::disk::{ManifestFile, MemberFile};
use crate::control::host::HostOrder;
use crate::control::node::{Effect, Input, Level, PrepareError, Verdict};
use shared::RunUsage;
use shared::protocol::{MAX_GOSSIP_BYTES, Topic};
use shared::{Artifact, ComponentSpec, Digest, IntentId, NodeId, Outcome, frame, mesh};
use std::sync::Arc;

impl Daemon {
    pub(super) fn obey(&mut self, effect: Effect) {
        match effect {
            Effect::Persist { ticket, key, bytes, claim } => {
                if self.store.persist(ticket, key, bytes, claim).is_err() {
                    let result = Err("too much waits for the disk".into());
                    self.backlog.push_back(Input::Persisted { ticket, result });
                }
            }
            Effect::ReadManifest(digest) => self.read_manifest(digest),
            Effect::SaveManifest { id, file } => self.save_manifest(id, file),
            Effect::SaveRun { name, record } => self.store.save_run(name, Some(record)),
            Effect::Forget { name, ran } => {
                // What is not removed now is removed at the next start.
                let _ = self.logs.forget(name.clone());
                if ran {
                    self.store.save_run(name, None);
                }
            }
            Effect::SaveMembers(members) => self.store.save_members(MemberFile { members }),
            Effect::Receipt { ticket, receipt } => {
                if let Some(Waiting::Receipt(reply)) = self.waiting.remove(&ticket) {
                    let _ = reply.try_send(receipt);
                }
            }
            Effect::AnswerSync { ticket, reply } => {
                if let Some(Waiting::Sync(to)) = self.waiting.remove(&ticket) {
                    let _ = to.try_send(reply);
                }
            }
            Effect::Judge { ticket, verdict } => {
                if let Some(Waiting::Gossip(id)) = self.waiting.remove(&ticket) {
                    let _ = self.mesh.verdict(id, in_the_mesh(verdict));
                }
            }
            Effect::Announce(bytes) => self.publish(Topic::Intents, bytes.to_vec()),
            Effect::PublishReport(report) => match frame::to_bytes(&report, MAX_GOSSIP_BYTES) {
                Ok(bytes) => self.publish(Topic::Reports, bytes),
                Err(error) => log(Level::Warn, &format!("a report could not be sent: {error}")),
            },
            Effect::HandOver { peer, bytes } => {
                self.crew.spawn(streams::hand_over(self.mesh.clone(), peer, bytes));
            }
            Effect::AskSync { peer, request } => {
                let (mesh, words) = (self.mesh.clone(), self.words.clone());
                if !self.crew.spawn(streams::ask_sync(mesh, peer, request, words)) {
                    let result = Err("too much is under way".into());
                    self.backlog.push_back(Input::SyncAnswered { peer, result });
                }
            }
            // A watcher that has no room is behind for good: it is cut off, and asks anew.
            Effect::NodeChanged(view) => self.watchers.retain(|watcher| watcher.try_send(view.clone()).is_ok()),
            Effect::Fetch { artifact, hints } => self.fetch(artifact, hints),
            // Without room it is fetched to its end, and is there when it is wanted again.
            Effect::Cancel(digest) => _ = self.artifacts.cancel(digest),
            Effect::Drop(digest) => {
                // What is not removed now is removed at the next start.
                if self.artifacts.remove(digest).is_err() {
                    self.backlog.push_back(Input::Removed { digest, gone: false });
                }
                let _ = self.host.order(HostOrder::Forget(digest));
            }
            // It goes when there is room for the order, or at the next start.
            Effect::DropCode(digest) => _ = self.host.order(HostOrder::Forget(digest)),
            Effect::Prepare { digest, fuel, room } => self.prepare(digest, fuel, room),
            Effect::Start { instance, spec, memory_max_bytes } => self.start_run(instance, spec, memory_max_bytes),
            Effect::Stop(instance) => self.host.stop(instance),
            Effect::Dial(addrs) => self.dial(&addrs),
            // Without room the question is lost, like others on their way; another follows.
            Effect::AskLan => _ = self.mesh.ask_lan(),
            // Without room it stays for as long as it likes.
            Effect::Leave(peer) => _ = self.mesh.drop_peer(peer),
            Effect::SetHello(hello) => {
                let _ = self.mesh.set_hello(hello);
            }
            Effect::Log(level, text) => log(level, &text),
            Effect::Note(name, text) => self.note(name, text),
        }
    }

    fn read_manifest(&mut self, digest: Digest) {
        if self.artifacts.read(digest).is_err() {
            let result = Err("too many artifacts are asked for".into());
            self.backlog.push_back(Input::ManifestRead { digest, result });
        }
    }

    fn save_manifest(&mut self, id: IntentId, file: ManifestFile) {
        if self.store.save_manifest(id, file).is_err() {
            let result = Err("too much waits for the disk".into());
            self.backlog.push_back(Input::ManifestSaved { id, result });
        }
    }

    fn fetch(&mut self, artifact: Artifact, hints: Vec<NodeId>) {
        if self.artifacts.fetch(artifact, hints).is_err() {
            let reason = "too many artifacts are being fetched".into();
            self.backlog.push_back(Input::FetchFailed { digest: artifact.digest, reason });
        }
    }

    fn dial(&mut self, addrs: &[String]) {
        if let (Err(error), Some(addr)) = (self.mesh.dial(addrs), addrs.first()) {
            let (addr, reason) = (addr.clone(), error.to_string());
            self.backlog.push_back(Input::DialFailed { addr, reason });
        }
    }

    fn prepare(&mut self, digest: Digest, fuel: bool, room: u64) {
        let input = self.artifacts.path(&digest);
        if self.host.order(HostOrder::Prepare { digest, input, fuel, room }).is_err() {
            let result = Err(PrepareError::Unable("too many runs are being prepared".into()));
            self.backlog.push_back(Input::Prepared { digest, fuel, result });
        }
    }

    fn start_run(&mut self, instance: u64, spec: Arc<ComponentSpec>, memory_max_bytes: u64) {
        let _ = self.logs.set_cap(spec.name.clone(), spec.limits.log_max_kb);
        self.running.insert(instance, spec.name.clone());
        if self.host.order(HostOrder::Start { instance, spec, memory_max_bytes }).is_err() {
            self.running.remove(&instance);
            let outcome = Outcome::Trap("too many runs wait to be started".into());
            self.backlog.push_back(Input::Exited { instance, outcome, usage: RunUsage::default() });
        }
    }

    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) {
        if let Err(error) = self.mesh.publish(topic, bytes) {
            log(Level::Warn, &format!("could not be published: {error}"));
        }
    }
}

fn in_the_mesh(verdict: Verdict) -> mesh::Verdict {
    match verdict {
        Verdict::Forward => mesh::Verdict::Accept,
        Verdict::Ignore => mesh::Verdict::Ignore,
        Verdict::Reject => mesh::Verdict::Reject,
    }
}
