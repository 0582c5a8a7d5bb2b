//! `realm logs COMPONENT`.

use super::Context;
use super::connect::{Connected, connect, converse};
use crate::cli::LogsArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Tone, clean, json_line, text_line};
use crate::session::{Event, Session, WatchId};
use shared::{LogLine, MAX_LOG_TAIL, NodeId, WatchReply, WatchRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many lines of each node are shown when the operator does not say.
const DEFAULT_TAIL: u32 = 100;

/// Within this time the entry nodes have asked all others, and they have answered.
const LOGS_TIMEOUT: Duration = Duration::from_secs(30);

/// The most lines that are sorted in memory; they are 64 KiB at the most, and 100 bytes as a rule.
const MAX_LINES: usize = 100_000;

/// Lines, and what could not be had.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) lines: Vec<LogLine>,
    pub(super) problems: Vec<(NodeId, String)>,
    /// Whether an answer came to its end.
    pub(super) complete: bool,
}

impl Lines {
    /// Keeps a line while there is room.
    fn push(&mut self, line: LogLine) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        }
    }
}

pub(super) fn run(args: &LogsArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let tail = args.tail.unwrap_or(DEFAULT_TAIL);
    if !(1..=MAX_LOG_TAIL).contains(&tail) {
        return Err(Failure::usage(format!("`--tail` is {tail}; expected 1 to {MAX_LOG_TAIL} lines")));
    }
    let lines = converse(async |executor| {
        let Connected { mut session, reached, .. } = connect(&mut context, executor, false).await?;
        if reached.members.is_empty() {
            return Err(Failure::new("only nodes without an owner answered, and they run nothing of yours")
                .hint("`realm push` makes them yours"));
        }
        let request = WatchRequest::Logs { component: Some(args.component.clone()), tail, local: false };
        Ok(collect(&mut session, &reached.members, &request, LOGS_TIMEOUT).await)
    })?;
    for line in &lines.lines {
        let text = if args.json {
            serde_json::to_string(&json_line(line)).map_err(|error| Failure::new(error.to_string()))?
        } else {
            text_line(line)
        };
        context.terminal.data(&text);
    }
    for (node, reason) in &lines.problems {
        context.terminal.say(Tone::Warning, &format!("no lines from {}: {}", node.short(), clean(reason)));
    }
    if !lines.complete {
        return Err(
            Failure::new("that is not all: no node told it to the end").hint("name another node with `--via ADDR`")
        );
    }
    if lines.lines.is_empty() {
        let name = &args.component;
        context.terminal.say(
            Tone::Warning,
            &format!("no output of `{name}` is kept on any node that answered; `realm status` shows what runs"),
        );
    }
    Ok(Exit::Done)
}

/// Asks `entries` at once, and sorts what comes by time. Where several tell of a node, the first of them counts.
pub(super) async fn collect(
    session: &mut Session,
    entries: &[NodeId],
    request: &WatchRequest,
    patience: Duration,
) -> Lines {
    let mut open: BTreeSet<WatchId> = entries.iter().map(|entry| session.watch(*entry, request.clone())).collect();
    let mut tells: BTreeMap<NodeId, WatchId> = BTreeMap::new();
    let until = Instant::now() + patience;
    let mut lines = Lines::default();
    while !open.is_empty() {
        match session.next(Some(until)).await {
            None | Some(Event::Stopped) => break,
            Some(Event::Watched { watch, reply }) if open.contains(&watch) => match reply {
                WatchReply::Log(line) if *tells.entry(line.node).or_insert(watch) == watch => lines.push(line),
                WatchReply::Problem { node, reason } => lines.problems.push((node, reason)),
                _ => {}
            },
            Some(Event::WatchEnded { watch, fault }) => {
                open.remove(&watch);
                lines.complete |= fault.is_none();
            }
            Some(_) => {}
        }
    }
    // Stable: lines of one node at the same millisecond stay in their order.
    lines.lines.sort_by_key(|line| line.at);
    // One entry node may not reach what another one does.
    lines.problems.retain(|(node, _)| !tells.contains_key(node));
    lines.problems.sort();
    lines.problems.dedup_by_key(|(node, _)| *node);
    lines
}
