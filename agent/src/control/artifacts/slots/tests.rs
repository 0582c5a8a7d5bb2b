//! Tests of the choice of chunks.

use super::*;
use shared::{CHUNK_BYTES, Digest};

fn slots_of(me: u8, count: u64) -> Slots {
    let digest = Digest::of(b"any");
    Slots::new(Artifact { digest, size: count * CHUNK_BYTES as u64, chunks: digest }, peer(me), 5)
}

fn slots(count: u64) -> Slots {
    slots_of(10, count)
}

fn peer(number: u8) -> NodeId {
    NodeId::of_seed(&[number; 32])
}

fn claim(slots: &mut Slots, number: u8, asked: &[u32], now: Instant) -> Option<u32> {
    let asked = asked.iter().copied().collect();
    slots.claim(&Ask { peer: peer(number), asked: &asked, now })
}

fn has_all(slots: &mut Slots, number: u8) -> bool {
    slots.offer(peer(number), true, true, vec![])
}

fn has(slots: &mut Slots, number: u8, have: &[u8]) {
    slots.offer(peer(number), true, false, have.to_vec());
}

#[test]
fn two_sources_are_asked_for_different_chunks_from_the_first_on() {
    let (mut slots, now) = (slots(3), Instant::now());
    assert_eq!(claim(&mut slots, 1, &[], now), None);
    assert!(has_all(&mut slots, 1) && has_all(&mut slots, 2));
    assert_eq!(claim(&mut slots, 1, &[], now), Some(0));
    assert_eq!(claim(&mut slots, 2, &[], now), Some(1));
    assert_eq!(claim(&mut slots, 2, &[1], now), Some(2));
    assert_eq!(claim(&mut slots, 1, &[0], now), None);
    slots.release(2, now);
    assert_eq!(claim(&mut slots, 1, &[0], now), Some(2));
}

#[test]
fn a_slow_source_is_helped_out_once() {
    let (mut slots, now) = (slots(1), Instant::now());
    let later = now + HEDGE_AFTER;
    (1..=3).for_each(|number| _ = has_all(&mut slots, number));
    assert_eq!(claim(&mut slots, 1, &[], now), Some(0));
    assert_eq!(claim(&mut slots, 2, &[], now), None);
    assert_eq!(claim(&mut slots, 1, &[0], later), None);
    assert_eq!(claim(&mut slots, 2, &[], later), Some(0));
    assert_eq!(claim(&mut slots, 3, &[], later + HEDGE_AFTER), None);
    slots.put(0);
    assert!(slots.is_complete());
}

#[test]
fn what_few_have_comes_first() {
    let (mut slots, now) = (slots(3), Instant::now());
    has_all(&mut slots, 1);
    has_all(&mut slots, 2);
    slots.offer(peer(3), false, false, vec![0b011]);
    assert_eq!(claim(&mut slots, 1, &[], now), Some(2));
    slots.withdraw(&peer(3));
    assert_eq!(claim(&mut slots, 1, &[2], now), Some(0));
    assert_eq!(claim(&mut slots, 3, &[], now), None);
}

#[test]
fn nodes_that_fetch_from_one_source_share_its_chunks_out() {
    let (mut all, now) = (BTreeSet::new(), Instant::now());
    for number in 1..5 {
        let mut slots = slots_of(number, 64);
        has_all(&mut slots, 9);
        (1..5).filter(|other| *other != number).for_each(|other| has(&mut slots, other, &[]));
        // Something is on its way all the time.
        slots.in_flight = 1;
        let mut asked = Vec::new();
        while let Some(index) = claim(&mut slots, 9, &asked, now) {
            asked.push(index);
        }
        assert!((4..40).contains(&asked.len()), "{asked:?}");
        assert!(asked.iter().all(|index| all.insert(*index)), "asked for twice: {asked:?}");
    }
    assert_eq!(all.len(), 64);
}

#[test]
fn what_another_has_fetched_is_asked_for_there() {
    let (mut slots, now) = (slots(64), Instant::now());
    has_all(&mut slots, 9);
    has(&mut slots, 1, &[]);
    let ours: BTreeSet<u32> = std::iter::from_fn(|| claim(&mut slots, 9, &[], now)).collect();
    let theirs = (0..64).find(|index| !ours.contains(index)).unwrap();
    let mut bits = [0; 8];
    bits[theirs as usize / 8] = 1 << (theirs % 8);
    has(&mut slots, 1, &bits);
    assert_eq!(claim(&mut slots, 9, &[], now), None, "its link is needed for what it alone has");
    assert_eq!(claim(&mut slots, 1, &[], now), Some(theirs));
}

