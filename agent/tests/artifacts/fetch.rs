//! Fetching: from one, from several, from those that are fetching themselves; through restarts and without anybody.

use crate::support::{Node, Peer, Sample, has_all, patiently, run};
use agent::control::artifacts::ArtifactEvent;
use shared::{Artifact, BlobReply};
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

#[test]
fn from_one() {
    run(async |executor| {
        let sample = Sample::of(20);
        let (from, to) = (Node::with(&executor, 1, &sample).await, Node::start(&executor, 2).await);
        to.link.connect(&from.link).await;
        assert!(!to.artifacts.held(&sample.digest()));
        to.fetch(&sample, &[from.id()]);
        to.stored(&sample).await;
        assert!(to.artifacts.held(&sample.digest()));
        assert_eq!(to.artifacts.path(&sample.digest()), sample.path(&to.dir));
        // Once more: it is here.
        to.fetch(&sample, &[]);
        to.stored(&sample).await;
    });
}

#[test]
fn from_several_at_once() {
    run(async |executor| {
        let sample = Sample::of(9);
        let to = Node::start(&executor, 1).await;
        let (even, odd) = (Peer::start(&executor, 2).await, Peer::start(&executor, 3).await);
        to.link.connect(&even.link).await;
        to.link.connect(&odd.link).await;
        // Neither has all of it, and none of the two is named as a likely source.
        let serve = |peer: Peer, bits: [u8; 2]| {
            let (sample, given) = (sample.clone(), Arc::new(Mutex::new(BTreeSet::new())));
            let gives = Arc::clone(&given);
            let task = executor.spawn(async move {
                loop {
                    let mut talk = peer.accept().await;
                    let have = BlobReply::Have { complete: false, have: bits.to_vec() };
                    let mut asked = talk.begin(&sample, have.clone()).await;
                    while let Some(index) = asked {
                        let here = bits[index as usize / 8] >> (index % 8) & 1 == 1;
                        if here {
                            gives.lock().unwrap().insert(index);
                        }
                        let reply = if here { BlobReply::Chunk(sample.chunk(index)) } else { BlobReply::Missing };
                        talk.say(&reply).await;
                        asked = talk.chunk_asked_or_news(&have).await;
                    }
                }
            });
            (task, given)
        };
        let (_even, even) = serve(even, [0b0101_0101, 1]);
        let (_odd, odd) = serve(odd, [0b1010_1010, 0]);
        to.fetch(&sample, &[]);
        to.stored(&sample).await;
        assert_eq!(*even.lock().unwrap(), [0, 2, 4, 6, 8].into());
        assert_eq!(*odd.lock().unwrap(), [1, 3, 5, 7].into());
    });
}

#[test]
fn nobody_has_it_at_first() {
    run(async |executor| {
        let sample = Sample::of(2);
        let (from, to) = (Node::start(&executor, 1).await, Node::start(&executor, 2).await);
        to.fetch(&sample, &[from.id()]);
        to.no_source(&sample).await;
        // The peer comes, and has nothing; then it has it, and says nothing of it.
        to.link.connect(&from.link).await;
        sample.store(&from.dir);
        to.stored(&sample).await;
    });
}

#[test]
fn an_empty_artifact_needs_nobody() {
    run(async |executor| {
        let (sample, to) = (Sample::from(Vec::new()), Node::start(&executor, 1).await);
        to.fetch(&sample, &[]);
        to.stored(&sample).await;
    });
}

