//! What operators ask for: the realm as this node sees it, changes as they come, and log lines of every node.

mod follow;
mod relay;

use super::streams::in_time;
use super::{Word, usage};
use crate::control::logs::{LogEntry, Logs};
use shared::mesh::{Mesh, MeshError, MeshStream};
use shared::protocol::Protocol;
use shared::{
    ComponentName, LogLine, LogQuery, MAX_LOG_NODES, MAX_LOG_TAIL, MAX_WATCH_FRAME, NodeId, NodeView, WatchReply,
    WatchRequest,
};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::FutureExt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Changes that may wait for a watching operator. One that is further behind is cut off, and asks anew.
pub(super) const MAX_UNSEEN: usize = 1024;

/// What a task needs to answer.
#[derive(Clone)]
pub(super) struct Watching {
    pub(super) me: NodeId,
    pub(super) mesh: Mesh,
    pub(super) logs: Arc<Logs>,
    pub(super) words: Sender<Word>,
    /// How many read along with the neighbours through this node.
    pub(super) relayed: Arc<AtomicUsize>,
}

/// Serves one stream.
pub(super) async fn serve(mut stream: MeshStream, watching: Watching) {
    let served = match in_time(stream.read_frame(MAX_WATCH_FRAME)).await {
        Ok(WatchRequest::Status { follow }) => status(&mut stream, &watching, follow).await,
        Ok(WatchRequest::Logs(mut query)) => {
            query.tail = query.tail.min(MAX_LOG_TAIL);
            query.nodes.truncate(MAX_LOG_NODES);
            logs(&mut stream, &watching, query).await
        }
        Ok(WatchRequest::Runs { component, local }) => runs(&mut stream, &watching, component, local).await,
        Err(error) => Err(error),
    };
    // Whoever asked is told by the end of the stream; nobody else needs to know.
    if served.is_ok() {
        let _ = in_time(stream.close()).await;
    }
}

async fn tell(stream: &mut MeshStream, reply: &WatchReply) -> Result<(), MeshError> {
    in_time(stream.write_frame(reply, MAX_WATCH_FRAME)).await
}

async fn status(stream: &mut MeshStream, watching: &Watching, follow: bool) -> Result<(), MeshError> {
    let (reply, answer) = bounded(1);
    watching.words.send(Word::Watch { follow, reply }).await.map_err(|_| MeshError::Stopped)?;
    let (known, changes): (Vec<NodeView>, Receiver<NodeView>) = answer.recv().await.map_err(|_| MeshError::Stopped)?;
    for view in known {
        tell(stream, &WatchReply::Node(view)).await?;
    }
    tell(stream, &WatchReply::Current).await?;
    if !follow {
        return tell(stream, &WatchReply::End).await;
    }
    loop {
        // The operator says nothing more: what ends this read is that it has gone.
        let gone = async {
            let _ = stream.read_frame::<WatchRequest>(MAX_WATCH_FRAME).await;
            None
        };
        let change = async { changes.recv().await.ok() }.or(gone).await;
        match change {
            Some(view) => tell(stream, &WatchReply::Node(view)).await?,
            None => return Ok(()),
        }
    }
}

async fn logs(stream: &mut MeshStream, watching: &Watching, query: LogQuery) -> Result<(), MeshError> {
    let is_asked = |node: &NodeId| query.nodes.is_empty() || query.nodes.contains(node);
    let neighbours = if query.local { Vec::new() } else { others(stream, watching, is_asked).await? };
    if query.follow {
        let own = is_asked(&watching.me);
        return follow::lines(stream, watching, query, own, neighbours).await;
    }
    if is_asked(&watching.me) {
        for entry in own_tail(&watching.logs, &query).await {
            tell(stream, &WatchReply::Log(line_of(watching.me, entry))).await?;
        }
    }
    relay::relay(stream, &watching.mesh, neighbours, &local(&query), query.tail as usize).await?;
    tell(stream, &WatchReply::End).await
}

/// The same of one node alone.
fn local(query: &LogQuery) -> WatchRequest {
    WatchRequest::Logs(LogQuery { local: true, nodes: Vec::new(), ..query.clone() })
}

fn line_of(node: NodeId, entry: LogEntry) -> LogLine {
    LogLine { node, component: entry.component, at: entry.at, stream: entry.stream, text: entry.text }
}

async fn runs(
    stream: &mut MeshStream,
    watching: &Watching,
    component: ComponentName,
    local: bool,
) -> Result<(), MeshError> {
    usage::refresh(&watching.words).await;
    let (reply, answer) = bounded(1);
    let word = Word::Runs { component: component.clone(), reply };
    watching.words.send(word).await.map_err(|_| MeshError::Stopped)?;
    if let Some(runs) = answer.recv().await.map_err(|_| MeshError::Stopped)? {
        tell(stream, &WatchReply::Runs(runs)).await?;
    }
    if !local {
        let request = WatchRequest::Runs { component, local: true };
        let neighbours = others(stream, watching, |_| true).await?;
        relay::relay(stream, &watching.mesh, neighbours, &request, 1).await?;
    }
    tell(stream, &WatchReply::End).await
}

/// The neighbours that are asked on an operator's behalf, who is told of those that are too far.
async fn others(
    stream: &mut MeshStream,
    watching: &Watching,
    is_asked: impl Fn(&NodeId) -> bool,
) -> Result<Vec<NodeId>, MeshError> {
    let (reply, answer) = bounded(1);
    watching.words.send(Word::Others { reply }).await.map_err(|_| MeshError::Stopped)?;
    let (neighbours, far) = answer.recv().await.unwrap_or_default();
    for node in far.into_iter().filter(&is_asked) {
        let reason = "not connected to the node that was asked".into();
        tell(stream, &WatchReply::Problem { node, reason }).await?;
    }
    Ok(neighbours.into_iter().filter(is_asked).collect())
}

/// The last lines on this node.
pub(super) async fn own_tail(logs: &Logs, query: &LogQuery) -> Vec<LogEntry> {
    let (reply, answer) = bounded(1);
    match logs.tail(query.component.clone(), query.tail as usize, query.since, reply) {
        Ok(()) => answer.recv().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

async fn ask(mesh: &Mesh, node: NodeId, request: &WatchRequest) -> Result<MeshStream, MeshError> {
    in_time(async {
        let mut from = mesh.open(node, Protocol::Watch).await?;
        from.write_frame(request, MAX_WATCH_FRAME).await?;
        Ok(from)
    })
    .await
}

/// A node speaks for itself alone.
fn is_of(reply: &WatchReply, node: NodeId) -> bool {
    match reply {
        WatchReply::Log(line) => line.node == node,
        WatchReply::Runs(runs) => runs.node == node,
        _ => false,
    }
}
