//! An answer without an end: lines as they come, until the client goes, does not read any more, or the agent ends. Served by
//! the front, because it would hold a worker for as long.

use super::front::Parting;
use super::head::Head;
use super::limits::{FOLLOW_BUFFER_BYTES, MAX_LINGER_BYTES, PROBE_AFTER, PROBE_EACH, PROBES, STALL_TIMEOUT};
use super::refusal::{CROWDED, Refusal, UNAVAILABLE};
use super::{Body, HttpKind, HttpRequest, TEXT, ask};
use crate::control::timeout::within;
use rustix::net::sockopt;
use smol::Async;
use smol::channel::{Receiver, Sender};
use smol::future::or;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Semaphore;
use std::io::{self, Write};
use std::net::TcpStream;

/// Serves one client. An error is for it; there is none once the answer has begun.
pub(super) async fn serve(
    client: &Async<TcpStream>,
    head: &Head<'_>,
    kind: HttpKind,
    requests: &Sender<HttpRequest>,
    places: &Semaphore,
) -> Result<Parting, Refusal> {
    if head.is_bodiless() {
        // Whoever wants the head alone follows nothing.
        let _ = within(STALL_TIMEOUT, begin(client, TEXT, head.takes_chunks())).await;
        return Ok(Parting::Linger);
    }
    let Some(_place) = places.try_acquire() else { return Err(CROWDED) };
    let answer = ask(kind, requests).await.ok_or(UNAVAILABLE)?;
    // Others than clients of ours have taken all places at the logs.
    let Body::Pieces(pieces) = answer.body else { return Err(CROWDED) };
    // Without these it is noticed later that the client has gone.
    let _ = watch(client.get_ref());
    let gone = async {
        gone(client).await;
        Parting::Linger
    };
    let told = async {
        let chunked = head.takes_chunks();
        match within(STALL_TIMEOUT, begin(client, answer.content_type, chunked)).await {
            Some(Ok(())) => pass_on(client, &pieces, chunked).await,
            _ => Parting::Reset,
        }
    };
    Ok(or(gone, told).await)
}

/// Makes the system notice when the client's machine is gone without a word.
fn watch(client: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_send_buffer_size(client, FOLLOW_BUFFER_BYTES)?;
    sockopt::set_tcp_keepidle(client, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(client, PROBE_EACH)?;
    sockopt::set_tcp_keepcnt(client, PROBES)?;
    sockopt::set_socket_keepalive(client, true)?;
    // It does not ask while it waits for something to be acknowledged.
    #[cfg(target_os = "linux")]
    {
        let patience = PROBE_AFTER + PROBE_EACH * PROBES;
        sockopt::set_tcp_user_timeout(client, u32::try_from(patience.as_millis()).unwrap_or(u32::MAX))?;
    }
    Ok(())
}

/// Returns when the client has ended its direction, or says more than it should: it has nothing left to say.
async fn gone(client: &Async<TcpStream>) {
    let mut more = client.take(MAX_LINGER_BYTES);
    let _ = smol::io::copy(&mut more, smol::io::sink()).await;
}

async fn begin(mut client: &Async<TcpStream>, content_type: &str, chunked: bool) -> io::Result<()> {
    let coding = if chunked { "Transfer-Encoding: chunked\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nX-Content-Type-Options: nosniff\r\n\
         Cache-Control: no-store\r\n{coding}Connection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await
}

async fn pass_on(client: &Async<TcpStream>, pieces: &Receiver<Vec<u8>>, chunked: bool) -> Parting {
    let mut end = End { client, of_chunks: chunked };
    while let Ok(piece) = pieces.recv().await {
        let framed = if chunked { chunk(&piece) } else { piece };
        end.of_chunks = false;
        if hand_over(client, &framed).await.is_err() {
            return Parting::Reset;
        }
        end.of_chunks = chunked;
    }
    Parting::Linger
}

/// Writes all of it to a client that goes on taking some, however slowly.
async fn hand_over(mut client: &Async<TcpStream>, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        let taken = match within(STALL_TIMEOUT, client.write(rest)).await {
            Some(taken) => taken?,
            // Linux tells of room only once a third of its buffer is free, but takes something as soon as there is any.
            None => client.get_ref().write(rest)?,
        };
        rest = &rest[taken..];
    }
    Ok(())
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// Tells the client that nothing more comes, also when the agent ends and this is dropped in the middle of waiting. One that is
/// cut off within a piece is not told so: what it has is not whole.
struct End<'a> {
    client: &'a Async<TcpStream>,
    of_chunks: bool,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if self.of_chunks {
            // The client may be gone, or its buffer full; then its answer just ends.
            let _ = self.client.get_ref().write(b"0\r\n\r\n");
        }
    }
}
