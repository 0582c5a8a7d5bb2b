//! Metrics, status, logs and health over HTTP.
//!
//! An edge in four parts: [`Http`] is the handle, [`HttpRequest`] the event, and a front on a thread of its own waits and
//! runs. It bounds clients, heads and times, which tiny_http does not, and hands whole heads over to the latter in
//! `back`; only answers without an end are its own affair (`follow`). There is no message: nothing is asked of this edge but
//! to end.

mod back;
mod crowd;
mod follow;
mod front;
mod head;
mod lanes;
mod limits;
pub mod metrics;
mod refusal;
mod route;

use super::timeout::within;
use front::Front;
use limits::ANSWER_TIMEOUT;
use shared::ComponentName;
use shared::time::Since;
use smol::channel::{Receiver, Sender, bounded};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

/// The content type of plain text, for the loop's answers.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// The content type of JSON, for the loop's answers.
pub const JSON: &str = "application/json";

/// What a client asks. Everything in it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpKind {
    /// `/metrics`, see [`metrics`].
    Metrics,
    /// `/status`: this node as JSON.
    Status,
    /// `/healthz`: whether the loop turns.
    Healthz,
    /// `/readyz`: whether it serves, and is not leaving.
    Readyz,
    /// `/logs`.
    Logs {
        /// Of which component; left out, all of them.
        component: Option<ComponentName>,
        /// How many lines, at most [`shared::MAX_LOG_TAIL`].
        tail: usize,
        /// Only lines from then on.
        since: Option<Since>,
        /// Whether the answer goes on with each new line; then it is an [`HttpReply::stream`].
        follow: bool,
    },
}

/// A client waits for an answer.
#[derive(Debug)]
pub struct HttpRequest {
    /// What it asks.
    pub kind: HttpKind,
    /// Where the answer goes, within 2 s.
    pub reply: HttpReply,
}

/// The way back to a client. When it is dropped without an answer, the client is told 503.
#[derive(Debug)]
pub struct HttpReply(Sender<Answer>);

/// What a client is told.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: &'static str,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Whole(Vec<u8>),
    Pieces(Receiver<Vec<u8>>),
}

impl HttpReply {
    /// Answers, and does not wait. A client that has gone is no error.
    pub fn send(self, status: u16, content_type: &'static str, body: Vec<u8>) {
        // There is room for one answer, and this is the only one.
        let _ = self.0.try_send(Answer { status, content_type, body: Body::Whole(body) });
    }

    /// Begins an answer that goes on until the stream is dropped or the client goes: only to a request that follows.
    #[must_use]
    pub fn stream(self, content_type: &'static str) -> HttpStream {
        // One piece waits while the one before it is written.
        let (sender, pieces) = bounded(1);
        let _ = self.0.try_send(Answer { status: 200, content_type, body: Body::Pieces(pieces) });
        HttpStream(sender)
    }
}

/// An answer without an end.
#[derive(Debug)]
pub struct HttpStream(Sender<Vec<u8>>);

impl HttpStream {
    /// Hands on the next piece (some KiB; an empty one is nothing) when there is room for it; `false` when the client has gone.
    pub async fn send(&self, piece: Vec<u8>) -> bool {
        piece.is_empty() || self.0.send(piece).await.is_ok()
    }

    /// Returns when the client has gone.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

/// Asks the loop, whose inbox may be full for a while; `None` when it does not answer in time.
async fn ask(kind: HttpKind, requests: &Sender<HttpRequest>) -> Option<Answer> {
    let (reply, answer) = bounded(1);
    let request = HttpRequest { kind, reply: HttpReply(reply) };
    within(ANSWER_TIMEOUT, async {
        requests.send(request).await.ok()?;
        answer.recv().await.ok()
    })
    .await
    .flatten()
}

/// The handle. Dropping it closes every connection and waits for the thread, at most some 2 s.
#[derive(Debug)]
pub struct Http {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Http {
    /// Listens on `addr` (port 0 lets the system choose) and gives the address with its port. `requests` goes up to the
    /// loop. `dir` is the data directory, which only its owner can enter: a socket between front and tiny_http, named
    /// `http.sock`, lives there.
    ///
    /// # Errors
    /// When the address is taken or not ours, or the socket in `dir` cannot be made.
    pub fn start(addr: SocketAddr, dir: &Path, requests: Sender<HttpRequest>) -> io::Result<(Http, SocketAddr)> {
        let (stop, stopped) = bounded(1);
        let (front, addr) = Front::bind(addr, dir, requests)?;
        let thread = std::thread::Builder::new().name("http".into()).spawn(move || front.run(&stopped))?;
        Ok((Http { stop, thread: Some(thread) }, addr))
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}
