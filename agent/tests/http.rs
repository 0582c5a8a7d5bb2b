//! The HTTP edge over real sockets: what is served, what is refused, and that nobody can hold up the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

use agent::control::http::{Http, HttpKind, HttpReply, HttpRequest, JSON, TEXT, metrics};
use smol::channel::{Receiver, bounded};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A bound on each read; what is waited for comes in milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

struct Edge {
    http: Http,
    addr: SocketAddr,
    requests: Receiver<HttpRequest>,
    dir: TempDir,
}

impl Edge {
    fn start() -> Edge {
        let dir = TempDir::new().unwrap();
        let (sender, requests) = bounded(8);
        let (http, addr) = Http::start(([127, 0, 0, 1], 0).into(), dir.path(), sender).unwrap();
        Edge { http, addr, requests, dir }
    }

    /// An edge whose loop answers each request with `answer`.
    fn answering(answer: impl Fn(HttpKind, HttpReply) + Send + 'static) -> Edge {
        let edge = Edge::start();
        let requests = edge.requests.clone();
        thread::spawn(move || {
            while let Ok(request) = requests.recv_blocking() {
                answer(request.kind, request.reply);
            }
        });
        edge
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.addr).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut client = self.connect();
        client.write_all(request.as_bytes()).unwrap();
        client
    }

    fn exchange(&self, request: &str) -> Answer {
        Answer::read(&mut self.send(request))
    }

    fn get(&self, target: &str) -> Answer {
        self.exchange(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(client: &mut TcpStream) -> Answer {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in `{text}`"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.into() }
    }
}

/// Tells what was asked.
fn echo(kind: HttpKind, reply: HttpReply) {
    match kind {
        HttpKind::Metrics => reply.send(200, metrics::CONTENT_TYPE, metrics::Metrics::default().encode().into_bytes()),
        HttpKind::Status => reply.send(200, JSON, b"{}".to_vec()),
        HttpKind::Healthz => reply.send(200, TEXT, b"ok\n".to_vec()),
        HttpKind::Readyz => reply.send(503, TEXT, b"leaving\n".to_vec()),
        logs @ HttpKind::Logs { .. } => reply.send(200, TEXT, format!("{logs:?}").into_bytes()),
    }
}

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
    assert_eq!(logs.body, "Logs { component: Some(hello), tail: 5 }");
    assert_eq!(edge.get("/logs").body, "Logs { component: None, tail: 100 }");
    let metrics = edge.get("/metrics");
    assert!(
        metrics.head.contains("text/plain; version=0.0.4") && metrics.body.contains("\nrealm_peers 0\n"),
        "{metrics:?}"
    );
    let head = edge.exchange("HEAD /metrics HTTP/1.1\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(edge.exchange("GET /healthz HTTP/1.0\r\n\r\n").body, "ok\n");
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
    let body = "x".repeat(50_000);
    let posted = edge.exchange(&format!("POST /status HTTP/1.1\r\nContent-Length: 50000\r\n\r\n{body}"));
    assert!(posted.status == 405 && posted.head.contains("allow: get, head"), "{posted:?}");
    assert_eq!(edge.exchange("DELETE /metrics HTTP/1.1\r\nExpect: nonsense\r\n\r\n").status, 405);
    assert_eq!(edge.exchange("\u{16}\u{3}\u{1} TLS\r\n\r\n").status, 400);
    assert_eq!(edge.exchange("GET /status HTTP/2.0\r\n\r\n").status, 505);
    assert_eq!(edge.exchange(&format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(9_000))).status, 431);
    assert!(edge.requests.is_empty());
}

#[test]
fn a_loop_that_does_not_answer_is_told_of() {
    let edge = Edge::answering(|_, reply| drop(reply));
    assert_eq!(edge.get("/status").status, 503);
    // Nobody reads this one's requests at all.
    let edge = Edge::start();
    let asked = Instant::now();
    assert_eq!(edge.get("/healthz").status, 503);
    let waited = asked.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&waited), "{waited:?}");
}

#[test]
fn slow_clients_hold_up_nobody() {
    let edge = Edge::answering(|kind, reply| match kind {
        // Far more than the sockets on the way hold, so that it stays in the worker.
        HttpKind::Logs { .. } => reply.send(200, TEXT, vec![b'x'; 64 << 20]),
        other => echo(other, reply),
    });
    // Some never end their heads, some never read their answers.
    let heads: Vec<TcpStream> = (0..60).map(|_| edge.send("GET /healthz HTTP/1.1\r\nX-Slow")).collect();
    let mut readers: Vec<TcpStream> = (0..3).map(|_| edge.send("GET /logs HTTP/1.1\r\n\r\n")).collect();
    // The answers have begun: three workers are stuck, which is all of them but one.
    for reader in &mut readers {
        reader.read_exact(&mut [0; 16]).unwrap();
    }
    let waiting = edge.send("GET /status HTTP/1.1\r\n\r\n");
    let asked = Instant::now();
    for _ in 0..20 {
        assert_eq!(edge.get("/healthz").body, "ok\n");
    }
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    drop((heads, readers));
    // They are free again.
    assert_eq!(Answer::read(&mut { waiting }).status, 200);
}

#[test]
fn too_many_clients_are_turned_away() {
    let edge = Edge::answering(echo);
    let idle: Vec<TcpStream> = (0..128).map(|_| edge.connect()).collect();
    assert_eq!(Answer::read(&mut edge.connect()).status, 503);
    drop(idle);
    // A place is free once the front has seen a client leave: those that were turned away until then ask again.
    let asked = Instant::now();
    let mut answer = Vec::new();
    while !answer.starts_with(b"HTTP/1.1 200 OK") {
        assert!(asked.elapsed() < PATIENCE);
        answer.clear();
        let mut client = edge.connect();
        // Being turned away may look like a reset to one that is still sending.
        let _ = client.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").and_then(|()| client.read_to_end(&mut answer));
    }
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
    let request = edge.requests.recv_blocking().unwrap();
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
