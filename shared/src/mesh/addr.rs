//! Addresses: reading what people write, resolving names, and saying why a dial failed.

use super::MeshError;
use super::limits::{MAX_ADDR_BYTES, MAX_RESOLVED, RESOLVE_TIMEOUT};
use crate::NodeId;
use futures::{FutureExt, future};
use libp2p::core::transport::TransportError;
use libp2p::multiaddr::{Multiaddr, Protocol};
use libp2p::swarm::DialError;
use smol::Timer;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

const EXPECTED: &str = "expected `/ip4/ADDR/udp/PORT/quic-v1` or `/ip4/ADDR/tcp/PORT`, also with /ip6, /dns, /dns4, /dns6, and `/p2p/PEER` at the end";

/// An address of the mesh: host, transport, and perhaps whom to expect there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addr {
    /// As it was written: results are reported under this text.
    pub(super) text: String,
    pub(super) host: Host,
    pub(super) transport: Transport,
    pub(super) peer: Option<NodeId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Ip(IpAddr),
    /// A name, and which addresses of it are wanted.
    Name(String, Family),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Quic(u16),
    Tcp(u16),
}

impl Addr {
    pub(super) fn parse(text: &str) -> Result<Addr, MeshError> {
        let fault =
            || MeshError::BadAddr { addr: text.chars().take(MAX_ADDR_BYTES).collect(), reason: EXPECTED.into() };
        if text.len() > MAX_ADDR_BYTES {
            return Err(fault());
        }
        let multiaddr: Multiaddr = text.parse().map_err(|_| fault())?;
        let mut parts = multiaddr.iter().peekable();
        let host = parts.next().and_then(host_of).ok_or_else(fault)?;
        let transport = match parts.next() {
            Some(Protocol::Tcp(port)) => Transport::Tcp(port),
            // `/quic` once meant a draft that nobody speaks; people still write it.
            Some(Protocol::Udp(port)) => match parts.next() {
                Some(Protocol::QuicV1 | Protocol::Quic) => Transport::Quic(port),
                _ => return Err(fault()),
            },
            _ => return Err(fault()),
        };
        let peer = match parts.next() {
            None => None,
            Some(Protocol::P2p(peer)) => Some(NodeId::from_peer_id_bytes(&peer.to_bytes()).ok_or_else(fault)?),
            Some(_) => return Err(fault()),
        };
        if parts.next().is_some() {
            return Err(fault());
        }
        Ok(Addr { text: text.to_owned(), host, transport, peer })
    }

    /// Whether a connection to `remote` may be one to this address. A name may stand for any host.
    pub(super) fn leads_to(&self, remote: &Multiaddr) -> bool {
        let mut parts = remote.iter();
        let host = match (&self.host, parts.next().as_ref().and_then(|part| host_of(part.clone()))) {
            (Host::Ip(ours), Some(Host::Ip(theirs))) => *ours == theirs,
            (Host::Name(..), _) => true,
            _ => false,
        };
        host && match parts.next() {
            Some(Protocol::Tcp(port)) => self.transport == Transport::Tcp(port),
            Some(Protocol::Udp(port)) => self.transport == Transport::Quic(port),
            _ => false,
        }
    }

    /// What is listened on.
    pub(super) fn for_listening(text: &str) -> Result<(Multiaddr, Addr), MeshError> {
        let addr = Addr::parse(text)?;
        match &addr.host {
            Host::Ip(ip) => Ok((addr.transport.at(*ip), addr)),
            Host::Name(..) => {
                let reason = "a node listens on IP addresses, not on names".into();
                Err(MeshError::BadAddr { addr: addr.text, reason })
            }
        }
    }

