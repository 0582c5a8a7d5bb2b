//! A network of hosts on this machine: namespaces whose `eth0` leads over a link of a set rate to one bridge, in a namespace of
//! its own. Nothing of the machine's own network is touched, and nothing is left when it is dropped.

use std::process::Command;

use crate::Failure;
use crate::cluster::Place;
use crate::command;

/// The bridge, named within its own namespace.
const BRIDGE: &str = "lan";
/// What a link sends at once beyond its rate: a packet as large as the system makes them.
const BURST: &str = "64kb";
/// How long a packet waits before a link drops one: as routers have it.
const LATENCY: &str = "100ms";

/// One LAN.
pub(crate) struct Network {
    pub(crate) hosts: Vec<Place>,
    namespaces: Vec<Namespace>,
}

/// A namespace of `ip netns`, removed in the end.
struct Namespace(String);

impl Network {
    /// So many hosts, each with a link of so many Mbit/s in both directions.
    ///
    /// # Errors
    /// When the system lends no networks: not Linux, no right to it, no tools.
    pub(crate) fn of(hosts: usize, mbit: u32) -> Result<Network, Failure> {
        for program in ["ip", "tc"] {
            command::output(Command::new(program).arg("-V"))?;
        }
        let core = Namespace::new("lan")?;
        ip(&["-n", &core.0, "link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["-n", &core.0, "link", "set", BRIDGE, "up"])?;
        let mut network = Network { hosts: Vec::new(), namespaces: vec![core] };
        for number in 1..=hosts {
            network.add(number, mbit)?;
        }
        Ok(network)
    }

    fn add(&mut self, number: usize, mbit: u32) -> Result<(), Failure> {
        let namespace = Namespace::new(&number.to_string())?;
        let (host, port, addr) = (namespace.0.clone(), format!("port{number}"), format!("10.78.0.{number}"));
        self.namespaces.push(namespace);
        let core = &self.namespaces[0].0;
        ip(&["-n", core, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &host])?;
        ip(&["-n", core, "link", "set", &port, "master", BRIDGE, "up"])?;
        ip(&["-n", &host, "link", "set", "lo", "up"])?;
        ip(&["-n", &host, "link", "set", "eth0", "up"])?;
        ip(&["-n", &host, "addr", "add", &format!("{addr}/24"), "dev", "eth0"])?;
        let rate = format!("{mbit}mbit");
        for (namespace, device) in [(&host, "eth0"), (core, port.as_str())] {
            let bucket = ["tbf", "rate", &rate, "burst", BURST, "latency", LATENCY];
            let mut tc = Command::new("tc");
            tc.args(["-n", namespace, "qdisc", "add", "dev", device, "root"]).args(bucket);
            command::output(&mut tc)?;
        }
        self.hosts.push(Place::host(&host, &addr));
        Ok(())
    }

    /// Their names, for whoever cleans up when we cannot.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(|namespace| namespace.0.as_str())
    }
}

impl Namespace {
    fn new(word: &str) -> Result<Namespace, Failure> {
        let name = format!("realm-bench-{}-{word}", std::process::id());
        ip(&["netns", "add", &name])?;
        Ok(Namespace(name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It goes with the last process in it, and its cable with it. Somebody may have cleaned up already.
        let _ = ip(&["netns", "delete", &self.0]);
    }
}

fn ip(words: &[&str]) -> Result<(), Failure> {
    command::output(Command::new("ip").args(words)).map(drop)
}
