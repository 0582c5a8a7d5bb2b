//! What operators ask for: the realm as this node sees it, changes as they come, and log lines of every node.

use super::Word;
use super::streams::in_time;
use crate::control::logs::{LogEntry, Logs};
use shared::mesh::{Mesh, MeshError, MeshStream};
use shared::protocol::Protocol;
use shared::{ComponentName, LogLine, MAX_LOG_TAIL, MAX_WATCH_FRAME, NodeId, NodeView, WatchReply, WatchRequest};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::FutureExt;
use std::sync::Arc;

/// Changes that may wait for a watching operator. One that is further behind is cut off, and asks anew.
pub(super) const MAX_UNSEEN: usize = 1024;

/// What a task needs to answer.
#[derive(Clone)]
pub(super) struct Watching {
    pub(super) me: NodeId,
    pub(super) mesh: Mesh,
    pub(super) logs: Arc<Logs>,
    pub(super) words: Sender<Word>,
}

/// Serves one stream.
pub(super) async fn serve(mut stream: MeshStream, watching: Watching) {
    let served = match in_time(stream.read_frame(MAX_WATCH_FRAME)).await {
        Ok(WatchRequest::Status { follow }) => status(&mut stream, &watching, follow).await,
        Ok(WatchRequest::Logs { component, tail, local }) => {
            logs(&mut stream, &watching, component, tail.min(MAX_LOG_TAIL), local).await
        }
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

async fn logs(
    stream: &mut MeshStream,
    watching: &Watching,
    component: Option<ComponentName>,
    tail: u32,
    local: bool,
) -> Result<(), MeshError> {
    for entry in own_tail(&watching.logs, component.clone(), tail).await {
        let line = LogLine {
            node: watching.me,
            component: entry.component,
            at: entry.at,
            stream: entry.stream,
            text: entry.text,
        };
        tell(stream, &WatchReply::Log(line)).await?;
    }
    if !local {
        let (reply, answer) = bounded(1);
        watching.words.send(Word::Others { reply }).await.map_err(|_| MeshError::Stopped)?;
        let (neighbours, far) = answer.recv().await.unwrap_or_default();
        for node in far {
            let reason = "not connected to the node that was asked".into();
            tell(stream, &WatchReply::Problem { node, reason }).await?;
        }
        for node in neighbours {
            if let Err(error) = relay(stream, &watching.mesh, node, component.clone(), tail).await? {
                tell(stream, &WatchReply::Problem { node, reason: error.to_string() }).await?;
            }
        }
    }
    tell(stream, &WatchReply::End).await
}

/// The last lines on this node.
pub(super) async fn own_tail(logs: &Logs, component: Option<ComponentName>, tail: u32) -> Vec<LogEntry> {
    let (reply, answer) = bounded(1);
    match logs.tail(component, tail as usize, reply) {
        Ok(()) => answer.recv().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// Passes on another node's lines. The outer error is the operator's stream, the inner one the other node's.
async fn relay(
    to: &mut MeshStream,
    mesh: &Mesh,
    node: NodeId,
    component: Option<ComponentName>,
    tail: u32,
) -> Result<Result<(), MeshError>, MeshError> {
    let asked = in_time(async {
        let mut from = mesh.open(node, Protocol::Watch).await?;
        from.write_frame(&WatchRequest::Logs { component, tail, local: true }, MAX_WATCH_FRAME).await?;
        Ok(from)
    });
    let mut from = match asked.await {
        Ok(from) => from,
        Err(error) => return Ok(Err(error)),
    };
    for _ in 0..=tail {
        match in_time(from.read_frame::<WatchReply>(MAX_WATCH_FRAME)).await {
            // A node speaks for itself alone.
            Ok(WatchReply::Log(line)) if line.node == node => tell(to, &WatchReply::Log(line)).await?,
            Ok(WatchReply::End) => break,
            Ok(_) => return Ok(Err(MeshError::Malformed("not a log line of its own"))),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}
