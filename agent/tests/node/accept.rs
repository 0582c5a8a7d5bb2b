//! An intent is written before anybody is told, and before anything is done.

use crate::bench::*;
use agent::control::node::{Effect, Input, Source, Verdict as Word};
use shared::{Role, SyncReply, SyncRequest, Verdict};

#[test]
fn written_then_acknowledged_then_acted_on() {
    let mut bench = Bench::new();
    let effects = bench.offer(&push(1, |_| {}));
    let (ticket, claim) = persist(&effects).unwrap();
    assert_eq!(claim, None);
    let early = |effect: &Effect| {
        matches!(effect, Effect::Receipt { .. } | Effect::Fetch { .. } | Effect::Start { .. } | Effect::Announce(_))
    };
    assert!(!effects.iter().any(early), "{effects:?}");
    assert!(bench.node.components().is_empty());

    let effects = bench.give(Input::Persisted { ticket, result: Ok(()) });
    assert_eq!(receipts(&effects), [Verdict::Accepted]);
    assert_eq!(fetches(&effects), [artifact(1).digest]);
    let place = |wanted: fn(&Effect) -> bool| effects.iter().position(wanted).unwrap();
    let receipt = place(|effect| matches!(effect, Effect::Receipt { .. }));
    assert!(receipt < place(|effect| matches!(effect, Effect::Fetch { .. })));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Announce(_))));

    let effects = bench.give(Input::Stored { digest: artifact(1).digest });
    assert_eq!(prepares(&effects), [(artifact(1).digest, false)]);
    assert!(starts(&effects).is_empty());
    let effects = bench.give(Input::Prepared { digest: artifact(1).digest, fuel: false, result: Ok(()) });
    assert_eq!(starts(&effects).len(), 1);
}

#[test]
fn what_cannot_be_written_is_refused_and_comes_to_nothing() {
    let mut bench = Bench::new();
    let (ticket, _) = persist(&bench.offer(&push(1, |_| {}))).unwrap();
    let effects = bench.give(Input::Persisted { ticket, result: Err("the disk is full".into()) });
    assert!(refused_with(&effects, "storage"));
    assert!(fetches(&effects).is_empty() && bench.node.components().is_empty());
    assert_eq!(bench.refused("storage"), 1);
    // And is written when it comes again.
    assert_eq!(receipts(&bench.accept(&push(1, |_| {}))), [Verdict::Accepted]);
}

#[test]
fn all_who_brought_it_get_the_word() {
    let mut bench = Bench::new();
    let bytes = push(1, |_| {});
    let (ticket, _) = persist(&bench.offer(&bytes)).unwrap();
    let effects = bench.offer(&bytes);
    assert!(persist(&effects).is_none() && receipts(&effects).is_empty(), "it is on its way to the disk");
    let gossip = Source::Gossip { ticket: 9, peer: peer(4) };
    assert!(judged(&bench.give(Input::Offered { source: gossip, bytes: bytes.clone() })).is_empty());
    let effects = bench.give(Input::Persisted { ticket, result: Ok(()) });
    assert_eq!(receipts(&effects), [Verdict::Accepted, Verdict::Accepted]);
    assert_eq!(judged(&effects), [Word::Forward]);
    assert_eq!(receipts(&bench.offer(&bytes)), [Verdict::AlreadyHeld]);
}

#[test]
fn gossip_forwards_what_is_good_and_nothing_else() {
    let mut bench = Bench::new();
    let mut offer = |bytes: &[u8]| {
        let source = Source::Gossip { ticket: 9, peer: peer(4) };
        bench.give(Input::Offered { source, bytes: bytes.to_vec() })
    };
    let (ticket, _) = persist(&offer(&push(5, |_| {}))).unwrap();
    assert_eq!(judged(&offer(&push(3, |_| {}))), [Word::Ignore], "late is nobody's fault");
    assert_eq!(judged(&offer(&push_by(&stranger(), 9, |_| {}))), [Word::Reject]);
    assert_eq!(judged(&offer(b"noise")), [Word::Reject]);
    let effects = bench.give(Input::Persisted { ticket, result: Ok(()) });
    assert_eq!(judged(&effects), [Word::Forward]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Announce(_))), "gossip passes it on by itself");
}

#[test]
fn it_is_handed_to_neighbours_but_not_back() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        bench.meet(number, Role::Node, true);
    }
    bench.meet(4, Role::Operator, true);
    let source = Source::Stream { ticket: 1, peer: peer(2) };
    let (ticket, _) = persist(&bench.give(Input::Offered { source, bytes: push(1, |_| {}) })).unwrap();
    let mut to = handed(&bench.give(Input::Persisted { ticket, result: Ok(()) }));
    to.sort();
    let mut others = vec![peer(1), peer(3)];
    others.sort();
    assert_eq!(to, others);
}

