//! Streams of the mesh, each in a task of its own: read a request, bring it to the loop, write its answer. Every wait
//! on a peer is bounded, so that a silent one holds a place for seconds and no longer.

use super::Word;
use serde_bytes::ByteBuf;
use shared::mesh::{Mesh, MeshError, MeshStream};
use shared::protocol::{MAX_INTENT_FRAME, Protocol};
use shared::{MAX_SYNC_BYTES, NodeId, Receipt, SyncReply, SyncRequest};
use smol::channel::{Sender, bounded};
use smol::future::FutureExt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long a peer may take for its part of an exchange: a slow link moves half a megabyte in this time.
const PEER_PATIENCE: Duration = Duration::from_secs(10);

/// `work`, unless the peer takes too long.
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, MeshError>>) -> Result<T, MeshError> {
    let late = async {
        smol::Timer::after(PEER_PATIENCE).await;
        Err(MeshError::TimedOut)
    };
    work.or(late).await
}

/// Somebody hands over an intent.
pub(super) async fn take_intent(peer: NodeId, mut stream: MeshStream, words: Sender<Word>) {
    let Ok(sealed) = in_time(stream.read_frame::<ByteBuf>(MAX_INTENT_FRAME)).await else { return };
    let (reply, answer) = bounded(1);
    if words.send(Word::Offered { peer, bytes: sealed.into_vec(), reply }).await.is_err() {
        return;
    }
    if let Ok(receipt) = answer.recv().await {
        let _ = in_time(async {
            stream.write_frame(&receipt, MAX_INTENT_FRAME).await?;
            stream.close().await
        })
        .await;
    }
}

/// Hands an intent to a neighbour. Its receipt only shows that it arrived: whether the neighbour obeys is its affair.
pub(super) async fn hand_over(mesh: Mesh, peer: NodeId, bytes: Arc<[u8]>) {
    let _ = in_time(async {
        let mut stream = mesh.open(peer, Protocol::Intent).await?;
        stream.write_frame(&ByteBuf::from(bytes.to_vec()), MAX_INTENT_FRAME).await?;
        stream.read_frame::<Receipt>(MAX_INTENT_FRAME).await
    })
    .await;
}

/// A neighbour asks what this node holds.
pub(super) async fn answer_sync(mut stream: MeshStream, words: Sender<Word>) {
    let Ok(request) = in_time(stream.read_frame::<SyncRequest>(MAX_SYNC_BYTES)).await else { return };
    let (reply, answer) = bounded(1);
    if words.send(Word::SyncAsked { request, reply }).await.is_err() {
        return;
    }
    if let Ok(reply) = answer.recv().await {
        let _ = in_time(async {
            stream.write_frame(&reply, MAX_SYNC_BYTES).await?;
            stream.close().await
        })
        .await;
    }
}

/// Asks a neighbour what it holds.
pub(super) async fn ask_sync(mesh: Mesh, peer: NodeId, request: SyncRequest, words: Sender<Word>) {
    let answer = in_time(async {
        let mut stream = mesh.open(peer, Protocol::Sync).await?;
        stream.write_frame(&request, MAX_SYNC_BYTES).await?;
        stream.read_frame::<SyncReply>(MAX_SYNC_BYTES).await
    })
    .await;
    let _ = words.send(Word::SyncAnswered { peer, result: answer.map_err(|error| error.to_string()) }).await;
}