#[test]
fn chunks_travel_on_while_the_rest_is_fetched() {
    run(async |executor| {
        let sample = Sample::of(6);
        let origin = Peer::start(&executor, 1).await;
        let (relay, last) = (Node::start(&executor, 2).await, Node::start(&executor, 3).await);
        relay.link.connect(&origin.link).await;
        last.link.connect(&relay.link).await;
        relay.fetch(&sample, &[origin.id()]);
        let mut talk = origin.accept().await;
        let mut asked = talk.begin(&sample, has_all()).await;
        // The relay has nothing but the list yet, and `last` has nobody but the relay.
        last.fetch(&sample, &[relay.id()]);
        let mut seen = 0;
        for _ in 1..sample.artifact.chunk_count() {
            talk.say(&BlobReply::Chunk(sample.chunk(asked.unwrap()))).await;
            asked = talk.chunk_asked().await;
        }
        // One chunk is held back, and others are there already.
        while seen == 0 {
            match patiently("progress", last.events.recv()).await.unwrap() {
                ArtifactEvent::Progress { bytes, .. } => seen = bytes,
                other => assert_eq!(other, ArtifactEvent::NoSource { digest: sample.digest() }),
            }
        }
        assert!(!relay.artifacts.held(&sample.digest()));
        talk.say(&BlobReply::Chunk(sample.chunk(asked.unwrap()))).await;
        relay.stored(&sample).await;
        last.stored(&sample).await;
        assert!(!origin.accepted_more(), "the last one never asked the origin");
    });
}

#[test]
fn a_fetch_goes_on_where_it_was_ended() {
    run(async |executor| {
        let (sample, dir) = (Sample::of(12), TempDir::new().unwrap());
        let origin = Peer::start(&executor, 1).await;
        let to = Node::start_in(&executor, 2, dir.path()).await;
        to.link.connect(&origin.link).await;
        to.fetch(&sample, &[origin.id()]);
        let mut talk = origin.accept().await;
        let mut asked = talk.begin(&sample, has_all()).await;
        let mut first = BTreeSet::new();
        // Six requests are in flight: that the tenth comes means that the fourth chunk is stored.
        for _ in 0..4 {
            first.insert(asked.unwrap());
            talk.say(&BlobReply::Chunk(sample.chunk(asked.unwrap()))).await;
            asked = talk.chunk_asked().await;
        }
        assert!(asked.is_some());
        for _ in 6..=10 {
            assert!(talk.chunk_asked().await.is_some());
        }
        drop(to);
        // A torn chunk, as a power cut leaves it, is noticed.
        let part = sample.path(dir.path()).with_extension("part");
        let torn = *first.first().unwrap();
        let mut bytes = fs::read(&part).unwrap();
        bytes[torn as usize * shared::CHUNK_BYTES + 5] ^= 1;
        fs::write(&part, bytes).unwrap();
        first.remove(&torn);

        let to = Node::start_in(&executor, 3, dir.path()).await;
        to.link.connect(&origin.link).await;
        to.fetch(&sample, &[origin.id()]);
        let mut talk = origin.accept().await;
        let mut second = BTreeSet::new();
        let mut asked = talk.begin(&sample, has_all()).await;
        while let Some(index) = asked {
            second.insert(index);
            talk.say(&BlobReply::Chunk(sample.chunk(index))).await;
            asked = talk.chunk_asked().await;
        }
        to.stored(&sample).await;
        let all: BTreeSet<u32> = (0..12).collect();
        assert_eq!(second, &all - &first);
    });
}

#[test]
fn a_file_of_another_size_is_set_aside() {
    run(async |executor| {
        let sample = Sample::of(2);
        let (from, to) = (Node::with(&executor, 1, &sample).await, Node::start(&executor, 2).await);
        let path = sample.path(&to.dir);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"half of it").unwrap();
        fs::write(path.with_file_name("something.else"), b"foreign").unwrap();
        assert!(!to.artifacts.holds(&sample.artifact));
        to.link.connect(&from.link).await;
        to.fetch(&sample, &[from.id()]);
        let event = to.next(|_| false).await;
        assert!(matches!(&event, ArtifactEvent::Torn { reason, .. } if reason.contains("10 bytes")), "{event:?}");
        to.stored(&sample).await;
        assert_eq!(fs::read(path.with_extension("torn")).unwrap(), b"half of it");
        assert_eq!(fs::read(path.with_file_name("something.else")).unwrap(), b"foreign");
    });
}

