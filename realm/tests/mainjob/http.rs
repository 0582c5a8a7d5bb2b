//! What a real agent serves over HTTP: lines as they are written, and whether it is there for others.

use crate::operator::Operator;
use crate::support::{Agent, eventually, owner, signal};
use rustix::process::Signal;
use shared::NodeId;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// As many as may follow by HTTP.
const FOLLOWERS: usize = 8;

fn node() -> (Agent, Operator, NodeId) {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    (agent, operator, node)
}

/// Follows; the status line, and what comes after it.
fn follow(agent: &Agent, query: &str) -> (String, BufReader<TcpStream>) {
    let mut client = agent.connect();
    // Without chunks a line of the answer is a line of the log.
    write!(client, "GET /logs?follow=1&{query} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = BufReader::new(client);
    let mut status = String::new();
    answer.read_line(&mut status).unwrap();
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert!(answer.read_line(&mut line).unwrap() > 0, "`{status}` has no head");
    }
    (status, answer)
}

#[test]
fn lines_are_followed_as_they_are_written() {
    let (agent, operator, node) = node();
    operator.push(node, "ticker", "ticker", |_| {});
    agent.until("ticker", "running");
    eventually("the first line", || match agent.output("ticker").pop() {
        Some(_) => Ok(()),
        None => Err("nothing".into()),
    });
    let whole = agent.get("/logs?component=ticker");
    let (status, one) = follow(&agent, "component=ticker&tail=5&since=1h");
    assert!(status.contains(" 200 "), "{status}");
    let mut one = one.lines().map(Result::unwrap);
    assert_eq!(one.next().as_deref(), whole.lines().next(), "in the same form");
    let (_, later) = follow(&agent, "tail=100&since=2099-01-01T00:00:00Z");
    assert!(agent.get("/logs?since=2099-01-01T00%3A00%3A00Z").is_empty());
    assert!(agent.get("/logs?since=1d").contains("ticker: started"));
    operator.push(node, "hello", "hello", |_| {});
    agent.until("hello", "completed");
    operator.push(node, "ticker", "ticker", |body| body.payload.component.args = vec!["again".into()]);
    // Nothing from before, and nothing left out.
    let mut later = later.lines().map(Result::unwrap);
    assert!(later.by_ref().any(|line| line.contains(" hello stdout | ")));
    assert!(later.by_ref().any(|line| line.contains(" ticker stdout | ticker: started")));
    let again = one.by_ref().find(|line| line.contains(" stdout | ")).unwrap();
    assert!(again.contains(" ticker stdout | ticker: started"), "{again}");
}

#[test]
fn followers_that_go_make_room_though_nothing_is_written() {
    let (agent, _operator, _node) = node();
    for _ in 0..3 {
        let followers: Vec<_> = (0..FOLLOWERS)
            .map(|_| {
                eventually("room", || match follow(&agent, "") {
                    (status, answer) if status.contains(" 200 ") => Ok(answer),
                    (status, _) => Err(status),
                })
            })
            .collect();
        let (status, mut answer) = follow(&agent, "");
        let mut text = String::new();
        answer.read_to_string(&mut text).unwrap();
        assert!(status.contains(" 503 ") && text.contains("hint: "), "{status}{text}");
        drop(followers);
    }
}

#[test]
fn a_follower_that_is_behind_is_told_what_it_missed() {
    let (agent, operator, node) = node();
    let (_, mut answer) = follow(&agent, "component=print&tail=0");
    rustix::net::sockopt::set_socket_recv_buffer_size(answer.get_ref(), 16 * 1024).unwrap();
    operator.push(node, "print", "print", |body| {
        // So many that it is behind also where a busy machine leaves most of them out before they come to the logs.
        body.payload.component.args = vec!["8000".into()];
        body.payload.component.replicas = 16.try_into().unwrap();
    });
    // It reads, but slower than they write: more than waits for it, and what is on its way.
    let mut slowly = [0; 1024];
    eventually("everything is written", || {
        answer.read_exact(&mut slowly).unwrap();
        let component = agent.component("print");
        if component["phase"] == "completed" { Ok(()) } else { Err(component.to_string()) }
    });
    let gap = answer.lines().map(Result::unwrap).find(|line| line.contains(" lines are left out here"));
    assert!(gap.is_some_and(|gap| gap.contains(" print agent | ")));
    agent.get("/healthz");
}

#[cfg(target_os = "linux")]
#[test]
fn an_agent_that_leaves_is_not_ready() {
    let (mut agent, operator, node) = node();
    operator.push(node, "sleep", "sleep", |_| {});
    agent.until("sleep", "running");
    assert_eq!(agent.get("/readyz"), "ready\n");
    let (_, mut followed) = follow(&agent, "tail=0");
    // A runner that stands still takes all the time that guests have to end.
    let runner = crate::load::runner(&agent).expect("a runner");
    signal(runner, Signal::STOP);
    agent.ask_to_end();
    eventually("it is not ready", || match agent.try_get("/readyz") {
        Err(answer) if answer.contains(" 503 ") && answer.contains("the agent is leaving") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(agent.get("/healthz"), "ok\n");
    assert_eq!(agent.component("sleep")["name"], "sleep", "it still tells what it knows");
    signal(runner, Signal::CONT);
    assert_eq!(agent.until_ended().code(), Some(0));
    // Whoever follows is told that this was all.
    let mut rest = String::new();
    followed.read_to_string(&mut rest).unwrap();
}