#[test]
fn an_operator_serves_us_alone() {
    let (mut slots, now) = (slots(64), Instant::now());
    slots.offer(peer(9), false, true, vec![]);
    has(&mut slots, 1, &[]);
    assert_eq!(std::iter::from_fn(|| claim(&mut slots, 9, &[], now)).count(), 64);
}

#[test]
fn others_are_not_waited_for_for_ever() {
    let (mut slots, mut now) = (slots(64), Instant::now());
    has_all(&mut slots, 9);
    has(&mut slots, 1, &[]);
    let mut waited = Duration::ZERO;
    while !slots.is_complete() {
        match claim(&mut slots, 9, &[], now) {
            Some(index) => {
                slots.put(index);
                slots.release(index, now);
            }
            None => {
                now += slots.patience();
                waited += slots.patience();
            }
        }
    }
    assert!(waited >= PATIENCE && waited < PATIENCE * 2, "{waited:?}");
}

#[test]
fn a_chunk_that_was_refused_is_not_asked_for_there_again() {
    let (mut slots, now) = (slots(1), Instant::now());
    has_all(&mut slots, 1);
    has_all(&mut slots, 2);
    slots.refused(peer(1), 0);
    assert!(slots.has_refused(&peer(1)) && !slots.has_refused(&peer(2)));
    assert_eq!(claim(&mut slots, 1, &[], now), None);
    assert_eq!(claim(&mut slots, 2, &[], now), Some(0));
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
    let offer = Offer { have: slots.bits(), ..Offer::default() };
    assert!(offer.has(9) && !offer.has(8) && !offer.has(99));
}

#[test]
fn a_slow_node_does_not_hold_up_what_falls_to_it() {
    let (mut slots, mut now) = (slots(256), Instant::now());
    has_all(&mut slots, 9);
    has(&mut slots, 1, &[]);
    // Our share comes fast from the one that has all of it.
    while let Some(index) = claim(&mut slots, 9, &[], now) {
        now += Duration::from_millis(10);
        slots.came(index, now);
        slots.release(index, now);
        // Something is on its way all the time.
        slots.in_flight = 1;
    }
    let left = 256 - slots.count();
    assert!(left > 64, "{left}");
    // The other has all of its share too by now, and passes on one chunk a second.
    has(&mut slots, 1, &[0xff; 32]);
    let mut taken = 0;
    for _ in 0..20 {
        let Some(slow) = claim(&mut slots, 1, &[], now) else { break };
        now += Duration::from_secs(1);
        while let Some(index) = claim(&mut slots, 9, &[slow], now).filter(|_| taken < left) {
            now += Duration::from_millis(10);
            slots.came(index, now);
            slots.release(index, now);
            taken += 1;
        }
        slots.came(slow, now);
        slots.release(slow, now);
        slots.in_flight = 1;
    }
    assert!(taken > 60, "{taken} chunks were taken in twenty seconds");
}

#[test]
fn what_another_does_not_give_in_time_is_asked_for_where_it_came_from() {
    let (mut slots, now) = (slots(64), Instant::now());
    has_all(&mut slots, 9);
    has(&mut slots, 1, &[0xff; 8]);
    slots.in_flight = 1;
    let theirs = std::iter::from_fn(|| claim(&mut slots, 1, &[], now)).count();
    assert_eq!((theirs, claim(&mut slots, 9, &[], now)), (64, None));
    assert!(claim(&mut slots, 9, &[], now + HEDGE_AFTER).is_some());
}

#[test]
fn an_offer_counts_by_what_is_missing_here() {
    let mut slots = slots(9);
    slots.put(3);
    assert!(!slots.offer(peer(1), true, false, vec![0b1000, 0]));
    assert!(!slots.offer(peer(1), true, false, vec![0b1000, 0b10]), "beyond the end");
    assert!(slots.offer(peer(1), true, false, vec![0b1000, 0b1]));
    assert!(slots.offer(peer(2), true, true, vec![0xff, 1]));
}
