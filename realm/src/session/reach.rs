//! Reaching nodes: every known address is dialled at once, and the first member of the realm that answers wins.

use super::{Event, Places, Session};
use crate::exit::Failure;
use crate::output::clean;
use shared::NodeId;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// For how long an address is tried. Longer than a handshake over a satellite link, shorter than a person's patience.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long other typed addresses are waited for once one has answered: they may be unclaimed nodes, which nobody
/// else can hand a claim to. Nodes on the same network answer within this time.
const OTHERS_TIMEOUT: Duration = Duration::from_millis(300);

/// For how long the local network is listened to, however soon a node has answered: over a cable answers take
/// milliseconds, over Wi-Fi a beacon's interval or two.
const LAN_TIME: Duration = Duration::from_millis(250);

/// When nothing but the local network is there to look at, for how long.
const LAN_TIMEOUT: Duration = Duration::from_secs(3);

/// As long as no member answers, it is asked anew so often: nodes of others may have answered, and the answers of ours been lost.
const LAN_AGAIN: Duration = Duration::from_secs(1);

/// The most nodes of the local network that are dialled.
const MAX_FOUND: usize = 64;

/// Which nodes answered.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// Members of our realm, in the order of their answers: one, or as many of the typed addresses as answered.
    pub(crate) members: Vec<NodeId>,
    /// Nodes without an owner.
    pub(crate) unclaimed: Vec<NodeId>,
    /// Nodes of other realms.
    pub(crate) foreign: Vec<NodeId>,
    /// Addresses that led nowhere, and why.
    pub(crate) failed: Vec<(String, String)>,
}

impl Session {
    /// Dials all places and whoever is found on the local network, and waits for the first member of the realm; with
    /// `claims` also for nodes without an owner.
    ///
    /// # Errors
    /// When neither a member nor an unclaimed node answers.
    pub(crate) async fn reach(&mut self, places: &Places, claims: bool) -> Result<Reached, Failure> {
        let mut reached = Reached::default();
        let mut open = BTreeSet::new();
        let mut found = BTreeSet::new();
        for addr in &places.addrs {
            self.try_place(std::slice::from_ref(addr), &mut open, &mut reached);
        }
        let begun = Instant::now();
        let settled = begun + if claims { LAN_TIME } else { Duration::ZERO };
        let mut until = begun + if open.is_empty() { LAN_TIMEOUT } else { DIAL_TIMEOUT };
        let mut ask_at = begun + LAN_AGAIN;
        loop {
            let waits = if places.lan {
                // Nodes without an owner answer as well, and nobody else can hand them a claim.
                Instant::now() < settled || reached.members.is_empty()
            } else {
                !open.is_empty() && (reached.members.is_empty() || places.named)
            };
            if !waits {
                break;
            }
            let enough = places.lan && !reached.members.is_empty();
            let wake_at = if places.lan { until.min(ask_at) } else { until };
            match self.next(Some(if enough { settled } else { wake_at })).await {
                None if enough || Instant::now() >= until => break,
                None => {
                    ask_at += LAN_AGAIN;
                    // A mesh that is busy is asked a second later.
                    let _ = self.mesh.ask_lan();
                }
                Some(Event::Stopped) => break,
                Some(Event::Met(node)) => {
                    self.close(&mut open, node);
                    let is_first = reached.members.is_empty();
                    self.sort(node, &mut reached);
                    if is_first && !reached.members.is_empty() {
                        until = until.min(Instant::now() + OTHERS_TIMEOUT);
                    }
                }
                Some(Event::Unreached { addr, reason }) => {
                    open.remove(&addr);
                    reached.failed.push((addr, reason));
                }
                Some(Event::Found(node, addrs)) if found.len() < MAX_FOUND => {
                    if found.insert(node) {
                        self.try_place(&addrs, &mut open, &mut reached);
                    }
                }
                Some(_) => {}
            }
        }
        reached.failed.extend(open.into_iter().map(|addr| (addr, "no answer".to_owned())));
        if reached.members.is_empty() && reached.unclaimed.is_empty() {
            return Err(nobody(places, found.len(), &reached));
        }
        if !places.named {
            // One knows the realm. Several are asked only where the operator named them.
            reached.members.truncate(1);
        }
        Ok(reached)
    }

    fn try_place(&self, addrs: &[String], open: &mut BTreeSet<String>, reached: &mut Reached) {
        let Some(first) = addrs.first() else { return };
        match self.mesh.dial(addrs) {
            Ok(()) => _ = open.insert(first.clone()),
            Err(error) => reached.failed.push((clean(first), error.to_string())),
        }
    }

    /// An address is not waited for any more when its node has answered, be it at another address.
    fn close(&self, open: &mut BTreeSet<String>, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        let (id, place) = (node.to_string(), place(&peer.addr));
        open.retain(|addr| !addr.ends_with(&id) && self::place(addr) != place);
    }

    fn sort(&self, node: NodeId, reached: &mut Reached) {
        let Some(peer) = self.peers.get(&node) else { return };
        let list = match peer {
            peer if peer.admitted => &mut reached.members,
            peer if peer.is_unclaimed() => &mut reached.unclaimed,
            _ => &mut reached.foreign,
        };
        if !list.contains(&node) {
            list.push(node);
        }
    }

    /// Addresses worth remembering: where members answered, and the members that they know. Addresses of this very
    /// machine are of use only when they were told by a node on it.
    pub(crate) fn addrs_to_remember(&self) -> Vec<String> {
        let is_loopback = |addr: &str| addr.starts_with("/ip4/127.") || addr.starts_with("/ip6/::1/");
        let members = || self.peers.values().filter(|peer| peer.admitted);
        let local = members().any(|peer| is_loopback(&peer.addr));
        let told = members().flat_map(|peer| peer.hello.addrs.iter()).filter(|addr| local || !is_loopback(addr));
        let told = told.filter(|addr| addr.contains("/p2p/") && addr.parse::<crate::cli::ReachAddr>().is_ok());
        members().map(|peer| &peer.addr).chain(told).cloned().collect()
    }
}

/// Host, transport and port, in one spelling.
fn place(addr: &str) -> String {
    let place = addr.split_once("/p2p/").map_or(addr, |(place, _)| place);
    match place.strip_suffix("/quic") {
        Some(place) => format!("{place}/quic-v1"),
        None => place.to_owned(),
    }
}

fn nobody(places: &Places, found: usize, reached: &Reached) -> Failure {
    if let [first, ..] = reached.foreign[..] {
        return Failure::new(format!(
            "only nodes of another realm answered, such as `{first}`{}",
            places.text(found, &reached.failed)
        ))
        .hint("they obey another owner key than `realm key show` prints; REALM_HOME says where keys are kept");
    }
    Failure::new(format!("no node answered; looked at:{}", places.text(found, &reached.failed))).hint(places.hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_spelling() {
        let peer = NodeId::of_seed(&[1; 32]);
        assert_eq!(place("/ip4/1.2.3.4/udp/1/quic"), place(&format!("/ip4/1.2.3.4/udp/1/quic-v1/p2p/{peer}")));
        assert_ne!(place("/ip4/1.2.3.4/udp/1/quic"), place("/ip4/1.2.3.4/udp/2/quic"));
    }
}
