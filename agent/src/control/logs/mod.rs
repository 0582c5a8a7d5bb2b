//! The output of components, kept on disk: lines with their time, the newest of them within a cap for each component.
//!
//! An edge in four parts: [`Logs`] is the handle, `Message` the message, and a thread of its own in `writer` waits and
//! runs, because files block. It has no event but its answers.

mod files;
mod follow;
mod limits;
mod lines;
mod tail;
mod writer;

use files::Files;
pub use follow::{Followed, Follower};
use limits::{QUEUE_BYTES, QUEUE_MESSAGES};
use shared::{ComponentName, LogMaxKb, Stream};
use smol::channel::Sender;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A line of a component's log on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Of which component.
    pub component: ComponentName,
    /// When it was begun, in Unix milliseconds by the node's clock.
    pub at: u64,
    /// To which output.
    pub stream: Stream,
    /// The line without its end.
    pub text: String,
}

/// Too much waits for the disk already. What was handed in is dropped and counted in [`Logs::dropped_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much output waits for the disk")
    }
}

impl std::error::Error for Busy {}

/// The handle. Nothing here waits. Dropping it writes what is queued and what is unfinished, and ends the thread.
#[derive(Debug)]
pub struct Logs {
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    load: Arc<Load>,
}

/// What the handle asks of the thread.
#[derive(Debug)]
enum Message {
    Append { component: ComponentName, instance: u64, stream: Stream, at: u64, bytes: Vec<u8> },
    Note { component: ComponentName, at: u64, text: String },
    End { component: ComponentName, instance: u64 },
    Cap { component: ComponentName, cap: LogMaxKb },
    Tail { component: Option<ComponentName>, n: usize, since: Option<u64>, reply: Sender<Vec<LogEntry>> },
    Follow { listener: follow::Listener, component: Option<ComponentName>, n: usize, since: Option<u64> },
    Forget { component: ComponentName },
}

impl Message {
    /// Bytes of output in it.
    fn size(&self) -> usize {
        match self {
            Message::Append { bytes, .. } => bytes.len(),
            Message::Note { text, .. } => text.len(),
            _ => 0,
        }
    }
}

/// What waits, and what was lost.
#[derive(Debug, Default)]
struct Load {
    queued: AtomicUsize,
    dropped: AtomicU64,
    followers: AtomicUsize,
}

/// Components that there are logs of in `dir`, as many as there can be.
///
/// # Errors
/// When the directory cannot be read.
pub fn kept(dir: &Path) -> io::Result<BTreeSet<ComponentName>> {
    Files::open(dir)?.components(limits::MAX_TAIL_COMPONENTS)
}

impl Logs {
    /// Keeps logs in `dir` (`<data>/logs`), which is made when it is not there, and starts the thread.
    ///
    /// # Errors
    /// When the directory or the thread cannot be made.
    pub fn open(dir: &Path) -> io::Result<Logs> {
        let files = Files::open(dir)?;
        let load = Arc::new(Load::default());
        let (queue, messages) = sync_channel(QUEUE_MESSAGES);
        let shared = Arc::clone(&load);
        let thread =
            std::thread::Builder::new().name("logs".into()).spawn(move || writer::run(files, &shared, &messages))?;
        Ok(Logs { queue: Some(queue), thread: Some(thread), load })
    }

    /// Takes a piece of an instance's output. Lines are put together for each instance and stream, and a line is
    /// written when its end comes.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn append(
        &self,
        component: ComponentName,
        instance: u64,
        stream: Stream,
        at_unix_ms: u64,
        bytes: Vec<u8>,
    ) -> Result<(), Busy> {
        self.send(Message::Append { component, instance, stream, at: at_unix_ms, bytes })
    }

    /// Writes lines of the agent's own.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn note(&self, component: ComponentName, at_unix_ms: u64, text: String) -> Result<(), Busy> {
        self.send(Message::Note { component, at: at_unix_ms, text })
    }

    /// An instance has ended: a line that it left unfinished is written, with the time when it was begun.
    ///
    /// # Errors
    /// [`Busy`]; the line is then written when room is needed, or at the end.
    pub fn end(&self, component: ComponentName, instance: u64) -> Result<(), Busy> {
        self.send(Message::End { component, instance })
    }

    /// Sets how much is kept of a component; files that are larger are cut to their newest lines.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn set_cap(&self, component: ComponentName, cap: LogMaxKb) -> Result<(), Busy> {
        self.send(Message::Cap { component, cap })
    }

    /// Sends the last `n` lines of one component, or of all of them, to `reply`; unfinished lines are among them, and
    /// with `since` only those that were begun at that time (Unix milliseconds) or later. Everything that was handed in
    /// before is seen. Fewer come when their text is beyond 4 MiB.
    ///
    /// # Errors
    /// [`Busy`]; nothing comes then.
    pub fn tail(
        &self,
        component: Option<ComponentName>,
        n: usize,
        since: Option<u64>,
        reply: Sender<Vec<LogEntry>>,
    ) -> Result<(), Busy> {
        self.send(Message::Tail { component, n, since, reply })
    }

    /// The last `n` lines as [`Logs::tail`] gives them, and then every new one, without a gap and none twice: a line
    /// that is begun comes when it ends. `since` is for the lines from before, of which the newest 1 MiB come.
    ///
    /// # Errors
    /// [`Busy`], also when 16 follow already.
    pub fn follow(&self, component: Option<ComponentName>, n: usize, since: Option<u64>) -> Result<Follower, Busy> {
        let (follower, listener) = follow::pair(&self.load, component.clone()).ok_or(Busy)?;
        self.send(Message::Follow { listener, component, n, since })?;
        Ok(follower)
    }

    /// Removes what is kept of a component, its cap too; what it writes afterwards starts afresh.
    ///
    /// # Errors
    /// [`Busy`]; nothing is removed then.
    pub fn forget(&self, component: ComponentName) -> Result<(), Busy> {
        self.send(Message::Forget { component })
    }

    /// Bytes of output that were lost, because too much waited or the disk refused them.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.load.dropped.load(Ordering::Relaxed)
    }

    fn send(&self, message: Message) -> Result<(), Busy> {
        let size = message.size();
        let queued = self.load.queued.fetch_add(size, Ordering::Relaxed);
        let sent = match &self.queue {
            // An empty queue takes a message of any size, or a large one would never pass.
            Some(queue) if queued == 0 || queued + size <= QUEUE_BYTES => queue.try_send(message).is_ok(),
            _ => false,
        };
        if sent {
            return Ok(());
        }
        self.load.queued.fetch_sub(size, Ordering::Relaxed);
        self.load.dropped.fetch_add(size as u64, Ordering::Relaxed);
        Err(Busy)
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        // The thread ends when the queue is closed and empty.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}
