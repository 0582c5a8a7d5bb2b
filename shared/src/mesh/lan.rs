//! Peers on the local network, by mDNS, behind a filter: bridges of containers and virtual machines are neither told of
//! nor listened to, and nobody can have this node dial an address that is not on a network it is part of.

use super::addr::Addr;
use super::limits::MAX_ANNOUNCED;
use super::peer::node_id;
use crate::NodeId;
use libp2p::core::Endpoint;
use libp2p::core::transport::{ListenerId, PortUse};
use libp2p::mdns::{self, Event};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{ExpiredListenAddr, NewListenAddr};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::task::{Context, Poll};

/// How the names of interfaces begin behind which there are only guests of this very machine: all of them have the same
/// few addresses on every host, and a node that dialled one would reach a guest of its own instead of the other node.
const GUESTS_ONLY: [&str; 9] = ["docker", "br-", "virbr", "veth", "cni", "podman", "lxcbr", "lxdbr", "vboxnet"];

/// The question that libp2p's mDNS answers: who is `_p2p._udp.local`? The header says that it is one question and nothing else,
/// the end that pointers (12) of the internet (1) are wanted.
const QUESTION: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01";

/// Where mDNS is spoken.
const MDNS_PORT: u16 = 5353;

/// What was heard, as addresses with `/p2p/`.
#[derive(Debug)]
pub(super) enum Heard {
    Found(BTreeMap<NodeId, Vec<String>>),
    Lost(Vec<String>),
}

/// See the module.
pub(super) struct Lan {
    local: PeerId,
    /// `None` when this node keeps out of it.
    mdns: Option<mdns::tokio::Behaviour>,
    fault: Option<String>,
    /// What is told of this node; bounded by its listeners and interfaces.
    told: HashSet<(ListenerId, Multiaddr)>,
}

impl Lan {
    /// Takes part if `wanted`.
    pub(super) fn new(local: PeerId, wanted: bool) -> Lan {
        let mdns = wanted.then(|| start(local));
        let (mdns, fault) = match mdns.transpose() {
            Ok(mdns) => (mdns, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Lan { local, mdns, fault, told: HashSet::new() }
    }

    /// Why it does not take part although that was wanted; given once.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        self.fault.take()
    }

    /// The library keeps whatever is announced until it expires, and who announces says when. A network on which so much
    /// is announced is not a home: begins anew.
    fn bound(&mut self) {
        let kept = self.mdns.as_ref().map_or(0, |mdns| mdns.discovered_nodes().len());
        if kept > MAX_ANNOUNCED {
            self.begin_anew();
        }
    }

    /// Asks who is there. The library does so until anybody has answered, and then only five minutes after the latest answer, to
    /// whomever that was. It hears the answers, which everybody gets, and tells of those that are new.
    pub(super) fn ask(&self) {
        if self.mdns.is_none() {
            return;
        }
        for ip in interfaces().iter().filter(|interface| !has_guests_only(interface)).filter_map(ip4) {
            // A question that is not sent is one that is lost: whoever has to, asks again.
            let _ = ask_from(ip);
        }
    }

    /// Forgets what was heard, and asks who is there.
    fn begin_anew(&mut self) {
        self.mdns = start(self.local).ok();
        for (listener_id, addr) in &self.told {
            if let Some(mdns) = &mut self.mdns {
                mdns.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr { listener_id: *listener_id, addr }));
            }
        }
    }
}

fn start(local: PeerId) -> io::Result<mdns::tokio::Behaviour> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), local)
}

/// As this program writes addresses, when it is one that it dials.
fn text_of(peer: &PeerId, mut addr: Multiaddr) -> Option<String> {
    let node = node_id(peer)?;
    if let Some(Protocol::P2p(_)) = addr.iter().last() {
        addr.pop();
    }
    Addr::parse(&addr.to_string()).ok().map(|addr| addr.with_peer(&node))
}

