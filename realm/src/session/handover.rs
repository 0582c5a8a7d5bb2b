//! Handing a sealed intent to a node, and asking a node for intents that it holds.

use super::{Event, Session};
use serde::{Serialize, Serializer};
use shared::mesh::{Mesh, MeshError};
use shared::protocol::{MAX_INTENT_FRAME, Protocol};
use shared::{IndexEntry, IntentKey, MAX_SYNC_BYTES, NodeId, Receipt, Summary, SyncReply, SyncRequest};
use smol::{Timer, future};
use std::sync::Arc;
use std::time::Duration;

/// A node answers once the intent is on its disk; an SD card that is busy takes seconds for that.
pub(super) const RECEIPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The frame of the intent protocol: one byte string.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Session {
    /// Hands `sealed` to `node`; [`Event::Receipt`] follows. From here on it may fetch what is offered, and whoever
    /// else is connected may not: nodes give it to one another, and this end's uplink is the narrowest.
    pub(crate) fn hand_over(&mut self, node: NodeId, sealed: Arc<[u8]>) {
        self.entries.insert(node);
        let (mesh, outbox) = (self.mesh.clone(), self.outbox.clone());
        self.spawn(async move {
            let receipt = match within(RECEIPT_TIMEOUT, hand_over(&mesh, node, &sealed)).await {
                Ok(receipt) if receipt.node != node => Err("the receipt is another node's".to_owned()),
                other => other.map_err(|error| error.to_string()),
            };
            let _ = outbox.send(Event::Receipt { node, receipt }).await;
        });
    }

    /// Asks `node` for what it holds under `keys`; [`Event::Pulled`] follows.
    pub(crate) fn pull(&mut self, node: NodeId, keys: Vec<IntentKey>) {
        let (mesh, outbox) = (self.mesh.clone(), self.outbox.clone());
        self.spawn(async move {
            let result = within(RECEIPT_TIMEOUT, pull(&mesh, node, keys)).await.map_err(|error| error.to_string());
            let _ = outbox.send(Event::Pulled { node, result }).await;
        });
    }

    /// Asks `node` for the keys of all that it holds; [`Event::Indexed`] follows.
    pub(crate) fn index(&mut self, node: NodeId) {
        let (mesh, outbox) = (self.mesh.clone(), self.outbox.clone());
        self.spawn(async move {
            let result = within(RECEIPT_TIMEOUT, index(&mesh, node)).await.map_err(|error| error.to_string());
            let _ = outbox.send(Event::Indexed { node, result }).await;
        });
    }
}

async fn pull(mesh: &Mesh, node: NodeId, keys: Vec<IntentKey>) -> Result<Vec<Vec<u8>>, MeshError> {
    let mut stream = mesh.open(node, Protocol::Sync).await?;
    stream.write_frame(&SyncRequest::Pull(keys), MAX_SYNC_BYTES).await?;
    match stream.read_frame(MAX_SYNC_BYTES).await? {
        SyncReply::Intents(intents) => Ok(intents.into_iter().map(|intent| intent.to_vec()).collect()),
        _ => Err(MeshError::Malformed("not the intents that were asked for")),
    }
}

async fn hand_over(mesh: &Mesh, node: NodeId, sealed: &[u8]) -> Result<Receipt, MeshError> {
    let mut stream = mesh.open(node, Protocol::Intent).await?;
    stream.write_frame(&Bytes(sealed), MAX_INTENT_FRAME).await?;
    stream.read_frame(MAX_INTENT_FRAME).await
}

/// Compares what a node holds with nothing.
async fn index(mesh: &Mesh, node: NodeId) -> Result<Vec<IndexEntry>, MeshError> {
    let mut stream = mesh.open(node, Protocol::Sync).await?;
    let nothing = Summary::of(std::iter::empty());
    stream.write_frame(&SyncRequest::Compare(nothing), MAX_SYNC_BYTES).await?;
    match stream.read_frame(MAX_SYNC_BYTES).await? {
        SyncReply::Index(entries) => Ok(entries),
        SyncReply::Same => Ok(Vec::new()),
        _ => Err(MeshError::Malformed("not the index that was asked for")),
    }
}

pub(super) async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, MeshError>>,
) -> Result<T, MeshError> {
    let late = async {
        Timer::after(time).await;
        Err(MeshError::TimedOut)
    };
    future::or(work, late).await
}
