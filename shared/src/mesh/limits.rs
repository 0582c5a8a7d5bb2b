//! The bounds of the mesh: every queue, count, size and time in one place, each with its reason.

use crate::protocol::MAX_GOSSIP_BYTES;
use std::time::Duration;

/// What an operator of a small or a large machine may want to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. With the windows below, this bounds what the network can make the node hold.
    pub max_connections: usize,
    /// Bytes that may be in flight towards us on one QUIC connection.
    pub connection_window_bytes: u32,
    /// Bytes that may be in flight towards us on one stream of it.
    pub stream_window_bytes: u32,
    /// Within this time both ends have said hello; a peer that is not admitted by then is disconnected.
    pub hello_timeout: Duration,
    /// How often a TCP connection is tried by another hello. QUIC has its own keep-alive; without this, a peer that
    /// lost its power would hold its connections for a quarter of an hour.
    pub probe_interval: Duration,
}

impl Limits {
    /// Those that suit a machine with so much memory.
    #[must_use]
    pub fn for_memory(bytes: u64) -> Limits {
        const BOARD_BYTES: u64 = 1 << 30;
        if bytes >= BOARD_BYTES {
            return Limits::default();
        }
        // All windows full at once are 64 MiB. A board's uplink of 100 Mbit/s is filled at 80 ms, and it needs few neighbours.
        Limits {
            max_connections: 64,
            connection_window_bytes: 1024 * 1024,
            stream_window_bytes: 512 * 1024,
            ..Limits::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // A realm of a hundred nodes in full mesh, twice over because both ends may dial, and some strangers.
            max_connections: 256,
            // The upstream default of 15 MB is too much for a board of 512 MB. 2 MiB fill 100 Mbit/s at 160 ms.
            connection_window_bytes: 2 * 1024 * 1024,
            // Less than the connection: one artifact being fetched must not hold up a receipt. Six chunks, as a fetch
            // asks for.
            stream_window_bytes: 1536 * 1024,
            // A loaded board with one core needs a second at the worst.
            hello_timeout: Duration::from_secs(10),
            // With the time for hello: gone after 15 s. Two exchanges of 1 kB per connection and interval.
            probe_interval: Duration::from_secs(5),
        }
    }
}

/// Commands that wait for the swarm task: a burst of one per peer of a large realm.
pub(super) const COMMAND_QUEUE: usize = 256;

/// Connections to one peer: one in each direction over each of two transports.
pub(super) const MAX_CONNECTIONS_PER_PEER: usize = 4;

/// Inbound handshakes at once; each costs a signature, and an attacker pays as little as one packet.
pub(super) const MAX_PENDING_INBOUND: usize = 64;

/// Connected peers that are not admitted. Strangers stay for ten seconds, and must not take the places of members.
pub(super) const MAX_STRANGERS: usize = 64;

/// Dials under way, name resolution included: all members of a large realm after a reboot.
pub(super) const MAX_DIALS: usize = 128;

/// Dials of the same peer or address that may overlap: one each 1.5 s within the time that a handshake may take.
pub(super) const MAX_SAME_DIALS: usize = 4;

/// Addresses that are announced on the local network and kept until they expire: a few hundred machines.
pub(super) const MAX_ANNOUNCED: usize = 1024;

/// Addresses that are tried for one DNS name.
pub(super) const MAX_RESOLVED: usize = 8;

/// The longest address text that is looked at: a DNS name of 253 characters and a peer id.
pub(super) const MAX_ADDR_BYTES: usize = 400;

/// Streams that one peer has open towards us at once. A fetch keeps a few requests in flight; the rest is reset.
pub(super) const MAX_STREAMS_PER_PEER: usize = 32;

/// Streams that all peers together have open towards us; each may hold a frame of up to a chunk in memory.
pub(super) const MAX_STREAMS: usize = 256;

/// Hello exchanges that one peer has open towards us: one per connection, and one more each after a claim.
pub(super) const MAX_HELLOS_PER_PEER: usize = 8;

/// Streams under negotiation on one connection: more than a peer's whole allowance cannot be of use.
pub(super) const MAX_NEGOTIATING: usize = MAX_STREAMS_PER_PEER;

/// Streams of one connection that the multiplexer itself carries: ours, gossip and identify in both directions.
pub(super) const MAX_MUXED_STREAMS: usize = 128;

/// Streams waiting to be opened because their connection is busy; a caller beyond that is told `Busy`.
pub(super) const MAX_QUEUED_OPENS: usize = 256;

/// Gossip adds to the payload: topic and protobuf tags, less than 100 bytes; and as much room for what it may say beside it.
pub(super) const MAX_GOSSIP_RPC_BYTES: usize = MAX_GOSSIP_BYTES + 1024;

/// Gossip messages that wait for one slow peer: 4 MiB at the most. What is lost is found by sync.
pub(super) const GOSSIP_QUEUE: usize = 128;

/// Subscriptions that are kept of one peer: two topics of its realm, and two more while it moves to another.
pub(super) const MAX_SUBSCRIPTIONS: usize = 4;

/// Gossip messages that are held of a peer until it is admitted: what kind it is, what it subscribes to, that it makes us
/// its neighbour, and as much again. Each is at most [`MAX_GOSSIP_RPC_BYTES`] long.
pub(super) const MAX_HELD_GOSSIP: usize = 6;

/// Within this time a stream is negotiated, or its opener is told that it is not.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A handshake takes three round trips; a satellite link and a slow board together stay below this.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Two peers that dial one another have both connections within this time. A peer takes at least as long to notice that it
/// has lost its connections to us (see [`DOUBTED_TIMEOUT`]): who dials later has lost them.
pub(super) const DIALS_OVERLAP: Duration = DOUBTED_TIMEOUT;

/// A connection that was lost has closed within this time, or is left to itself.
pub(super) const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Name resolution as a whole; the system resolver gives up on one server after five seconds.
pub(super) const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that may have lost its address answers within this time, or is closed: two round trips, and one packet
/// that is lost.
pub(super) const DOUBTED_TIMEOUT: Duration = Duration::from_secs(3);

/// Within this time each listener knows an address. It takes milliseconds; the bound is for broken systems.
pub(super) const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// QUIC sends a keep-alive in a silent connection so often. Its first packet without an answer starts the idle time anew,
/// so a peer that lost its power is noticed within the sum of both, and a gap of three seconds is survived. Most of what wakes an
/// idle node are these.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// A QUIC connection that is silent for so long is gone.
pub(super) const IDLE_TIMEOUT_MS: u32 = 6_000;

/// What is allowed for goodbyes at shutdown.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Gossip's housekeeping. A neighbour is one as soon as it says what it subscribes to; this mends what went wrong with that.
pub(super) const GOSSIP_HEARTBEAT: Duration = Duration::from_secs(1);

/// The first one comes so much later than after [`GOSSIP_HEARTBEAT`]: a node that boots should take part soon.
pub(super) const GOSSIP_FIRST_HEARTBEAT: Duration = Duration::from_millis(50);

/// Heartbeats for which a message waits for its verdict: 20 s, for an intent is fsynced before it is passed on.
pub(super) const GOSSIP_HISTORY: usize = 20;

/// Heartbeats for which a message is offered to neighbours that may have missed it: 3 s.
pub(super) const GOSSIP_OFFERED: usize = 3;

/// So often gossip drops what it kept of peers that have gone, some 500 bytes for each: as many as can come and go in this
/// time, which the handshakes bound. It also lets scores fade, of which there are none that could; once a second, as is usual,
/// it would wake an idle node for nothing.
pub(super) const GOSSIP_FORGETS: Duration = Duration::from_secs(10);
