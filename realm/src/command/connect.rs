//! What the verbs that talk to nodes begin with: the key, a session, a node that answers, and what it knows.

use super::Context;
use crate::exit::Failure;
use crate::home::Home;
use crate::output::{Terminal, Tone, clean, listed};
use crate::session::{Event, Places, Reached, Session, WatchId};
use shared::{NodeId, NodeReport, NodeView, OwnerKey, RealmId, WatchReply, WatchRequest};
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

/// Reads the key, looks for nodes, and remembers those that answered. With `claims`, nodes without an owner are looked
/// for as well.
pub(super) async fn connect(
    context: &mut Context<'_, '_>,
    executor: Arc<Executor<'static>>,
    claims: bool,
) -> Result<Connected, Failure> {
    let home = Home::of(context.settings)?;
    let key = home.owner_key()?;
    let places = Places::find(context.via, context.lan, context.settings, &home);
    let mut session = Session::start(RealmId::of_owner(&key.id()), executor, places.lan).await?;
    let reached = session.reach(&places, claims).await?;
    if !reached.foreign.is_empty() {
        let nodes = listed(reached.foreign.iter().map(NodeId::short));
        context.terminal.say(Tone::Warning, &format!("of another realm, and left alone: {nodes}"));
    }
    if places.named && !reached.failed.is_empty() {
        let failed = listed(reached.failed.iter().map(|(addr, why)| format!("{addr} ({why})")));
        context.terminal.say(Tone::Warning, &format!("not reached, and left out: {failed}"));
    }
    remember(&home, &session, context.terminal);
    Ok(Connected { key, session, reached })
}

/// The same for what only nodes of the realm can answer.
///
/// # Errors
/// Also when only nodes without an owner are there.
pub(super) async fn connect_to_members(
    context: &mut Context<'_, '_>,
    executor: Arc<Executor<'static>>,
) -> Result<Connected, Failure> {
    let connected = connect(context, executor, false).await?;
    if connected.reached.members.is_empty() {
        return Err(Failure::new("only nodes without an owner answered, and they run nothing of yours")
            .hint("`realm push` makes them yours"));
    }
    Ok(connected)
}

fn remember(home: &Home, session: &Session, terminal: &mut Terminal<'_>) {
    // It only saves typing next time: a full disk must not spoil a push.
    if let Err(error) = home.remember(&session.addrs_to_remember()) {
        terminal.say(Tone::Warning, &format!("cannot remember the nodes' addresses: {error}"));
    }
}

/// The nodes of the realm as the entry node knows them: each one's own word, and whether it is there.
pub(super) type Views = BTreeMap<NodeId, (NodeReport, bool)>;

/// Asks `members` for what they know. More than one is asked where the operator named several: they may not know one
/// another, as after a first push to each of them. With `follow`, the watches that are given go on.
///
/// # Errors
/// When nobody tells.
pub(super) async fn survey(session: &mut Session, members: &[NodeId], follow: bool) -> Result<Survey, Failure> {
    let mut survey = Survey::default();
    let mut open: BTreeMap<WatchId, NodeId> = BTreeMap::new();
    for node in members {
        open.insert(session.watch(*node, WatchRequest::Status { follow }), *node);
    }
    let until = Instant::now() + SURVEY_TIMEOUT;
    let mut faults = Vec::new();
    while !open.is_empty() {
        match session.next(Some(until)).await {
            None => {
                faults.extend(open.values().map(|node| (*node, "no answer in time".to_owned())));
                break;
            }
            Some(Event::Stopped) => return Err(Failure::new("the network has ended")),
            Some(Event::Watched { watch, reply }) => match reply {
                WatchReply::Node(view) => survey.take(&view, session.realm()),
                WatchReply::Current => survey.watches.extend(open.remove(&watch).map(|node| (watch, node))),
                WatchReply::Log(_) | WatchReply::Runs(_) | WatchReply::Problem { .. } | WatchReply::End => {}
            },
            Some(Event::WatchEnded { watch, fault }) => {
                let why = fault.unwrap_or_else(|| "it ended too early".into());
                faults.extend(open.remove(&watch).map(|node| (node, why)));
                // It told what it knew, and went before the others had told.
                survey.watches.retain(|(told, _)| !follow || *told != watch);
            }
            Some(_) => {}
        }
    }
    survey.silent = faults;
    if survey.watches.is_empty() && !members.is_empty() {
        return Err(survey.nobody_tells());
    }
    Ok(survey)
}

/// What several nodes know.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) views: Views,
    /// The watches that told everything, and at which node each one is.
    pub(super) watches: Vec<(WatchId, NodeId)>,
    /// Nodes that were asked and did not tell everything, and why.
    silent: Vec<(NodeId, String)>,
}

impl Survey {
    /// Says who was asked and did not tell what it knows: what only it knows is missing.
    pub(super) fn warn_of_silent(&self, terminal: &mut Terminal<'_>) {
        for (node, why) in &self.silent {
            terminal.say(Tone::Warning, &format!("{} does not tell what it knows: {}", node.short(), clean(why)));
        }
    }

    /// Takes in what the nodes go on to tell, until that is enough or the time is over.
    ///
    /// # Errors
    /// When none of them is left.
    pub(super) async fn hear(
        &mut self,
        session: &mut Session,
        until: Instant,
        is_enough: impl Fn(&Views) -> bool,
    ) -> Result<(), Failure> {
        while !is_enough(&self.views) {
            match session.next(Some(until)).await {
                None => break,
                Some(Event::Stopped) => return Err(Failure::new("the network has ended")),
                Some(Event::Watched { reply: WatchReply::Node(view), .. }) => self.take(&view, session.realm()),
                Some(Event::WatchEnded { watch, fault }) => {
                    let why = fault.unwrap_or_else(|| "it ended too early".into());
                    self.silent.extend(
                        self.watches.extract_if(.., |(told, _)| *told == watch).map(|(_, node)| (node, why.clone())),
                    );
                    if self.watches.is_empty() {
                        return Err(self.nobody_tells());
                    }
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn nobody_tells(&self) -> Failure {
        let lines: String = self.silent.iter().map(|(node, why)| format!("\n  {node}: {why}")).collect();
        Failure::new(format!("no node tells what it knows:{lines}")).hint("name another node with `--via ADDR`")
    }

    fn take(&mut self, view: &NodeView, realm: &RealmId) {
        // What its own node has not signed does not count.
        if let Ok(report) = view.report.open(realm) {
            self.see(report, view.alive);
        }
    }

    /// Of two words of a node the newer one counts; a node is there when anybody hears it.
    fn see(&mut self, report: NodeReport, alive: bool) {
        match self.views.get_mut(&report.node) {
            None => {
                self.views.insert(report.node, (report, alive));
            }
            Some((known, known_alive)) => {
                *known_alive |= alive;
                if report.rank() > known.rank() {
                    *known = report;
                }
            }
        }
    }
}
