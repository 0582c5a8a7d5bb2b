//! Peers that lie, stall, leave, or have nothing: a fetch goes on without them.

use crate::support::{Node, Peer, Sample, Spawner, has_all, run};
use agent::control::artifacts::ArtifactEvent;
use shared::{BlobReply, BlobRequest};
use std::collections::BTreeSet;

/// A node that fetches `sample`, and a peer that it is told to ask.
async fn asked(executor: &Spawner, sample: &Sample) -> (Node, Peer) {
    let (to, peer) = (Node::start(executor, 1).await, Peer::start(executor, 2).await);
    to.link.connect(&peer.link).await;
    to.fetch(sample, &[peer.id()]);
    (to, peer)
}

async fn misbehaved(to: &Node, peer: &Peer, what: &'static str) {
    let event = to.next(|event| matches!(event, ArtifactEvent::NoSource { .. })).await;
    assert!(
        matches!(event, ArtifactEvent::Misbehaved { peer: who, reason, .. } if who == peer.id() && reason == what),
        "{event:?}"
    );
}

/// An honest node comes; the other is not asked again, though it is named once more.
async fn recovers(executor: &Spawner, to: &Node, sample: &Sample, peer: &Peer) {
    to.fetch(sample, &[peer.id()]);
    let honest = Node::with(executor, 3, sample).await;
    to.link.connect(&honest.link).await;
    to.stored(sample).await;
    assert!(!peer.accepted_more());
}

#[test]
fn a_wrong_chunk() {
    run(async |executor| {
        let sample = Sample::of(5);
        let (to, liar) = asked(&executor, &sample).await;
        let mut talk = liar.accept().await;
        let mut bent = sample.chunk(talk.begin(&sample, has_all()).await.unwrap());
        bent[1] ^= 1;
        talk.say(&BlobReply::Chunk(bent)).await;
        misbehaved(&to, &liar, "a wrong chunk").await;
        recovers(&executor, &to, &sample, &liar).await;
    });
}

#[test]
fn a_chunk_of_another_place() {
    run(async |executor| {
        let sample = Sample::of(5);
        let (to, liar) = asked(&executor, &sample).await;
        let mut talk = liar.accept().await;
        let index = talk.begin(&sample, has_all()).await.unwrap();
        talk.say(&BlobReply::Chunk(sample.chunk((index + 1) % 5))).await;
        misbehaved(&to, &liar, "a wrong chunk").await;
        recovers(&executor, &to, &sample, &liar).await;
    });
}

#[test]
fn a_wrong_list() {
    run(async |executor| {
        let sample = Sample::of(5);
        let (to, liar) = asked(&executor, &sample).await;
        let mut talk = liar.accept().await;
        assert_eq!(talk.hear().await, Some(BlobRequest::Open(sample.artifact)));
        talk.say(&has_all()).await;
        assert_eq!(talk.hear().await, Some(BlobRequest::List));
        talk.say(&BlobReply::List(Sample::of(5).list.to_bytes().into_iter().rev().collect())).await;
        misbehaved(&to, &liar, "a wrong list of chunks").await;
        recovers(&executor, &to, &sample, &liar).await;
    });
}

#[test]
fn an_answer_to_another_question() {
    run(async |executor| {
        let sample = Sample::of(1);
        let (to, liar) = asked(&executor, &sample).await;
        let mut talk = liar.accept().await;
        talk.begin(&sample, has_all()).await.unwrap();
        talk.say(&has_all()).await;
        misbehaved(&to, &liar, "something else than a chunk").await;
        recovers(&executor, &to, &sample, &liar).await;
    });
}

#[test]
fn a_stall() {
    run(async |executor| {
        let sample = Sample::of(2);
        let (to, slow) = asked(&executor, &sample).await;
        let mut talk = slow.accept().await;
        talk.begin(&sample, has_all()).await.unwrap();
        // The stream stays open, and nothing comes.
        misbehaved(&to, &slow, "nothing in time").await;
        recovers(&executor, &to, &sample, &slow).await;
    });
}

#[test]
fn one_that_leaves_in_the_middle() {
    run(async |executor| {
        let sample = Sample::of(12);
        let (to, leaver) = asked(&executor, &sample).await;
        let mut talk = leaver.accept().await;
        let mut asked = talk.begin(&sample, has_all()).await;
        let mut given = BTreeSet::new();
        for _ in 0..3 {
            given.insert(asked.unwrap());
            talk.say(&BlobReply::Chunk(sample.chunk(asked.unwrap()))).await;
            asked = talk.chunk_asked().await;
        }
        // The ninth request: the third chunk is stored.
        for _ in 5..=9 {
            talk.chunk_asked().await.unwrap();
        }
        drop((talk, leaver));
        to.no_source(&sample).await;

        let other = Peer::start(&executor, 3).await;
        to.link.connect(&other.link).await;
        let mut talk = other.accept().await;
        let mut asked = talk.begin(&sample, has_all()).await;
        let mut rest = BTreeSet::new();
        while let Some(index) = asked {
            rest.insert(index);
            talk.say(&BlobReply::Chunk(sample.chunk(index))).await;
            asked = talk.chunk_asked().await;
        }
        to.stored(&sample).await;
        assert_eq!(rest, &(0..12).collect() - &given);
    });
}

#[test]
fn one_that_has_nothing_and_one_that_lost_a_chunk() {
    run(async |executor| {
        let sample = Sample::of(3);
        let (to, empty) = asked(&executor, &sample).await;
        let mut talk = empty.accept().await;
        assert_eq!(talk.hear().await, Some(BlobRequest::Open(sample.artifact)));
        talk.say(&BlobReply::Unknown).await;
        drop(talk);
        // It is asked again after a while, and has all but one chunk then.
        let mut talk = empty.accept().await;
        let mut asked = talk.begin(&sample, has_all()).await;
        while let Some(index) = asked {
            let reply = if index == 1 { BlobReply::Missing } else { BlobReply::Chunk(sample.chunk(index)) };
            talk.say(&reply).await;
            asked = talk.chunk_asked().await;
        }
        // That one comes when it is there.
        let mut talk = empty.accept().await;
        assert_eq!(talk.begin(&sample, has_all()).await, Some(1));
        talk.say(&BlobReply::Chunk(sample.chunk(1))).await;
        to.stored(&sample).await;
    });
}
