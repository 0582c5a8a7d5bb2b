//! What the verbs that talk to nodes begin with: the key, a session, a node that answers, and what it knows.

use super::Context;
use crate::exit::Failure;
use crate::home::Home;
use crate::output::{Terminal, Tone, listed};
use crate::session::{Event, Places, Reached, Session, WatchId};
use shared::{NodeId, NodeReport, OwnerKey, RealmId, WatchReply, WatchRequest};
use smol::{Executor, future};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Within this time an entry node tells what it knows. It has it in memory, and sends it in one burst.
const SURVEY_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a command's conversation to its end.
pub(super) fn converse<T>(work: impl AsyncFnOnce(Arc<Executor<'static>>) -> T) -> T {
    let executor = Arc::new(Executor::new());
    future::block_on(executor.run(work(Arc::clone(&executor))))
}

/// A session with the nodes that answered.
pub(super) struct Connected {
    pub(super) key: OwnerKey,
    pub(super) session: Session,
    pub(super) reached: Reached,
}

/// Reads the key, looks for nodes, and remembers those that answered.
pub(super) async fn connect(
    context: &mut Context<'_, '_>,
    executor: Arc<Executor<'static>>,
) -> Result<Connected, Failure> {
    let home = Home::of(context.settings)?;
    let key = home.owner_key()?;
    let places = Places::find(context.via, context.settings, &home);
    let mut session = Session::start(RealmId::of_owner(&key.id()), executor).await?;
    let reached = session.reach(&places).await?;
    if !reached.foreign.is_empty() {
        let nodes = listed(reached.foreign.iter().map(NodeId::short));
        context.terminal.say(Tone::Warning, &format!("of another realm, and left alone: {nodes}"));
    }
    remember(&home, &session, context.terminal);
    Ok(Connected { key, session, reached })
}

fn remember(home: &Home, session: &Session, terminal: &mut Terminal<'_>) {
    // It only saves typing next time: a full disk must not spoil a push.
    if let Err(error) = home.remember(&session.addrs_to_remember()) {
        terminal.say(Tone::Warning, &format!("cannot remember the nodes' addresses: {error}"));
    }
}

/// The nodes of the realm as the entry node knows them: each one's own word, and whether it is there.
pub(super) type Views = BTreeMap<NodeId, (NodeReport, bool)>;

/// Asks `entry` for what it knows, and where that breaks off, another node that answered.
///
/// # Errors
/// When nobody tells.
pub(super) async fn survey(
    session: &mut Session,
    entry: NodeId,
    follow: bool,
) -> Result<(NodeId, WatchId, Views), Failure> {
    let mut entry = entry;
    loop {
        match survey_one(session, entry, follow).await {
            Ok((watch, views)) => return Ok((entry, watch, views)),
            Err(why) => match session.entry_but(Some(entry)).filter(|next| *next > entry) {
                // Only nodes with a higher id, so that each is asked once.
                Some(next) => entry = next,
                None => {
                    return Err(Failure::new(format!("node `{entry}` does not tell what it knows: {why}"))
                        .hint("name another node with `--via ADDR`"));
                }
            },
        }
    }
}

async fn survey_one(session: &mut Session, entry: NodeId, follow: bool) -> Result<(WatchId, Views), String> {
    let watch = session.watch(entry, WatchRequest::Status { follow });
    let until = Instant::now() + SURVEY_TIMEOUT;
    let mut views = Views::new();
    loop {
        match session.next(Some(until)).await {
            None => return Err("no answer in time".into()),
            Some(Event::Stopped) => return Err("the network has ended".into()),
            Some(Event::Watched { watch: of, reply }) if of == watch => match reply {
                WatchReply::Node(view) => {
                    // What its own node has not signed does not count.
                    if let Ok(report) = view.report.open(session.realm()) {
                        views.insert(report.node, (report, view.alive));
                    }
                }
                WatchReply::Current => return Ok((watch, views)),
                WatchReply::Log(_) | WatchReply::Problem { .. } | WatchReply::End => {}
            },
            Some(Event::WatchEnded { watch: of, fault }) if of == watch => {
                return Err(fault.unwrap_or_else(|| "it ended too early".into()));
            }
            Some(_) => {}
        }
    }
}
