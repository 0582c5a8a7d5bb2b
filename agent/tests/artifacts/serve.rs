//! Serving: only what was opened and is meant, only what is right, and not to everybody at once.

use crate::support::{Node, Peer, Sample, patiently, run};
use agent::control::artifacts::ArtifactEvent;
use shared::protocol::Protocol;
use shared::{Artifact, BlobReply, BlobRequest, Digest};
use std::fs;

#[test]
fn what_was_opened_is_served_and_nothing_else() {
    run(async |executor| {
        let (sample, other) = (Sample::of(3), Sample::of(1));
        let (node, peer) = (Node::with(&executor, 1, &sample).await, Peer::start(&executor, 2).await);
        other.store(&node.dir);
        peer.link.connect(&node.link).await;
        let mut talk = peer.open(&node).await;
        let have = BlobReply::Have { complete: true, have: vec![0b111] };
        assert_eq!(talk.ask(&BlobRequest::Open(sample.artifact)).await, Some(have.clone()));
        assert_eq!(talk.ask(&BlobRequest::List).await, Some(BlobReply::List(sample.list.to_bytes())));
        assert_eq!(talk.ask(&BlobRequest::Chunk(2)).await, Some(BlobReply::Chunk(sample.chunk(2))));
        assert_eq!(talk.ask(&BlobRequest::Chunk(3)).await, Some(BlobReply::Missing));
        assert_eq!(talk.ask(&BlobRequest::Chunk(u32::MAX)).await, Some(BlobReply::Missing));
        // What is here is asked for again, as one does whose other sources were faster.
        assert_eq!(talk.ask(&BlobRequest::Open(sample.artifact)).await, Some(have));
        assert_eq!(talk.ask(&BlobRequest::Open(other.artifact)).await, None);
        for first in [BlobRequest::List, BlobRequest::Chunk(0)] {
            assert_eq!(peer.open(&node).await.ask(&first).await, None);
        }
    });
}

#[test]
fn another_artifact_under_the_same_digest_is_unknown() {
    run(async |executor| {
        let sample = Sample::of(3);
        let (node, peer) = (Node::with(&executor, 1, &sample).await, Peer::start(&executor, 2).await);
        peer.link.connect(&node.link).await;
        let of = sample.artifact;
        for artifact in [
            Artifact { size: of.size - 1, ..of },
            Artifact { chunks: Digest::of(b"others"), ..of },
            Artifact { digest: Digest::of(b"none"), ..of },
        ] {
            assert_eq!(peer.open(&node).await.ask(&BlobRequest::Open(artifact)).await, Some(BlobReply::Unknown));
        }
        // Nor is anything set aside because a stranger says so.
        assert!(node.artifacts.holds(&sample.artifact) && node.events.is_empty());
    });
}

#[test]
fn what_the_disk_has_changed_is_neither_served_nor_kept() {
    run(async |executor| {
        let sample = Sample::of(3);
        let (node, peer) = (Node::with(&executor, 1, &sample).await, Peer::start(&executor, 2).await);
        peer.link.connect(&node.link).await;
        let mut talk = peer.open(&node).await;
        assert!(talk.ask(&BlobRequest::Open(sample.artifact)).await.is_some());
        let mut bytes = sample.bytes.clone();
        bytes[7] ^= 1;
        fs::write(sample.path(&node.dir), &bytes).unwrap();
        assert_eq!(talk.ask(&BlobRequest::Chunk(1)).await, Some(BlobReply::Chunk(sample.chunk(1))));
        assert_eq!(talk.ask(&BlobRequest::Chunk(0)).await, Some(BlobReply::Missing));
        // The next one who opens it makes us look at the whole.
        let mut talk = peer.open(&node).await;
        assert_eq!(talk.ask(&BlobRequest::Open(sample.artifact)).await, Some(BlobReply::Unknown));
        let event = patiently("event", node.events.recv()).await.unwrap();
        assert!(matches!(&event, ArtifactEvent::Torn { reason, .. } if reason.contains(".torn")), "{event:?}");
        assert!(!node.artifacts.held(&sample.digest()));
    });
}

#[test]
fn what_is_being_fetched_is_waited_for_and_not_for_ever() {
    run(async |executor| {
        let sample = Sample::of(2);
        let (node, peer) = (Node::start(&executor, 1).await, Peer::start(&executor, 2).await);
        peer.link.connect(&node.link).await;
        node.fetch(&sample, &[]);
        let mut source = peer.accept().await;
        let mut asked = source.begin(&sample, crate::support::has_all()).await;
        let mut talk = peer.open(&node).await;
        let none = BlobReply::Have { complete: false, have: vec![0] };
        assert_eq!(talk.ask(&BlobRequest::Open(sample.artifact)).await, Some(none));
        assert_eq!(talk.ask(&BlobRequest::List).await, Some(BlobReply::List(sample.list.to_bytes())));
        // The answer to this comes with the chunk.
        let answered = executor.spawn(async move { (talk.ask(&BlobRequest::Chunk(0)).await, talk) });
        for _ in 0..2 {
            let index = asked.unwrap();
            assert!(index == 0 || !answered.is_finished());
            source.say(&BlobReply::Chunk(sample.chunk(index))).await;
            asked = source.chunk_asked().await;
        }
        let (reply, mut talk) = patiently("reply", answered).await;
        assert_eq!(reply, Some(BlobReply::Chunk(sample.chunk(0))));
        node.stored(&sample).await;
        // The same stream goes on.
        assert_eq!(talk.ask(&BlobRequest::Chunk(1)).await, Some(BlobReply::Chunk(sample.chunk(1))));

        // A fetch that ends without it: who waits is told.
        let never = Sample::of(7);
        node.fetch(&never, &[]);
        let mut source = peer.accept().await;
        source.begin(&never, crate::support::has_all()).await.unwrap();
        let mut talk = peer.open(&node).await;
        talk.ask(&BlobRequest::Open(never.artifact)).await.unwrap();
        let answered = executor.spawn(async move { talk.ask(&BlobRequest::Chunk(3)).await });
        node.artifacts.cancel(never.digest()).unwrap();
        assert_eq!(patiently("reply", answered).await, Some(BlobReply::Missing));
    });
}