    /// The address with `/p2p/peer` at the end, in one form however it was written.
    pub(super) fn with_peer(&self, peer: &NodeId) -> String {
        let (host, name) = match &self.host {
            Host::Ip(IpAddr::V4(ip)) => ("ip4", ip.to_string()),
            Host::Ip(IpAddr::V6(ip)) => ("ip6", ip.to_string()),
            Host::Name(name, Family::Any) => ("dns", name.clone()),
            Host::Name(name, Family::V4) => ("dns4", name.clone()),
            Host::Name(name, Family::V6) => ("dns6", name.clone()),
        };
        match self.transport {
            Transport::Quic(port) => format!("/{host}/{name}/udp/{port}/quic-v1/p2p/{peer}"),
            Transport::Tcp(port) => format!("/{host}/{name}/tcp/{port}/p2p/{peer}"),
        }
    }

    /// The addresses to dial, at most [`MAX_RESOLVED`]. Names are looked up each time, by the system's own resolver,
    /// so that `.local`, `/etc/hosts` and a changed address work.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) async fn resolve(&self) -> Result<Vec<Multiaddr>, String> {
        let (name, family) = match &self.host {
            Host::Ip(ip) => return Ok(vec![self.transport.at(*ip)]),
            Host::Name(name, family) => (name.clone(), *family),
        };
        let wanted = name.clone();
        let lookup = smol::unblock(move || (wanted.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<_>>));
        let late = Timer::after(RESOLVE_TIMEOUT).map(|_| Err(io::ErrorKind::TimedOut.into()));
        let found = future::select(Box::pin(lookup), late).await.factor_first().0;
        let found: Vec<SocketAddr> = found.map_err(|error| format!("cannot resolve `{name}`: {error}"))?;
        let wanted = found.iter().map(SocketAddr::ip).filter(|ip| family.includes(*ip));
        let addrs: Vec<_> = wanted.take(MAX_RESOLVED).map(|ip| self.transport.at(ip)).collect();
        if addrs.is_empty() { Err(format!("`{name}` has no address of the wanted kind")) } else { Ok(addrs) }
    }
}

fn host_of(part: Protocol<'_>) -> Option<Host> {
    match part {
        Protocol::Ip4(ip) => Some(Host::Ip(ip.into())),
        Protocol::Ip6(ip) => Some(Host::Ip(ip.into())),
        Protocol::Dns(name) => Some(Host::Name(name.into_owned(), Family::Any)),
        Protocol::Dns4(name) => Some(Host::Name(name.into_owned(), Family::V4)),
        Protocol::Dns6(name) => Some(Host::Name(name.into_owned(), Family::V6)),
        _ => None,
    }
}

impl Family {
    fn includes(self, ip: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
        }
    }
}

impl Transport {
    fn at(self, ip: IpAddr) -> Multiaddr {
        let base = Multiaddr::from(ip);
        match self {
            Transport::Quic(port) => base.with(Protocol::Udp(port)).with(Protocol::QuicV1),
            Transport::Tcp(port) => base.with(Protocol::Tcp(port)),
        }
    }
}

/// Why nobody was reached, for an operator who does not know libp2p.
pub(super) fn dial_reason(error: &DialError) -> String {
    match error {
        DialError::LocalPeerId { .. } => "that is this node itself".into(),
        DialError::WrongPeerId { obtained, .. } => format!("another peer answers there: `{obtained}`"),
        DialError::NoAddresses => "that is an address of this node itself".into(),
        DialError::Denied { cause } => root_of(cause).to_string(),
        DialError::Aborted | DialError::DialPeerConditionFalse(_) => "the dial was given up".into(),
        DialError::Transport(errors) => match errors.first() {
            Some((_, TransportError::Other(error))) => io_reason(error),
            Some((_, TransportError::MultiaddrNotSupported(_))) | None => "the address cannot be dialled".into(),
        },
    }
}

