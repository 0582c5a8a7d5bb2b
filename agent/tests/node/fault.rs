//! A disk that does not keep what arrives is told to everybody, until it does, and in no flood.

use crate::bench::*;
use crate::pinned::*;
use agent::control::node::Input;
use serde_bytes::ByteBuf;
use shared::{IndexEntry, MAX_DETAIL_BYTES, Role, SyncReply};

const FULL: &str = "the disk is full";

/// The fault in its report, when changes have had the time to be told.
fn told(bench: &mut Bench) -> Option<String> {
    bench.wait(1_000);
    bench.node.own_report().unwrap().open(&bench.node.realm().unwrap()).unwrap().fault
}

/// Offers an intent that the disk does not keep. Gives how many reports that made.
fn refuse(bench: &mut Bench, bytes: &[u8], why: &str) -> usize {
    let offered = bench.offer(bytes);
    let (ticket, _) = persist(&offered).unwrap();
    let ended = bench.give(Input::Persisted { ticket, result: Err(why.into()) });
    published(&offered).len() + published(&ended).len()
}

#[test]
fn it_is_told_at_once_and_until_an_intent_is_kept() {
    let mut bench = Bench::new();
    assert_eq!(told(&mut bench), None);
    assert_eq!(refuse(&mut bench, &push(1, |_| {}), FULL), 1, "nobody waits for a heartbeat");
    assert_eq!(told(&mut bench).as_deref(), Some(FULL));
    refuse(&mut bench, &push(2, |_| {}), "the disk is read-only");
    assert_eq!(told(&mut bench).as_deref(), Some("the disk is read-only"), "the last one");
    bench.accept(&named("other", 3));
    assert_eq!(told(&mut bench), None);
    // However long the system's words are, and wherever they are cut.
    refuse(&mut bench, &push(4, |_| {}), &"ä ".repeat(200));
    assert!((MAX_DETAIL_BYTES - 4..=MAX_DETAIL_BYTES).contains(&told(&mut bench).unwrap().len()));
}

#[test]
fn it_goes_when_what_others_hold_is_taken_after_all() {
    let mut bench = Bench::new();
    bench.meet(1, Role::Node, true);
    let bytes = push(1, |_| {});
    let opened = held(&bytes).opened;
    let index = IndexEntry { key: opened.key(), seq: opened.body().seq, id: opened.id() };
    for result in [Err(FULL.to_owned()), Err(FULL.to_owned()), Ok(())] {
        let is_kept = result.is_ok();
        bench.give(Input::SyncAnswered { peer: peer(1), result: Ok(SyncReply::Index(vec![index.clone()])) });
        let sealed = vec![ByteBuf::from(bytes.clone())];
        let pulled = bench.give(Input::SyncAnswered { peer: peer(1), result: Ok(SyncReply::Intents(sealed)) });
        let (ticket, _) = persist(&pulled).unwrap();
        bench.give(Input::Persisted { ticket, result });
        assert_eq!(told(&mut bench).as_deref(), (!is_kept).then_some(FULL));
        // It is left alone for a minute, and offered again.
        bench.wait(61_000);
    }
    assert_eq!(bench.component("hello").intent, opened.id());
}

#[test]
fn it_is_forgotten_when_nobody_offers_what_it_hit() {
    let mut bench = Bench::new();
    refuse(&mut bench, &push(1, |_| {}), FULL);
    bench.wait(9 * 60_000);
    assert_eq!(told(&mut bench).as_deref(), Some(FULL));
    bench.wait(2 * 60_000);
    assert_eq!(told(&mut bench), None);
}

#[test]
fn what_comes_and_goes_and_what_hits_many_is_no_flood() {
    let mut bench = Bench::new();
    let many: usize = (1..=200).map(|number| refuse(&mut bench, &named(&format!("c{number}"), number), FULL)).sum();
    assert_eq!(many, 1, "it is one change");
    bench.wait(60_000);
    let mut sent = 0;
    for number in 1..=60 {
        sent += published(&bench.accept(&push(number, |_| {}))).len();
        sent += refuse(&mut bench, &named("other", 1), FULL);
    }
    assert!(sent <= 12, "{sent}");
    assert_eq!(told(&mut bench).as_deref(), Some(FULL), "the last word is told");
}

#[test]
fn a_manifest_that_the_disk_does_not_keep_is_told_until_it_does() {
    let mut bench = Bench::new();
    let first = Pinned::new(1, &[declare("web", 1)]);
    bench.accept(&first.sealed);
    bench.give(Input::Stored { digest: first.document().digest });
    bench.give(first.read());
    bench.give(Input::ManifestSaved { id: first.id(), result: Err(FULL.into()) });
    let heard = |bench: &Bench| bench.node.own_report().unwrap().open(&bench.node.realm().unwrap()).unwrap().fault;
    assert_eq!(heard(&bench).as_deref(), Some(FULL));
    bench.accept(&named("other", 9));
    assert_eq!(told(&mut bench).as_deref(), Some(FULL), "an intent is another matter");
    // It is tried again by itself.
    bench.give(first.read());
    bench.wait(10_000);
    bench.give(first.saved());
    assert_eq!(told(&mut bench), None);
}
