//! What is no component, signed all the same by somebody whose tools did not look: each node says why it does not run, and
//! nothing else suffers.

use crate::operator::Operator;
use crate::support::{Agent, guest, owner};

#[test]
fn what_cannot_run_fails_with_its_reason_and_alone() {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    operator.push(node, "service", "ticker", |_| {});
    agent.until("service", "running");
    let whole = guest("hello");
    let import = r#"(component (import "acme:db/store@1.0.0" (instance (export "get" (func)))))"#;
    let wasi_0_3 = r#"(component (import "wasi:clocks/types@0.3.0" (instance (export "now" (func)))))"#;
    for (name, bytes, reason) in [
        ("empty", vec![], "the file is empty"),
        ("text", b"#!/bin/sh\n".to_vec(), "not WebAssembly"),
        ("core", b"\0asm\x01\0\0\0".to_vec(), "core module"),
        ("head", whole[..6].to_vec(), "ends after its first bytes"),
        ("half", whole[..whole.len() / 2].to_vec(), "not valid"),
        ("import", wat::parse_str(import).unwrap(), "`acme:db/store@1.0.0`"),
        ("next", wat::parse_str(wasi_0_3).unwrap(), "WASI 0.3"),
    ] {
        let bytes = operator.seal(&operator.intent_of(name, bytes));
        assert_eq!(operator.hand(node, &bytes), shared::Verdict::Accepted, "{name}");
        let said = agent.until(name, "failed")["reason"].to_string();
        assert!(said.contains(reason) && said.contains("hint: "), "{name}: {said}");
    }
    let service = agent.component("service");
    assert_eq!((&service["phase"], &service["restarts"]), (&"running".into(), &0.into()), "{service}");
    operator.push(node, "hello", "hello", |_| {});
    agent.until("hello", "completed");
}
