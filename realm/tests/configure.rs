//! `configure`: what is written for the agent, and what is never replaced by accident.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod common;

use common::Desk;
use shared::OwnerKey;
use shared::files::{AgentConfig, TrustFile};
use std::fs;

fn owner(byte: u8) -> String {
    OwnerKey::of_seed(&[byte; 32]).id().to_string()
}

fn trust(desk: &Desk) -> String {
    TrustFile::parse(&fs::read_to_string(desk.path("agent/trust.toml")).unwrap()).unwrap().owner.to_string()
}

fn config(desk: &Desk) -> AgentConfig {
    AgentConfig::parse(&fs::read_to_string(desk.path("agent/config.toml")).unwrap()).unwrap()
}

#[test]
fn both_files_are_written_and_it_says_when_they_count() {
    let desk = Desk::new();
    let line = format!(
        "configure --owner {} --bootstrap /ip4/10.0.0.1/udp/1/quic-v1 --bootstrap=/dns/pi.local/tcp/2",
        owner(1)
    );
    desk.run(&line).assert(0).says("takes effect when realm-agent is next started");
    assert_eq!(trust(&desk), owner(1));
    assert_eq!(config(&desk).bootstrap, ["/ip4/10.0.0.1/udp/1/quic-v1", "/dns/pi.local/tcp/2"]);
    desk.run(&line).assert(0).says("configured like that already");
}

#[test]
fn other_keys_of_the_configuration_stay() {
    let desk = Desk::new();
    desk.write(
        "agent/config.toml",
        "listen = [\"/ip4/0.0.0.0/udp/4001/quic-v1\"]\nbootstrap = [\"/ip4/10.0.0.9/tcp/9\"]\n",
    );
    desk.run("configure --bootstrap /ip4/10.0.0.1/tcp/1").assert(0);
    let config = config(&desk);
    assert_eq!(config.bootstrap, ["/ip4/10.0.0.1/tcp/1"]);
    assert_eq!(config.listen, ["/ip4/0.0.0.0/udp/4001/quic-v1"]);
    assert!(!desk.path("agent/trust.toml").exists(), "an owner was not asked for");
}

#[test]
fn another_owner_only_with_force() {
    let desk = Desk::new();
    desk.run(&format!("configure --owner {}", owner(1))).assert(0);
    let line = format!("configure --owner {} --bootstrap /ip4/10.0.0.1/tcp/1", owner(2));
    desk.run(&line).assert(1).says("names another owner").says("hint: `--force`");
    assert_eq!(trust(&desk), owner(1));
    assert!(!desk.path("agent/config.toml").exists(), "a refusal leaves everything as it was");
    desk.run(&format!("{line} --force")).assert(0);
    assert_eq!(trust(&desk), owner(2));
}

#[test]
fn torn_files_are_named_and_kept() {
    let desk = Desk::new();
    desk.write("agent/trust.toml", "");
    desk.run(&format!("configure --owner {}", owner(1))).assert(1).says("trust.toml").says("hint: ");
    assert_eq!(fs::read_to_string(desk.path("agent/trust.toml")).unwrap(), "");
    desk.run(&format!("configure --owner {} --force", owner(1))).assert(0);
    assert_eq!(trust(&desk), owner(1));

    desk.write("agent/config.toml", "bootstrap = [\nlisten");
    desk.run("configure --bootstrap /ip4/10.0.0.1/tcp/1").assert(1).says("config.toml").says("line ");
    desk.run("configure --bootstrap /ip4/10.0.0.1/tcp/1 --force").assert(0);
    assert_eq!(config(&desk).bootstrap, ["/ip4/10.0.0.1/tcp/1"]);
}

#[test]
fn the_directory_can_be_named() {
    let mut desk = Desk::new();
    desk.run(&format!("configure --owner {} --data-dir elsewhere", owner(1))).assert(0);
    assert!(desk.path("elsewhere/trust.toml").exists() && !desk.path("agent").exists());
    desk.env.remove("REALM_AGENT_DATA");
    desk.run(&format!("configure --owner {}", owner(1))).assert(1).says("--data-dir");
}

#[test]
fn what_cannot_be_used_is_a_usage_error() {
    let desk = Desk::new();
    desk.run("configure").assert(2).says("nothing to configure").says("hint: ");
    desk.run("configure --owner ed25519:xyz").assert(2).says("ed25519:xyz").says("hint: ");
    desk.run("configure --bootstrap 10.0.0.1:4001").assert(2).says("expected a multiaddr").says("hint: ");
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let desk = Desk::new();
    desk.write("file", "");
    desk.run(&format!("configure --owner {} --data-dir file/agent", owner(1))).assert(1).says("file/agent");
}
