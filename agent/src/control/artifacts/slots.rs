//! Which chunks are here, which are asked for, who offers them, and which one a source is asked for next. Pure: time and
//! chance come in.

use super::limits::{
    HEDGE_AFTER, NO_PATIENCE, PACE_CHUNKS, PATIENCE, PATIENCE_STEPS, SLOW_FACTOR, SLOW_LEAST, SLOW_LOOK,
};
use shared::{Artifact, NodeId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// What a source says it has.
#[derive(Debug, Default)]
struct Offer {
    /// It is a node, which serves every other one. An operator serves those alone that it handed the intent to.
    is_node: bool,
    /// All of it.
    complete: bool,
    /// One bit per chunk, lowest first; looked at only when it is not complete.
    have: Vec<u8>,
    /// How many chunks it has.
    count: u32,
    /// Chunks that it did not have when it was asked for them.
    refused: BTreeSet<u32>,
}

impl Offer {
    fn has(&self, index: u32) -> bool {
        let bit = |byte: &u8| byte >> (index % 8) & 1 == 1;
        self.complete || self.have.get(index as usize / 8).is_some_and(bit)
    }
}

/// A source that could be asked for one more chunk.
pub(super) struct Ask<'a> {
    pub(super) peer: NodeId,
    /// What it is asked for already.
    pub(super) asked: &'a VecDeque<u32>,
    pub(super) now: Instant,
}

/// The chunks of one artifact.
#[derive(Debug)]
pub(super) struct Slots {
    artifact: Artifact,
    me: NodeId,
    /// Chance: where to begin with chunks that fall to others.
    start: u32,
    slots: Vec<Slot>,
    missing: u32,
    /// What each source offers.
    offers: BTreeMap<NodeId, Offer>,
    /// Requests to all sources that are not answered.
    in_flight: u32,
    /// When the last of them was answered.
    idle_since: Option<Instant>,
    /// How long nothing may be in flight before we take what falls to others.
    patience: Duration,
    /// When the last chunks came, at most [`PACE_CHUNKS`] of them.
    arrivals: VecDeque<Instant>,
    /// When the last one came, or the first was asked for.
    last_at: Option<Instant>,
    /// About the shortest time in which so many have come.
    best_pace: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    here: bool,
    /// Sources that are asked for it.
    asked: u8,
    since: Option<Instant>,
    /// It fell to another, and was asked for all the same.
    taken: bool,
}

/// How good it is to ask for a chunk, the least is the best. Compared from the first field to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Another source is asked for it, and takes its time.
    hedge: bool,
    /// How many sources offer it. What few have is lost when they go, and nobody can pass it on.
    offered: usize,
    /// It falls to another node to fetch it from there; see [`Slots::is_ours`].
    others: bool,
    /// In a row, as a file is best written: ours from the first, the others from somewhere.
    place: u32,
}

