//! `realm logs COMPONENT`.

use super::Context;
use super::connect::{Connected, connect, converse};
use crate::cli::LogsArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Tone, clean, json_line, text_line};
use crate::session::{Event, Session};
use shared::{LogLine, MAX_LOG_TAIL, NodeId, WatchReply, WatchRequest};
use std::time::{Duration, Instant};

/// How many lines of each node are shown when the operator does not say.
const DEFAULT_TAIL: u32 = 100;

/// Within this time the entry node has asked all others, and they have answered.
const LOGS_TIMEOUT: Duration = Duration::from_secs(30);

/// The most lines that are sorted in memory; they are 64 KiB at the most, and 100 bytes as a rule.
const MAX_LINES: usize = 100_000;

/// Lines, and what could not be had.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) lines: Vec<LogLine>,
    pub(super) problems: Vec<(NodeId, String)>,
    /// Whether the answer came to its end.
    pub(super) complete: bool,
}

pub(super) fn run(args: &LogsArgs, mut context: Context<'_, '_>) -> Result<Exit, Failure> {
    let tail = args.tail.unwrap_or(DEFAULT_TAIL);
    if !(1..=MAX_LOG_TAIL).contains(&tail) {
        return Err(Failure::usage(format!("`--tail` is {tail}; expected 1 to {MAX_LOG_TAIL} lines")));
    }
    let (lines, entry) = converse(async |executor| {
        let Connected { mut session, reached, .. } = connect(&mut context, executor).await?;
        let entry = reached.entry.ok_or_else(|| {
            Failure::new("only nodes without an owner answered, and they run nothing of yours")
                .hint("`realm push` makes them yours")
        })?;
        let request = WatchRequest::Logs { component: Some(args.component.clone()), tail, local: false };
        Ok::<_, Failure>((collect(&mut session, entry, request, LOGS_TIMEOUT).await, entry))
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
            Failure::new(format!("node `{entry}` did not tell all of it")).hint("name another node with `--via ADDR`")
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

/// Asks `entry`, and sorts what comes by time.
pub(super) async fn collect(session: &mut Session, entry: NodeId, request: WatchRequest, patience: Duration) -> Lines {
    let watch = session.watch(entry, request);
    let until = Instant::now() + patience;
    let mut lines = Lines::default();
    loop {
        match session.next(Some(until)).await {
            None | Some(Event::Stopped) => break,
            Some(Event::Watched { watch: of, reply }) if of == watch => match reply {
                WatchReply::Log(line) if lines.lines.len() < MAX_LINES => lines.lines.push(line),
                WatchReply::Problem { node, reason } => lines.problems.push((node, reason)),
                _ => {}
            },
            Some(Event::WatchEnded { watch: of, fault }) if of == watch => {
                lines.complete = fault.is_none();
                break;
            }
            Some(_) => {}
        }
    }
    // Stable: lines of one node at the same millisecond stay in their order.
    lines.lines.sort_by_key(|line| line.at);
    lines
}
