//! A stream to a peer, as frames.

use super::MeshError;
use super::gate::Permit;
use crate::frame::{self, LENGTH_BYTES};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;

/// A stream in both directions, carrying frames (see [`frame`]). Dropping it resets what was not closed.
///
/// No operation has a time limit of its own: the caller knows how long an answer may take.
pub struct MeshStream {
    stream: Stream,
    /// The place of an inbound stream; streams that we opened have none.
    _permit: Option<Permit>,
}

impl MeshStream {
    pub(super) fn new(stream: Stream, permit: Option<Permit>) -> MeshStream {
        MeshStream { stream, _permit: permit }
    }

    /// Reads one frame of at most `cap` bytes. Memory grows with what arrives, not with what is announced.
    ///
    /// # Errors
    /// [`MeshError::Ended`] when the peer closed the stream between two frames, [`MeshError::Frame`] when the frame
    /// is too long or no CBOR of a `T`, [`MeshError::Io`] when the stream or connection broke.
    pub async fn read_frame<T: DeserializeOwned>(&mut self, cap: usize) -> Result<T, MeshError> {
        let mut prefix = [0; LENGTH_BYTES];
        if self.stream.read(&mut prefix[..1]).await.map_err(broken)? == 0 {
            return Err(MeshError::Ended);
        }
        self.stream.read_exact(&mut prefix[1..]).await.map_err(broken)?;
        let length = frame::length(prefix, cap).map_err(MeshError::Frame)?;
        let mut bytes = Vec::new();
        let read = (&mut self.stream).take(length as u64).read_to_end(&mut bytes).await.map_err(broken)?;
        if read < length {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        }
        frame::decode(&bytes).map_err(MeshError::Frame)
    }

    /// Writes one frame of at most `cap` bytes and hands it to the network.
    ///
    /// # Errors
    /// [`MeshError::Frame`] when `value` is larger than `cap`, [`MeshError::Io`] when the stream broke.
    pub async fn write_frame<T: Serialize>(&mut self, value: &T, cap: usize) -> Result<(), MeshError> {
        let bytes = frame::encode(value, cap).map_err(MeshError::Frame)?;
        self.stream.write_all(&bytes).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    /// Ends our direction: the peer reads [`MeshError::Ended`] after the last frame. The other direction stays open.
    ///
    /// # Errors
    /// [`MeshError::Io`] when the stream broke before that.
    pub async fn close(&mut self) -> Result<(), MeshError> {
        self.stream.close().await.map_err(broken)
    }
}

impl fmt::Debug for MeshStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshStream")
    }
}

fn broken(error: io::Error) -> MeshError {
    MeshError::Io(error.to_string())
}
