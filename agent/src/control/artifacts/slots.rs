//! Which chunks are here, which are asked for, and which one a source is asked for next. Pure: time and chance come in.

use super::limits::HEDGE_AFTER;
use shared::{Artifact, NodeId};
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// What a source says it has.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// All of it.
    pub(super) complete: bool,
    /// One bit per chunk, lowest first; looked at only when it is not complete.
    pub(super) have: Vec<u8>,
    /// Chunks that it did not have when it was asked for them.
    pub(super) refused: BTreeSet<u32>,
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
    pub(super) offer: &'a Offer,
    /// What it is asked for already.
    pub(super) asked: &'a VecDeque<u32>,
    pub(super) now: Instant,
    /// Chance: where to begin to look, so that peers fetch different chunks and can exchange them.
    pub(super) start: u32,
}

/// The chunks of one artifact.
#[derive(Debug)]
pub(super) struct Slots {
    artifact: Artifact,
    slots: Vec<Slot>,
    missing: u32,
    /// Chunks that peers wait for here, in the order in which they asked; bounded by the streams that are served.
    wanted: Vec<(u32, NodeId)>,
    complete_sources: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    here: bool,
    /// Sources that are asked for it.
    asked: u8,
    since: Option<Instant>,
    /// It was asked for where it was not offered: that may take as long as it likes.
    uncertain: bool,
}

impl Slots {
    pub(super) fn new(artifact: Artifact) -> Slots {
        let count = artifact.chunk_count();
        let slots = vec![Slot::default(); count as usize];
        Slots { artifact, slots, missing: count, wanted: Vec::new(), complete_sources: 0 }
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

    /// A chunk has come.
    pub(super) fn put(&mut self, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize).filter(|slot| !slot.here) {
            slot.here = true;
            self.missing -= 1;
        }
    }

    /// Chooses the next chunk for a source, and counts it as asked for; [`Slots::release`] must follow.
    pub(super) fn claim(&mut self, ask: &Ask<'_>) -> Option<u32> {
        let count = self.artifact.chunk_count();
        let order = (0..count).map(|step| (ask.start % count + step) % count);
        let ranked = order.filter_map(|index| Some((self.rank(ask, index)?, index)));
        let (_, index) = ranked.min_by_key(|(rank, _)| *rank)?;
        let slot = self.slots.get_mut(index as usize)?;
        slot.asked += 1;
        slot.since = Some(ask.now);
        slot.uncertain = !ask.offer.has(index);
        Some(index)
    }

