//! A manifest reaches hosts that were down or cut off when it was applied, with nobody's help: what it declares is there soon
//! after they are back.

use crate::fleet::{Fleet, say};
use crate::network::Network;
use crate::support::{eventually, guest_path};
use std::fs;
use std::time::Instant;

impl Fleet {
    /// Declares guests under their own names, and applies that. Gives what was said; it has to end well.
    fn declare(&self, guests: &[&str]) -> String {
        let component = |guest: &&str| {
            let source = guest_path(guest).canonicalize().unwrap();
            format!("[components.{guest}]\nsource = \"{}\"\n", source.display())
        };
        let text: String = guests.iter().map(component).collect();
        let file = self.shell.home.path().join("realm.toml");
        fs::write(&file, format!("rollout.min_healthy_s = 1\n{text}")).unwrap();
        let (code, out, err) = self.shell.realm(&["apply", "--yes", "--file", file.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{out}{err}");
        format!("{out}{err}")
    }

    /// Until then an apply counts on the last node, waits for it, and says in the end that it went away.
    fn until_last_is_away(&self) {
        eventually("one node counts as away", || {
            let nodes = self.shell.nodes();
            let away = nodes.iter().filter(|node| node["alive"] == false).count();
            if away == 1 { Ok(()) } else { Err(format!("{nodes:?}")) }
        });
    }
}

#[test]
fn a_host_that_was_down_has_it_when_it_is_up() {
    let Some(network) = Network::lan() else { return };
    let mut fleet = Fleet::start(network, &[0; 3]);
    fleet.declare(&["ticker"]);
    fleet.nodes[2].agent.kill();
    fleet.until_last_is_away();
    fleet.declare(&["sleep"]);
    // The operator is gone by now.
    let started = Instant::now();
    fleet.nodes[2].agent.start_again(&[]);
    say("from the start until it serves", started);
    fleet.nodes[2].agent.until("sleep", "running");
    say("from the start to what is declared by now, artifact included", started);
    eventually("what is not declared any more ends", || match fleet.nodes[2].agent.component("ticker") {
        left if left.is_null() => Ok(()),
        left => Err(left.to_string()),
    });
}

#[test]
fn hosts_that_were_cut_off_run_on_and_agree_when_they_are_back() {
    let Some(network) = Network::lan() else { return };
    let fleet = Fleet::start(network, &[0; 3]);
    fleet.declare(&["ticker"]);
    let lost = &fleet.nodes[2];
    let before = lost.agent.until("ticker", "running");
    lost.host.cut();
    fleet.until_last_is_away();
    let said = fleet.declare(&["ticker", "sleep"]);
    assert!(said.contains("away"), "{said}");
    assert_eq!(lost.agent.component("ticker"), before, "it runs on");
    lost.host.heal();
    let healed = Instant::now();
    lost.agent.until("sleep", "running");
    say("from the healing to what is declared by now, artifact included", healed);
    assert_eq!(lost.agent.component("ticker"), before, "what is declared as before runs on");
}
