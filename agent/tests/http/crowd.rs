//! Many clients, and slow ones: nobody holds up the others.

use crate::support::{Answer, Edge, echo};
use agent::control::http::{HttpKind, TEXT};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// As many as there may be.
const CLIENTS: usize = 128;

/// Answers of `/logs` that are held at once.
const READERS: usize = 4;

/// What whoever is in the way of others costs each of them: the time that a head may take, or that an answer may take to begin.
const HELD_UP: Duration = Duration::from_secs(5);

/// So many requests, one after the other, have taken less than if each had been held up. A machine may be busy.
#[expect(clippy::print_stdout, reason = "the figure is for whoever reads; the bound only tells right from broken")]
fn assert_nobody_waited(asked: Instant, requests: u32) {
    let took = asked.elapsed();
    println!("{requests} requests in {took:?}");
    assert!(took < HELD_UP * requests, "{requests} requests in {took:?}");
}

/// An edge whose logs are more than our side of a socket holds, so that only whoever reads gets them.
fn with_long_logs() -> Edge {
    Edge::answering(|kind, reply| match kind {
        HttpKind::Logs { .. } => reply.send(200, TEXT, vec![b'x'; 6 << 20]),
        other => echo(other, reply),
    })
}

/// A client that has asked for them, and takes nothing but the beginning.
fn reader(edge: &Edge) -> TcpStream {
    let mut reader = edge.connect();
    // Its side holds little, too.
    rustix::net::sockopt::set_socket_recv_buffer_size(&reader, 64 * 1024).unwrap();
    reader.write_all(b"GET /logs HTTP/1.1\r\n\r\n").unwrap();
    reader.read_exact(&mut [0; 16]).unwrap();
    reader
}

#[test]
fn slow_clients_hold_up_nobody() {
    let edge = with_long_logs();
    // Some never end their heads, some never read their answers.
    let heads: Vec<TcpStream> = (0..60).map(|_| edge.send("GET /healthz HTTP/1.1\r\nX-Slow")).collect();
    let readers: Vec<TcpStream> = (0..READERS).map(|_| reader(&edge)).collect();
    let waiting = edge.send("GET /logs HTTP/1.1\r\n\r\n");
    let asked = Instant::now();
    for _ in 0..20 {
        assert_eq!(edge.get("/healthz").body, "ok\n");
        assert_eq!(edge.get("/status").status, 200);
        assert_eq!(edge.get("/metrics").status, 200);
    }
    assert_nobody_waited(asked, 60);
    drop((heads, readers));
    // There is room for one more of these.
    assert_eq!(Answer::read(&mut { waiting }).status, 200);
}

#[test]
fn the_oldest_slow_client_gives_way_to_a_new_one() {
    let edge = Edge::start();
    // One waits for the loop. It is older than all others, and stays.
    let busy = edge.send("GET /status HTTP/1.1\r\n\r\n");
    let busy_request = edge.asked();
    let mut silent: Vec<TcpStream> = (1..CLIENTS).map(|_| edge.send("GET /healthz HTTP/1.1\r\nX-Slow")).collect();
    let health = edge.send("GET /healthz HTTP/1.1\r\n\r\n");
    edge.asked().reply.send(200, TEXT, b"ok\n".to_vec());
    let told = Answer::read(&mut silent[0]);
    assert!(told.status == 503 && told.head.contains("retry-after: "), "{told:?}");
    assert_eq!(Answer::read(&mut { health }).body, "ok\n");
    // The others are still there.
    for client in &mut silent[1..] {
        client.write_all(b": no\r\n\r\n").unwrap();
        edge.asked().reply.send(200, TEXT, b"late\n".to_vec());
        assert_eq!(Answer::read(client).body, "late\n");
    }
    busy_request.reply.send(200, TEXT, b"first\n".to_vec());
    assert_eq!(Answer::read(&mut { busy }).body, "first\n");
}

#[test]
fn clients_that_do_not_take_their_answers_give_way_too() {
    let edge = with_long_logs();
    let mut readers: Vec<TcpStream> = (0..READERS).map(|_| reader(&edge)).collect();
    // These wait for their turn.
    readers.extend((READERS..CLIENTS).map(|_| edge.send("GET /logs HTTP/1.1\r\n\r\n")));
    let asked = Instant::now();
    for _ in 0..20 {
        assert_eq!(edge.get("/healthz").body, "ok\n");
        assert_eq!(edge.get("/metrics").status, 200);
    }
    assert_nobody_waited(asked, 40);
}

#[test]
fn a_client_that_has_its_answer_and_stays_gives_way() {
    let edge = Edge::answering(echo);
    // Each is answered and does not go; the answers are read later.
    let mut done: Vec<TcpStream> = (0..3 * CLIENTS).map(|_| edge.send("GET /healthz HTTP/1.1\r\n\r\n")).collect();
    let asked = Instant::now();
    assert_eq!(edge.get("/healthz").body, "ok\n");
    assert_nobody_waited(asked, 1);
    assert_eq!(Answer::read(done.last_mut().unwrap()).body, "ok\n");
}