impl Slots {
    pub(super) fn new(artifact: Artifact, me: NodeId, start: u32) -> Slots {
        let count = artifact.chunk_count();
        let (slots, offers) = (vec![Slot::default(); count as usize], BTreeMap::new());
        let (in_flight, idle_since, patience) = (0, None, PATIENCE);
        let (arrivals, last_at, best_pace) = (VecDeque::new(), None, None);
        Slots {
            artifact,
            me,
            start,
            slots,
            missing: count,
            offers,
            in_flight,
            idle_since,
            patience,
            arrivals,
            last_at,
            best_pace,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    pub(super) fn is_here(&self, index: u32) -> bool {
        self.slots.get(index as usize).is_some_and(|slot| slot.here)
    }

    /// How many chunks are here.
    pub(super) fn count(&self) -> u32 {
        self.artifact.chunk_count() - self.missing
    }

    /// How many bytes are here.
    pub(super) fn bytes(&self) -> u64 {
        let here = (0..self.artifact.chunk_count()).filter(|index| self.is_here(*index));
        here.map(|index| self.artifact.chunk_size(index) as u64).sum()
    }

    /// One bit per chunk that is here, lowest first.
    pub(super) fn bits(&self) -> Vec<u8> {
        let byte = |slots: &[Slot]| slots.iter().rev().fold(0, |byte, slot| byte << 1 | u8::from(slot.here));
        self.slots.chunks(8).map(byte).collect()
    }

    /// A chunk is here.
    pub(super) fn put(&mut self, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize).filter(|slot| !slot.here) {
            slot.here = true;
            self.missing -= 1;
            if !slot.taken {
                self.patience = (self.patience + PATIENCE / PATIENCE_STEPS).min(PATIENCE);
            }
        }
    }

    /// A chunk has come from a source.
    pub(super) fn came(&mut self, index: u32, now: Instant) {
        self.put(index);
        if self.arrivals.len() >= PACE_CHUNKS {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now);
        self.last_at = Some(now);
        if let Some(pace) = self.pace(now) {
            // A burst is forgotten after a while: what came slower ever since is all that there is.
            self.best_pace = Some(self.best_pace.map_or(pace, |best| pace.min(best + best / PATIENCE_STEPS)));
        }
    }

    /// In what time the last chunks have come.
    fn pace(&self, now: Instant) -> Option<Duration> {
        let first = self.arrivals.front().filter(|_| self.arrivals.len() >= PACE_CHUNKS);
        first.map(|first| now.duration_since(*first))
    }

    /// A source says what it has; gives whether something of that is missing here.
    pub(super) fn offer(&mut self, peer: NodeId, is_node: bool, complete: bool, have: Vec<u8>) -> bool {
        let count = self.artifact.chunk_count();
        let offer = self.offers.entry(peer).or_default();
        (offer.is_node, offer.complete, offer.have) = (is_node, complete, have);
        let (mut ones, mut useful) = (0, false);
        for (index, slot) in (0..count).zip(&self.slots) {
            if offer.has(index) {
                ones += 1;
                useful |= !slot.here;
            }
        }
        offer.count = ones;
        useful
    }

    /// A source did not have a chunk that it offered.
    pub(super) fn refused(&mut self, peer: NodeId, index: u32) {
        if let Some(offer) = self.offers.get_mut(&peer) {
            offer.refused.insert(index);
        }
    }

    /// Whether a source refused anything.
    pub(super) fn has_refused(&self, peer: &NodeId) -> bool {
        self.offers.get(peer).is_some_and(|offer| !offer.refused.is_empty())
    }

    /// Whether a source has everything.
    pub(super) fn has_all(&self, peer: &NodeId) -> bool {
        self.offers.get(peer).is_some_and(|offer| offer.complete)
    }

    /// Whether any source offers something that is missing.
    pub(super) fn is_anything_offered(&self) -> bool {
        let missing = || (0..).zip(&self.slots).filter(|(_, slot)| !slot.here);
        self.offers.values().any(|offer| missing().any(|(index, _)| offer.has(index)))
    }

    /// A source has ended.
    pub(super) fn withdraw(&mut self, peer: &NodeId) {
        self.offers.remove(peer);
    }

    /// Chooses the next chunk for a source, and counts it as asked for; [`Slots::release`] must follow.
    pub(super) fn claim(&mut self, ask: &Ask<'_>) -> Option<u32> {
        let (count, starved) = (self.artifact.chunk_count(), self.is_starved(ask.now));
        let ranked = (0..count).filter_map(|index| Some((self.rank(ask, index, starved)?, index)));
        let (rank, index) = ranked.min_by_key(|(rank, _)| *rank)?;
        let taken = rank.others && self.is_ahead(index, &ask.peer);
        if taken {
            self.patience /= 2;
        }
        let slot = self.slots.get_mut(index as usize)?;
        slot.asked += 1;
        slot.since = Some(ask.now);
        slot.taken = taken;
        self.in_flight += 1;
        self.last_at.get_or_insert(ask.now);
        Some(index)
    }

    /// A source is no longer asked for a chunk: it came, or will not come. Gives whether nothing is on its way any more.
    pub(super) fn release(&mut self, index: u32, now: Instant) -> bool {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.asked = slot.asked.saturating_sub(1);
            self.in_flight = self.in_flight.saturating_sub(1);
            self.idle_since = (self.in_flight == 0).then_some(now);
        }
        self.in_flight == 0
    }

