//! What can go wrong in the mesh, as the operator or a log reads it.

use crate::frame::FrameError;
use crate::protocol::Protocol;
use std::fmt;

/// Why something in the mesh did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeshError {
    /// An address cannot be listened on.
    Listen {
        /// The address, as it was given.
        addr: String,
        /// What the system says.
        reason: String,
    },
    /// A text is no address of the mesh.
    BadAddr {
        /// The text.
        addr: String,
        /// What is wrong, or what was expected.
        reason: String,
    },
    /// Too much waits already; the same may work a moment later.
    Busy,
    /// The mesh has ended.
    Stopped,
    /// The peer is not connected, or the connection closed meanwhile.
    NotConnected,
    /// The peer does not offer this protocol, or not to us.
    Refused {
        /// The protocol.
        protocol: Protocol,
    },
    /// The peer did not answer in time.
    TimedOut,
    /// The peer closed the stream between two frames: the regular end.
    Ended,
    /// A frame was too long, or not what it should be.
    Frame(FrameError),
    /// A gossip message was too long.
    TooLong {
        /// Its size in bytes.
        size: usize,
        /// What is allowed.
        cap: usize,
    },
    /// The peer broke the rules of a protocol.
    Malformed(&'static str),
    /// The stream or connection broke.
    Io(String),
    /// libp2p refused our configuration.
    Setup(String),
}

impl fmt::Display for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MeshError::Listen { addr, reason } => {
                write!(
                    f,
                    "cannot listen on `{addr}`: {reason}\nhint: choose another address, or port 0 for any free one"
                )
            }
            MeshError::BadAddr { addr, reason } => write!(f, "`{addr}` is not an address\nhint: {reason}"),
            MeshError::Busy => f.write_str("the mesh is busy"),
            MeshError::Stopped => f.write_str("the mesh has stopped"),
            MeshError::NotConnected => f.write_str("the peer is not connected"),
            MeshError::Refused { protocol } => write!(f, "the peer does not offer `{}` to us", protocol.name()),
            MeshError::TimedOut => f.write_str("the peer did not answer in time"),
            MeshError::Ended => f.write_str("the peer closed the stream"),
            MeshError::Frame(error) => error.fmt(f),
            MeshError::TooLong { size, cap } => write!(f, "a message of {size} bytes, at most {cap} are allowed"),
            MeshError::Malformed(what) => write!(f, "the peer sent {what}"),
            MeshError::Io(reason) => write!(f, "the connection broke: {reason}"),
            MeshError::Setup(reason) => write!(f, "cannot set up the mesh: {reason}"),
        }
    }
}

impl std::error::Error for MeshError {}
