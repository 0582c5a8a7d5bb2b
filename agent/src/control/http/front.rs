//! The front: accepts, counts, reads heads within bounds of size and time, and hands whole ones over to `back`.
//! It waits for all clients at once on one thread, so that a slow one costs nobody else anything.

use super::back::{Back, Place};
use super::crowd::{Client, Crowd, Stage};
use super::head;
use super::lanes::Lanes;
use super::limits::{
    ACCEPT_PAUSE, BACKLOG, BEGIN_TIMEOUT, COPY_TIMEOUT, HEAD_TIMEOUT, LINGER_TIMEOUT, MAX_LINGER_BYTES,
    REQUEST_DESCRIPTORS,
};
use super::refusal::{Refusal, TIMED_OUT, UNAVAILABLE};
use super::{HttpKind, HttpRequest, follow};
use crate::control::timeout::within;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::sockopt;
use smol::channel::{Receiver, Sender};
use smol::future::{or, yield_now};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::unix::UnixStream;
use smol::{Async, LocalExecutor, Timer};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// How the connection ends after an answer.
pub(super) enum Parting {
    /// Well, whether the client has taken it or not.
    Linger,
    /// At once, and the client is told by a reset.
    Reset,
}

pub(super) struct Front {
    listener: Async<TcpListener>,
    requests: Sender<HttpRequest>,
    // Dropped in this order: the server before the place of its socket.
    back: Option<Back>,
    place: Place,
}

/// What serves a client.
struct Counter {
    path: PathBuf,
    requests: Sender<HttpRequest>,
    lanes: Lanes,
}

impl Front {
    pub(super) fn bind(addr: SocketAddr, dir: &Path, requests: Sender<HttpRequest>) -> io::Result<(Front, SocketAddr)> {
        let listener = Async::<TcpListener>::bind(addr)?;
        // Again, for a longer queue than that of the standard library.
        rustix::net::listen(listener.get_ref(), BACKLOG)?;
        let addr = listener.get_ref().local_addr()?;
        let place = Place::choose(dir)?;
        let back = Back::start(&place.path, &requests)?;
        Ok((Front { listener, requests, back: Some(back), place }, addr))
    }

    /// Runs until `stopped` is closed.
    pub(super) fn run(mut self, stopped: &Receiver<()>) {
        let executor = LocalExecutor::new();
        let stop = async {
            // Nothing is ever sent: this ends when the handle is dropped.
            let _ = stopped.recv().await;
        };
        smol::block_on(executor.run(or(stop, self.accept_all(&executor))));
        // Clients are dropped here, and then the server: its workers find their sockets closed.
        drop(executor);
    }

    async fn accept_all(&mut self, executor: &LocalExecutor<'_>) {
        let counter =
            Rc::new(Counter { path: self.place.path.clone(), requests: self.requests.clone(), lanes: Lanes::new() });
        let mut crowd = Crowd::default();
        loop {
            match self.listener.accept().await {
                Ok((client, _)) => {
                    self.mend();
                    let room = has_room(&client);
                    crowd.admit(client, |client| {
                        let counter = Rc::clone(&counter);
                        executor.spawn(async move { serve(&client, &counter).await })
                    });
                    if !room {
                        crowd.make_room();
                    }
                    // Whoever is there has its turn before the next one comes: a flood of connections never makes it wait.
                    yield_now().await;
                }
                // The client has gone before it was its turn.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => yield_now().await,
                // Most likely there are no descriptors left. Tasks end, and give theirs back, when it is their turn.
                Err(_) if crowd.make_room() => yield_now().await,
                Err(_) => drop(Timer::after(ACCEPT_PAUSE).await),
            }
        }
    }

    /// Replaces a server that has ended by itself. While that fails, clients are told 503.
    fn mend(&mut self) {
        if self.back.as_ref().is_none_or(Back::is_broken) {
            // The old one first: it removes the socket when it ends.
            self.back = None;
            self.back = Back::start(&self.place.path, &self.requests).ok();
        }
    }
}

async fn serve(client: &Client, counter: &Counter) {
    let mut stream = &client.stream;
    let answered = match within(HEAD_TIMEOUT, read_head(stream)).await {
        Some(Ok(bytes)) => answer(client, &bytes, counter).await.map_err(Some),
        Some(Err(refusal)) => Err(refusal),
        None => Err(Some(TIMED_OUT)),
    };
    client.stage.set(Stage::Done);
    match answered {
        // An end would queue behind what it does not take, and the client would not learn of it.
        Ok(Parting::Reset) => {
            let _ = sockopt::set_socket_linger(stream.get_ref(), Some(Duration::ZERO));
            return;
        }
        Ok(Parting::Linger) | Err(None) => (),
        Err(Some(refusal)) => {
            // The client may be gone.
            let _ = within(LINGER_TIMEOUT, stream.write_all(&refusal.to_bytes())).await;
        }
    }
    let _ = within(LINGER_TIMEOUT, linger(stream)).await;
}

