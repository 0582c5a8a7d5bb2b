//! Where a command looks for a node to talk to.

use crate::cli::ReachAddr;
use crate::home::{Home, read_small};
use crate::world::Settings;
use shared::files::agent_data_dir;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The most addresses that are dialled; all at once, so they are bounded as a node's own bootstrap is.
const MAX_ADDRS: usize = 64;

/// Addresses, and where they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// Typed by the operator: these are waited for, the others only until one answers.
    pub(crate) named: bool,
    /// Whether the local network is looked at too.
    pub(crate) lan: bool,
    /// The addresses, each once.
    pub(crate) addrs: Vec<String>,
    /// Where was looked, for the error.
    sources: Vec<(String, usize)>,
    endpoint: Option<PathBuf>,
}

impl Places {
    /// `--via` alone when it is given; else the local agent, the nodes of earlier commands, and with `lan` whoever
    /// announces itself on the local network.
    pub(crate) fn find(via: &[ReachAddr], lan: bool, settings: &Settings, home: &Home) -> Places {
        let mut places = Places { named: !via.is_empty(), ..Places::default() };
        if places.named {
            places.add("`--via`", via.iter().map(|addr| addr.as_str().to_owned()));
            return places;
        }
        if let Some(dir) = agent_data_dir(&|name| settings.env(name)) {
            let endpoint = settings.cwd.join(dir).join("endpoint");
            let text = read_small(&endpoint).unwrap_or_default();
            let lines = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
            places.add(&format!("the local agent (`{}`)", endpoint.display()), lines);
            places.endpoint = Some(endpoint);
        }
        places.add("nodes of earlier commands", home.peers().into_iter());
        places.lan = lan;
        places
    }

    fn add(&mut self, source: &str, addrs: impl Iterator<Item = String>) {
        let mut count = 0;
        for addr in addrs {
            count += 1;
            if self.addrs.len() < MAX_ADDRS && !self.addrs.contains(&addr) {
                self.addrs.push(addr);
            }
        }
        self.sources.push((source.to_owned(), count));
    }

    /// Where was looked and what was found there, one line each.
    pub(crate) fn text(&self, found: usize, failed: &[(String, String)]) -> String {
        let mut text = String::new();
        let lan = self.lan.then(|| ("the local network (mDNS)".to_owned(), found));
        for (source, count) in self.sources.iter().chain(&lan) {
            let found = match count {
                0 => "no address".to_owned(),
                1 => "1 address".to_owned(),
                count => format!("{count} addresses"),
            };
            let _ = write!(text, "\n  {source}: {found}");
        }
        for (addr, reason) in failed {
            let _ = write!(text, "\n  {addr}: {reason}");
        }
        text
    }

    /// The next step when nothing answered.
    pub(crate) fn hint(&self) -> String {
        if self.named {
            return "is the agent running there, and is its port open? it prints its addresses when it starts".into();
        }
        let agent = if self.addrs.is_empty() {
            "start `realm-agent` on this machine"
        } else {
            "check that `realm-agent` is running"
        };
        format!("{agent}, or name a node with `--via ADDR` (or REALM_VIA)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    #[test]
    fn via_alone_else_agent_and_earlier_nodes() {
        let dir = tempfile::tempdir().unwrap();
        let text = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let env = BTreeMap::from([("REALM_HOME".into(), text("home")), ("REALM_AGENT_DATA".into(), text("agent"))]);
        let settings = Settings { env, cwd: dir.path().into() };
        let home = Home::of(&settings).unwrap();
        assert_eq!(Places::find(&[], true, &settings, &home).addrs, Vec::<String>::new());

        fs::create_dir(dir.path().join("agent")).unwrap();
        fs::write(dir.path().join("agent/endpoint"), "/ip4/127.0.0.1/tcp/1\n/ip4/127.0.0.1/udp/1/quic-v1\n").unwrap();
        home.remember(&["/ip4/127.0.0.1/tcp/1".into(), "/ip4/10.0.0.1/tcp/1".into()]).unwrap();
        let places = Places::find(&[], true, &settings, &home);
        assert_eq!(places.addrs, ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/udp/1/quic-v1", "/ip4/10.0.0.1/tcp/1"]);
        assert!(!places.named && places.text(0, &[]).contains("the local agent"));
        assert!(places.text(2, &[]).contains("the local network (mDNS): 2 addresses"));

        let via = ["/ip4/10.0.0.9/tcp/9".parse().unwrap()];
        let places = Places::find(&via, true, &settings, &home);
        assert!(!places.lan, "who names a node means that one");
        assert_eq!((places.named, places.addrs), (true, vec!["/ip4/10.0.0.9/tcp/9".to_owned()]));
    }
}
