//! The thread: waits for a message, runs it, and ends when the handle is gone.

use super::files::Files;
use super::follow::Listener;
use super::limits::{MAX_CAPS, MAX_UNFINISHED};
use super::lines::Unfinished;
use super::{Load, LogEntry, Message, tail};
use shared::{ComponentName, Limits, LogMaxKb, Stream};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

/// Runs until the handle is dropped.
pub(super) fn run(files: Files, load: &Load, messages: &Receiver<Message>) {
    let mut writer = Writer {
        files,
        load,
        caps: BTreeMap::new(),
        unfinished: BTreeMap::new(),
        followers: Vec::new(),
        failing: false,
    };
    while let Ok(message) = messages.recv() {
        let size = message.size();
        writer.handle(message);
        // Only after it was written: what is being written waits too.
        load.queued.fetch_sub(size, Ordering::Relaxed);
    }
    while let Some((source, _)) = writer.unfinished.first_key_value() {
        let source = source.clone();
        writer.finish(&source);
    }
}

/// Who writes: lines of different instances, or of both outputs of one, are not mixed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    component: ComponentName,
    instance: u64,
    /// Standard error, and not standard output.
    error: bool,
}

impl Source {
    fn line(&self, at: u64, text: String) -> LogEntry {
        let stream = if self.error { Stream::Stderr } else { Stream::Stdout };
        LogEntry { component: self.component.clone(), at, stream, text }
    }
}

struct Writer<'a> {
    files: Files,
    load: &'a Load,
    caps: BTreeMap<ComponentName, LogMaxKb>,
    unfinished: BTreeMap<Source, Unfinished>,
    /// As many as [`Load`] lets in, and those that have gone since the last line.
    followers: Vec<Listener>,
    /// Whether the disk has refused the last lines.
    failing: bool,
}

impl Writer<'_> {
    fn handle(&mut self, message: Message) {
        match message {
            Message::Append { component, at, stream: Stream::Agent, bytes, .. } => {
                self.note(&component, at, &String::from_utf8_lossy(&bytes));
            }
            Message::Append { component, instance, stream, at, bytes } => {
                self.append(Source { component, instance, error: stream == Stream::Stderr }, at, &bytes);
            }
            Message::Note { component, at, text } => self.note(&component, at, &text),
            Message::End { component, instance } => {
                for error in [false, true] {
                    self.finish(&Source { component: component.clone(), instance, error });
                }
            }
            Message::Cap { component, cap } => self.set_cap(component, cap),
            Message::Tail { component, n, since, reply } => {
                let unfinished = self.begun(component.as_ref());
                // The one who asked may be gone.
                let _ = reply.try_send(self.tail(component.as_ref(), n, since, unfinished));
            }
            Message::Follow { listener, component, n, since } => {
                self.followers.retain(|follower| !follower.is_gone());
                listener.begin(self.tail(component.as_ref(), n, since, Vec::new()));
                self.followers.push(listener);
            }
            Message::Forget { component } => self.forget(&component),
        }
    }

    fn tail(
        &self,
        component: Option<&ComponentName>,
        n: usize,
        since: Option<u64>,
        unfinished: Vec<LogEntry>,
    ) -> Vec<LogEntry> {
        // A directory that cannot be read has no lines to show; the disk speaks up at the next append.
        tail::tail(&self.files, component, n, since, unfinished).unwrap_or_default()
    }

    fn forget(&mut self, component: &ComponentName) {
        self.caps.remove(component);
        self.unfinished.retain(|source, _| source.component != *component);
        if let Err(error) = self.files.remove(component) {
            eprintln!("cannot remove the log of `{component}`: {error}");
        }
    }

    fn append(&mut self, source: Source, at: u64, bytes: &[u8]) {
        let mut lines = Vec::new();
        let mut unfinished = self.unfinished.remove(&source).unwrap_or_default();
        unfinished.push(at, bytes, |since, text| lines.push(source.line(since, text)));
        self.write(&source.component, &lines);
        if !unfinished.is_empty() {
            self.make_room();
            self.unfinished.insert(source, unfinished);
        }
    }

    fn make_room(&mut self) {
        if self.unfinished.len() >= MAX_UNFINISHED {
            let oldest = self.unfinished.iter().min_by_key(|(_, line)| line.since()).map(|(source, _)| source.clone());
            if let Some(source) = oldest {
                self.finish(&source);
            }
        }
    }

    /// Writes an unfinished line as it is.
    fn finish(&mut self, source: &Source) {
        if let Some((at, text)) = self.unfinished.remove(source).and_then(Unfinished::finish) {
            self.write(&source.component, &[source.line(at, text)]);
        }
    }

    fn note(&mut self, component: &ComponentName, at: u64, text: &str) {
        let mut lines = Vec::new();
        let mut emit = |_, text| lines.push(LogEntry { component: component.clone(), at, stream: Stream::Agent, text });
        let mut unfinished = Unfinished::default();
        unfinished.push(at, text.as_bytes(), &mut emit);
        if !text.ends_with('\n') {
            unfinished.push(at, b"\n", &mut emit);
        }
        self.write(component, &lines);
    }

    fn write(&mut self, component: &ComponentName, lines: &[LogEntry]) {
        if lines.is_empty() {
            return;
        }
        self.followers.retain(|follower| !follower.is_gone());
        // They are shown what a full disk refuses, too.
        self.followers.iter().for_each(|follower| follower.push(component, lines));
        let bytes: Vec<Vec<u8>> = lines.iter().map(tail::format).collect();
        match self.files.append(component, self.half(component), &bytes) {
            Ok(()) if self.failing => {
                self.failing = false;
                eprintln!("logs are written again");
            }
            Ok(()) => {}
            Err((lost, error)) => {
                self.load.dropped.fetch_add(lost, Ordering::Relaxed);
                // Once only: a full disk would be told of with every line.
                if !std::mem::replace(&mut self.failing, true) {
                    let fault = shared::files::fault(&error);
                    eprintln!(
                        "cannot write the log of `{component}`: {fault}; lines that are lost are counted from now on"
                    );
                }
            }
        }
    }

    fn set_cap(&mut self, component: ComponentName, cap: LogMaxKb) {
        if self.caps.len() < MAX_CAPS || self.caps.contains_key(&component) {
            self.caps.insert(component.clone(), cap);
        }
        // What is too large is cut at the latest when the file is full.
        let _ = self.files.shrink(&component, self.half(&component));
    }

    /// How many bytes each of the two files may have.
    fn half(&self, component: &ComponentName) -> u64 {
        let cap = self.caps.get(component).copied().unwrap_or(Limits::default().log_max_kb);
        u64::from(cap.get()) * 1024 / 2
    }

    fn begun(&self, component: Option<&ComponentName>) -> Vec<LogEntry> {
        let wanted =
            self.unfinished.iter().filter(|(source, _)| component.is_none_or(|name| *name == source.component));
        let line = |(source, line): (&Source, &Unfinished)| {
            let (at, text) = line.peek()?;
            Some(source.line(at, text))
        };
        wanted.filter_map(line).collect()
    }
}