#[test]
fn a_disk_that_refuses_is_told_of_and_asked_again() {
    run(async |executor| {
        let sample = Sample::of(2);
        let (from, to) = (Node::with(&executor, 1, &sample).await, Node::start(&executor, 2).await);
        // A directory where the `.part` should be.
        let part = sample.path(&to.dir).with_extension("part");
        fs::create_dir_all(&part).unwrap();
        to.link.connect(&from.link).await;
        to.fetch(&sample, &[from.id()]);
        let event = to.next(|_| false).await;
        assert!(matches!(&event, ArtifactEvent::Failed { reason, .. } if reason.contains("disk")), "{event:?}");
        fs::remove_dir(&part).unwrap();
        to.fetch(&sample, &[from.id()]);
        to.stored(&sample).await;
    });
}

#[test]
fn chunks_that_do_not_make_the_whole_are_refused() {
    run(async |executor| {
        let sample = Sample::of(2);
        // An intent whose digest is not that of the chunks that it pins.
        let lie = Artifact { digest: Sample::of(3).digest(), ..sample.artifact };
        let sample = Sample { artifact: lie, ..sample };
        let (origin, to) = (Peer::start(&executor, 1).await, Node::start(&executor, 2).await);
        to.link.connect(&origin.link).await;
        to.fetch(&sample, &[origin.id()]);
        let mut talk = origin.accept().await;
        let mut asked = talk.begin(&sample, has_all()).await;
        while let Some(index) = asked {
            talk.say(&BlobReply::Chunk(sample.chunk(index))).await;
            asked = talk.chunk_asked().await;
        }
        let event = to.next(|_| false).await;
        assert!(matches!(&event, ArtifactEvent::Failed { reason, .. } if reason.contains("add up")), "{event:?}");
        assert!(!to.artifacts.held(&lie.digest));
    });
}

#[test]
fn what_is_cancelled_does_not_come_and_what_is_removed_is_gone() {
    run(async |executor| {
        let (sample, other) = (Sample::of(4), Sample::of(1));
        let (origin, to) = (Peer::start(&executor, 1).await, Node::start(&executor, 2).await);
        to.link.connect(&origin.link).await;
        to.fetch(&sample, &[origin.id()]);
        let mut talk = origin.accept().await;
        let asked = talk.begin(&sample, has_all()).await;
        to.artifacts.cancel(sample.digest()).unwrap();
        // The stream ends, whatever is in flight.
        talk.say(&BlobReply::Chunk(sample.chunk(asked.unwrap()))).await;
        while talk.chunk_asked().await.is_some() {}
        let part = sample.path(&to.dir).with_extension("part");
        assert!(part.exists());
        to.artifacts.remove(sample.digest()).unwrap();
        other.store(&to.dir);
        to.artifacts.remove(other.digest()).unwrap();
        for gone in [&sample, &other] {
            let removed = ArtifactEvent::Removed { digest: gone.digest(), gone: true };
            assert_eq!(to.next(|_| false).await, removed);
        }
        assert!(!part.exists() && !to.artifacts.held(&other.digest()));
    });
}

#[test]
fn what_nobody_has_does_not_hold_up_what_somebody_has() {
    run(async |executor| {
        let (a, b) = (Node::start(&executor, 1).await, Node::start(&executor, 2).await);
        a.link.connect(&b.link).await;
        // As many as are transferred at once: each node takes the other for one that is about to have them.
        let nowhere: Vec<Sample> = (1..=4).map(Sample::of).collect();
        for sample in &nowhere {
            a.fetch(sample, &[]);
            b.fetch(sample, &[]);
        }
        let sample = Sample::of(5);
        let from = Node::with(&executor, 3, &sample).await;
        a.link.connect(&from.link).await;
        a.fetch(&sample, &[from.id()]);
        let event = a.next(|event| matches!(event, ArtifactEvent::NoSource { .. })).await;
        assert_eq!(event, ArtifactEvent::Stored { digest: sample.digest() });
    });
}
