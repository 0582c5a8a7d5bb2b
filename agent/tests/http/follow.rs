//! Answers without an end: how they are framed, who may have one, and that whoever does not read or has gone is found out.

use crate::support::{Answer, Edge, echo, patiently};
use agent::control::http::{HttpKind, HttpStream, TEXT};
use shared::time::Since;
use smol::channel::bounded;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// As many as may follow.
const FOLLOWERS: usize = 8;

/// How long one may take nothing.
const STALL: Duration = Duration::from_secs(10);

const ASK: &str = "GET /logs?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Asks, and gives both ends of what was begun.
fn follow(edge: &Edge, request: &str) -> (TcpStream, HttpStream) {
    let client = edge.send(request);
    let request = edge.asked();
    assert!(matches!(request.kind, HttpKind::Logs { follow: true, .. }), "{:?}", request.kind);
    (client, request.reply.stream(TEXT))
}

/// Waits until the edge has noticed that the client has gone.
fn until_gone(stream: &HttpStream) {
    patiently("end of the stream", stream.gone());
}

fn say(stream: &HttpStream, text: &str) -> bool {
    patiently("room for a line", stream.send(text.as_bytes().to_vec()))
}

#[test]
fn lines_come_as_they_are_written() {
    let edge = Edge::start();
    let client = edge.send("GET /logs?component=hello&tail=3&since=10m&follow=1 HTTP/1.1\r\n\r\n");
    let request = edge.asked();
    let since = Some(Since::Ago(Duration::from_secs(600)));
    let component = Some("hello".parse().unwrap());
    assert_eq!(request.kind, HttpKind::Logs { component, tail: 3, since, follow: true });
    let stream = request.reply.stream(TEXT);
    let mut lines = BufReader::new(client).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert_eq!(head[0], "HTTP/1.1 200 OK");
    assert!(head.contains(&"Transfer-Encoding: chunked".into()), "{head:?}");
    assert!(!head.iter().any(|line| line.starts_with("Content-Length")), "{head:?}");
    for text in ["one\n", "a second one\n"] {
        assert!(say(&stream, text));
        let chunk: Vec<String> = lines.by_ref().take(3).collect();
        assert_eq!(chunk, [format!("{:x}", text.len()).as_str(), text.trim_end(), ""]);
    }
    // Nothing is not the end.
    assert!(say(&stream, ""));
    drop(stream);
    assert_eq!(lines.collect::<Vec<_>>(), ["0", ""]);
}

#[test]
fn older_clients_get_them_without_chunks() {
    let edge = Edge::start();
    let (mut client, stream) = follow(&edge, "GET /logs?follow=1 HTTP/1.0\r\n\r\n");
    assert!(say(&stream, "one\n") && say(&stream, "two\n"));
    drop(stream);
    let answer = Answer::read(&mut client);
    assert_eq!((answer.status, answer.body.as_str()), (200, "one\ntwo\n"));
    assert!(!answer.head.contains("transfer-encoding"), "{}", answer.head);
}

#[test]
fn whoever_wants_the_head_alone_follows_nothing() {
    let edge = Edge::start();
    let answer = edge.exchange("HEAD /logs?follow=1 HTTP/1.1\r\n\r\n");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert!(answer.head.contains("transfer-encoding: chunked"), "{}", answer.head);
    assert!(edge.requests.is_empty());
}

#[test]
fn a_follower_that_goes_is_noticed_and_makes_room() {
    let edge = Edge::start();
    let mut followers: Vec<(TcpStream, HttpStream)> = (0..FOLLOWERS).map(|_| follow(&edge, ASK)).collect();
    let refused = edge.exchange(ASK);
    assert!(refused.status == 503 && refused.head.contains("retry-after: "), "{refused:?}");
    assert!(refused.body.contains("hint: "), "{refused:?}");
    assert!(edge.requests.is_empty());
    // No line has ever been written.
    let (client, stream) = followers.remove(0);
    drop(client);
    until_gone(&stream);
    assert!(!say(&stream, "for nobody\n"));
    let (mut client, stream) = follow(&edge, ASK);
    assert!(say(&stream, "for the next one\n"));
    drop(stream);
    assert!(Answer::read(&mut client).body.contains("for the next one"));
    drop(followers);
}

