//! What the neighbours say of themselves, passed on to an operator: several are asked at once, so that those which are
//! silent hold up nobody else, and the answer ends while the operator still waits for it.

use super::super::streams::in_time;
use super::{ask, is_of, tell};
use shared::mesh::{Mesh, MeshError, MeshStream};
use shared::{MAX_WATCH_FRAME, NodeId, WatchReply, WatchRequest};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::FutureExt;
use smol::{Executor, Task, Timer};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// So many are asked at once: each takes a stream at its end, and a frame or two in memory here.
const AT_ONCE: usize = 16;

/// Who has not answered by then is told of as a problem. Operators wait for 30 seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Frames that wait for the operator's stream; whoever brings more waits.
const WAITING: usize = 64;

/// A frame for the operator, or that a node has said all.
enum Said {
    Reply(WatchReply),
    All(NodeId),
}

/// Asks all `nodes` and passes on at most `most` frames of each; of those that cannot be had, the operator is told. An
/// error is the operator's stream.
pub(super) async fn relay(
    to: &mut MeshStream,
    mesh: &Mesh,
    nodes: Vec<NodeId>,
    request: &WatchRequest,
    most: usize,
) -> Result<(), MeshError> {
    let mut open: BTreeSet<NodeId> = nodes.iter().copied().collect();
    let (queue, turns) = bounded(nodes.len().max(1));
    nodes.into_iter().for_each(|node| _ = queue.try_send(node));
    queue.close();
    let executor = Executor::new();
    let (sender, said) = bounded(WAITING);
    let worker = || work(turns.clone(), mesh.clone(), request.clone(), most, sender.clone());
    let _tasks: Vec<Task<()>> = (0..AT_ONCE.min(open.len())).map(|_| executor.spawn(worker())).collect();
    executor.run(pass_on(to, &mut open, &said)).await?;
    for node in open {
        let reason = "no answer in time".into();
        tell(to, &WatchReply::Problem { node, reason }).await?;
    }
    Ok(())
}

/// Passes on what is said until all have said all, or time is up. Who is left in `open` has not.
async fn pass_on(to: &mut MeshStream, open: &mut BTreeSet<NodeId>, said: &Receiver<Said>) -> Result<(), MeshError> {
    let until = Instant::now() + PATIENCE;
    while !open.is_empty() {
        let late = async {
            Timer::at(until).await;
            None
        };
        match late.or(async { said.recv().await.ok() }).await {
            Some(Said::Reply(reply)) => tell(to, &reply).await?,
            Some(Said::All(node)) => _ = open.remove(&node),
            None => break,
        }
    }
    Ok(())
}

async fn work(turns: Receiver<NodeId>, mesh: Mesh, request: WatchRequest, most: usize, to: Sender<Said>) {
    while let Ok(node) = turns.recv().await {
        let problem = match ask(&mesh, node, &request).await {
            Ok(from) => take(from, node, most, &to).await.err(),
            Err(error) => Some(error),
        };
        let problem = problem.map(|error| Said::Reply(WatchReply::Problem { node, reason: error.to_string() }));
        for said in problem.into_iter().chain([Said::All(node)]) {
            if to.send(said).await.is_err() {
                return;
            }
        }
    }
}

async fn take(mut from: MeshStream, node: NodeId, most: usize, to: &Sender<Said>) -> Result<(), MeshError> {
    for _ in 0..=most {
        match in_time(from.read_frame::<WatchReply>(MAX_WATCH_FRAME)).await? {
            WatchReply::End => break,
            reply if is_of(&reply, node) => to.send(Said::Reply(reply)).await.map_err(|_| MeshError::Stopped)?,
            _ => return Err(MeshError::Malformed("not a word of its own")),
        }
    }
    Ok(())
}
