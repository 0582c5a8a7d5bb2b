//! An edge whose loop is the test, and clients with plain sockets.

use agent::control::http::{Http, HttpKind, HttpReply, HttpRequest, JSON, TEXT, metrics};
use smol::channel::{Receiver, bounded};
use smol::future::FutureExt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A bound on each read; what is waited for comes in milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
pub(crate) fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    let late = async {
        smol::Timer::after(3 * PATIENCE).await;
        panic!("no {what} within {:?}", 3 * PATIENCE);
    };
    smol::block_on(work.or(late))
}

pub(crate) struct Edge {
    pub(crate) http: Http,
    pub(crate) addr: SocketAddr,
    pub(crate) requests: Receiver<HttpRequest>,
    pub(crate) dir: TempDir,
}

impl Edge {
    pub(crate) fn start() -> Edge {
        let dir = TempDir::new().unwrap();
        let (sender, requests) = bounded(8);
        let (http, addr) = Http::start(([127, 0, 0, 1], 0).into(), dir.path(), sender).unwrap();
        Edge { http, addr, requests, dir }
    }

    /// An edge whose loop answers each request with `answer`.
    pub(crate) fn answering(answer: impl Fn(HttpKind, HttpReply) + Send + 'static) -> Edge {
        let edge = Edge::start();
        let requests = edge.requests.clone();
        thread::spawn(move || {
            while let Ok(request) = requests.recv_blocking() {
                answer(request.kind, request.reply);
            }
        });
        edge
    }

    /// The next request that the loop is asked.
    pub(crate) fn asked(&self) -> HttpRequest {
        patiently("request", self.requests.recv()).unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.addr).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    pub(crate) fn send(&self, request: &str) -> TcpStream {
        let mut client = self.connect();
        client.write_all(request.as_bytes()).unwrap();
        client
    }

    pub(crate) fn exchange(&self, request: &str) -> Answer {
        Answer::read(&mut self.send(request))
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.exchange(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(client: &mut TcpStream) -> Answer {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in `{text}`"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.into() }
    }
}

/// Tells what was asked.
pub(crate) fn echo(kind: HttpKind, reply: HttpReply) {
    match kind {
        HttpKind::Metrics => reply.send(200, metrics::CONTENT_TYPE, metrics::Metrics::default().encode().into_bytes()),
        HttpKind::Status => reply.send(200, JSON, b"{}".to_vec()),
        HttpKind::Healthz => reply.send(200, TEXT, b"ok\n".to_vec()),
        HttpKind::Readyz => reply.send(503, TEXT, b"leaving\n".to_vec()),
        logs @ HttpKind::Logs { .. } => reply.send(200, TEXT, format!("{logs:?}").into_bytes()),
    }
}
