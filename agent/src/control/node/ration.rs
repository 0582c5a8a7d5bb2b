//! Who gets room on the disk. What is wanted is fetched, and compiled, when what is here and what is to come has room together
//! (see `quota`). Where there is none, what is only worth keeping is given up: code of what does not run, parts of what nobody
//! fetches, then what is kept for the way back alone, the oldest first. Whatever an intent wants that is held stays. Who gets
//! none is told so, and gets it when something has gone.

use super::Node;
use super::effect::{Effect, Level};
use super::input::{Input, Now};
use super::quota::{Code, Spare, choose};
use super::workload::Workload;
use shared::{Artifact, Digest, NodeId};
use std::collections::BTreeSet;

/// What becomes of something that is wanted.
enum Room {
    /// It is there.
    Here,
    /// It will be, when what is to go has gone.
    Soon,
    /// There is none.
    None,
}

/// Mebibytes, never shown as less than what is needed.
fn needed(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

impl Node {
    /// Takes note of what an edge says of the disk. Gives whether there may be more room, or more to give up, than before.
    pub(super) fn disk_changed(&mut self, input: &Input) -> bool {
        match input {
            Input::Removed { digest, gone } => self.quota.removed(digest, *gone),
            Input::Torn { digest } => self.quota.torn(digest),
            Input::Code { digest, bytes } => self.quota.code_is(digest, *bytes),
            Input::Prepared { digest, fuel, .. } => self.quota.compiled(&(*digest, *fuel)),
            Input::Booted
            | Input::Persisted { .. }
            | Input::ManifestSaved { .. }
            | Input::Stored { .. }
            | Input::FetchFailed { .. }
            | Input::Exited { .. }
            | Input::RunnerLost { .. } => {}
            _ => return false,
        }
        true
    }

    /// Lets pass, of the orders that this input has led to, those that there is room for; the others wait.
    pub(super) fn ration(&mut self, mut look: bool, now: Now) {
        for order in std::mem::take(&mut self.out) {
            match order {
                Effect::Fetch { artifact, hints } if self.quota.need(&artifact).is_some() => {
                    self.quota.wait(artifact, hints);
                    look = true;
                    continue;
                }
                Effect::Prepare { digest, fuel, .. } => {
                    // Each order has an answer of its own.
                    let same = self.quota.want_code((digest, fuel));
                    self.out.extend(same.map(|room| Effect::Prepare { digest, fuel, room }));
                    look = true;
                    continue;
                }
                Effect::Cancel(digest) => self.quota.cancel(&digest),
                Effect::Drop(digest) => self.quota.dropped(&digest),
                _ => {}
            }
            self.out.push(order);
        }
        if look {
            self.shrink(now);
            self.admit_fetches(now);
            self.admit_code();
        }
    }

    /// After a start with less room than before, or when the disk has changed something: what can be given up goes.
    fn shrink(&mut self, now: Now) {
        let excess = self.quota.excess();
        if excess == 0 {
            return;
        }
        let spares = self.spares();
        let chosen = choose(&spares, excess);
        if chosen.is_none() && self.quota.warn_once() {
            let (used, max) = (needed(self.quota.used()), self.quota.max() >> 20);
            let text = format!(
                "the store has {used} MiB of {max} MiB, and all of it is wanted or runs: nothing new is kept until there is \
                 room (hint: raise `--store-max-mb`, or `realm rm` something)"
            );
            self.say(Level::Warn, text, now);
        }
        self.give_up(&chosen.unwrap_or(spares));
    }

    fn admit_fetches(&mut self, now: Now) {
        // What is going is promised to the first who wait for it.
        let mut promised = 0;
        // Whoever needs as much as one that found no room finds none: a thousand that wait are told so in one go.
        let mut hopeless = u64::MAX;
        for (artifact, hints) in std::mem::take(&mut self.quota.fetches) {
            let Some(need) = self.quota.need(&artifact) else {
                self.fetch_admitted(artifact, hints);
                continue;
            };
            let is_document = self.held_apply().is_some_and(|(_, apply)| apply.manifest == artifact);
            let bytes = need.saturating_add(promised);
            let room = if bytes < hopeless || is_document { self.find_room(bytes, is_document) } else { Room::None };
            match room {
                Room::Here => {
                    self.quota.admit(&artifact);
                    self.fetch_admitted(artifact, hints);
                }
                Room::Soon => {
                    promised += need;
                    self.fetch_soon(&artifact, need);
                    self.quota.fetches.push_back((artifact, hints));
                }
                Room::None => {
                    hopeless = hopeless.min(bytes);
                    self.fetch_refused(&artifact, need, now);
                    self.quota.fetches.push_back((artifact, hints));
                }
            }
        }
    }

    /// Whether there is room for so many bytes, for which what can be given up is. For the document of a manifest that is also
    /// what only that may name, by chance: without it nobody knows.
    fn find_room(&mut self, bytes: u64, for_document: bool) -> Room {
        let coming = self.quota.left().saturating_add(self.quota.going());
        if coming < bytes {
            // Nothing goes for the sake of what finds no room all the same.
            let mut spares = self.spares();
            if for_document {
                spares.extend(self.strays.iter().map(|digest| self.whole(digest)));
            }
            let Some(chosen) = choose(&spares, bytes - coming) else { return Room::None };
            self.give_up(&chosen);
        }
        if bytes <= self.quota.left() { Room::Here } else { Room::Soon }
    }

    fn fetch_admitted(&mut self, artifact: Artifact, hints: Vec<NodeId>) {
        self.quota.refused.remove(&artifact.digest);
        for work in self.works_for(&artifact.digest) {
            work.has_room(false);
        }
        self.out.push(Effect::Fetch { artifact, hints });
    }

    fn fetch_soon(&mut self, artifact: &Artifact, need: u64) {
        let reason = format!("it is fetched when {} MiB are gone that others read yet", needed(need));
        for work in self.works_for(&artifact.digest) {
            work.has_room_soon(&reason);
        }
    }

    fn fetch_refused(&mut self, artifact: &Artifact, need: u64, now: Now) {
        let reason = self.no_room(artifact, "needs", need);
        let is_news = self.quota.refused.insert(artifact.digest, reason.clone()).is_none();
        if is_news {
            self.say(Level::Warn, format!("{} is not fetched: {reason}", self.name_of(&artifact.digest)), now);
        }
        let mut notes = Vec::new();
        for work in self.works_for(&artifact.digest) {
            work.has_no_room(&reason, false, &mut notes);
        }
        self.out.extend(notes);
    }

    fn no_room(&self, artifact: &Artifact, needs: &str, need: u64) -> String {
        let (max, left, need) = (self.quota.max() >> 20, self.quota.left() >> 20, needed(need));
        if artifact.size > self.quota.max() || need > max {
            return format!("{needs} {need} MiB, the store may have {max} MiB (hint: raise `--store-max-mb` there)");
        }
        format!(
            "{needs} {need} MiB, the store has {left} MiB of {max} MiB left (hint: it goes on when there is room: `realm rm` \
             something there, or raise `--store-max-mb`)"
        )
    }

    /// What is told of an artifact: the names of what wants it say more than its digest.
    fn name_of(&self, digest: &Digest) -> String {
        let pushed = self.ledger.held().values().filter_map(|held| held.opened.component());
        let declared = self.works.values().map(|work| &*work.spec);
        let mut of = pushed.chain(declared).filter(|spec| spec.artifact.digest == *digest);
        of.next().map_or_else(|| format!("artifact {digest}"), |spec| format!("the artifact of `{}`", spec.name))
    }

    /// Why the document of the manifest is not fetched, if there is no room for it.
    pub(super) fn no_room_for(&self, digest: &Digest) -> Option<&String> {
        self.quota.refused.get(digest)
    }

    fn works_for(&mut self, digest: &Digest) -> impl Iterator<Item = &mut Workload> {
        self.works.values_mut().filter(move |work| work.spec.artifact.digest == *digest)
    }

    /// Has code compiled, as far as there is room for it. What code takes is known when it is compiled, so that where there is
    /// less than it may take, one is compiled at a time, into what there is.
    fn admit_code(&mut self) {
        self.retry_code();
        while let Some(code) = self.quota.compiles.front().copied() {
            let (needs, left) = (self.quota.code_needs(&code), self.quota.left());
            let room = if needs <= left {
                needs
            } else if self.quota.is_compiling() {
                return;
            } else if self.quota.needs.contains_key(&code) {
                match self.find_room(needs, false) {
                    Room::Here => needs,
                    Room::Soon => return,
                    Room::None if self.give_up_old_code(&code, needs) => continue,
                    Room::None => {
                        self.quota.compiles.pop_front();
                        self.code_refused(&code, needs);
                        continue;
                    }
                }
            } else {
                left
            };
            self.quota.compiles.pop_front();
            self.quota.compile(code, room);
            self.out.push(Effect::Prepare { digest: code.0, fuel: code.1, room });
        }
    }

    /// Code takes more than it was given: it is compiled again when there is so much room.
    pub(super) fn code_needs(&mut self, code: Code, bytes: u64) {
        self.quota.needs.insert(code, bytes);
        let _ = self.quota.want_code(code);
    }

    /// What there is of code was made by another version of the agent, or for other runs, when it is compiled though it is there.
    /// It is kept until there is this one's own, unless that finds no room beside it. Gives whether it went.
    fn give_up_old_code(&mut self, code: &Code, needs: u64) -> bool {
        let bytes = self.quota.usage(&code.0).code;
        let lives = self.works.values().any(|work| work.lives_by_code_of(&code.0))
            || self.orphans.values().any(|orphans| orphans.digests().any(|digest| digest == code.0));
        if bytes == 0 || lives || self.quota.left().saturating_add(bytes) < needs {
            return false;
        }
        let wanted: Vec<Code> = self.quota.compiles.iter().filter(|(of, _)| *of == code.0).copied().collect();
        self.give_up(&[Spare { digest: code.0, code_only: true, bytes }]);
        self.quota.needs.insert(*code, needs);
        wanted.into_iter().rev().for_each(|code| self.quota.compiles.push_front(code));
        true
    }

    /// What is here and found no room for its code is tried again when there is enough for it.
    fn retry_code(&mut self) {
        let without: BTreeSet<Code> = self.works.values().filter_map(Workload::lacks_code).collect();
        if without.is_empty() {
            return;
        }
        let spare: u64 = self.spares().iter().map(|spare| spare.bytes).sum();
        let coming = self.quota.left().saturating_add(self.quota.going()).saturating_add(spare);
        for code in without {
            if self.quota.code_needs(&code) > coming {
                continue;
            }
            let _ = self.quota.want_code(code);
            self.works_for(&code.0).filter(|work| work.lacks_code() == Some(code)).for_each(|work| work.has_room(true));
        }
    }

    fn code_refused(&mut self, code: &Code, needs: u64) {
        let Some(artifact) = self.works_for(&code.0).map(|work| work.spec.artifact).next() else { return };
        let reason = self.no_room(&artifact, "its compiled code needs", needs);
        let mut notes = Vec::new();
        for work in self.works_for(&code.0).filter(|work| work.needs_fuel() == code.1 && work.is_preparing()) {
            work.has_no_room(&reason, true, &mut notes);
        }
        self.out.extend(notes);
    }

    /// What can be given up, the least missed first.
    fn spares(&self) -> Vec<Spare> {
        let mut running: BTreeSet<Digest> = self.works.values().flat_map(Workload::needs_code_of).collect();
        running.extend(self.orphans.values().flat_map(|orphans| orphans.digests()));
        let code = self.quota.with_code().filter(|digest| !running.contains(*digest));
        let code = code.map(|digest| Spare { digest: *digest, code_only: true, bytes: self.quota.usage(digest).code });
        let is_fetched = |digest: &Digest| self.works.values().any(|work| work.fetches(digest));
        let parts = self.parts.iter().filter(|digest| !is_fetched(digest) && !self.errands.contains_key(*digest));
        let old = self.kept_for_the_way_back();
        let old = old.iter().filter(|digest| !running.contains(*digest) && self.blobs.contains(*digest));
        let whole = parts.chain(old).map(|digest| self.whole(digest));
        code.chain(whole).filter(|spare| spare.bytes > 0).collect()
    }

    fn whole(&self, digest: &Digest) -> Spare {
        let usage = self.quota.usage(digest);
        Spare { digest: *digest, code_only: false, bytes: usage.artifact + usage.aside }
    }

    fn give_up(&mut self, spares: &[Spare]) {
        for Spare { digest, code_only, .. } in spares {
            if *code_only {
                self.quota.code_dropped(digest);
                self.out.push(Effect::DropCode(*digest));
            } else {
                self.blobs.remove(digest);
                self.parts.remove(digest);
                self.strays.remove(digest);
                self.quota.dropped(digest);
                self.out.push(Effect::Drop(*digest));
            }
        }
    }
}
