//! Gossipsub, set up so that only admitted peers take part: everybody else's score lies below the graylist. Its messages carry no
//! name and no signature of its own: what they say is signed by the owner, or by the node that it is about, and a second signature
//! on every copy would say nothing more.

use super::MeshError;
use super::limits::{
    GOSSIP_FIRST_HEARTBEAT, GOSSIP_FORGETS, GOSSIP_HEARTBEAT, GOSSIP_HISTORY, GOSSIP_OFFERED, GOSSIP_QUEUE,
    MAX_GOSSIP_RPC_BYTES, MAX_SUBSCRIPTIONS,
};
use crate::{Digest, RealmId, protocol::Topic};
use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, IdentTopic, IdentityTransform, MaxCountSubscriptionFilter, Message, MessageAuthenticity,
    MessageId, PeerScoreParams, PeerScoreThresholds, TopicHash, TopicSubscriptionFilter, ValidationMode,
};
use std::collections::HashMap;
use std::time::Duration;

/// Gossipsub with our filter of subscriptions.
pub(super) type Gossip = Behaviour<IdentityTransform, MaxCountSubscriptionFilter<RealmTopics>>;

/// The score of a peer that is not admitted: far below [`GRAYLIST`], and no other part of the score can lift it.
pub(super) const STRANGER_SCORE: f64 = -1_000_000.0;

/// The score of a member.
pub(super) const MEMBER_SCORE: f64 = 0.0;

/// Below this, nothing is sent to a peer and all it sends is dropped unread, subscriptions excepted.
const GRAYLIST: f64 = -1000.0;

pub(super) fn build() -> Result<Gossip, MeshError> {
    let setup = |error: &dyn std::fmt::Display| MeshError::Setup(format!("gossip: {error}"));
    let config = ConfigBuilder::default()
        .heartbeat_initial_delay(GOSSIP_FIRST_HEARTBEAT)
        .heartbeat_interval(GOSSIP_HEARTBEAT)
        .history_length(GOSSIP_HISTORY)
        .history_gossip(GOSSIP_OFFERED)
        .flood_publish(true)
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .max_transmit_size(MAX_GOSSIP_RPC_BYTES)
        .connection_handler_queue_len(GOSSIP_QUEUE)
        .build()
        .map_err(|error| setup(&error))?;
    let filter = MaxCountSubscriptionFilter {
        filter: RealmTopics,
        max_subscribed_topics: MAX_SUBSCRIPTIONS,
        max_subscriptions_per_request: MAX_SUBSCRIPTIONS,
    };
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(|error| setup(&error))?;
    gossip.with_peer_score(score_params(), thresholds()).map_err(|error| setup(&error))?;
    Ok(gossip)
}

/// Equal content is one message, whoever publishes it: an intent that several nodes announce travels once.
fn message_id(message: &Message) -> MessageId {
    // Asked for once with each message that is published, and with each copy that arrives.
    #[cfg(test)]
    super::crowd::count_copy();
    MessageId::new(Digest::of(&message.data).as_bytes())
}

/// The application's verdict is the whole score: a home network has many peers behind one address, and boards that
/// are slow are not hostile.
fn score_params() -> PeerScoreParams {
    PeerScoreParams {
        topics: HashMap::new(),
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: 0.0,
        slow_peer_weight: 0.0,
        // A stranger that comes back is judged anew, and what is kept of those that left must not grow.
        retain_score: Duration::ZERO,
        decay_interval: GOSSIP_FORGETS,
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GRAYLIST,
        publish_threshold: GRAYLIST,
        graylist_threshold: GRAYLIST,
        ..PeerScoreThresholds::default()
    }
}

/// Keeps of a peer's subscriptions only those that look like a realm's topics. They arrive before the peer is admitted,
/// even before a node knows its own realm, hence no test for one realm here.
#[derive(Debug, Clone, Default)]
pub(super) struct RealmTopics;

impl TopicSubscriptionFilter for RealmTopics {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        let Some((realm, _)) = topic.as_str().strip_prefix("realm/").and_then(|rest| rest.split_once('/')) else {
            return false;
        };
        realm.parse().is_ok_and(|realm: RealmId| topic_of(&realm, topic).is_some())
    }
}

/// The topic as gossipsub wants it.
pub(super) fn ident(realm: &RealmId, topic: Topic) -> IdentTopic {
    IdentTopic::new(topic.name(realm))
}

/// Which of the realm's topics this is.
pub(super) fn topic_of(realm: &RealmId, hash: &TopicHash) -> Option<Topic> {
    Topic::ALL.into_iter().find(|topic| topic.name(realm) == hash.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_realm_topics_are_kept() {
        let realm = RealmId::from_bytes([9; 32]);
        for topic in Topic::ALL {
            assert!(RealmTopics.can_subscribe(&ident(&realm, topic).hash()));
        }
        for other in ["", "realm/", "realm/9/intents/1", "other", &format!("realm/{realm}/intents/2")] {
            assert!(!RealmTopics.can_subscribe(&TopicHash::from_raw(other)), "{other}");
        }
    }
}
