//! Networks for one test: each host is a network namespace whose `eth0` leads to a bridge in a namespace of the network's
//! own. Nothing in the machine's own namespace is touched, and nothing is left when they are dropped.

use crate::child::Place;
use crate::skip::skipped;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The last byte of the router's address in each LAN.
const ROUTER: u8 = 254;

/// A bridge that is never up: what is joined to it reaches nobody, not even another that is.
const NOWHERE: &str = "nowhere";

/// LANs of hosts, and a router between them that passes on packets for one host, but none for many (multicast).
pub(crate) struct Network {
    namespace: Namespace,
    hosts: u8,
}

/// One host in a LAN of it.
pub(crate) struct Host {
    namespace: Namespace,
    /// The namespace that has the other end of its cable, and the name of that end.
    network: String,
    port: String,
    lan: u8,
    ip: String,
}

/// A namespace of `ip netns`, removed in the end.
struct Namespace(String);

impl Network {
    /// One LAN. `None` when this machine lends no networks, which is told.
    pub(crate) fn lan() -> Option<Network> {
        Network::of_lans(1).map_err(|why| skipped(&why)).ok()
    }

    /// Two LANs and a router between them. `None` as before.
    pub(crate) fn two_lans() -> Option<Network> {
        Network::of_lans(2).map_err(|why| skipped(&why)).ok()
    }

