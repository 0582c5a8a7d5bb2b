//! The state map: who is obeyed, which intents are held, which are on their way to the disk.
//! Everything that P1 to P3 say about a single node is decided here.

use super::alarms::Alarms;
use super::declared::Declared;
use super::effect::Effect;
use super::input::{Now, Source, Ticket};
use super::signatures::OpenIntent;
use shared::{
    BUILD_FLOOR_UNIX_MS, IndexEntry, IntentId, IntentKey, MAX_SYNC_KEYS, Opened, OwnerId, RealmId, Refused, Summary,
    Trust,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How far ahead of credible time a sequence may be: clocks of operators differ by minutes, not by more.
pub const FUTURE_MS: u64 = 10 * 60 * 1000;

/// Intents that may wait for the disk at once; more come again by sync, so refusing them loses nothing.
const MAX_PENDING: usize = 256;

/// So many may wait for the word on one intent: operators and neighbours that hand it over at once.
const MAX_WAITING: usize = 64;

/// How many refused entries are remembered, so that they are not pulled again and again.
const MAX_DECLINED: usize = 1024;

/// An intent that is on the disk.
#[derive(Debug, Clone)]
pub struct Held {
    /// The bytes as received.
    pub bytes: Arc<[u8]>,
    /// What they say.
    pub opened: Opened,
}

/// An intent on its way to the disk.
struct Pending {
    held: Held,
    waiting: Vec<Source>,
    claim: bool,
}

/// The word on an offered intent that can be given at once.
pub enum Word {
    /// It waits for the disk.
    Later,
    /// It was held before.
    AlreadyHeld(IntentKey),
    /// It is not obeyed.
    Refused(Refused),
}

/// What came of a write.
pub enum Settled {
    /// On the disk: the key, all who wait for the word, whether it bound the owner, and what it replaced.
    Stored { key: IntentKey, waiting: Vec<Source>, claimed: bool, replaced: Option<Box<Held>> },
    /// Not on the disk.
    Failed { waiting: Vec<Source>, refused: Refused },
    /// No such write.
    Unknown,
}

/// See the module.
pub struct Ledger {
    open: OpenIntent,
    trust: Trust,
    /// Whether the owner in `trust` is on the disk; until then every write carries the claim.
    bound: bool,
    /// Follows from `trust`; kept because every report that is heard is compared with it.
    realm: Option<RealmId>,
    held: BTreeMap<IntentKey, Held>,
    /// Of `held`; kept because it is compared on every event.
    summary: Summary,
    pending: BTreeMap<Ticket, Pending>,
    declined: VecDeque<(IntentKey, u64, IntentId)>,
    next_ticket: Ticket,
    /// A sentence about the alarm that the last offer raised.
    alarm: Option<String>,
    /// Two different intents with one sequence: the owner's key is used in two places at once, or is stolen.
    pub alarms: Alarms,
    /// Intents accepted since start.
    pub accepted: u64,
    /// Intents refused since start, by code.
    pub refused: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// Takes up what the disk holds.
    pub fn new(trust: Trust, restored: Vec<Held>, open: OpenIntent) -> Ledger {
        let held: BTreeMap<_, _> = restored.into_iter().map(|held| (held.opened.key(), held)).collect();
        Ledger {
            open,
            bound: matches!(trust, Trust::Owner(_)),
            realm: trust.realm(),
            trust,
            summary: summarise(&held),
            held,
            pending: BTreeMap::new(),
            declined: VecDeque::new(),
            next_ticket: 0,
            alarm: None,
            alarms: Alarms::default(),
            accepted: 0,
            refused: BTreeMap::new(),
        }
    }

    /// All that is held, by key.
    pub fn held(&self) -> &BTreeMap<IntentKey, Held> {
        &self.held
    }

    /// The state map in a few bytes.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The state map without the bytes.
    pub fn index(&self) -> Vec<IndexEntry> {
        let entry = |(key, held): (&IntentKey, &Held)| IndexEntry {
            key: key.clone(),
            seq: held.opened.body().seq,
            id: held.opened.id(),
        };
        self.held.iter().map(entry).collect()
    }

    /// Keys of a peer's index that are newer than what is held or pending, and would not be refused.
    pub fn wanted(&self, index: &[IndexEntry], now: Now) -> Vec<IntentKey> {
        let newer = |entry: &&IndexEntry| {
            self.newest(&entry.key).is_none_or(|rank| rank < (entry.seq, entry.id))
                && !self.is_from_the_future(entry.seq, now)
                && !self.declined.iter().any(|(key, seq, id)| *key == entry.key && *seq == entry.seq && *id == entry.id)
        };
        index.iter().take(MAX_SYNC_KEYS).filter(newer).map(|entry| entry.key.clone()).collect()
    }

    /// Remembers that an entry of a peer's index was refused for good.
    fn decline(&mut self, key: IntentKey, seq: u64, id: IntentId) {
        if self.declined.len() == MAX_DECLINED {
            self.declined.pop_front();
        }
        self.declined.push_back((key, seq, id));
    }

    /// The newest under a key that is held or on its way to the disk.
    fn newest_held(&self, key: &IntentKey) -> Option<&Held> {
        let pending = self.pending.values().map(|pending| &pending.held).filter(|held| held.opened.key() == *key);
        pending.chain(self.held.get(key)).max_by_key(|held| held.opened.rank())
    }

    fn newest(&self, key: &IntentKey) -> Option<(u64, IntentId)> {
        self.newest_held(key).map(|held| held.opened.rank())
    }

    /// Judges an intent and, when it is to be obeyed, orders it to be written. `entry` when an operator hands it over: then
    /// it must also fit what is declared. From other nodes the newer one is taken, so that all come to the same.
    pub fn offer(
        &mut self,
        source: Source,
        bytes: &[u8],
        entry: Option<&Declared>,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Word {
        // Every neighbour brings what is new, and a signature is dear on a board: what is known to the byte was checked.
        if let Some((key, _)) = self.held.iter().find(|(_, held)| *held.bytes == *bytes) {
            return Word::AlreadyHeld(key.clone());
        }
        if let Some((ticket, _)) = self.pending.iter().find(|(_, pending)| *pending.held.bytes == *bytes) {
            return self.wait_for(*ticket, source);
        }
        let opened = match (self.open)(bytes, &self.trust) {
            Ok(opened) => opened,
            Err(refused) => return self.refuse(refused),
        };
        let (key, id) = (opened.key(), opened.id());
        if self.held.get(&key).is_some_and(|held| held.opened.id() == id) {
            return Word::AlreadyHeld(key);
        }
        if let Some((ticket, _)) = self.pending.iter().find(|(_, pending)| pending.held.opened.id() == id) {
            return self.wait_for(*ticket, source);
        }
        let fits = entry.map_or(Ok(()), |declared| declared.fits(&opened, self.newest_held(&key)));
        if let Err(refused) = fits.and_then(|()| self.judge(&opened, now)) {
            // Others pass by themselves: clocks are set, disks are emptied.
            if matches!(refused, Refused::Expired | Refused::Full(_)) && matches!(source, Source::Sync { .. }) {
                self.decline(key, opened.body().seq, id);
            }
            return self.refuse(refused);
        }
        // From here on nobody else can claim the node; undone when the write fails. Every further intent carries the
        // claim until one is on the disk: it must not be there without its owner.
        self.trust = Trust::Owner(opened.owner());
        let claim = (!self.bound).then(|| opened.owner());
        self.next_ticket += 1;
        let held = Held { bytes: bytes.into(), opened };
        out.push(Effect::Persist { ticket: self.next_ticket, key, bytes: Arc::clone(&held.bytes), claim });
        let pending = Pending { held, waiting: vec![source], claim: claim.is_some() };
        self.pending.insert(self.next_ticket, pending);
        Word::Later
    }

    /// One more waits for the word on an intent that is on its way to the disk.
    fn wait_for(&mut self, ticket: Ticket, source: Source) -> Word {
        match self.pending.get_mut(&ticket) {
            Some(pending) if pending.waiting.len() < MAX_WAITING => {
                pending.waiting.push(source);
                Word::Later
            }
            _ => self.refuse(Refused::Storage("too many wait for the word on it".into())),
        }
    }

    /// Sequence, expiry and room: what only the holder of the state can compare.
    fn judge(&mut self, opened: &Opened, now: Now) -> Result<(), Refused> {
        let (seq, key) = (opened.body().seq, opened.key());
        if let Some((held, held_id)) = self.newest(&key) {
            if held == seq {
                self.alarms.raise(key.clone(), seq);
                self.alarm = Some(format!(
                    "ALARM: two different intents for `{key}` have the sequence {seq} ({} and {}): \
                     the owner's key is used in two places at once, or somebody else has it",
                    held_id.short(),
                    opened.id().short()
                ));
            }
            if opened.rank() < (held, held_id) {
                return Err(Refused::Stale { held, offered: seq });
            }
        } else if self.held.len() + self.pending.len() >= MAX_SYNC_KEYS {
            return Err(Refused::Full(MAX_SYNC_KEYS));
        }
        let passed = if now.synchronised { now.unix_ms.max(BUILD_FLOOR_UNIX_MS) } else { BUILD_FLOOR_UNIX_MS };
        if opened.body().not_after.is_some_and(|not_after| not_after < passed) {
            return Err(Refused::Expired);
        }
        if self.is_from_the_future(seq, now) {
            return Err(Refused::FromTheFuture);
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(Refused::Storage("too many intents wait for the disk".into()));
        }
        Ok(())
    }

    fn is_from_the_future(&self, seq: u64, now: Now) -> bool {
        !self.clock_behind(now) && seq > now.unix_ms.saturating_add(FUTURE_MS)
    }

    /// Whether the system's clock is behind what is known to have passed: such a node cannot judge the future.
    pub fn clock_behind(&self, now: Now) -> bool {
        now.unix_ms < BUILD_FLOOR_UNIX_MS || now.unix_ms.saturating_add(FUTURE_MS) < self.summary.highest_seq
    }

    /// What the operator must know of the last offer.
    pub fn take_alarm(&mut self) -> Option<String> {
        self.alarm.take()
    }

    /// Takes note that a write has ended.
    pub fn settle(&mut self, ticket: Ticket, result: Result<(), String>) -> Settled {
        let Some(Pending { held, waiting, claim }) = self.pending.remove(&ticket) else { return Settled::Unknown };
        if let Err(why) = result {
            if !self.bound && self.pending.is_empty() {
                self.trust = Trust::FirstUse;
            }
            let refused = Refused::Storage(why);
            self.count(&refused);
            return Settled::Failed { waiting, refused };
        }
        let claimed = claim && !self.bound;
        if claimed {
            (self.bound, self.realm) = (true, self.trust.realm());
        }
        let key = held.opened.key();
        self.accepted += 1;
        let mut replaced = None;
        if self.held.get(&key).is_none_or(|other| other.opened.rank() < held.opened.rank()) {
            self.alarms.held(&key, held.opened.body().seq);
            replaced = self.held.insert(key.clone(), held).map(Box::new);
            self.summary = summarise(&self.held);
        }
        Settled::Stored { key, waiting, claimed, replaced }
    }

    /// The owner, once there is one that is on the disk.
    pub fn owner(&self) -> Option<OwnerId> {
        match self.trust {
            Trust::Owner(owner) if self.bound => Some(owner),
            _ => None,
        }
    }

    /// The realm of that owner.
    pub fn realm(&self) -> Option<RealmId> {
        self.realm
    }

    fn refuse(&mut self, refused: Refused) -> Word {
        self.count(&refused);
        Word::Refused(refused)
    }

    fn count(&mut self, refused: &Refused) {
        *self.refused.entry(refused.code()).or_default() += 1;
    }
}

fn summarise(held: &BTreeMap<IntentKey, Held>) -> Summary {
    Summary::of(held.iter().map(|(key, held)| (key, held.opened.body().seq, held.opened.id())))
}
