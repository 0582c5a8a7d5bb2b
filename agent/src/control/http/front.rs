//! The front: accepts, counts, reads heads within bounds of size and time, and hands whole ones over to `back`.
//! It waits for all clients at once on one thread, so that a slow one costs nobody else anything.

use super::HttpRequest;
use super::back::{Back, Place};
use super::head::{self, Refusal, TIMED_OUT, UNAVAILABLE};
use super::limits::{
    ACCEPT_PAUSE, BEGIN_TIMEOUT, COPY_TIMEOUT, HEAD_TIMEOUT, LINGER_TIMEOUT, MAX_CLIENTS, MAX_LINGER_BYTES, WORKERS,
};
use smol::channel::{Receiver, Sender};
use smol::future::or;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Semaphore;
use smol::net::unix::UnixStream;
use smol::{Async, LocalExecutor, Task, Timer};
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// The first piece of an answer: its head, and most bodies as a whole.
const COPY_BYTES: usize = 8 * 1024;

pub(super) struct Front {
    listener: Async<TcpListener>,
    requests: Sender<HttpRequest>,
    // Dropped in this order: the server before the place of its socket.
    back: Option<Back>,
    place: Place,
}

/// Which workers are free. Together there are as many permits as workers, so that nothing waits behind the front.
struct Lanes {
    health: Semaphore,
    others: Semaphore,
}

impl Front {
    pub(super) fn bind(addr: SocketAddr, dir: &Path, requests: Sender<HttpRequest>) -> io::Result<(Front, SocketAddr)> {
        let listener = Async::<TcpListener>::bind(addr)?;
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
        let lanes = Rc::new(Lanes { health: Semaphore::new(1), others: Semaphore::new(WORKERS - 1) });
        let mut clients: Vec<Task<()>> = Vec::new();
        loop {
            let Ok((client, _)) = self.listener.accept().await else {
                Timer::after(ACCEPT_PAUSE).await;
                continue;
            };
            clients.retain(|client| !client.is_finished());
            if clients.len() >= MAX_CLIENTS {
                // As much as the socket takes at once, which is all of it.
                let _ = client.get_ref().write(&UNAVAILABLE.to_bytes());
                continue;
            }
            self.mend();
            let path = self.place.path.clone();
            let lanes = Rc::clone(&lanes);
            clients.push(executor.spawn(async move { serve(client, &path, &lanes).await }));
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

async fn serve(mut client: Async<TcpStream>, path: &Path, lanes: &Lanes) {
    let refused = match within(HEAD_TIMEOUT, read_head(&mut client)).await {
        Some(Ok(bytes)) => answer(&mut client, &bytes, path, lanes).await.err(),
        Some(Err(refusal)) => refusal,
        None => Some(TIMED_OUT),
    };
    if let Some(refusal) = refused {
        let bytes = refusal.to_bytes();
        // The client may be gone.
        let _ = within(LINGER_TIMEOUT, client.write_all(&bytes)).await;
    }
    let _ = within(LINGER_TIMEOUT, linger(&mut client)).await;
}

/// Reads until the head has ended; `Err(None)` when the client went before that.
async fn read_head(client: &mut Async<TcpStream>) -> Result<Vec<u8>, Option<Refusal>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    while !head::is_complete(&bytes)? {
        match client.read(&mut piece).await {
            Ok(0) | Err(_) => return Err(None),
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
    Ok(bytes)
}

/// Hands a head over and copies the answer as fast as the client takes it. An error is for the client; there is none
/// once the answer has begun.
async fn answer(client: &mut Async<TcpStream>, bytes: &[u8], path: &Path, lanes: &Lanes) -> Result<(), Refusal> {
    let head = head::parse(bytes)?;
    let here = client.get_ref().local_addr().map_err(|_| UNAVAILABLE)?;
    head::check_host(bytes, here.ip())?;
    let lane = if head.is_health() { &lanes.health } else { &lanes.others };
    let begun = within(BEGIN_TIMEOUT, async {
        let worker = lane.acquire().await;
        let mut back = UnixStream::connect(path).await?;
        back.write_all(&head.to_bytes()).await?;
        let mut piece = vec![0; COPY_BYTES];
        let read = back.read(&mut piece).await?;
        piece.truncate(read);
        io::Result::Ok((worker, back, piece))
    });
    let Some(Ok((_worker, mut back, piece))) = begun.await else { return Err(UNAVAILABLE) };
    if piece.is_empty() {
        return Err(UNAVAILABLE);
    }
    // A client that does not take it all has itself to blame.
    let _ = within(COPY_TIMEOUT, async {
        client.write_all(&piece).await?;
        smol::io::copy(&mut back, client).await
    })
    .await;
    Ok(())
}

/// Ends our direction and reads what the client still sends: closing before that would reset the connection, and with
/// it the answer.
async fn linger(client: &mut Async<TcpStream>) -> io::Result<()> {
    client.get_ref().shutdown(Shutdown::Write)?;
    let mut rest = client.take(MAX_LINGER_BYTES);
    smol::io::copy(&mut rest, smol::io::sink()).await.map(drop)
}

/// `None` when it takes longer.
async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let work = async { Some(work.await) };
    let late = async {
        Timer::after(time).await;
        None
    };
    or(work, late).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
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