    /// Whatever fails is a reason to skip the test, and where tests have to run no skipped one is let pass.
    fn of_lans(lans: u8) -> Result<Network, String> {
        for (program, version) in [("ip", "-V"), ("tc", "-V"), ("iptables", "--version")] {
            run(Command::new(program).arg(version))?;
        }
        let namespace = Namespace::new()?;
        let name = &namespace.0;
        // Bridges are named within the namespace of the network, so that all networks can use the same names.
        ip(&["-n", name, "link", "add", NOWHERE, "type", "bridge"])?;
        for lan in 0..lans {
            let (bridge, addr) = (bridge(lan), addr(lan, ROUTER));
            ip(&["-n", name, "link", "add", &bridge, "type", "bridge"])?;
            ip(&["-n", name, "addr", "add", &format!("{addr}/24"), "dev", &bridge])?;
            ip(&["-n", name, "link", "set", &bridge, "up"])?;
        }
        run(Place::namespace(name).command("sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]))?;
        Ok(Network { namespace, hosts: 0 })
    }

    /// One more host.
    pub(crate) fn host(&mut self, lan: u8) -> Host {
        self.hosts += 1;
        let network = self.namespace.0.clone();
        let namespace = Namespace::new().unwrap();
        let (port, addr) = (format!("port{}", self.hosts), addr(lan, self.hosts));
        let name = &namespace.0;
        ip(&["-n", &network, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", name]).unwrap();
        ip(&["-n", &network, "link", "set", &port, "up"]).unwrap();
        for device in ["lo", "eth0"] {
            ip(&["-n", name, "link", "set", device, "up"]).unwrap();
        }
        let mut host = Host { namespace, network, port, lan, ip: String::new() };
        host.take_addr(addr);
        host.heal();
        host
    }
}

impl Host {
    /// Where its programs run.
    pub(crate) fn place(&self) -> Place {
        Place::namespace(&self.namespace.0)
    }

    pub(crate) fn ip(&self) -> &str {
        &self.ip
    }

    /// The network lets nothing through to the host and nothing from it, which the host is not told: something broke
    /// far away, and its own link stays up.
    pub(crate) fn cut(&self) {
        self.join(NOWHERE);
    }

    /// The end of [`Host::cut`].
    pub(crate) fn heal(&self) {
        self.join(&bridge(self.lan));
    }

    fn join(&self, bridge: &str) {
        ip(&["-n", &self.network, "link", "set", &self.port, "master", bridge]).unwrap();
    }

    /// The other end of its cable is pulled out: the host sees its link go down.
    pub(crate) fn unplug(&self) {
        ip(&["-n", &self.network, "link", "set", &self.port, "down"]).unwrap();
    }

    /// The end of [`Host::unplug`].
    pub(crate) fn plug(&self) {
        ip(&["-n", &self.network, "link", "set", &self.port, "up"]).unwrap();
    }

    /// As when another lease is given: the old address goes, a new one comes.
    pub(crate) fn readdress(&mut self, last_byte: u8) {
        ip(&["-n", &self.namespace.0, "addr", "flush", "dev", "eth0", "scope", "global"]).unwrap();
        self.take_addr(addr(self.lan, last_byte));
    }

    fn take_addr(&mut self, addr: String) {
        let name = &self.namespace.0;
        ip(&["-n", name, "addr", "add", &format!("{addr}/24"), "dev", "eth0"]).unwrap();
        ip(&["-n", name, "route", "add", "default", "via", &self::addr(self.lan, ROUTER)]).unwrap();
        self.ip = addr;
    }

    /// Of the packets between it and each of the others, so many are lost in each direction.
    pub(crate) fn lose<'a>(&self, percent: u8, others: impl Iterator<Item = &'a Host>) {
        // Always where a packet arrives: one that is dropped on its way out is an error to whoever sends it, and no network
        // gives such an error.
        self.drop_arriving(percent, None);
        others.for_each(|other| other.drop_arriving(percent, Some(&self.ip)));
    }

    fn drop_arriving(&self, percent: u8, from: Option<&str>) {
        let probability = (f32::from(percent) / 100.0).to_string();
        let mut command = self.place().command("iptables");
        command.args(["--wait", "-A", "INPUT", "-i", "eth0"]).args(from.iter().flat_map(|from| ["-s", from]));
        let random = ["-m", "statistic", "--mode", "random", "--probability", &probability, "-j", "DROP"];
        run(command.args(random)).unwrap();
    }

    /// The first that `other` says of itself on the local network does not arrive, a packet or two.
    pub(crate) fn miss_first_answer(&self, other: &Host) {
        const BYTES: &str = "600";
        let mut command = self.place().command("iptables");
        command.args(["--wait", "-A", "INPUT", "-s", &other.ip, "-p", "udp", "--dport", "5353"]);
        run(command.args(["-m", "quota", "--quota", BYTES, "-j", "DROP"])).unwrap();
    }

    /// How fast its link is, in both directions.
    pub(crate) fn limit_rate(&self, mbit: u32) {
        for (namespace, device) in [(&self.namespace.0, "eth0"), (&self.network, self.port.as_str())] {
            let rate = format!("{mbit}mbit");
            // A tenth of a second of buffer, as routers have it.
            let bucket = ["tbf", "rate", &rate, "burst", "64kb", "latency", "100ms"];
            let command = &mut Place::namespace(namespace).command("tc");
            run(command.args(["qdisc", "add", "dev", device, "root"]).args(bucket)).unwrap();
        }
    }
}

impl Namespace {
    fn new() -> Result<Namespace, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Tests run side by side, as threads or as processes.
        let name = format!("realm-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name])?;
        Ok(Namespace(name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It goes with the last process in it, its cables with it. No panic: this may be one already.
        if let Err(error) = ip(&["netns", "delete", &self.0]) {
            eprintln!("{error}");
        }
    }
}

fn bridge(lan: u8) -> String {
    format!("lan{lan}")
}

fn addr(lan: u8, last_byte: u8) -> String {
    format!("10.77.{lan}.{last_byte}")
}

fn ip(words: &[&str]) -> Result<(), String> {
    run(Command::new("ip").args(words))
}

fn run(command: &mut Command) -> Result<(), String> {
    let why = match command.output() {
        Ok(done) if done.status.success() => return Ok(()),
        Ok(done) => String::from_utf8_lossy(&done.stderr).trim_end().to_owned(),
        Err(error) => error.to_string(),
    };
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    Err(format!("`{} {}`: {why}", command.get_program().to_string_lossy(), words.join(" ")))
}