fn ip_of(addr: &Multiaddr) -> Option<IpAddr> {
    match addr.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// The library asks over IPv4 only.
fn ip4(interface: &if_addrs::Interface) -> Option<Ipv4Addr> {
    match interface.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

/// The system sends what is for everybody by the interface that has the sender's address.
fn ask_from(ip: Ipv4Addr) -> io::Result<usize> {
    let socket = UdpSocket::bind((ip, 0))?;
    socket.set_nonblocking(true)?;
    socket.send_to(QUESTION, (mdns::IPV4_MDNS_MULTICAST_ADDRESS, MDNS_PORT))
}

/// Whether nobody but this machine and its guests is there.
fn has_guests_only(interface: &if_addrs::Interface) -> bool {
    interface.is_loopback() || GUESTS_ONLY.iter().any(|guests| interface.name.starts_with(guests))
}

/// Whether an address is on a network that this machine is part of, other than for its own guests.
fn is_near(addr: &Multiaddr, interfaces: &[if_addrs::Interface]) -> bool {
    let Some(ip) = ip_of(addr) else { return false };
    // The narrowest network is the one that packets take.
    let nearest = interfaces.iter().filter_map(|interface| Some((prefix(&interface.addr, ip)?, interface)));
    let nearest = nearest.max_by_key(|(prefix, _)| *prefix);
    nearest.is_some_and(|(_, interface)| !has_guests_only(interface))
}

/// The length of the network's prefix, when `ip` is on it.
fn prefix(network: &if_addrs::IfAddr, ip: IpAddr) -> Option<u32> {
    let (ours, mask, theirs) = match (network, ip) {
        (if_addrs::IfAddr::V4(network), IpAddr::V4(ip)) => {
            (u128::from(network.ip.to_bits()), u128::from(network.netmask.to_bits()), u128::from(ip.to_bits()))
        }
        (if_addrs::IfAddr::V6(network), IpAddr::V6(ip)) => {
            (network.ip.to_bits(), network.netmask.to_bits(), ip.to_bits())
        }
        _ => return None,
    };
    (ours & mask == theirs & mask).then_some(mask.count_ones())
}

/// None of them when the system does not tell: then nothing is near.
fn interfaces() -> Vec<if_addrs::Interface> {
    if_addrs::get_if_addrs().unwrap_or_default()
}

fn near(found: Vec<(PeerId, Multiaddr)>) -> BTreeMap<NodeId, Vec<String>> {
    let interfaces = interfaces();
    let mut near: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
    for (peer, addr) in found.into_iter().filter(|(_, addr)| is_near(addr, &interfaces)) {
        if let (Some(node), Some(text)) = (node_id(&peer), text_of(&peer, addr)) {
            near.entry(node).or_default().push(text);
        }
    }
    near
}

impl NetworkBehaviour for Lan {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Heard;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::NewListenAddr(NewListenAddr { listener_id, addr }) if is_near(addr, &interfaces()) => {
                self.told.insert((listener_id, addr.clone()));
            }
            FromSwarm::ExpiredListenAddr(ExpiredListenAddr { listener_id, addr }) => {
                self.told.remove(&(listener_id, addr.clone()));
            }
            // The library wants to know of nothing else.
            _ => return,
        }
        if let Some(mdns) = &mut self.mdns {
            mdns.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Heard, THandlerInEvent<Self>>> {
        self.bound();
        let Some(mdns) = &mut self.mdns else { return Poll::Pending };
        loop {
            let heard = match mdns.poll(cx) {
                Poll::Ready(ToSwarm::GenerateEvent(Event::Discovered(found))) => Heard::Found(near(found)),
                Poll::Ready(ToSwarm::GenerateEvent(Event::Expired(lost))) => {
                    Heard::Lost(lost.into_iter().filter_map(|(peer, addr)| text_of(&peer, addr)).collect())
                }
                // Addresses for the other behaviours, none of which dials.
                Poll::Ready(_) => continue,
                Poll::Pending => return Poll::Pending,
            };
            return Poll::Ready(ToSwarm::GenerateEvent(heard));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use if_addrs::{IfAddr, IfOperStatus, Ifv4Addr, Interface};

    #[test]
    fn the_question_is_the_one_that_nodes_answer() {
        let mut question = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in "_p2p._udp.local".split('.') {
            question.push(label.len() as u8);
            question.extend(label.bytes());
        }
        question.extend([0, 0, 12, 0, 1]);
        assert_eq!(QUESTION, question);
    }

    fn interface(name: &str, ip: [u8; 4], netmask: [u8; 4]) -> Interface {
        let (ip, netmask) = (Ipv4Addr::from(ip), Ipv4Addr::from(netmask));
        let prefixlen = netmask.to_bits().count_ones() as u8;
        let addr = IfAddr::V4(Ifv4Addr { ip, netmask, prefixlen, broadcast: None });
        Interface { name: name.into(), addr, index: None, oper_status: IfOperStatus::Up, is_p2p: false }
    }

    #[test]
    fn only_networks_of_this_machine_count_and_none_of_its_guests() {
        let interfaces = [
            interface("lo", [127, 0, 0, 1], [255, 0, 0, 0]),
            interface("eth0", [192, 168, 1, 7], [255, 255, 255, 0]),
            interface("docker0", [172, 17, 0, 1], [255, 255, 0, 0]),
            interface("br-0a1b", [192, 168, 1, 129], [255, 255, 255, 128]),
            interface("wg0", [10, 9, 0, 2], [255, 255, 255, 0]),
        ];
        for (addr, near) in [
            ("/ip4/192.168.1.7/udp/1/quic-v1", true),
            ("/ip4/192.168.1.99/tcp/1", true),
            ("/ip4/10.9.0.77/udp/1/quic-v1", true),
            ("/ip4/127.0.0.1/tcp/1", false),
            ("/ip4/172.17.0.3/tcp/1", false),
            ("/ip4/192.168.1.200/tcp/1", false),
            ("/ip4/8.8.8.8/tcp/53", false),
            ("/ip6/::1/tcp/1", false),
            ("/dns4/localhost/tcp/1", false),
        ] {
            assert_eq!(is_near(&addr.parse().unwrap(), &interfaces), near, "{addr}");
        }
    }

    #[test]
    fn what_is_announced_gets_the_form_of_this_program() {
        let node = NodeId::of_seed(&[1; 32]);
        let peer = super::super::peer::peer_id(&node).unwrap();
        for addr in ["/ip4/10.0.0.1/udp/1/quic-v1".to_owned(), format!("/ip4/10.0.0.1/udp/1/quic-v1/p2p/{node}")] {
            let text = text_of(&peer, addr.parse().unwrap());
            assert_eq!(text, Some(format!("/ip4/10.0.0.1/udp/1/quic-v1/p2p/{node}")));
        }
        assert_eq!(text_of(&peer, "/ip4/10.0.0.1/udp/53".parse().unwrap()), None);
    }
}