#[test]
fn who_asks_again_hears_when_there_is_more() {
    run(async |executor| {
        let sample = Sample::of(3);
        let (node, peer) = (Node::start(&executor, 1).await, Peer::start(&executor, 2).await);
        peer.link.connect(&node.link).await;
        node.fetch(&sample, &[]);
        let mut source = peer.accept().await;
        let mut asked = source.begin(&sample, crate::support::has_all()).await;
        let mut talk = peer.open(&node).await;
        let open = BlobRequest::Open(sample.artifact);
        let mut told = talk.ask(&open).await;
        for count in 0..3 {
            let Some(BlobReply::Have { complete, have }) = told else { panic!("{told:?}") };
            assert_eq!((complete, have[0].count_ones()), (false, count));
            // The answer waits for the next chunk.
            let again = open.clone();
            let answered = executor.spawn(async move { (talk.ask(&again).await, talk) });
            source.say(&BlobReply::Chunk(sample.chunk(asked.unwrap()))).await;
            asked = source.chunk_asked().await;
            (told, talk) = patiently("reply", answered).await;
        }
        node.stored(&sample).await;
        assert_eq!(talk.ask(&open).await, Some(BlobReply::Have { complete: true, have: vec![0b111] }));
    });
}

#[test]
fn one_peer_gets_so_many_streams_and_no_more() {
    run(async |executor| {
        let sample = Sample::of(1);
        let (node, peer) = (Node::with(&executor, 1, &sample).await, Peer::start(&executor, 2).await);
        peer.link.connect(&node.link).await;
        let mut open = Vec::new();
        for _ in 0..8 {
            let mut talk = peer.open(&node).await;
            assert!(talk.ask(&BlobRequest::Open(sample.artifact)).await.is_some());
            open.push(talk);
        }
        assert_eq!(peer.open(&node).await.ask(&BlobRequest::Open(sample.artifact)).await, None);
        // Another peer is not affected.
        let other = Peer::start(&executor, 3).await;
        other.link.connect(&node.link).await;
        assert!(other.open(&node).await.ask(&BlobRequest::Open(sample.artifact)).await.is_some());
        drop(open);
        // The places are free again once the node has noticed; those that came too early ask again.
        patiently("place", async {
            while peer.open(&node).await.ask(&BlobRequest::Open(sample.artifact)).await.is_none() {}
        })
        .await;
        assert!(peer.link.mesh.open(node.id(), Protocol::Blob).await.is_ok());
    });
}

#[test]
fn what_is_removed_while_it_is_served_goes_when_the_slow_peer_has_all_of_it() {
    run(async |executor| {
        let sample = Sample::of(3);
        let (node, peer) = (Node::with(&executor, 1, &sample).await, Peer::start(&executor, 2).await);
        peer.link.connect(&node.link).await;
        let open = BlobRequest::Open(sample.artifact);
        let mut slow = peer.open(&node).await;
        let have = slow.ask(&open).await;
        assert_eq!(slow.ask(&BlobRequest::Chunk(0)).await, Some(BlobReply::Chunk(sample.chunk(0))));
        node.artifacts.remove(sample.digest()).unwrap();
        // Nobody else begins any more: then the removal has come to the edge.
        patiently("removal", async { while peer.open(&node).await.ask(&open).await != Some(BlobReply::Unknown) {} })
            .await;
        // The slow one goes on, and may ask again what there is.
        assert_eq!(slow.ask(&BlobRequest::List).await, Some(BlobReply::List(sample.list.to_bytes())));
        assert_eq!(slow.ask(&open).await, have);
        for index in [1, 2] {
            assert_eq!(slow.ask(&BlobRequest::Chunk(index)).await, Some(BlobReply::Chunk(sample.chunk(index))));
        }
        assert!(sample.is_stored(&node.dir) && node.events.is_empty(), "it counts as long as it is there");
        drop(slow);
        assert_eq!(node.next(|_| false).await, ArtifactEvent::Removed { digest: sample.digest(), gone: true });
        assert!(!sample.path(&node.dir).exists());
    });
}

#[test]
fn what_is_wanted_again_before_it_was_removed_stays() {
    run(async |executor| {
        let sample = Sample::of(2);
        let (node, peer) = (Node::with(&executor, 1, &sample).await, Peer::start(&executor, 2).await);
        peer.link.connect(&node.link).await;
        let open = BlobRequest::Open(sample.artifact);
        let mut slow = peer.open(&node).await;
        assert!(slow.ask(&open).await.is_some());
        node.artifacts.remove(sample.digest()).unwrap();
        node.fetch(&sample, &[]);
        node.stored(&sample).await;
        drop(slow);
        // Served as ever, and removed when nobody reads it.
        let mut talk = peer.open(&node).await;
        assert_eq!(talk.ask(&open).await, Some(BlobReply::Have { complete: true, have: vec![0b11] }));
        assert!(node.artifacts.holds(&sample.artifact) && node.events.is_empty());
        drop(talk);
        node.artifacts.remove(sample.digest()).unwrap();
        assert_eq!(node.next(|_| false).await, ArtifactEvent::Removed { digest: sample.digest(), gone: true });
        assert!(!node.artifacts.held(&sample.digest()));
    });
}
