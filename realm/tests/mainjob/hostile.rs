//! What is forged, altered, relabelled or replayed is refused by every node, counted, and changes nothing.

use crate::operator::{Operator, code};
use crate::shell::{Shell, realm};
use crate::support::{Agent, eventually, owner};
use serde_json::{Value, json};
use shared::{MAX_SEALED_BYTES, OwnerKey, RealmId, Sealed, Verdict, frame, pae};

/// The envelope with a change that its signer did not make.
fn altered(bytes: &[u8], change: impl FnOnce(&mut Sealed)) -> Vec<u8> {
    let mut sealed: Sealed = frame::decode(bytes).unwrap();
    change(&mut sealed);
    frame::to_bytes(&sealed, MAX_SEALED_BYTES).unwrap()
}

/// Waits until the service has said so often that it was started: what it says comes after it counts as running.
fn until_started(agent: &Agent, times: usize) {
    agent.until("service", "running");
    eventually("the word of the service", || match agent.output("service") {
        said if said.len() == times => Ok(()),
        said => Err(format!("{said:?}")),
    });
}

/// What must not change: which intents are held, how they stand, how often they were started.
fn state(agent: &Agent) -> (String, u64, Vec<String>) {
    (agent.status()["components"].to_string(), agent.metric("realm_intents_accepted_total"), agent.output("service"))
}

#[test]
fn hostile_pushes_are_refused_on_all_nodes_and_counted() {
    let key = owner(1);
    let realm = RealmId::of_owner(&key.id());
    let agents = Agent::realm(&key, &[&[], &[], &[]]);
    let operator = Operator::of(&key);
    let thief = Operator::signing_with(&owner(2), realm);
    let (entry, _) = operator.meet(agents[0].addr());
    let older = operator.push(entry, "service", "ticker", |body| body.note = "the first".into());
    agents.iter().for_each(|agent| until_started(agent, 1));
    operator.push(entry, "service", "ticker", |body| body.note = "the second".into());
    agents.iter().for_each(|agent| agent.until_accepted(2));
    agents.iter().for_each(|agent| until_started(agent, 2));

    // Signed well by the owner, never handed over as they are.
    let fresh = operator.seal(&operator.intent("fresh", "hello"));
    let forged = thief.seal(&thief.intent("fresh", "hello"));
    let hostile = [
        ("other-owner", forged.clone()),
        // The owner's name under a signature of somebody else.
        ("bad-signature", altered(&forged, |sealed| sealed.key = key.id())),
        // In the middle: within the digest of the artifact or a limit, not in the structure.
        (
            "bad-signature",
            altered(&fresh, |sealed| {
                let middle = sealed.body.len() / 2;
                sealed.body[middle] ^= 0x10;
            }),
        ),
        (
            "bad-signature",
            altered(&fresh, |sealed| {
                let mut bytes = *sealed.sig.as_bytes();
                bytes[0] ^= 1;
                sealed.sig = shared::Signature::from_bytes(bytes);
            }),
        ),
        ("unknown-kind", altered(&fresh, |sealed| sealed.typ = "realm/later/v1".into())),
        ("bad-signature", altered(&fresh, |sealed| sealed.typ = "realm/apply/v1".into())),
        // Signed by the owner as another kind, and relabelled as a push.
        ("bad-signature", altered(&fresh, |sealed| sealed.sig = key.sign(&pae("realm/apply/v1", &sealed.body)))),
        ("malformed", [&fresh[..], b"\0"].concat()),
        ("stale", older),
    ];
    for agent in &agents {
        let (node, _) = if agent.id() == entry { (entry, true) } else { operator.meet(agent.addr()) };
        let before = state(agent);
        for (expected, bytes) in &hostile {
            let counted = agent.refused(expected);
            let verdict = operator.hand(node, bytes);
            assert_eq!(code(&verdict), *expected, "{verdict:?}");
            assert_eq!(agent.refused(expected), counted + 1, "{expected} on {node}");
        }
        assert_eq!(state(agent), before);
    }
    assert!(agents.iter().all(|agent| agent.component("fresh").is_null()));
    // The nodes are none the worse for it, and the same intent unaltered is good.
    assert_eq!(operator.hand(entry, &fresh), Verdict::Accepted);
    agents.iter().for_each(|agent| drop(agent.until("fresh", "completed")));
}

