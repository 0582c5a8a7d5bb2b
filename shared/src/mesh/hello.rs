//! The hello exchange on a stream of its own: opener's hello, acceptor's hello, opener's `true`.
//!
//! The third frame makes the result certain on both sides: each end opens its gate before it sends its next frame, so
//! whoever knows that both hellos passed also knows that the other end's gate stands open.

use super::MeshError;
use super::handler::Reply;
use super::stream::MeshStream;
use crate::Hello;
use crate::protocol::MAX_HELLO_BYTES;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::{FutureExt, future};
use libp2p::swarm::ConnectionId;
use libp2p::{PeerId, Stream};
use smol::Timer;
use std::time::Instant;

/// An exchange on its way; [`Step::result`] says how far it came.
pub(super) type Exchange = BoxFuture<'static, Step>;

/// What the swarm task learns of an exchange.
pub(super) struct Step {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
    pub(super) result: Result<Progress, MeshError>,
}

/// How far an exchange came.
pub(super) enum Progress {
    /// We opened it, and have the peer's hello: the gate is to be set, then [`confirm`].
    Answered { hello: Box<Hello>, rest: Rest },
    /// The peer opened it, and we have its hello: the gate is to be set, then [`answer`].
    Asked { hello: Box<Hello>, rest: Rest },
    /// Over, and both ends know it.
    Done,
}

/// What is needed to go on with an exchange.
pub(super) struct Rest {
    stream: MeshStream,
    deadline: Instant,
}

/// Which exchange this is.
#[derive(Clone, Copy)]
pub(super) struct Which {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
}

/// Opens an exchange, which is to be over at `deadline`; the stream comes as the answer to the returned [`Reply`].
pub(super) fn ask(which: Which, ours: Hello, deadline: Instant) -> (Reply, Exchange) {
    let (reply, stream) = oneshot::channel();
    (reply, bounded(which, deadline, asked(stream, ours, deadline)))
}

async fn asked(
    stream: oneshot::Receiver<Result<Stream, MeshError>>,
    ours: Hello,
    deadline: Instant,
) -> Result<Progress, MeshError> {
    let stream = stream.await.map_err(|_| MeshError::NotConnected)??;
    let mut stream = MeshStream::new(stream, None);
    stream.write_frame(&ours, MAX_HELLO_BYTES).await?;
    let hello = read_hello(&mut stream).await?;
    Ok(Progress::Answered { hello, rest: Rest { stream, deadline } })
}

/// Takes part in an exchange that the peer opened.
pub(super) fn listen(which: Which, mut stream: MeshStream, deadline: Instant) -> Exchange {
    bounded(which, deadline, async move {
        let hello = read_hello(&mut stream).await?;
        Ok(Progress::Asked { hello, rest: Rest { stream, deadline } })
    })
}

/// Tells the acceptor that its hello has arrived.
pub(super) fn confirm(which: Which, rest: Rest) -> Exchange {
    let Rest { mut stream, deadline } = rest;
    bounded(which, deadline, async move {
        stream.write_frame(&true, MAX_HELLO_BYTES).await?;
        stream.close().await?;
        Ok(Progress::Done)
    })
}

/// Answers the opener's hello with ours, and waits until it has arrived.
pub(super) fn answer(which: Which, rest: Rest, ours: Hello) -> Exchange {
    let Rest { mut stream, deadline } = rest;
    bounded(which, deadline, async move {
        stream.write_frame(&ours, MAX_HELLO_BYTES).await?;
        if stream.read_frame::<bool>(MAX_HELLO_BYTES).await? {
            Ok(Progress::Done)
        } else {
            Err(MeshError::Malformed("a hello that was not confirmed"))
        }
    })
}

async fn read_hello(stream: &mut MeshStream) -> Result<Box<Hello>, MeshError> {
    let hello: Hello = stream.read_frame(MAX_HELLO_BYTES).await?;
    if hello.is_bounded() { Ok(Box::new(hello)) } else { Err(MeshError::Malformed("a hello beyond its bounds")) }
}

fn bounded(
    Which { peer, connection }: Which,
    deadline: Instant,
    exchange: impl Future<Output = Result<Progress, MeshError>> + Send + 'static,
) -> Exchange {
    async move {
        // The exchange is looked at first: a swarm task that was held up must not take it for too late.
        let late = Timer::at(deadline).map(|_| Err(MeshError::TimedOut));
        let result = future::select(Box::pin(exchange), late).await.factor_first().0;
        Step { peer, connection, result }
    }
    .boxed()
}