#[test]
fn followers_hold_up_nobody_and_give_way_to_nobody() {
    let edge = Edge::start();
    let mut followers: Vec<(TcpStream, HttpStream)> = (0..FOLLOWERS).map(|_| follow(&edge, ASK)).collect();
    let requests = edge.requests.clone();
    thread::spawn(move || {
        while let Ok(request) = requests.recv_blocking() {
            echo(request.kind, request.reply);
        }
    });
    let silent: Vec<TcpStream> = (0..300).map(|_| edge.connect()).collect();
    for target in ["/healthz", "/status", "/logs"] {
        assert_eq!(edge.get(target).status, 200, "{target}");
    }
    for (client, stream) in &mut followers {
        assert!(say(stream, "still there\n"));
        let line = BufReader::new(client).lines().map(Result::unwrap).find(|line| line.contains("there"));
        assert_eq!(line.as_deref(), Some("still there"));
    }
    drop(silent);
}

#[test]
fn a_follower_that_does_not_read_is_cut_off() {
    let edge = Edge::start();
    let (mut client, stream) = follow(&edge, ASK);
    // What is on its way is bounded on our side; on the other it is the system's affair, so it is bounded here.
    rustix::net::sockopt::set_socket_recv_buffer_size(&client, 64 * 1024).unwrap();
    let began = Instant::now();
    let mut sent = 0;
    while say(&stream, &"x".repeat(16 * 1024)) {
        sent += 16 * 1024;
        assert!(sent <= 2 << 20, "{sent} bytes went to a client that reads nothing");
    }
    let took = began.elapsed();
    println!("cut off after {took:?} and {sent} bytes");
    assert!((Duration::from_secs(5)..Duration::from_secs(60)).contains(&took), "{took:?}");
    // Its answer has no good end, and it learns of that.
    let mut all = Vec::new();
    let end = client.read_to_end(&mut all).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    assert!(!all.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_follower_that_reads_slowly_is_not_cut_off() {
    let edge = Edge::start();
    let (mut client, stream) = follow(&edge, ASK);
    rustix::net::sockopt::set_socket_recv_buffer_size(&client, 16 * 1024).unwrap();
    let (stop, stopped) = bounded::<()>(1);
    let writer = thread::spawn(move || {
        // More than there is ever room for.
        while !stopped.is_closed() {
            assert!(say(&stream, &"x".repeat(256 * 1024)), "cut off");
        }
    });
    // For longer than one may stop that does not read, and at a pace that makes no room for a piece in that time.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(25) {
        client.read_exact(&mut [0; 16 * 1024]).unwrap();
        thread::sleep(Duration::from_secs(1));
    }
    stop.close();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    writer.join().unwrap();
    assert!(rest.ends_with(b"\r\n0\r\n\r\n"), "it has the end as well");
}

#[test]
fn the_end_of_the_agent_is_a_good_end() {
    let edge = Edge::start();
    let (mut client, stream) = follow(&edge, ASK);
    assert!(say(&stream, "last words\n"));
    let mut begun = [0; 1024];
    while !String::from_utf8_lossy(&begun).contains("last words") {
        assert!(client.read(&mut begun).unwrap() > 0);
    }
    let Edge { http, dir, .. } = edge;
    let dropped = Instant::now();
    drop(http);
    // It waits for no client: one that takes nothing would have so long.
    println!("ended in {:?}", dropped.elapsed());
    assert!(dropped.elapsed() < STALL, "{:?}", dropped.elapsed());
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "0\r\n\r\n");
    until_gone(&stream);
    drop(dir);
}

#[test]
fn the_loop_may_refuse() {
    let edge = Edge::answering(|_, reply| reply.send(503, TEXT, b"too many\n".to_vec()));
    assert_eq!(edge.exchange(ASK).status, 503);
    let edge = Edge::answering(|_, reply| drop(reply));
    assert_eq!(edge.exchange(ASK).status, 503);
}