#[test]
fn an_intent_for_another_realm_or_from_the_future_is_refused() {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    let mut elsewhere = operator.intent("elsewhere", "hello");
    elsewhere.realm = RealmId::of_owner(&owner(2).id());
    let mut future = operator.intent("future", "hello");
    future.seq += 3_600_000;
    let mut expired = operator.intent("expired", "hello");
    expired.not_after = Some(1);
    for (expected, body) in [("other-realm", elsewhere), ("from-the-future", future), ("expired", expired)] {
        let verdict = operator.hand(node, &operator.seal(&body));
        assert_eq!(code(&verdict), expected, "{verdict:?}");
        assert_eq!(agent.refused(expected), 1);
    }
    assert_eq!(agent.status()["components"], serde_json::json!([]));
}

#[test]
fn what_a_member_floods_is_checked_before_it_is_obeyed_or_passed_on() {
    let key = owner(1);
    let agents = Agent::realm(&key, &[&[], &[]]);
    let member = Operator::member(&owner(2), RealmId::of_owner(&key.id()));
    let operator = Operator::of(&key);
    member.meet(agents[0].addr());
    member.until_heard();
    operator.meet(agents[0].addr());
    let fresh = operator.seal(&operator.intent("fresh", "hello"));
    let forged = member.seal(&member.intent("fresh", "hello"));
    let bent = altered(&fresh, |sealed| sealed.body[20] ^= 1);
    for (expected, bytes) in [("other-owner", forged), ("bad-signature", bent)] {
        member.flood(bytes);
        eventually(&format!("`{expected}` is counted"), || match agents[0].refused(expected) {
            1 => Ok(()),
            seen => Err(seen.to_string()),
        });
        assert_eq!(agents[1].refused(expected), 0, "the first one passed it on");
    }
    assert!(agents.iter().all(|agent| agent.component("fresh").is_null()));
    // What is valid is obeyed, whoever brings it: the signature counts.
    member.flood(fresh);
    for agent in &agents {
        eventually("`fresh` is wanted", || match agent.component("fresh") {
            Value::Null => Err("it is not there".into()),
            // However far it has come: the operator may be asked for its artifact.
            _ => Ok(()),
        });
    }
}

/// The alarms of all nodes, as the command line tells them to programs.
fn alarms(shell: &Shell) -> Vec<Value> {
    shell.nodes().iter().flat_map(|node| node["alarms"].as_array().unwrap().clone()).collect()
}

#[test]
fn a_key_that_signs_at_two_places_is_told_until_the_owner_has_said_what_is_meant() {
    let (shell, agents) = realm(&[&[], &[]]);
    let secret = std::fs::read_to_string(shell.home.path().join("realm/owner.key")).unwrap();
    let key = OwnerKey::from_secret_text(&secret).unwrap();
    let [here, there] = [Operator::of(&key), Operator::of(&key)];
    let ((one, _), (other, _)) = (here.meet(agents[0].addr()), there.meet(agents[1].addr()));
    let mut body = here.intent("service", "ticker");
    assert_eq!(here.hand(one, &here.seal(&body)), Verdict::Accepted);
    agents.iter().for_each(|agent| agent.until_accepted(1));
    assert_eq!(alarms(&shell), Vec::<Value>::new());
    let (_, _, quiet) = shell.realm(&["status"]);
    assert!(!quiet.contains("ALARM"), "{quiet}");

    // Somebody else signs at the same moment. Which of the two counts is a matter of their ids.
    body.note = "from elsewhere".into();
    there.hand(other, &there.seal(&body));
    eventually("the alarm is told", || {
        let alarms = alarms(&shell);
        let expected = json!({ "key": "component/service", "seq": body.seq });
        if alarms.first() == Some(&expected) { Ok(()) } else { Err(format!("{alarms:?}")) }
    });
    let (code, out, err) = shell.realm(&["status"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let said = format!("ALARM: two different intents for `service` are signed with the sequence {}", body.seq);
    assert!(err.contains(&said) && err.contains(&agents[1].id().short()) && err.contains("hint: "), "{err}");
    assert!(agents[1].metric("realm_alarms_total") > 0);

    let (code, out, err) = shell.push("service", "ticker", &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    eventually("the alarm is over", || {
        let alarms = alarms(&shell);
        if alarms.is_empty() { Ok(()) } else { Err(format!("{alarms:?}")) }
    });
    assert!(!shell.realm(&["status"]).2.contains("ALARM"));
}
