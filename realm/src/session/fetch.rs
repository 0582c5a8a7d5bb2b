//! The other way round: asking nodes whether they have artifacts, and fetching a small one, chunk by chunk.

use super::handover::{RECEIPT_TIMEOUT, within};
use super::{Event, Session};
use shared::mesh::{Mesh, MeshError, MeshStream};
use shared::protocol::Protocol;
use shared::{Artifact, BlobReply, BlobRequest, ChunkList, MAX_MANIFEST_BYTES, NodeId};
use std::time::Duration;

/// Within this time a node sends what is fetched here: [`MAX_MANIFEST_BYTES`] at 140 kbit/s.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

impl Session {
    /// Asks whether `node` has all of these artifacts; [`Event::Lacks`] follows in any case.
    pub(crate) fn ask_for(&mut self, node: NodeId, artifacts: Vec<Artifact>) {
        let (mesh, outbox) = (self.mesh.clone(), self.outbox.clone());
        self.spawn(async move {
            let mut lacks = artifacts;
            while let Some(artifact) = lacks.last() {
                if !matches!(within(RECEIPT_TIMEOUT, has_all(&mesh, node, *artifact)).await, Ok(true)) {
                    break;
                }
                lacks.pop();
            }
            let _ = outbox.send(Event::Lacks { node, artifacts: lacks }).await;
        });
    }

    /// Fetches an artifact that is no larger than a manifest from `node`; [`Event::Fetched`] follows.
    pub(crate) fn fetch(&mut self, node: NodeId, artifact: Artifact) {
        let (mesh, outbox) = (self.mesh.clone(), self.outbox.clone());
        self.spawn(async move {
            let result = match within(FETCH_TIMEOUT, fetch(&mesh, node, artifact)).await {
                Ok(bytes) => bytes.ok_or_else(|| "it does not have it".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            let _ = outbox.send(Event::Fetched { node, result }).await;
        });
    }
}

async fn has_all(mesh: &Mesh, node: NodeId, artifact: Artifact) -> Result<bool, MeshError> {
    let mut stream = mesh.open(node, Protocol::Blob).await?;
    let reply = ask(&mut stream, &BlobRequest::Open(artifact)).await?;
    Ok(matches!(reply, BlobReply::Have { complete: true, .. }))
}

/// `None` when the node does not have it.
async fn fetch(mesh: &Mesh, node: NodeId, artifact: Artifact) -> Result<Option<Vec<u8>>, MeshError> {
    let size = usize::try_from(artifact.size).ok().filter(|size| *size <= MAX_MANIFEST_BYTES);
    let size = size.ok_or(MeshError::Malformed("larger than any manifest"))?;
    let mut stream = mesh.open(node, Protocol::Blob).await?;
    if !matches!(ask(&mut stream, &BlobRequest::Open(artifact)).await?, BlobReply::Have { complete: true, .. }) {
        return Ok(None);
    }
    let BlobReply::List(list) = ask(&mut stream, &BlobRequest::List).await? else {
        return Err(MeshError::Malformed("not the list that was asked for"));
    };
    let list = ChunkList::check(&artifact, &list).map_err(|_| MeshError::Malformed("not the list that is pinned"))?;
    let mut bytes = Vec::with_capacity(size);
    for index in 0..artifact.chunk_count() {
        match ask(&mut stream, &BlobRequest::Chunk(index)).await? {
            BlobReply::Chunk(chunk) if list.verify(index, &chunk) => bytes.extend(chunk),
            _ => return Err(MeshError::Malformed("not the chunk that was asked for")),
        }
    }
    Ok(Some(bytes))
}

async fn ask(stream: &mut MeshStream, request: &BlobRequest) -> Result<BlobReply, MeshError> {
    stream.write_frame(request, BlobReply::MAX_FRAME).await?;
    stream.read_frame(BlobReply::MAX_FRAME).await
}
