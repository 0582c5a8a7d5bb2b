//! `realm logs COMPONENT`.

use super::Context;
use super::connect::{Connected, connect_to_members, converse, survey};
use super::held::{newest, unknown};
use super::manifest::declared;
use crate::cli::{LogsArgs, PeerRef};
use crate::exit::{Exit, Failure};
use crate::output::{Terminal, Tone, clean, json_line, text_line};
use crate::session::{Event, Session, WatchId};
use crate::world::unix_ms;
use shared::{
    ComponentName, IntentKey, LogLine, LogQuery, MAX_LOG_NODES, MAX_LOG_TAIL, NodeId, OwnerKey, WatchReply,
    WatchRequest,
};
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
    if args.node.len() > MAX_LOG_NODES {
        let typed = args.node.len();
        return Err(Failure::usage(format!(
            "`--node` was given {typed} times; at most {MAX_LOG_NODES} are asked at once"
        )));
    }
    let since = args.since.map(|since| since.unix_ms(unix_ms()));
    let query = LogQuery { component: Some(args.component.clone()), tail, since, ..LogQuery::default() };
    let lines = converse(async |executor| {
        let Connected { key, mut session, reached } = connect_to_members(&mut context, executor).await?;
        let nodes = nodes(&mut session, &reached.members, &args.node).await?;
        let query = LogQuery { follow: args.follow, nodes, ..query };
        if args.follow {
            follow(&mut session, &reached.members, query, context.terminal, args.json).await?;
            return Ok(None);
        }
        let lines = collect(&mut session, &reached.members, &WatchRequest::Logs(query), LOGS_TIMEOUT).await;
        if lines.lines.is_empty() && lines.complete {
            check_known(&mut session, &reached.members, &key, &args.component).await?;
        }
        Ok(Some(lines))
    })?;
    let Some(lines) = lines else { return Ok(Exit::Done) };
    for line in &lines.lines {
        show(context.terminal, line, args.json)?;
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
        let since = if args.since.is_some() { " since then" } else { "" };
        context.terminal.say(
            Tone::Warning,
            &format!("no output of `{name}`{since} is kept on any node that answered; `realm ps` shows what there is"),
        );
    }
    Ok(Exit::Done)
}

/// Keeps a name that was mistyped from being taken for a component that is silent.
async fn check_known(
    session: &mut Session,
    members: &[NodeId],
    key: &OwnerKey,
    name: &ComponentName,
) -> Result<(), Failure> {
    let views = survey(session, members, false).await?.views;
    if views.values().any(|(report, _)| report.may_have(name))
        || newest(session, members, key, IntentKey::Component(name.clone())).await?.is_some()
    {
        return Ok(());
    }
    // Of what is declared for nodes that are away, or was taken back, no report may tell.
    let declared = declared(session, members, key).await?;
    let is_declared = declared.is_some_and(|(_, manifest)| manifest.components().contains_key(name));
    if is_declared { Ok(()) } else { Err(unknown(name)) }
}

fn show(terminal: &mut Terminal<'_>, line: &LogLine, json: bool) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(&json_line(line)).map_err(|error| Failure::new(error.to_string()))?
    } else {
        text_line(line)
    };
    terminal.data(&text);
    Ok(())
}

/// The nodes that are meant by what was typed; none where nothing was.
async fn nodes(session: &mut Session, members: &[NodeId], typed: &[PeerRef]) -> Result<Vec<NodeId>, Failure> {
    if typed.is_empty() {
        return Ok(Vec::new());
    }
    let views = survey(session, members, false).await?.views;
    let known: Vec<NodeId> = views.into_keys().collect();
    typed.iter().map(|peer| one_of(peer, &known)).collect()
}

fn one_of(peer: &PeerRef, known: &[NodeId]) -> Result<NodeId, Failure> {
    let fitting: Vec<&NodeId> = known.iter().filter(|node| peer.fits(node)).collect();
    match fitting[..] {
        [node] => Ok(*node),
        [] => Err(Failure::new(format!("no known node is `{}`", peer.as_str())).hint("`realm status` lists the nodes")),
        _ => Err(Failure::new(format!("`{}` can be any of {} nodes", peer.as_str(), fitting.len()))
            .hint("type more of it; the ends differ most")),
    }
}

/// Shows lines as they come, until the last node that could say more is gone, or whoever reads is.
async fn follow(
    session: &mut Session,
    entries: &[NodeId],
    query: LogQuery,
    terminal: &mut Terminal<'_>,
    json: bool,
) -> Result<(), Failure> {
    // One entry node tells of all others; of several, each tells of itself and those that the first cannot reach.
    let mut tells: BTreeMap<NodeId, WatchId> = BTreeMap::new();
    let request = WatchRequest::Logs(query);
    let mut open: BTreeSet<WatchId> = entries.iter().map(|entry| session.watch(*entry, request.clone())).collect();
    while !open.is_empty() {
        match session.next(None).await {
            None | Some(Event::Stopped) => return Err(Failure::new("the network has ended")),
            Some(Event::Watched { watch, reply: WatchReply::Log(line) }) => {
                if *tells.entry(line.node).or_insert(watch) == watch {
                    show(terminal, &line, json)?;
                }
                if terminal.is_unread() {
                    return Ok(());
                }
            }
            Some(Event::Watched { watch, reply: WatchReply::Problem { node, reason } }) => {
                tells.retain(|told, by| *told != node || *by != watch);
                terminal.say(Tone::Warning, &format!("{}: {}", node.short(), clean(&reason)));
            }
            Some(Event::WatchEnded { watch, .. }) => {
                open.remove(&watch);
                tells.retain(|_, by| *by != watch);
            }
            Some(_) => {}
        }
    }
    Err(Failure::new("the node that was asked is gone").hint("the same command goes on through another one"))
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
    let (mut lines, mut problems) = (Lines::default(), Vec::new());
    while !open.is_empty() {
        match session.next(Some(until)).await {
            None | Some(Event::Stopped) => break,
            Some(Event::Watched { watch, reply }) if open.contains(&watch) => match reply {
                WatchReply::Log(line) if *tells.entry(line.node).or_insert(watch) == watch => lines.push(line),
                WatchReply::Problem { node, reason } => problems.push((node, reason, watch)),
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
    // One entry node may not reach what another one does; but a node that was not told to its end is named.
    problems.retain(|(node, _, watch)| tells.get(node).is_none_or(|teller| teller == watch));
    lines.problems = problems.into_iter().map(|(node, reason, _)| (node, reason)).collect();
    lines.problems.sort();
    lines.problems.dedup_by_key(|(node, _)| *node);
    lines
}
