//! Those who see new lines as they are written: each has a bounded queue, which the thread fills and never waits for.

use super::limits::{MAX_BEHIND_BYTES, MAX_FOLLOWERS};
use super::{Load, LogEntry};
use shared::ComponentName;
use smol::channel::{Receiver, Sender, bounded};
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a line costs beside its text.
const LINE_OVERHEAD: usize = 128;

/// Some lines, in the order in which they were written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The lines; the first ones that a follower is given are the last that were there before.
    pub lines: Vec<LogEntry>,
    /// How many came after them that are left out, because the follower was further behind than 1 MiB.
    pub missed: u64,
}

/// What waits for a follower, and what it cost beyond the lines from before.
#[derive(Debug, Default)]
struct Pending {
    next: Followed,
    bytes: usize,
}

/// One who follows. Dropping it is enough to leave.
#[derive(Debug)]
pub struct Follower {
    pending: Arc<Mutex<Pending>>,
    bell: Receiver<()>,
    load: Arc<Load>,
}

/// The thread's end of it.
#[derive(Debug)]
pub(super) struct Listener {
    component: Option<ComponentName>,
    pending: Arc<Mutex<Pending>>,
    bell: Sender<()>,
}

/// Both ends; `None` when there are as many as may be.
pub(super) fn pair(load: &Arc<Load>, component: Option<ComponentName>) -> Option<(Follower, Listener)> {
    let room = |count| (count < MAX_FOLLOWERS).then_some(count + 1);
    load.followers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
    let pending = Arc::new(Mutex::new(Pending::default()));
    let (bell, rung) = bounded(1);
    let follower = Follower { pending: Arc::clone(&pending), bell: rung, load: Arc::clone(load) };
    Some((follower, Listener { component, pending, bell }))
}

impl Follower {
    /// Waits for lines; `None` when the logs have ended and everything was given. Threads wait with `smol::block_on`.
    pub async fn next(&mut self) -> Option<Followed> {
        loop {
            let next = mem::take(&mut *lock(&self.pending)).next;
            if !next.lines.is_empty() || next.missed > 0 {
                return Some(next);
            }
            if self.bell.recv().await.is_err() {
                let last = mem::take(&mut *lock(&self.pending)).next;
                return (!last.lines.is_empty() || last.missed > 0).then_some(last);
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // The other end is found closed at the next line or follower; it must not hold lines until then.
        self.bell.close();
        *lock(&self.pending) = Pending::default();
        self.load.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener {
    pub(super) fn is_gone(&self) -> bool {
        self.bell.is_closed()
    }

    /// The lines from before: the newest of them, as many as may wait.
    pub(super) fn begin(&self, mut lines: Vec<LogEntry>) {
        let mut room = MAX_BEHIND_BYTES;
        let fits = |line: &&LogEntry| {
            let left = room.checked_sub(cost(line));
            room = left.unwrap_or(0);
            left.is_some()
        };
        let fit = lines.iter().rev().take_while(fits).count();
        lock(&self.pending).next.lines = lines.split_off(lines.len() - fit);
        self.ring();
    }

    pub(super) fn push(&self, component: &ComponentName, lines: &[LogEntry]) {
        if self.component.as_ref().is_some_and(|wanted| wanted != component) {
            return;
        }
        let mut pending = lock(&self.pending);
        for line in lines {
            let bytes = cost(line);
            // Once a line is left out, all are, until it has caught up: there is one gap, and it is at the end.
            if pending.next.missed > 0 || pending.bytes + bytes > MAX_BEHIND_BYTES {
                pending.next.missed += 1;
            } else {
                pending.bytes += bytes;
                pending.next.lines.push(line.clone());
            }
        }
        drop(pending);
        self.ring();
    }

    fn ring(&self) {
        // It has been rung already, or nobody is there.
        let _ = self.bell.try_send(());
    }
}

fn cost(line: &LogEntry) -> usize {
    line.text.len() + LINE_OVERHEAD
}

/// Nothing panics while it holds the lock, and the lines would be whole all the same.
fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