/// Reads until the head has ended; `Err(None)` when the client went before that.
async fn read_head(mut client: &Async<TcpStream>) -> Result<Vec<u8>, Option<Refusal>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    let mut seen = 0;
    while !head::is_complete(&bytes, seen)? {
        seen = bytes.len();
        match client.read(&mut piece).await {
            Ok(0) | Err(_) => return Err(None),
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
    Ok(bytes)
}

/// Serves a client whose head is there. An error is for the client; there is none once the answer has begun.
async fn answer(client: &Client, bytes: &[u8], counter: &Counter) -> Result<Parting, Refusal> {
    let mut stream = &client.stream;
    let head = head::parse(bytes)?;
    head::check_fields(bytes)?;
    let here = stream.get_ref().local_addr().map_err(|_| UNAVAILABLE)?;
    head::check_host(bytes, here.ip())?;
    head::check_body(bytes)?;
    let asked = head.route();
    if let Ok(kind @ HttpKind::Logs { follow: true, .. }) = asked {
        client.stage.set(Stage::Follows);
        return follow::serve(stream, &head, kind, &counter.requests, &counter.lanes.followers).await;
    }
    client.stage.set(Stage::Served);
    let lane = counter.lanes.of(&asked);
    let begun = within(BEGIN_TIMEOUT, async {
        let reader = lane.readers.acquire().await;
        let _worker = lane.workers.acquire().await;
        if !has_room(stream) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let mut back = UnixStream::connect(&counter.path).await?;
        back.write_all(&head.to_bytes()).await?;
        // As a whole, so that the worker is free again whoever reads, and however slowly.
        let mut answer = Vec::new();
        back.read_to_end(&mut answer).await?;
        io::Result::Ok((reader, answer))
    });
    let Some(Ok((_reader, mut answer))) = begun.await else { return Err(UNAVAILABLE) };
    if answer.is_empty() {
        return Err(UNAVAILABLE);
    }
    announce_close(&mut answer);
    // A client that does not take it all has itself to blame.
    let _ = within(COPY_TIMEOUT, stream.write_all(&answer)).await;
    Ok(Parting::Linger)
}

/// Says in the head of an answer that nothing more is answered here: tiny_http does not, and a client would ask again.
fn announce_close(answer: &mut Vec<u8>) {
    let Some(end) = answer.windows(2).position(|window| window == b"\r\n") else { return };
    answer.splice(end..end, *b"\r\nConnection: close");
}

/// Whether there are the descriptors that serving one more request takes: without them tiny_http does not fail, but panics.
fn has_room(any: impl AsFd) -> bool {
    let spare = (0..REQUEST_DESCRIPTORS).map_while(|_| fcntl_dupfd_cloexec(&any, 0).ok());
    spare.collect::<Vec<_>>().len() == REQUEST_DESCRIPTORS
}

/// Ends our direction and reads what the client still sends: closing before that would reset the connection, and with
/// it the answer.
async fn linger(client: &Async<TcpStream>) -> io::Result<()> {
    client.get_ref().shutdown(Shutdown::Write)?;
    let mut rest = client.take(MAX_LINGER_BYTES);
    smol::io::copy(&mut rest, smol::io::sink()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    #[test]
    fn a_server_that_has_ended_is_replaced() {
        let dir = tempfile::TempDir::new().unwrap();
        let (requests, inbox) = smol::channel::bounded(1);
        let (front, addr) = Front::bind(([127, 0, 0, 1], 0).into(), dir.path(), requests).unwrap();
        let (stop, stopped) = smol::channel::bounded(1);
        // What a worker does when tiny_http tells it that accepting has failed.
        front.back.as_ref().unwrap().set_broken();
        std::thread::scope(|scope| {
            let front = scope.spawn(move || front.run(&stopped));
            let mut client = TcpStream::connect(addr).unwrap();
            client.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
            inbox.recv_blocking().unwrap().reply.send(200, super::super::TEXT, b"ok".to_vec());
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
            stop.close();
            front.join().unwrap();
        });
        assert!(!dir.path().join("http.sock").exists());
    }
}
