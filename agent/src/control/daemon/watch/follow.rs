//! Reading along: lines of this node and of its neighbours as they come, on one stream, until the operator goes.

use super::{Watching, ask, is_of, line_of, local, tell};
use crate::control::logs::{Followed, Logs};
use shared::mesh::{Mesh, MeshError, MeshStream};
use shared::{LogQuery, MAX_WATCH_FRAME, NodeId, WatchReply, WatchRequest};
use smol::channel::{Sender, bounded};
use smol::future::FutureExt;
use smol::{Executor, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lines that wait for the operator's stream; whoever brings more waits, and its own bound holds there.
const WAITING: usize = 64;

/// So many may read along with the neighbours through this node. Each takes a stream at every neighbour, which grants a peer
/// 32 and must have enough left for intents, state and artifacts.
const MAX_RELAYED: usize = 8;

/// A place among those; given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(of: &Arc<AtomicUsize>) -> Option<Place> {
        // Counted first, so that two at once never take the last one both.
        let place = Place(Arc::clone(of));
        (of.fetch_add(1, Ordering::Relaxed) < MAX_RELAYED).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `own` is whether this node's lines are asked for, `neighbours` whose others are.
pub(super) async fn lines(
    stream: &mut MeshStream,
    watching: &Watching,
    query: LogQuery,
    own: bool,
    mut neighbours: Vec<NodeId>,
) -> Result<(), MeshError> {
    let place = if neighbours.is_empty() { None } else { Place::take(&watching.relayed) };
    if place.is_none() {
        for node in neighbours.drain(..) {
            let reason = "too many read along through the node that was asked".into();
            tell(stream, &WatchReply::Problem { node, reason }).await?;
        }
    }
    let executor = Executor::new();
    let (sender, replies) = bounded(WAITING);
    let mut tasks: Vec<Task<()>> = Vec::new();
    if own {
        tasks.push(executor.spawn(from_here(Arc::clone(&watching.logs), watching.me, query.clone(), sender.clone())));
    }
    let request = local(&query);
    for node in neighbours {
        tasks.push(executor.spawn(from_there(watching.mesh.clone(), node, request.clone(), sender.clone())));
    }
    drop(sender);
    executor
        .run(async {
            loop {
                // The operator says nothing more: what ends this read is that it has gone.
                let gone = async {
                    let _ = stream.read_frame::<WatchRequest>(MAX_WATCH_FRAME).await;
                    None
                };
                match async { Some(replies.recv().await) }.or(gone).await {
                    Some(Ok(reply)) => tell(stream, &reply).await?,
                    // Nobody is left who could say more.
                    Some(Err(_)) => return tell(stream, &WatchReply::End).await,
                    None => return Ok(()),
                }
            }
        })
        .await
}

async fn from_here(logs: Arc<Logs>, me: NodeId, query: LogQuery, to: Sender<WatchReply>) {
    let Ok(mut follower) = logs.follow(query.component, query.tail as usize, query.since) else {
        let reason = "too many read along there already".into();
        let _ = to.send(WatchReply::Problem { node: me, reason }).await;
        return;
    };
    while let Some(Followed { lines, missed }) = follower.next().await {
        let mut replies: Vec<WatchReply> = lines.into_iter().map(|entry| WatchReply::Log(line_of(me, entry))).collect();
        if missed > 0 {
            let reason = format!("{missed} lines are left out here: they came faster than they were read");
            replies.push(WatchReply::Problem { node: me, reason });
        }
        for reply in replies {
            if to.send(reply).await.is_err() {
                return;
            }
        }
    }
}

async fn from_there(mesh: Mesh, node: NodeId, request: WatchRequest, to: Sender<WatchReply>) {
    let end = match ask(&mesh, node, &request).await {
        Ok(from) => pass_on(from, node, &to).await,
        Err(error) => error,
    };
    let reason = format!("reading along has ended: {end}");
    let _ = to.send(WatchReply::Problem { node, reason }).await;
}

/// Passes on what a node says, for as long as it does.
async fn pass_on(mut from: MeshStream, node: NodeId, to: &Sender<WatchReply>) -> MeshError {
    loop {
        // A component may be silent for days.
        let reply = match from.read_frame::<WatchReply>(MAX_WATCH_FRAME).await {
            Ok(WatchReply::End) => return MeshError::Ended,
            Ok(WatchReply::Problem { reason, .. }) => WatchReply::Problem { node, reason },
            Ok(reply) if is_of(&reply, node) => reply,
            Ok(_) => return MeshError::Malformed("not a word of its own"),
            Err(error) => return error,
        };
        if to.send(reply).await.is_err() {
            return MeshError::Ended;
        }
    }
}
