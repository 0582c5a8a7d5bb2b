//! One connection's part of the stream protocols: opens streams on request, and offers the peer only what the gate
//! allows at that moment. Why not `libp2p-stream`: it keeps a sender for every connection that ever was, drops
//! inbound streams when its consumer is a moment late, and offers every protocol to everybody.

use super::MeshError;
use super::gate::{Access, PeerGate, Permit};
use super::limits::OPEN_TIMEOUT;
use crate::protocol::Protocol;
use futures::channel::oneshot;
use libp2p::Stream;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::iter::Map;
use std::slice::Iter;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};

/// Where the opener of a stream waits for it.
pub(super) type Reply = oneshot::Sender<Result<Stream, MeshError>>;

/// Asks a connection to open a stream.
#[derive(Debug)]
pub(crate) struct Open {
    pub(super) protocol: Protocol,
    pub(super) reply: Reply,
}

/// A stream that the peer opened, with its place.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) protocol: Protocol,
    pub(super) stream: Stream,
    pub(super) permit: Permit,
}

/// See the module's documentation.
pub(crate) struct Handler {
    gate: Arc<PeerGate>,
    total: Arc<AtomicUsize>,
    /// Bounded by the queue of the behaviour, which is where they come from.
    requests: VecDeque<Open>,
    /// Bounded by the places that the gate gives.
    opened: VecDeque<Opened>,
}

impl Handler {
    pub(super) fn new(gate: Arc<PeerGate>, total: Arc<AtomicUsize>) -> Handler {
        Handler { gate, total, requests: VecDeque::new(), opened: VecDeque::new() }
    }

    fn on_inbound(&mut self, stream: Stream, protocol: Protocol) {
        // The gate may have closed during the negotiation. Without a place the stream is dropped, which resets it.
        if let Some(permit) = self.gate.admit(&self.total, protocol) {
            self.opened.push_back(Opened { protocol, stream, permit });
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Opened;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = (Protocol, Reply);

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(Offer(self.gate.access().offered()), ()).with_timeout(OPEN_TIMEOUT)
    }

    /// The gate decides when a connection ends, not whether somebody uses it at the moment.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Offer, (Protocol, Reply), Opened>> {
        if let Some(opened) = self.opened.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(opened));
        }
        if let Some(Open { protocol, reply }) = self.requests.pop_front() {
            let protocol =
                SubstreamProtocol::new(Offer(single(protocol)), (protocol, reply)).with_timeout(OPEN_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        // No waker is kept: both queues are filled by calls from the task that polls again right after them.
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.requests.push_back(open);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer, (), (Protocol, Reply)>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol), ..
            }) => {
                self.on_inbound(stream, protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info: (_, reply),
            }) => {
                // A caller that has given up drops the stream with the reply, which resets it.
                drop(reply.send(Ok(stream)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, info: (protocol, reply) }) => {
                drop(reply.send(Err(why_not_opened(error, protocol))));
            }
            _ => {}
        }
    }
}

fn why_not_opened(error: StreamUpgradeError<Infallible>, protocol: Protocol) -> MeshError {
    match error {
        StreamUpgradeError::NegotiationFailed => MeshError::Refused { protocol },
        StreamUpgradeError::Timeout => MeshError::TimedOut,
        StreamUpgradeError::Io(error) => MeshError::Io(error.to_string()),
        StreamUpgradeError::Apply(never) => match never {},
    }
}

/// The protocols that are offered for one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer(&'static [Protocol]);

/// A protocol as multistream-select wants it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name(Protocol);

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.0.name()
    }
}

impl UpgradeInfo for Offer {
    type Info = Name;
    type InfoIter = Map<Iter<'static, Protocol>, fn(&Protocol) -> Name>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|protocol| Name(*protocol))
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: Name) -> Self::Future {
        ready(Ok((stream, name.0)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: Name) -> Self::Future {
        ready(Ok((stream, name.0)))
    }
}

fn single(protocol: Protocol) -> &'static [Protocol] {
    let all = Access::Member.offered();
    let at = all.iter().position(|known| *known == protocol).unwrap_or_default();
    &all[at..=at]
}
