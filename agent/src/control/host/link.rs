//! Threads on the sockets to the guard and to runners.

use super::actor::Message;
use crate::ipc::{self, FromRunner, ToRunner};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Orders that may wait for a runner. It reads with a thread of its own; one that is this far behind is stuck.
const MAX_RUNNER_ORDERS: usize = 2048;

/// Reads the guard. When it is gone, nobody would restart or end this process: it ends at once.
pub(super) fn read_guard(socket: UnixStream, messages: SyncSender<Message>) -> io::Result<()> {
    thread::Builder::new().name("from-guard".into()).spawn(move || {
        while let Ok(Some((word, fd))) = ipc::recv_with_fd(&socket) {
            if messages.send(Message::Guard(word, fd)).is_err() {
                return;
            }
        }
        // Accepted work is on the disk already: ending here loses nothing.
        std::process::exit(1);
    })?;
    Ok(())
}

/// Reads a runner until its socket closes. The guard tells how it ended.
pub(super) fn read_runner(runner: u64, socket: UnixStream, messages: SyncSender<Message>) -> io::Result<()> {
    thread::Builder::new().name("from-runner".into()).spawn(move || {
        let mut socket = socket;
        while let Ok(Some(word)) = ipc::read_frame::<FromRunner>(&mut socket) {
            if messages.send(Message::Runner(runner, word)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Where a runner gets its orders from. They are in boxes because such a queue takes its memory at once, for each runner.
pub(super) type Orders = SyncSender<Box<ToRunner>>;

/// Writes to a runner, so that one that does not read holds up nobody.
pub(super) fn write_runner(socket: UnixStream) -> io::Result<Orders> {
    let (orders, queue): (_, Receiver<Box<ToRunner>>) = sync_channel(MAX_RUNNER_ORDERS);
    thread::Builder::new().name("to-runner".into()).spawn(move || {
        let mut socket = socket;
        for order in queue {
            if ipc::write_frame(&mut socket, &*order).is_err() {
                return;
            }
        }
    })?;
    Ok(orders)
}
