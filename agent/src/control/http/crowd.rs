//! The clients that are connected: so many and no more, and who gives way to a new one. Whoever is slow never keeps out
//! a health check or a scrape.

use super::limits::{MAX_CLIENTS, REQUEST_DESCRIPTORS};
use super::refusal::UNAVAILABLE;
use smol::{Async, Task};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::rc::{Rc, Weak};

/// What a client is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not sent its head yet.
    Silent,
    /// It waits for its answer, or takes it.
    Served,
    /// Its answer has no end.
    Follows,
    /// It has been given its answer, and has not gone.
    Done,
}

/// A client, as its task and the crowd know it.
pub(super) struct Client {
    pub(super) stream: Async<TcpStream>,
    pub(super) stage: Cell<Stage>,
}

/// All of them, the oldest first; dropping it ends their tasks. Each belongs to its task alone, with which its connection ends.
#[derive(Default)]
pub(super) struct Crowd(VecDeque<(Weak<Client>, Task<()>)>);

impl Crowd {
    /// Takes in one more, with the task that `begin` starts for it.
    pub(super) fn admit(&mut self, stream: Async<TcpStream>, begin: impl FnOnce(Rc<Client>) -> Task<()>) {
        self.0.retain(|(_, task)| !task.is_finished());
        if self.0.len() >= MAX_CLIENTS {
            self.give_way();
        }
        if self.0.len() >= MAX_CLIENTS {
            turn_away(&stream);
            return;
        }
        let client = Rc::new(Client { stream, stage: Cell::new(Stage::Silent) });
        let known = Rc::downgrade(&client);
        self.0.push_back((known, begin(client)));
    }

    /// Has as many give way as free what serving one request takes; gives whether there was anybody.
    pub(super) fn make_room(&mut self) -> bool {
        (0..REQUEST_DESCRIPTORS).filter(|_| self.give_way()).count() > 0
    }

    /// Closes the oldest of those that ask for nothing; where each asks for something, the one that has had most time. Those
    /// that follow are few, and stay. Gives whether there was one.
    fn give_way(&mut self) -> bool {
        let oldest = |stages: &[Stage]| {
            let is_at = |(client, _): &(Weak<Client>, Task<()>)| {
                client.upgrade().is_some_and(|client| stages.contains(&client.stage.get()))
            };
            self.0.iter().position(is_at)
        };
        let at = oldest(&[Stage::Silent, Stage::Done]).or_else(|| oldest(&[Stage::Served]));
        let Some((client, task)) = at.and_then(|at| self.0.remove(at)) else { return false };
        if let Some(client) = client.upgrade().filter(|client| client.stage.get() == Stage::Silent) {
            turn_away(&client.stream);
        }
        drop(task);
        true
    }
}

fn turn_away(client: &Async<TcpStream>) {
    // As much as the socket takes at once, which is all of it.
    let _ = client.get_ref().write(&UNAVAILABLE.to_bytes());
}
