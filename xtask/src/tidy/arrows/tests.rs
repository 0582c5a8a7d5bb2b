//! Small good and bad files for each rule about who may know whom.

use super::*;

fn findings(path: &str, code: &str) -> usize {
    check(&Source::new(path, code)).len()
}

#[test]
fn pure_parts_name_nothing_impure() {
    for bad in [
        "use std::fs;",
        "use std::{io, net::TcpStream};",
        "use std::time::{Duration, Instant};",
        "use std::*;",
        "fn f() { std::thread::spawn(g); }",
        "use std::time; fn f() -> time::SystemTime { time::SystemTime::now() }",
        "async fn f() {}",
        "use smol::lock::Mutex;",
        "use tokio as runtime;",
    ] {
        assert_ne!(findings("shared/src/seal.rs", bad), 0, "{bad}");
        assert_ne!(findings("agent/src/control/node/accept.rs", bad), 0, "{bad}");
        assert_eq!(findings("agent/src/control/store.rs", bad), 0, "{bad}");
    }
}

#[test]
fn pure_parts_may_name_the_rest() {
    let good = "use std::{collections::BTreeMap, time::Duration}; // std::fs\nfn f() { g(\"std::net\") }";
    assert_eq!(findings("shared/src/seal.rs", good), 0);
    assert_eq!(findings("shared/src/files/mod.rs", "use std::fs;"), 0);
    assert_eq!(findings("shared/src/lib.rs", "const OS: &str = std::env::consts::OS;"), 0);
    assert_eq!(findings("shared/src/lib.rs", "fn f() { std::env::var(x); }"), 1);
    assert_eq!(findings("shared/src/mesh/node.rs", "async fn f() { smol::future::yield_now().await }"), 0);
}

#[test]
fn crates_are_named_where_they_belong() {
    for (word, home, elsewhere) in [
        ("libp2p::Swarm", "shared/src/mesh/node.rs", "realm/src/session.rs"),
        ("libp2p_stream::Control", "shared/src/mesh.rs", "agent/src/control/mesh.rs"),
        ("wasmtime_wasi::WasiCtx", "agent/src/runner/guest.rs", "agent/src/control/host.rs"),
        ("wasmtime::Engine", "agent/src/runner/mod.rs", "realm/src/main.rs"),
        ("wasmtime::Engine", "agent/benches/instantiate.rs", "agent/benches/other.rs"),
        ("tiny_http::Server", "agent/src/control/http/front.rs", "agent/src/control/daemon.rs"),
        ("ureq::Agent", "realm/src/download/client.rs", "realm/src/command/manifest/load.rs"),
        ("rustls::ClientConfig", "realm/src/download/client.rs", "realm/src/session/mod.rs"),
    ] {
        assert_eq!(findings(home, &format!("use {word};")), 0, "{word}");
        assert_eq!(findings(elsewhere, &format!("use {word};")), 1, "{word}");
        assert_eq!(findings(elsewhere, &format!("fn f() {{ {word}::new(); }}")), 1, "{word}");
    }
    assert_eq!(findings("realm/src/main.rs", "fn f(wasmtime_version: u32) {}"), 0);
}

#[test]
fn an_edge_knows_neither_the_core_nor_another_edge() {
    for bad in ["use super::node::State;", "use crate::control::host::Handle;", "use crate::control::*;"] {
        assert_eq!(findings("agent/src/control/store.rs", bad), 1, "{bad}");
    }
    assert_eq!(findings("agent/src/control/store/disk.rs", "use super::super::mesh::Event;"), 1);
    assert_eq!(findings("agent/src/control/node/mod.rs", "use super::store::Key;"), 1);
    for good in ["use crate::control::store::Key;", "use crate::ipc::Frame;", "use shared::Digest;", "use super::Key;"]
    {
        assert_eq!(findings("agent/src/control/store/disk.rs", good), 0, "{good}");
    }
    let all = "use super::{node::State, store::Store, mesh::Mesh};";
    assert_eq!(findings("agent/src/control/daemon.rs", all), 0);
    assert_eq!(findings("agent/src/control/mod.rs", "mod node; use node::State;"), 0);
}

#[test]
fn processes_speak_ipc_only() {
    assert_eq!(findings("agent/src/guard/mod.rs", "use crate::control::daemon;"), 1);
    assert_eq!(findings("agent/src/runner/mod.rs", "use crate::{ipc::Frame, guard::Child};"), 1);
    assert_eq!(findings("agent/src/adhoc/mod.rs", "use crate::{control::daemon, guard, runner};"), 3);
    assert_eq!(findings("agent/src/guard/mod.rs", "use crate::ipc::Frame;"), 0);
    assert_eq!(findings("agent/src/adhoc/mod.rs", "use crate::{children::spawn_runner, ipc::Frame, signals};"), 0);
    assert_eq!(findings("agent/src/lib.rs", "use crate::control::daemon;"), 0);
    assert_eq!(findings("agent/src/main.rs", "use agent::{control, guard, runner};"), 0);
}

#[test]
fn xtask_stands_alone() {
    assert_eq!(findings("xtask/src/demo.rs", "use shared::Digest;"), 1);
    assert_eq!(findings("xtask/src/demo.rs", "fn f() { agent::run(); }"), 1);
    assert_eq!(findings("xtask/src/demo.rs", "fn f(agent: &Agent) { agent.get(); }"), 0);
    assert_eq!(findings("realm/src/main.rs", "use shared::Digest;"), 0);
}
