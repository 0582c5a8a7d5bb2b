//! Watching: what the entry node knows of the realm, and lines of output.

use super::{Event, Session};
use shared::mesh::{Mesh, MeshError};
use shared::protocol::Protocol;
use shared::{MAX_WATCH_FRAME, NodeId, WatchReply, WatchRequest};
use smol::channel::Sender;

/// Tells the watches of one session apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatchId(u32);

impl Session {
    /// Asks `node`; [`Event::Watched`] follow, and one [`Event::WatchEnded`].
    pub(crate) fn watch(&mut self, node: NodeId, request: WatchRequest) -> WatchId {
        self.watches += 1;
        let watch = WatchId(self.watches);
        let (mesh, outbox) = (self.mesh.clone(), self.outbox.clone());
        self.spawn(async move {
            let fault = match follow(&mesh, node, &request, watch, &outbox).await {
                Ok(()) | Err(MeshError::Ended) => None,
                Err(error) => Some(error.to_string()),
            };
            let _ = outbox.send(Event::WatchEnded { watch, fault }).await;
        });
        watch
    }
}

async fn follow(
    mesh: &Mesh,
    node: NodeId,
    request: &WatchRequest,
    watch: WatchId,
    outbox: &Sender<Event>,
) -> Result<(), MeshError> {
    let mut stream = mesh.open(node, Protocol::Watch).await?;
    stream.write_frame(request, MAX_WATCH_FRAME).await?;
    loop {
        match stream.read_frame(MAX_WATCH_FRAME).await? {
            WatchReply::End => return Ok(()),
            reply => {
                if outbox.send(Event::Watched { watch, reply }).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}