    /// How long a source that has nothing to be asked for may wait before it should be looked at again.
    pub(super) fn patience(&self) -> Duration {
        if self.in_flight == 0 && self.patience >= NO_PATIENCE { self.patience } else { SLOW_LOOK }
    }

    /// Whether we have waited long enough for others to fetch what falls to them: nothing is on its way, or what others pass
    /// on comes much slower than chunks came before. Each chunk that is taken from them halves the time, and one that
    /// comes as it should gives some of it back: others that are away or slow do not hold us up for long.
    fn is_starved(&self, now: Instant) -> bool {
        let idle = self.idle_since.map(|since| now.duration_since(since));
        let is_slow = || match (self.pace(now), self.best_pace) {
            (Some(pace), Some(best)) => pace > (best * SLOW_FACTOR).max(SLOW_LEAST),
            _ => self.last_at.is_some_and(|last| now.duration_since(last) >= HEDGE_AFTER),
        };
        self.patience < NO_PATIENCE
            || (self.in_flight == 0 && idle.is_none_or(|idle| idle >= self.patience))
            || is_slow()
    }

    /// `None` when it should not be asked for there.
    fn rank(&self, ask: &Ask<'_>, index: u32, starved: bool) -> Option<Rank> {
        let slot = self.slots.get(index as usize)?;
        let offer = self.offers.get(&ask.peer)?;
        if slot.here || !offer.has(index) || ask.asked.contains(&index) || offer.refused.contains(&index) {
            return None;
        }
        let is_late = || slot.since.is_none_or(|since| ask.now.duration_since(since) >= HEDGE_AFTER);
        let hedge = match slot.asked {
            0 => false,
            1 if is_late() => true,
            _ => return None,
        };
        let others = !self.is_ours(index, &ask.peer);
        if others && !starved && !hedge && offer.is_node && self.is_ahead(index, &ask.peer) {
            // Another node fetches it there, and passes it on. The same twice out of the one place that has what
            // nobody else has would keep everybody waiting for the rest.
            return None;
        }
        let offered = self.offers.values().filter(|offer| offer.has(index)).count();
        let count = self.artifact.chunk_count();
        let place = if others { (index + count - self.start % count) % count } else { index };
        Some(Rank { hedge, offered, others, place })
    }

    /// Whether it falls to us to fetch a chunk from `peer`, among the nodes that fetch the artifact: each of them ranks all
    /// of them for each chunk in the same order, without a word, so nodes that know the same ones agree.
    fn is_ours(&self, index: u32, peer: &NodeId) -> bool {
        let ours = weight(&self.me, index);
        let fetches = |(other, offer): &(&NodeId, &Offer)| *other != peer && offer.is_node && !offer.complete;
        self.offers.iter().filter(fetches).all(|(other, _)| weight(other, index) < ours)
    }

    /// Whether no other source of a chunk has more than `peer`: then it has what nobody else has, and its link is needed.
    fn is_ahead(&self, index: u32, peer: &NodeId) -> bool {
        let count = self.offers.get(peer).map_or(0, |offer| offer.count);
        let more = |(other, offer): (&NodeId, &Offer)| other != peer && offer.has(index) && offer.count > count;
        !self.offers.iter().any(more)
    }
}

/// How much a chunk falls to a node: two numbers mixed well, which nobody gains anything by choosing.
fn weight(node: &NodeId, index: u32) -> u64 {
    let (words, _) = node.as_bytes().as_chunks::<8>();
    let first = words.first().map_or(0, |word| u64::from_le_bytes(*word));
    // The finaliser of SplitMix64: each bit of the sum changes half of the bits that come out.
    let mut mixed = first.wrapping_add(u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests;