#[test]
fn the_entry_node_fetches_for_others() {
    let for_others = |seq| push(seq, |body| body.audience.peers = vec![peer(77)]);
    let mut bench = Bench::new();
    let effects = bench.accept(&for_others(1));
    assert!(fetches(&effects).is_empty(), "a node handed it over, and keeps what it has");
    bench.meet(50, Role::Operator, true);
    let effects = bench.accept(&for_others(2));
    assert_eq!(fetches(&effects), [artifact(1).digest], "the operator may leave");
    assert!(bench.node.components().is_empty());
    // It is tried again when it fails.
    bench.give(Input::FetchFailed { digest: artifact(1).digest, reason: "the disk is full".into() });
    assert_eq!(fetches(&bench.wait(1_250)), [artifact(1).digest]);
    bench.give(Input::Stored { digest: artifact(1).digest });
    assert!(fetches(&bench.wait(60_000)).is_empty());
    // After a restart in the middle, the operator comes again with the same.
    let mut bench = Bench::with(shared_restored(&for_others(2)), |_| {});
    bench.meet(50, Role::Operator, true);
    let effects = bench.offer(&for_others(2));
    assert_eq!(receipts(&effects), [Verdict::AlreadyHeld]);
    assert_eq!(fetches(&effects), [artifact(1).digest]);
}

#[test]
fn what_it_fetches_for_others_it_fetches_on_when_its_own_component_needs_it_no_more() {
    let mut bench = Bench::new();
    // One of this node, which fetches the same artifact.
    bench.accept(&named("own", 1));
    bench.meet(50, Role::Operator, true);
    let effects = bench.accept(&push(2, |body| body.audience.peers = vec![peer(77)]));
    assert_eq!(fetches(&effects), [artifact(1).digest], "the operator has it");
    let effects = bench.accept(&removal_of("own", 3));
    assert_eq!((cancels(&effects), drops(&effects)), (vec![], vec![]), "and may leave when it is here");
    bench.give(Input::FetchFailed { digest: artifact(1).digest, reason: "the disk is full".into() });
    assert_eq!(fetches(&bench.wait(1_250)), [artifact(1).digest]);
}

fn shared_restored(bytes: &[u8]) -> agent::control::node::Restored {
    agent::control::node::Restored { blobs: [].into(), ..after(bytes, None) }
}

#[test]
fn what_nothing_names_any_more_is_dropped() {
    let of = |seq, number| push(seq, move |body| body.payload.component.artifact = artifact(number));
    let mut bench = Bench::new();
    bench.run(&of(1, 1));
    let effects = bench.accept(&of(2, 2));
    assert_eq!(drops(&effects), [artifact(1).digest]);
    // Another name needs it still.
    bench.accept(&push(3, |body| {
        body.payload.component.name = name("other");
        body.payload.component.artifact = artifact(2);
    }));
    assert!(drops(&bench.accept(&of(4, 3))).is_empty());
    // Its last bytes came after all.
    assert_eq!(drops(&bench.give(Input::Stored { digest: artifact(1).digest })), [artifact(1).digest]);
    // What a crash left behind goes when the agent starts.
    let mut restored = after(&of(1, 2), None);
    restored.blobs.insert(artifact(2).digest);
    let mut bench = Bench::off(restored, |_| {});
    assert_eq!(drops(&bench.give(Input::Booted)), [artifact(1).digest]);
}

#[test]
fn hello_tells_the_highest_sequence() {
    let mut bench = Bench::new();
    let effects = bench.accept(&push(5, |_| {}));
    let said = |effect: &Effect| match effect {
        Effect::SetHello(hello) => Some(hello.highest_seq),
        _ => None,
    };
    assert_eq!(effects.iter().find_map(said), Some(EPOCH + 5));
}

#[test]
fn a_flood_of_junk_does_not_fill_the_log() {
    let mut bench = Bench::new();
    let lines: usize = (0..1_000).map(|_| logs(&bench.offer(b"junk")).len()).sum();
    assert!((1..=100).contains(&lines), "{lines}");
    assert_eq!(bench.refused("malformed"), 1_000);
    bench.pass(60_000);
    assert!(logs(&bench.offer(b"junk"))[0].contains("further lines"));
}

#[test]
fn a_peer_gets_what_it_asks_for() {
    let mut bench = Bench::new();
    bench.accept(&push(1, |_| {}));
    let key = held(&push(1, |_| {})).opened.key();
    let answer = |effects: Vec<Effect>| match effects.as_slice() {
        [Effect::AnswerSync { reply, .. }] => reply.clone(),
        other => panic!("{other:?}"),
    };
    let reply = answer(bench.give(Input::SyncAsked { ticket: 1, request: SyncRequest::Pull(vec![key.clone()]) }));
    assert!(matches!(reply, SyncReply::Intents(sealed) if sealed.len() == 1 && *sealed[0] == push(1, |_| {})));
    let summary = bench.node.own_report().unwrap().open(&bench.node.realm().unwrap()).unwrap().summary;
    assert_eq!(
        answer(bench.give(Input::SyncAsked { ticket: 1, request: SyncRequest::Compare(summary) })),
        SyncReply::Same
    );
}
