//! What a node must not forget, on disk: what has no answer is written however much else waits.
#![allow(clippy::unwrap_used, reason = "a test ends where its expectation ends")]

use agent::control::node::RunRecord;
use agent::control::store::{Busy, Store, StorePaths, load};
use shared::{ComponentName, IntentId, IntentKey, Outcome};
use smol::channel::bounded;

#[test]
fn records_are_written_though_there_is_no_room_for_an_order() {
    let dir = tempfile::tempdir().unwrap();
    let paths = StorePaths::new(dir.path());
    load(&paths).unwrap();
    let (sender, events) = bounded(1);
    let store = Store::start(paths.clone(), sender).unwrap();
    let name = |text: &str| text.parse::<ComponentName>().unwrap();
    let record =
        |code| RunRecord { intent: IntentId::from_bytes([1; 32]), outcomes: vec![Outcome::Exit(code)], no_room: false };
    store.save_run(name("gone"), Some(record(1)));
    // Nobody takes the answers, so that the thread waits, and orders do.
    let mut orders = 0;
    while let Ok(()) = store.persist(orders, IntentKey::Component(name("hello")), b"sealed".as_slice().into(), None) {
        orders += 1;
    }
    assert!(matches!(store.persist(0, IntentKey::Component(name("hello")), [].into(), None), Err(Busy)));
    store.save_run(name("hello"), Some(record(2)));
    store.save_run(name("hello"), Some(record(3)));
    store.save_run(name("gone"), None);
    drop(events);
    drop(store);
    let runs = load(&paths).unwrap().runs;
    assert_eq!(runs, [(name("hello"), record(3))].into());
}
