//! A realm on hosts of its own: one agent on each, which knows no more than the address of the first, and an operator
//! on a further host.

use crate::network::{Host, Network};
use crate::shell::Shell;
use crate::support::Agent;
use std::thread;
use std::time::{Duration, Instant};

/// As in the README: a port that the operator knows, over QUIC and over TCP.
pub(crate) const LISTEN: [&str; 4] = ["--listen", "/ip4/0.0.0.0/udp/4001/quic-v1", "--listen", "/ip4/0.0.0.0/tcp/4001"];

/// A host and its agent. Fields are dropped in their order: a namespace goes when nothing runs in it.
pub(crate) struct Node {
    pub(crate) agent: Agent,
    pub(crate) host: Host,
}

impl Node {
    /// An agent on each host, all at once, as after a power cut.
    pub(crate) fn start_all(hosts: impl Iterator<Item = Host>, flags: &[&str]) -> Vec<Node> {
        thread::scope(|scope| {
            let start = |host: Host| Node { agent: Agent::start_at(&host.place(), flags), host };
            let starts: Vec<_> = hosts.map(|host| scope.spawn(move || start(host))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        })
    }
}

/// See the module.
pub(crate) struct Fleet {
    pub(crate) nodes: Vec<Node>,
    /// The operator's terminal, which knows the address of the first node until it is told another.
    pub(crate) shell: Shell,
    pub(crate) desk: Host,
    _network: Network,
}

impl Fleet {
    /// One node in each of these LANs, the operator in the last of them; waits until all know one another.
    pub(crate) fn start(mut network: Network, lans: &[u8]) -> Fleet {
        let desk = network.host(*lans.last().unwrap());
        let mut shell = Shell::at(&desk.place());
        shell.good(&["init"]);
        let owner = shell.key();
        let mut hosts = lans.iter().map(|lan| network.host(*lan)).collect::<Vec<_>>().into_iter();
        let first = hosts.next().unwrap();
        let bootstrap = dial_addr(&first);
        let flags = [&LISTEN[..], &["--owner", &owner]].concat();
        let mut nodes = vec![Node { agent: Agent::start_at(&first.place(), &flags), host: first }];
        nodes.extend(Node::start_all(hosts, &[&flags[..], &["--bootstrap", &bootstrap]].concat()));
        shell.via = bootstrap;
        nodes.iter().for_each(|node| node.agent.until_sees(lans.len()));
        Fleet { nodes, shell, desk, _network: network }
    }

    /// Pushes a guest under its own name, and gives what was said; it has to end well.
    pub(crate) fn push(&self, guest: &str) -> String {
        let started = Instant::now();
        let (code, out, err) = self.shell.push(guest, guest, &[]);
        say(&format!("push of {guest}"), started);
        assert_eq!(code, Some(0), "{out}{err}");
        println!("{err}");
        format!("{out}{err}")
    }
}

/// Where the agent of a host is reached, whoever it is.
pub(crate) fn dial_addr(host: &Host) -> String {
    format!("/ip4/{}/udp/4001/quic-v1", host.ip())
}

/// Prints how long something took, for whoever reads the output of a test.
pub(crate) fn say(what: &str, since: Instant) {
    println!("{what}: {:.1} s", since.elapsed().as_secs_f32());
}

/// Lets an outage last. This is the one kind of sleep here that is no wait for something: time is what is tested.
pub(crate) fn lasts(outage: Duration) {
    thread::sleep(outage);
}
