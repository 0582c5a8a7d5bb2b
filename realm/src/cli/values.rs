//! Values of flags that check themselves.

use shared::NodeId;
use shared::time::duration;
use std::str::FromStr;
use std::time::Duration;

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl FromStr for Color {
    type Err = String;

    fn from_str(text: &str) -> Result<Color, String> {
        match text {
            "auto" => Ok(Color::Auto),
            "always" => Ok(Color::Always),
            "never" => Ok(Color::Never),
            _ => Err("expected `auto`, `always` or `never`".into()),
        }
    }
}

/// How long to wait, at most a day: `300ms`, `90s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(pub Duration);

impl Default for Timeout {
    /// Enough for a slow link and for compiling on a board.
    fn default() -> Timeout {
        Timeout(Duration::from_secs(300))
    }
}

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Timeout, String> {
        const MOST: Duration = Duration::from_secs(24 * 3600);
        let expected =
            || "expected a whole number and `ms`, `s`, `m`, `h` or `d`, such as `90s`, at most a day".to_owned();
        duration(text).filter(|time| *time <= MOST && !time.is_zero()).map(Timeout).ok_or_else(expected)
    }
}

/// The least characters that name a peer; fewer are a typing error rather than a choice.
const LEAST_PEER_CHARS: usize = 4;

/// A peer: its id, or enough of the beginning or of the end of it to be unique. Every id begins with `12D3KooW`, so
/// that the end, which `status` shows, is what people type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRef(String);

impl PeerRef {
    /// Whether it can mean this node.
    #[must_use]
    pub fn fits(&self, node: &NodeId) -> bool {
        let text = node.to_string();
        text.starts_with(&self.0) || text.ends_with(&self.0)
    }

    /// As it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PeerRef {
    type Err = String;

    fn from_str(text: &str) -> Result<PeerRef, String> {
        let is_base58 = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if (LEAST_PEER_CHARS..=52).contains(&text.len()) && is_base58 {
            Ok(PeerRef(text.to_owned()))
        } else {
            Err(format!("expected a peer id, or at least {LEAST_PEER_CHARS} characters of its beginning or end"))
        }
    }
}

/// A multiaddr of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachAddr(String);

impl ReachAddr {
    /// As it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReachAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<ReachAddr, String> {
        /// A DNS name of 253 characters, and a peer id.
        const MOST_BYTES: usize = 400;
        let parts: Vec<&str> = text.split('/').collect();
        let is_port = |text: &str| text.parse::<u16>().is_ok();
        let is_peer = |text: &str| text.parse::<NodeId>().is_ok();
        let host = match parts.get(..3) {
            Some(["", "ip4", ip]) => ip.parse::<std::net::Ipv4Addr>().is_ok(),
            Some(["", "ip6", ip]) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
            Some(["", "dns" | "dns4" | "dns6", name]) => !name.is_empty() && !name.contains(char::is_whitespace),
            _ => false,
        };
        let rest = match parts.get(3..).unwrap_or_default() {
            ["tcp", port] | ["udp", port, "quic-v1" | "quic"] => is_port(port),
            ["tcp", port, "p2p", peer] | ["udp", port, "quic-v1" | "quic", "p2p", peer] => {
                is_port(port) && is_peer(peer)
            }
            _ => false,
        };
        if host && rest && text.len() <= MOST_BYTES {
            Ok(ReachAddr(text.to_owned()))
        } else {
            Err("expected a multiaddr such as `/ip4/192.168.1.10/udp/4001/quic-v1` or `/dns/host.local/tcp/4001`"
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (text, ms) in [("300ms", 300), ("90s", 90_000), ("5m", 300_000), ("24h", 86_400_000), ("1d", 86_400_000)] {
            assert_eq!(text.parse(), Ok(Timeout(Duration::from_millis(ms))), "{text}");
        }
        for bad in ["", "5", "m", "5 m", "-5m", "0s", "25h", "2d", "1.5s", "99999999999999999999h", "5m5s", "5M"] {
            assert!(bad.parse::<Timeout>().is_err(), "{bad}");
        }
    }

    #[test]
    fn peers_by_beginning_or_end() {
        let node = NodeId::of_seed(&[7; 32]);
        for text in [node.to_string(), node.short(), node.to_string()[..12].to_owned()] {
            assert!(text.parse::<PeerRef>().is_ok_and(|peer| peer.fits(&node)), "{text}");
        }
        assert!(NodeId::of_seed(&[8; 32]).short().parse::<PeerRef>().is_ok_and(|peer| !peer.fits(&node)));
        for bad in ["", "abc", "12D3/../x", &"x".repeat(53)] {
            assert!(bad.parse::<PeerRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses() {
        let peer = NodeId::of_seed(&[7; 32]);
        for good in [
            "/ip4/127.0.0.1/udp/4001/quic-v1",
            "/ip4/127.0.0.1/udp/4001/quic",
            "/ip6/::1/tcp/4001",
            "/dns/pi.local/udp/1/quic-v1",
            &format!("/dns4/a/tcp/1/p2p/{peer}"),
        ] {
            assert!(good.parse::<ReachAddr>().is_ok(), "{good}");
        }
        for bad in
            ["", "localhost:4001", "/ip4/1.2.3/tcp/1", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/tcp/1/p2p/x", "/dns//tcp/1"]
        {
            assert!(bad.parse::<ReachAddr>().is_err(), "{bad}");
        }
    }
}
