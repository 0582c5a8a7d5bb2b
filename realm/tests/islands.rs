//! Nodes that do not know one another, each named by the operator: every one of them is seen, and gets what is pushed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

#[path = "mainjob/child.rs"]
#[allow(dead_code, reason = "this file uses a part of it")]
mod child;
mod common;
#[path = "mainjob/support.rs"]
#[allow(dead_code, reason = "this file uses a part of it")]
mod support;

use common::Desk;
use serde_json::Value;
use support::{Agent, guest_path};

#[test]
fn each_named_node_counts_though_they_do_not_know_one_another() {
    let agents = [Agent::start(&["--role", "dev"]), Agent::start(&["--role", "dev"])];
    let mut desk = Desk::new();
    desk.run("init").assert(0);
    desk.set("REALM_VIA", &format!("{},{}", agents[0].addr(), agents[1].addr()));
    let hello = guest_path("hello");
    let hello = hello.to_str().unwrap();

    let status: Value = serde_json::from_str(&desk.run("status --json").assert(0).out).unwrap();
    assert_eq!((status["nodes"].as_array().unwrap().len(), status["unclaimed"].as_array().unwrap().len()), (0, 2));
    let first = desk.run_words(&["push", hello, "--tag", "dev", "--json"]).assert(0).says("CLAIMING 2 nodes");
    let first: Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!((first["verdict"].as_str(), first["claimed"].as_array().unwrap().len()), (Some("good"), 2));

    desk.run_words(&["push", hello, "--tag", "dev"]).assert(0).says("matched 2 nodes").says("completed on 2 nodes");
    let status: Value = serde_json::from_str(&desk.run("status --json").assert(0).out).unwrap();
    assert_eq!(status["nodes"].as_array().unwrap().len(), 2);
    let logs = desk.run("logs hello -n 1000").assert(0).out;
    for agent in &agents {
        let greetings =
            agent.output("hello").iter().filter(|line| line.contains("hello from a wasm component")).count();
        let id = agent.id().short();
        let told =
            logs.lines().filter(|line| line.contains(&id) && line.contains("hello from a wasm component")).count();
        assert_eq!((told, greetings), (2, 2), "{logs}");
    }

    // The nodes are remembered: nothing has to be named any more.
    desk.env.remove("REALM_VIA");
    desk.run("status").assert(0);
}