/// Sorted by text, because libp2p wraps an `io::Error` so that its kind cannot be reached.
fn io_reason(error: &io::Error) -> String {
    let text = root_of(error).to_string();
    let lower = text.to_lowercase();
    if lower.contains("refused") {
        "connection refused: nothing listens there".into()
    } else if lower.contains("timed out") || lower.contains("timeout") {
        "no answer".into()
    } else if text.contains("InvalidCertValidity") {
        // Those of libp2p hold from 1975 on, and a board without a battery starts in 1970.
        "the clock of this machine is wrong: QUIC needs one after 1975, TCP does not".into()
    } else {
        text
    }
}

/// The first cause: what is wrapped around it names layers, not faults.
fn root_of<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(inner) = inner_of(root) {
        root = inner;
    }
    root
}

/// `io::Error::source` skips the error that it carries; that one is wanted.
fn inner_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    carried.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
}

/// Whether the port of a TCP address is taken. libp2p listens with `SO_REUSEPORT`, so that two agents of one user would
/// share a port without an error and each get half of the connections; a plain bind tells.
pub(super) fn check_tcp_port(addr: &Addr) -> io::Result<()> {
    let (Host::Ip(ip), Transport::Tcp(port)) = (&addr.host, addr.transport) else { return Ok(()) };
    if port == 0 { Ok(()) } else { std::net::TcpListener::bind((*ip, port)).map(drop) }
}

/// Why an address cannot be listened on.
pub(super) fn listen_reason(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::Other(error) => root_of(error).to_string(),
        TransportError::MultiaddrNotSupported(_) => "not supported".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PEER: [u8; 32] = [7; 32];

    #[test]
    fn every_spelling_has_one_form() {
        let peer = NodeId::of_seed(&PEER);
        for (text, form) in [
            ("/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/127.0.0.1/udp/4001/quic-v1"),
            ("/ip4/127.0.0.1/udp/4001/quic", "/ip4/127.0.0.1/udp/4001/quic-v1"),
            ("/ip6/::1/tcp/1", "/ip6/::1/tcp/1"),
            ("/dns/a.local/udp/1/quic", "/dns/a.local/udp/1/quic-v1"),
            ("/dns4/a/tcp/1", "/dns4/a/tcp/1"),
            ("/dns6/a/tcp/1", "/dns6/a/tcp/1"),
        ] {
            let expected = format!("{form}/p2p/{peer}");
            assert_eq!(Addr::parse(text).map(|addr| (addr.peer, addr.with_peer(&peer))), Ok((None, expected.clone())));
            let full = Addr::parse(&format!("{text}/p2p/{peer}"));
            assert_eq!(full.map(|addr| (addr.peer, addr.with_peer(&peer))), Ok((Some(peer), expected)));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "127.0.0.1:4001",
            "/ip4/127.0.0.1",
            "/ip4/127.0.0.1/udp/4001",
            "/ip4/127.0.0.1/udp/4001/quic-v1/tcp/1",
            "/ip4/127.0.0.1/tcp/4001/ws",
            "/ip4/127.0.0.1/tcp/99999",
            // The peer id of an RSA key.
            "/ip4/127.0.0.1/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        ] {
            assert!(matches!(Addr::parse(text), Err(MeshError::BadAddr { .. })), "{text}");
        }
        assert!(Addr::parse(&format!("/dns/{}/tcp/1", "x".repeat(MAX_ADDR_BYTES))).is_err());
        assert!(Addr::for_listening("/dns/localhost/tcp/1").is_err());
    }

    #[test]
    fn names_are_resolved_by_the_system() {
        let addr = Addr::parse("/dns4/localhost/tcp/9").map(|addr| smol::block_on(addr.resolve()));
        assert_eq!(addr, Ok(Ok(vec![Transport::Tcp(9).at(Ipv4Addr::LOCALHOST.into())])));
        let addr = Addr::parse("/dns/no-such-host.invalid/tcp/9").map(|addr| smol::block_on(addr.resolve()));
        let text = addr.map(|resolved| resolved.unwrap_err());
        assert!(text.is_ok_and(|text| text.starts_with("cannot resolve `no-such-host.invalid`")));
    }
}
