//! The swarm task's part in gossip: our subscriptions, what arrives, what is published, and the verdicts.

use super::gossip;
use super::node::Node;
use super::{GossipId, MeshEvent, Verdict};
use crate::RealmId;
use crate::protocol::{MAX_GOSSIP_BYTES, Topic};
use libp2p::PeerId;
use libp2p::gossipsub::{Event as GossipEvent, Message, MessageAcceptance, MessageId, PublishError};

impl Node {
    pub(super) fn on_gossip(&mut self, event: GossipEvent) {
        match event {
            GossipEvent::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, message_id, message);
            }
            GossipEvent::Subscribed { peer_id, topic } => {
                let topic = self.hello.realm.and_then(|realm| gossip::topic_of(&realm, &topic));
                if let (Some(peer), Some(topic)) =
                    (self.peers.get(&peer_id).filter(|peer| peer.is_known_member()).map(|peer| peer.node), topic)
                {
                    self.outbox.push_back(MeshEvent::Subscribed { peer, topic });
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_message(&mut self, source: PeerId, id: MessageId, message: Message) {
        let topic = self.hello.realm.and_then(|realm| gossip::topic_of(&realm, &message.topic));
        let from = self.peers.get(&source).map(|peer| peer.node);
        let id = GossipId { message: id, source };
        match (topic, from) {
            (Some(topic), Some(from)) if message.data.len() <= MAX_GOSSIP_BYTES => {
                self.outbox.push_back(MeshEvent::Gossip { id, from, topic, data: message.data });
            }
            _ => self.on_verdict(&id, Verdict::Ignore),
        }
    }

    pub(super) fn on_publish(&mut self, topic: Topic, data: Vec<u8>) {
        let unheard = match self.hello.realm {
            None => true,
            Some(realm) => match self.swarm.behaviour_mut().gossip.publish(gossip::ident(&realm, topic), data) {
                // A duplicate has been on its way for less than a minute.
                Ok(_) | Err(PublishError::Duplicate) => false,
                Err(_) => true,
            },
        };
        if unheard {
            self.outbox.push_back(MeshEvent::PublishUnheard { topic });
        }
    }

    pub(super) fn on_verdict(&mut self, GossipId { message, source }: &GossipId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        // False when the message is too old to be passed on, which the sync makes up for.
        self.swarm.behaviour_mut().gossip.report_message_validation_result(message, source, acceptance);
    }

    pub(super) fn subscribe_to(&mut self, realm: Option<RealmId>) {
        for (realm, topic) in topics(realm) {
            // Fails only for a topic that our own filter refuses.
            let _ = self.swarm.behaviour_mut().gossip.subscribe(&gossip::ident(&realm, topic));
        }
    }

    pub(super) fn unsubscribe_from(&mut self, realm: Option<RealmId>) {
        for (realm, topic) in topics(realm) {
            self.swarm.behaviour_mut().gossip.unsubscribe(&gossip::ident(&realm, topic));
        }
    }
}

fn topics(realm: Option<RealmId>) -> impl Iterator<Item = (RealmId, Topic)> {
    realm.into_iter().flat_map(|realm| Topic::ALL.map(|topic| (realm, topic)))
}
