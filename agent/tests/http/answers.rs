//! What is served, what is refused, and that nothing is left when it ends.

use crate::support::{Answer, Edge, echo};
use agent::control::http::{Http, TEXT};
use smol::channel::bounded;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn what_the_loop_answers_is_what_the_client_reads() {
    let edge = Edge::answering(echo);
    let health = edge.get("/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    assert!(health.head.contains("content-type: text/plain; charset=utf-8\r\n"), "{}", health.head);
    let ready = edge.get("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "leaving\n"));
    let status = edge.get("/status");
    assert!(status.head.contains("content-type: application/json\r\n"), "{}", status.head);
    let logs = edge.get("/logs?component=hello&tail=5");
    assert_eq!(logs.body, "Logs { component: Some(hello), tail: 5, since: None, follow: false }");
    assert_eq!(edge.get("/logs").body, "Logs { component: None, tail: 100, since: None, follow: false }");
    let metrics = edge.get("/metrics");
    assert!(
        metrics.head.contains("text/plain; version=0.0.4") && metrics.body.contains("\nrealm_peers 0\n"),
        "{metrics:?}"
    );
    let head = edge.exchange("HEAD /metrics HTTP/1.1\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let older = edge.exchange("GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(older.body, "ok\n");
    // Whoever keeps connections must not ask again on one that is closed.
    for answer in [health, ready, status, logs, metrics, head, older, edge.get("/")] {
        assert_eq!(answer.head.matches("\r\nconnection: close").count(), 1, "{}", answer.head);
    }
}

#[test]
fn a_large_answer_comes_whole() {
    let edge = Edge::answering(|_, reply| reply.send(200, TEXT, vec![b'x'; 4 << 20]));
    let answer = edge.get("/logs");
    assert!(answer.head.contains("content-length: 4194304"), "{}", answer.head);
    assert_eq!(answer.body.len(), 4 << 20);
}

#[test]
fn what_is_not_served_is_refused_without_the_loop() {
    let edge = Edge::start();
    assert_eq!(edge.get("/").status, 404);
    assert_eq!(edge.get("/metrics/../status").status, 404);
    let bad = edge.get("/logs?tail=many");
    assert!(bad.status == 400 && bad.body.contains("hint: "), "{bad:?}");
    assert_eq!(edge.get("/logs?component=../../etc/passwd").status, 400);
    let rebound = edge.exchange("GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert!(rebound.status == 421 && rebound.body.contains("hint: "), "{rebound:?}");
    assert_eq!(edge.exchange("GET /status HTTP/1.1\r\nHost : evil.example\r\n\r\n").status, 400);
    let body = "x".repeat(50_000);
    let posted = edge.exchange(&format!("POST /status HTTP/1.1\r\nContent-Length: 50000\r\n\r\n{body}"));
    assert!(posted.status == 405 && posted.head.contains("allow: get, head"), "{posted:?}");
    assert_eq!(edge.exchange("DELETE /metrics HTTP/1.1\r\nExpect: nonsense\r\n\r\n").status, 405);
    assert_eq!(edge.exchange("\u{16}\u{3}\u{1} TLS\r\n\r\n").status, 400);
    assert_eq!(edge.exchange("GET /status HTTP/2.0\r\n\r\n").status, 505);
    assert_eq!(edge.exchange(&format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(9_000))).status, 431);
    assert_eq!(edge.get(&format!("/logs?component={}", "y".repeat(1_024))).status, 414);
    assert_eq!(edge.exchange(&format!("GET /{}", "y".repeat(9_000))).status, 414);
    let large = edge.exchange("POST /status HTTP/1.1\r\nContent-Length: 65537\r\n\r\n");
    assert!(large.status == 413 && large.body.contains("hint: "), "{large:?}");
    // It is answered before it is sent, and whoever sends it all the same reads the answer.
    let body = "x".repeat(66_000);
    assert_eq!(edge.exchange(&format!("GET /status HTTP/1.1\r\nContent-Length: 66000\r\n\r\n{body}")).status, 413);
    let chunked = "POST /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(edge.exchange(chunked).status, 411);
    let since = edge.get("/logs?since=yesterday");
    assert!(since.status == 400 && since.body.contains("how long ago") && since.body.contains("hint: "), "{since:?}");
    assert_eq!(edge.get("/logs?follow=yes").status, 400);
    assert!(edge.requests.is_empty());
}

#[test]
fn a_loop_that_does_not_answer_is_told_of() {
    let edge = Edge::answering(|_, reply| drop(reply));
    let silent = edge.get("/status");
    assert!(silent.status == 503 && silent.head.contains("retry-after: "), "{silent:?}");
    // Nobody reads this one's requests at all.
    let edge = Edge::start();
    let asked = Instant::now();
    assert_eq!(edge.get("/healthz").status, 503);
    let waited = asked.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&waited), "{waited:?}");
}

#[test]
fn a_head_that_does_not_end_times_out() {
    let edge = Edge::answering(echo);
    let sent = Instant::now();
    let answer = edge.exchange("GET /healthz HTTP/1.1\r\nHost: loc");
    assert_eq!(answer.status, 408);
    assert!(sent.elapsed() < Duration::from_secs(15), "{:?}", sent.elapsed());
}

#[test]
fn dropping_it_frees_the_port_and_leaves_nothing() {
    let edge = Edge::start();
    let taken = Http::start(edge.addr, TempDir::new().unwrap().path(), bounded(1).0);
    assert_eq!(taken.err().map(|error| error.kind()), Some(std::io::ErrorKind::AddrInUse));
    assert!(edge.dir.path().join("http.sock").exists());
    // One client waits for a head, one for the loop.
    let (_silent, _waiting) = (edge.connect(), edge.send("GET /status HTTP/1.1\r\n\r\n"));
    let request = edge.asked();
    let Edge { http, addr, dir, .. } = edge;
    let dropped = Instant::now();
    drop(http);
    assert!(dropped.elapsed() < Duration::from_secs(1), "{:?}", dropped.elapsed());
    request.reply.send(200, TEXT, vec![]);
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    // A socket that a killed agent left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("http.sock")).unwrap());
    assert!(Http::start(addr, dir.path(), bounded(1).0).is_ok());
}

#[test]
fn a_long_directory_will_do() {
    let dir = TempDir::new().unwrap();
    let long = dir.path().join("x".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let (requests, inbox) = bounded(1);
    let (_http, addr) = Http::start(([127, 0, 0, 1], 0).into(), &long, requests).unwrap();
    let mut client = TcpStream::connect(addr).unwrap();
    client.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
    inbox.recv_blocking().unwrap().reply.send(200, TEXT, b"ok".to_vec());
    assert_eq!(Answer::read(&mut client).body, "ok");
}
