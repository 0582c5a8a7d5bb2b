//! The networks themselves: what the other tests take for granted of them would otherwise be believed and not known.

use crate::network::{Host, Network};
use crate::support::eventually;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

/// A group of one network: routers pass it on when they pass on any.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 77, 0, 1);
const PORT: u16 = 4001;

/// How many packets are sent to see how many arrive, and how long each is.
const SENT: usize = 400;
const LENGTH: usize = 1000;

/// After this time a packet counts as lost. They take less than a millisecond; a loaded machine may take longer.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// A socket on the host, which hears what is sent to the host and to the group.
fn socket(host: &Host) -> UdpSocket {
    let socket = host.place().inside(|| UdpSocket::bind(("0.0.0.0", PORT))).unwrap();
    socket.join_multicast_v4(&GROUP, &host.ip().parse().unwrap()).unwrap();
    socket.set_multicast_ttl_v4(8).unwrap();
    socket.set_multicast_loop_v4(false).unwrap();
    socket.set_read_timeout(Some(LOST_AFTER)).unwrap();
    socket
}

/// Whether a packet arrives; `word` tells it from earlier ones.
fn arrives(from: &UdpSocket, to: &UdpSocket, addr: Ipv4Addr, word: u8) -> bool {
    // An unreachable network is a way of being lost.
    let _ = from.send_to(&[word], (addr, PORT));
    let mut heard = [0];
    while to.recv(&mut heard).is_ok() {
        if heard[0] == word {
            return true;
        }
    }
    false
}

/// The first packets wait until the bridge forwards and hardware addresses are known.
fn until_arrives(from: &UdpSocket, to: &UdpSocket, addr: Ipv4Addr, word: u8) {
    eventually("a packet arrives", || if arrives(from, to, addr, word) { Ok(()) } else { Err("nothing".into()) });
}

/// How many of [`SENT`] packets arrive.
fn arriving(from: &UdpSocket, to: &UdpSocket, addr: Ipv4Addr) -> usize {
    let mut heard = [0; LENGTH];
    let mut drain = || std::iter::from_fn(|| to.recv(&mut heard).ok()).filter(|length| *length == LENGTH).count();
    let mut count = 0;
    to.set_nonblocking(true).unwrap();
    for _ in 0..SENT {
        from.send_to(&[0; LENGTH], (addr, PORT)).unwrap();
        // One after the other, or the buffer of the socket loses more than the network.
        count += drain();
    }
    to.set_nonblocking(false).unwrap();
    count + drain()
}

fn ip(host: &Host) -> Ipv4Addr {
    host.ip().parse().unwrap()
}

/// Whether the host's own link is up.
fn has_carrier(host: &Host) -> bool {
    let shown = host.place().command("ip").args(["link", "show", "eth0"]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().contains("LOWER_UP")
}

#[test]
fn a_router_passes_on_no_multicast() {
    let Some(mut network) = Network::two_lans() else { return };
    let hosts = [network.host(0), network.host(0), network.host(1)];
    let sockets = hosts.each_ref().map(socket);
    for to in [1, 2] {
        until_arrives(&sockets[0], &sockets[to], ip(&hosts[to]), 1);
    }
    assert!(arrives(&sockets[0], &sockets[1], GROUP, 2), "multicast within the LAN");
    assert!(!arrives(&sockets[0], &sockets[2], GROUP, 3), "multicast past the router");
}

#[test]
fn links_fail_and_come_back() {
    let Some(mut network) = Network::lan() else { return };
    let mut hosts = [network.host(0), network.host(0)];
    let [from, to] = hosts.each_ref().map(socket);
    let addr = ip(&hosts[1]);
    until_arrives(&from, &to, addr, 1);
    hosts[1].cut();
    assert!(!arrives(&from, &to, addr, 2) && !arrives(&to, &from, ip(&hosts[0]), 2), "it is cut off");
    assert!(has_carrier(&hosts[1]), "it is not told");
    hosts[1].heal();
    until_arrives(&from, &to, addr, 3);
    hosts[1].unplug();
    assert!(!arrives(&from, &to, addr, 4), "it is unplugged");
    assert!(!has_carrier(&hosts[1]), "it sees that");
    hosts[1].plug();
    until_arrives(&from, &to, addr, 5);
    hosts[1].readdress(99);
    assert!(!arrives(&from, &to, addr, 6), "nobody has the old address");
    until_arrives(&from, &to, ip(&hosts[1]), 7);
}

#[test]
fn links_lose_packets_and_have_a_rate() {
    let Some(mut network) = Network::lan() else { return };
    let hosts = [network.host(0), network.host(0)];
    let [one, other] = hosts.each_ref().map(socket);
    until_arrives(&one, &other, ip(&hosts[1]), 1);
    hosts[0].lose(20, [&hosts[1]].into_iter());
    for (from, to, host) in [(&one, &other, &hosts[1]), (&other, &one, &hosts[0])] {
        let count = arriving(from, to, ip(host));
        // Eight standard deviations around four fifths.
        assert!((256..=384).contains(&count), "{count} of {SENT}");
    }
    hosts[1].limit_rate(1);
    let count = arriving(&one, &other, ip(&hosts[1]));
    // What fits into the buffer, and what goes out while the rest is sent.
    assert!((1..=200).contains(&count), "{count} of {SENT}");
}
