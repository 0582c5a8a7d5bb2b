//! What a node must not forget, on disk: what has no answer is written however much else waits.
#![allow(clippy::unwrap_used, reason = "a test ends where its expectation ends")]

use agent::control::disk::MemberFile;
use agent::control::node::RunRecord;
use agent::control::store::{Busy, Store, StoreEvent, StorePaths, load};
use shared::files::TrustFile;
use shared::{ComponentName, IntentId, IntentKey, Outcome, OwnerId, OwnerKey};
use smol::channel::{Receiver, bounded};
use std::fs;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn name(text: &str) -> ComponentName {
    text.parse().unwrap()
}

fn record(code: i32) -> RunRecord {
    RunRecord { intent: IntentId::from_bytes([1; 32]), outcomes: vec![Outcome::Exit(code)], no_room: false }
}

/// A store at work in a new data directory, whose thread waits when its last event was not taken.
fn store() -> (TempDir, StorePaths, Store, Receiver<StoreEvent>) {
    let dir = tempfile::tempdir().unwrap();
    let paths = StorePaths::new(dir.path());
    load(&paths).unwrap();
    let (sender, events) = bounded(1);
    let store = Store::start(paths.clone(), sender).unwrap();
    (dir, paths, store, events)
}

#[test]
fn records_are_written_though_there_is_no_room_for_an_order() {
    let (_dir, paths, store, events) = store();
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

#[test]
fn the_answer_of_a_push_does_not_wait_for_records() {
    let (dir, _paths, store, events) = store();
    let persist =
        |ticket| store.persist(ticket, IntentKey::Component(name("hello")), b"sealed".as_slice().into(), None);
    // The thread waits with the second answer once the queue is full behind it.
    let begun = Instant::now();
    let mut orders = 0;
    while orders < 512 + 2 {
        match persist(orders) {
            Ok(()) => orders += 1,
            Err(Busy) => std::thread::yield_now(),
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    const RECORDS: usize = 20;
    (0..RECORDS).for_each(|number| store.save_run(name(&format!("run-{number}")), Some(record(0))));
    for ticket in 0..2 {
        let event = events.recv_blocking().unwrap();
        assert!(matches!(event, StoreEvent::Persisted { ticket: of, .. } if of == ticket));
    }
    let written = fs::read_dir(dir.path().join("runs")).unwrap().count();
    assert!(written <= RECORDS / 2, "one for each answer, not all before the second: {written}");
    drop(events);
}

#[test]
fn a_record_that_cannot_be_written_keeps_no_other_back() {
    let (dir, paths, store, events) = store();
    fs::create_dir(dir.path().join("runs/bad.run")).unwrap();
    for of in ["bad", "good"] {
        store.save_run(name(of), Some(record(1)));
    }
    store.save_members(MemberFile::default());
    let event = events.recv_blocking().unwrap();
    assert!(matches!(event, StoreEvent::Failed { reason } if reason.contains("how a component ended")));
    drop(store);
    assert!(dir.path().join("peers.cbor").exists());
    assert_eq!(load(&paths).unwrap().runs, [(name("good"), record(1))].into());
}

#[test]
fn a_burst_of_intents_is_no_burst_of_syncs() {
    const INTENTS: u64 = 200;
    let (_dir, paths, store, events) = store();
    // The thread waits with the first answer while the others are queued.
    let key = |number| IntentKey::Component(name(&format!("intent-{number}")));
    for number in 0..INTENTS {
        let bytes = format!("sealed {number}").into_bytes();
        while store.persist(number, key(number), bytes.as_slice().into(), None).is_err() {
            std::thread::yield_now();
        }
    }
    for number in 0..INTENTS {
        let event = events.recv_blocking().unwrap();
        assert!(matches!(event, StoreEvent::Persisted { ticket, result: Ok(()) } if ticket == number));
    }
    println!("{INTENTS} intents, {} syncs", store.syncs());
    // One alone may have gone ahead, and the rest in four batches of 64.
    assert!(store.syncs() <= 2 * 6, "{} syncs", store.syncs());
    let stored: Vec<_> = load(&paths).unwrap().intents.into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(stored.len() as u64, INTENTS);
    assert!(stored.iter().all(|bytes| bytes.starts_with(b"sealed ")));
}

#[test]
fn of_a_batch_only_what_cannot_be_written_is_refused() {
    let (dir, paths, store, events) = store();
    fs::create_dir(dir.path().join("intents/component.bad.intent")).unwrap();
    for (ticket, of) in ["first", "bad", "good"].into_iter().enumerate() {
        store.persist(ticket as u64, IntentKey::Component(name(of)), b"sealed".as_slice().into(), None).unwrap();
    }
    for wanted in [true, false, true] {
        let StoreEvent::Persisted { result, .. } = events.recv_blocking().unwrap() else { panic!("no answer") };
        assert_eq!(result.is_ok(), wanted);
    }
    assert!(paths.blobs().exists() && !dir.path().join("intents/component.bad.intent.new").exists());
    assert_eq!(fs::read_dir(dir.path().join("intents")).unwrap().count(), 3);
}

#[test]
fn a_claim_compares_owners_and_not_the_text_about_them() {
    let (dir, paths, store, events) = store();
    let owner = |number| OwnerKey::of_seed(&[number; 32]).id();
    let trust = format!("# mine\n{}", TrustFile { owner: owner(1) }.to_text());
    fs::write(paths.trust(), &trust).unwrap();
    let claim = |owner: OwnerId| {
        store.persist(0, IntentKey::Component(name("hello")), b"sealed".as_slice().into(), Some(owner)).unwrap();
        match events.recv_blocking().unwrap() {
            StoreEvent::Persisted { result, .. } => result,
            StoreEvent::ManifestSaved { .. } => panic!("none was given"),
            StoreEvent::Failed { reason } => panic!("{reason}"),
        }
    };
    assert_eq!(claim(owner(1)), Ok(()));
    let refused = claim(owner(2)).unwrap_err();
    assert!(refused.contains("another owner") && !refused.contains(dir.path().to_str().unwrap()), "{refused}");
    assert_eq!(fs::read_to_string(paths.trust()).unwrap(), trust);
}

#[test]
fn what_cannot_be_read_is_set_aside_and_counts_as_lacking() {
    let (dir, paths, store, _events) = store();
    drop(store);
    assert!(!load(&paths).unwrap().lacks_intents);
    for file in ["boot", "peers.cbor", "runs/hello.run", "intents/component.hello.intent"] {
        let path = dir.path().join(file);
        let _ = fs::remove_file(&path);
        fs::create_dir(&path).unwrap();
        let loaded = load(&paths).unwrap();
        assert!(loaded.warnings.iter().any(|warning| warning.contains(file)), "{file}: {:?}", loaded.warnings);
        assert_eq!(loaded.lacks_intents, file.starts_with("intents"), "{file}");
    }
    assert!(load(&paths).unwrap().lacks_intents, "it is in set-aside");
    fs::remove_dir_all(dir.path().join("set-aside")).unwrap();
    assert!(!load(&paths).unwrap().lacks_intents);
    // Something is there that cannot be looked into.
    fs::write(dir.path().join("set-aside"), b"").unwrap();
    assert!(load(&paths).unwrap().lacks_intents);
}
