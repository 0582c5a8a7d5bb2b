//! Whom a push is for, when one that leaves early is done, and what `stop` and `rm` wait for.

use super::*;

fn known(byte: u8, tags: &[&str], alive: bool, has_name: bool) -> Known {
    let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    Known { node: node(byte), tags, platform: "linux/x86_64".into(), alive, has_name }
}

#[test]
fn selectors_match_and_name_who_stops() {
    let all = [known(1, &["dev"], true, true), known(2, &["dev", "arm"], false, false), known(3, &["web"], true, true)];
    let dev: Tag = "dev".parse().unwrap();
    let matched = match_nodes(&[], std::slice::from_ref(&dev), &all).unwrap();
    assert_eq!(matched.nodes.iter().map(|known| known.node).collect::<Vec<_>>(), vec![node(1), node(2)]);
    assert_eq!(matched.stops, vec![node(3)]);
    assert_eq!(match_nodes(&[], &[], &all).unwrap().nodes.len(), 3);

    let two: PeerRef = node(2).short().parse().unwrap();
    let three: PeerRef = node(3).to_string().parse().unwrap();
    let both = match_nodes(&[two, three.clone()], std::slice::from_ref(&dev), &all).unwrap();
    assert_eq!((both.nodes.len(), both.nodes[0].node), (1, node(2)), "peer and tag must both match");
    assert_eq!(both.audience.peers, vec![node(2), node(3)]);
    assert!(matches!(match_nodes(&[three], &[dev], &all), Err(NoMatch::Nobody(_, tags)) if tags.len() == 3));
}

#[test]
fn peers_must_be_known_and_unique() {
    let all = [known(1, &[], true, false), known(2, &[], true, false)];
    let common: PeerRef = "12D3KooW".parse().unwrap();
    assert!(matches!(match_nodes(&[common], &[], &all), Err(NoMatch::Ambiguous(_, nodes)) if nodes.len() == 2));
    let stranger: PeerRef = node(9).to_string().parse().unwrap();
    assert!(matches!(match_nodes(&[stranger], &[], &all), Err(NoMatch::Peer(_))));
}

#[test]
fn replicated_leaves_with_three_copies_or_all_that_there_will_be() {
    let of = |nodes: &[(u8, bool)]| rollout(Goal { until: Until::Replicated, ..goal() }, nodes);
    let fetching = |bytes| ComponentReport { fetched: Some(bytes), ..component(intent(1), Phase::Fetching) };
    let mut push = of(&[(1, true), (2, true), (3, true), (4, true), (5, true)]);
    for byte in 1..=5 {
        say(&mut push, u64::from(byte), byte, fetching(10));
    }
    let entry = BTreeSet::from([node(9)]);
    assert!(!push.is_replicated(&entry));
    say(&mut push, 10, 1, component(intent(1), Phase::Compiling));
    assert!(!push.is_replicated(&entry), "two: the entry node, and one of those that it is for");
    let held = HandOver { held: true, ..HandOver::default() };
    assert!(matches!(push.step(held), Step::Wait(_)));
    say(&mut push, 11, 2, component(intent(1), Phase::Compiling));
    assert!(push.is_replicated(&entry) && !push.is_replicated(&BTreeSet::new()));
    assert_eq!(push.step(HandOver { replicated: true, ..held }), Step::Done(Verdict::Detached));
    // Of two that are there both have it; the third gets it when it is back.
    let mut few = of(&[(1, true), (2, true), (3, false)]);
    say(&mut few, 1, 1, component(intent(1), Phase::Compiling));
    assert!(!few.is_replicated(&BTreeSet::new()));
    assert!(few.is_replicated(&BTreeSet::from([node(2)])), "seen to have it before it has said so");
    assert!(!of(&[(1, false)]).is_replicated(&BTreeSet::new()), "nobody has it");
}

#[test]
fn a_rate_is_what_came_between_two_words() {
    let fetching = |bytes| ComponentReport { fetched: Some(bytes), ..component(intent(1), Phase::Fetching) };
    let mut push = rollout(goal(), &[(1, true)]);
    let rate = |push: &Rollout| match push.targets()[&node(1)].state() {
        State::Moving { rate, .. } => *rate,
        other => panic!("{other:?}"),
    };
    say(&mut push, 1_000, 1, fetching(1_000));
    assert_eq!(rate(&push), 0);
    say(&mut push, 1_500, 1, fetching(3_000));
    assert_eq!(rate(&push), 4_000);
}

#[test]
fn stopped_is_the_end_where_it_is_to_be_stopped() {
    let mut stop = rollout(Goal { wanted: Wanted::Stopped, ..goal() }, &[(1, true), (2, false)]);
    stop.observe(MS(0), &report(1, 1, vec![component(intent(1), Phase::Running)]), true);
    assert_eq!(stop.step(HandOver::default()), Step::Wait(None));
    stop.observe(MS(1), &report(1, 2, vec![component(intent(1), Phase::Stopped)]), true);
    assert_eq!(stop.step(HandOver::default()), Step::Done(Verdict::Good));
}

#[test]
fn removed_is_what_a_node_does_not_speak_of_any_more() {
    let mut removal = rollout(Goal { wanted: Wanted::Gone, ..goal() }, &[(1, true)]);
    removal.observe(MS(0), &report(1, 1, vec![component(intent(2), Phase::Running)]), true);
    assert_eq!(removal.step(HandOver::default()), Step::Wait(None));
    removal.observe(MS(1), &NodeReport { omitted: 1, ..report(1, 2, Vec::new()) }, true);
    let held = HandOver { held: true, ..HandOver::default() };
    assert_eq!(removal.step(held), Step::Wait(None), "it may be among what there was no room for");
    let later = ComponentReport { name: name("later"), ..component(intent(3), Phase::Running) };
    removal.observe(MS(2), &NodeReport { omitted: 1, ..report(1, 3, vec![later]) }, true);
    assert_eq!(removal.step(HandOver::default()), Step::Wait(None), "nobody has accepted it");
    assert_eq!(removal.step(held), Step::Done(Verdict::Good), "it would stand before what is listed");
    removal.observe(MS(3), &report(1, 4, vec![component(intent(2), Phase::Running)]), true);
    assert_eq!(removal.step(held), Step::Wait(None), "it is back");
}
