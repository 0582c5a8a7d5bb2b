//! Names of the protocols and gossip topics, and the cap of each one's frames.

use crate::realm_id::RealmId;

/// A request-and-answer protocol on a stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Who are you, and of which realm: the only one that a stranger gets.
    Hello,
    /// Hand over one intent, get a receipt.
    Intent,
    /// Compare the state, pull what is newer.
    Sync,
    /// Fetch chunks of an artifact.
    Blob,
    /// Reports and log lines, for an operator.
    Watch,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 5] = [Protocol::Hello, Protocol::Intent, Protocol::Sync, Protocol::Blob, Protocol::Watch];

    /// The name that is negotiated.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Hello => "/realm/hello/1",
            Protocol::Intent => "/realm/intent/1",
            Protocol::Sync => "/realm/sync/1",
            Protocol::Blob => "/realm/blob/1",
            Protocol::Watch => "/realm/watch/1",
        }
    }
}

/// What is flooded through the realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Sealed intents.
    Intents,
    /// Signed reports.
    Reports,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 2] = [Topic::Intents, Topic::Reports];

    /// The name within `realm`; two realms on one network share no topic.
    #[must_use]
    pub fn name(self, realm: &RealmId) -> String {
        match self {
            Topic::Intents => format!("realm/{realm}/intents/1"),
            Topic::Reports => format!("realm/{realm}/reports/1"),
        }
    }
}

/// The largest gossip message: announcements only, artifacts never travel in gossip.
pub const MAX_GOSSIP_BYTES: usize = 32 * 1024;

/// The largest hello: sixteen addresses, sixteen tags and some short texts.
pub const MAX_HELLO_BYTES: usize = 8 * 1024;

/// The largest frame of `/realm/intent/1`: one sealed intent, or a receipt that names the nodes that matched.
pub const MAX_INTENT_FRAME: usize = 64 * 1024;
