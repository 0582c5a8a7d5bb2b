//! The guest's output becomes the agent's, byte by byte. On a thread of its own, because writing waits for whoever reads,
//! and a signal must not.

use super::Event;
use crate::ipc::{self, FromRunner, OutputStream};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;

/// The two outputs of the agent, without the buffers and locks of the standard library.
struct Outputs {
    stdout: File,
    stderr: File,
    /// Both are shown in one place.
    on_terminal: bool,
    mid_line: Arc<AtomicBool>,
}

/// Passes on what comes from the runner until its socket ends.
pub(super) fn start(socket: UnixStream, events: SyncSender<Event>, mid_line: Arc<AtomicBool>) -> io::Result<()> {
    let mut outputs = Outputs {
        stdout: io::stdout().as_fd().try_clone_to_owned()?.into(),
        stderr: io::stderr().as_fd().try_clone_to_owned()?.into(),
        on_terminal: io::stdout().is_terminal() && io::stderr().is_terminal(),
        mid_line,
    };
    thread::Builder::new().name("output".into()).spawn(move || {
        let mut socket = socket;
        // A frame that is none is the end of the runner too: it is ended for it.
        while let Ok(Some(frame)) = ipc::read_frame::<FromRunner>(&mut socket) {
            let event = match frame {
                FromRunner::Output { stream, bytes, .. } => match outputs.write(stream, &bytes) {
                    Ok(()) => continue,
                    Err(error) => Event::Unwritable(error),
                },
                other => Event::Said(other),
            };
            if events.send(event).is_err() {
                return;
            }
        }
        let _ = events.send(Event::Silent);
    })?;
    Ok(())
}

impl Outputs {
    fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> io::Result<()> {
        let is_stderr = stream == OutputStream::Stderr;
        if is_stderr || self.on_terminal {
            self.mid_line.store(bytes.last().is_some_and(|byte| *byte != b'\n'), Ordering::Relaxed);
        }
        if is_stderr { self.stderr.write_all(bytes) } else { self.stdout.write_all(bytes) }
    }
}