    /// A source is no longer asked for a chunk: it came, or will not come.
    pub(super) fn release(&mut self, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.asked = slot.asked.saturating_sub(1);
        }
    }

    /// How good it is to ask for a chunk, 0 best; `None` when it should not be.
    fn rank(&self, ask: &Ask<'_>, index: u32) -> Option<u8> {
        let slot = self.slots.get(index as usize)?;
        if slot.here || ask.asked.contains(&index) || ask.offer.refused.contains(&index) {
            return None;
        }
        let offered = ask.offer.has(index);
        // A chunk that is not offered may come later, and is asked for when nobody has them all. But not where it is
        // waited for itself: the two would wait for one another.
        let waits = self.wanted.contains(&(index, ask.peer));
        if !offered && (self.complete_sources > 0 || waits) {
            return None;
        }
        let late = slot.uncertain || slot.since.is_none_or(|since| ask.now.duration_since(since) >= HEDGE_AFTER);
        match slot.asked {
            0 => {}
            1 if late => return Some(if offered { 4 } else { 5 }),
            _ => return None,
        }
        // What others wait for first: so a chunk travels through a node as it comes.
        let wanted = self.wanted.iter().any(|(wanted, _)| *wanted == index);
        Some(match (offered, wanted) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        })
    }

    /// A peer waits for a chunk; [`Slots::unwant`] must follow.
    pub(super) fn want(&mut self, index: u32, peer: NodeId) {
        self.wanted.push((index, peer));
    }

    pub(super) fn unwant(&mut self, index: u32, peer: NodeId) {
        if let Some(at) = self.wanted.iter().position(|wanted| *wanted == (index, peer)) {
            self.wanted.remove(at);
        }
    }

    pub(super) fn complete_source_came(&mut self) {
        self.complete_sources += 1;
    }

    pub(super) fn complete_source_went(&mut self) {
        self.complete_sources = self.complete_sources.saturating_sub(1);
    }

    pub(super) fn has_complete_source(&self) -> bool {
        self.complete_sources > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{CHUNK_BYTES, Digest};

    fn slots(count: u64) -> Slots {
        let digest = Digest::of(b"any");
        Slots::new(Artifact { digest, size: count * CHUNK_BYTES as u64, chunks: digest })
    }

    fn peer(number: u8) -> NodeId {
        NodeId::of_seed(&[number; 32])
    }

    fn all() -> Offer {
        Offer { complete: true, ..Offer::default() }
    }

    fn some(have: &[u8]) -> Offer {
        Offer { have: have.to_vec(), ..Offer::default() }
    }

    fn claim(slots: &mut Slots, number: u8, offer: &Offer, asked: &[u32], now: Instant, start: u32) -> Option<u32> {
        let asked = asked.iter().copied().collect();
        slots.claim(&Ask { peer: peer(number), offer, asked: &asked, now, start })
    }

    #[test]
    fn two_sources_are_asked_for_different_chunks() {
        let (mut slots, now) = (slots(3), Instant::now());
        assert_eq!(claim(&mut slots, 1, &all(), &[], now, 1), Some(1));
        assert_eq!(claim(&mut slots, 2, &all(), &[], now, 1), Some(2));
        assert_eq!(claim(&mut slots, 2, &all(), &[2], now, 1), Some(0));
        assert_eq!(claim(&mut slots, 1, &all(), &[1], now, 1), None);
        slots.release(2);
        assert_eq!(claim(&mut slots, 1, &all(), &[1], now, u32::MAX), Some(2));
    }

    #[test]
    fn a_slow_source_is_helped_out_once() {
        let (mut slots, now) = (slots(1), Instant::now());
        let later = now + HEDGE_AFTER;
        assert_eq!(claim(&mut slots, 1, &all(), &[], now, 0), Some(0));
        assert_eq!(claim(&mut slots, 2, &all(), &[], now, 0), None);
        assert_eq!(claim(&mut slots, 1, &all(), &[0], later, 0), None);
        assert_eq!(claim(&mut slots, 2, &all(), &[], later, 0), Some(0));
        assert_eq!(claim(&mut slots, 3, &all(), &[], later + HEDGE_AFTER, 0), None);
        slots.put(0);
        assert!(slots.is_complete());
    }

    #[test]
    fn what_is_not_offered_is_asked_for_only_when_nobody_has_it_all() {
        let (mut slots, now) = (slots(3), Instant::now());
        let offer = some(&[0b100]);
        slots.complete_source_came();
        assert_eq!(claim(&mut slots, 1, &offer, &[], now, 0), Some(2));
        assert_eq!(claim(&mut slots, 1, &offer, &[2], now, 0), None);
        slots.complete_source_went();
        assert_eq!(claim(&mut slots, 1, &offer, &[2], now, 0), Some(0));
        // It may never come from there: another is asked at once, but after what nobody is asked for.
        assert_eq!(claim(&mut slots, 2, &all(), &[], now, 0), Some(1));
        assert_eq!(claim(&mut slots, 2, &all(), &[1], now, 0), Some(0));
    }

    #[test]
    fn what_others_wait_for_comes_first_and_never_from_them() {
        let (mut slots, now) = (slots(4), Instant::now());
        slots.want(3, peer(1));
        assert_eq!(claim(&mut slots, 1, &some(&[]), &[0, 1, 2], now, 0), None);
        assert_eq!(claim(&mut slots, 2, &some(&[]), &[], now, 0), Some(3));
        slots.release(3);
        assert_eq!(claim(&mut slots, 2, &all(), &[], now, 0), Some(3));
        slots.release(3);
        slots.unwant(3, peer(1));
        assert_eq!(claim(&mut slots, 2, &all(), &[], now, 0), Some(0));
    }

    #[test]
    fn a_chunk_that_was_refused_is_not_asked_for_there_again() {
        let (mut slots, now) = (slots(1), Instant::now());
        let offer = Offer { complete: true, refused: [0].into(), ..Offer::default() };
        assert_eq!(claim(&mut slots, 1, &offer, &[], now, 0), None);
        assert_eq!(claim(&mut slots, 2, &all(), &[], now, 0), Some(0));
    }

    #[test]
    fn what_is_here_is_counted_once() {
        let mut slots = slots(11);
        for index in [0, 9, 9, 3, 99] {
            slots.put(index);
        }
        assert_eq!((slots.count(), slots.bytes()), (3, 3 * CHUNK_BYTES as u64));
        assert_eq!(slots.bits(), [0b1001, 0b10]);
        assert!(slots.is_here(9) && !slots.is_here(8) && !slots.is_here(99));
        let offer = some(&slots.bits());
        assert!(offer.has(9) && !offer.has(8) && !offer.has(99));
    }
}
