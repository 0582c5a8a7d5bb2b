//! A stream to a peer, as frames.

use super::MeshError;
use super::gate::Permit;
use crate::frame::{self, LENGTH_BYTES};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use smol::Timer;
use smol::future::or;
use std::fmt;
use std::io;
use std::time::Duration;

/// Room that is made at once for what is read next.
const PIECE_BYTES: usize = 64 * 1024;

/// A stream in both directions, carrying frames (see [`frame`]). Dropping it resets what was not closed.
///
/// No operation has a time limit of its own: the caller knows how long an answer may take, or a silence.
pub struct MeshStream {
    stream: Stream,
    /// The first byte of the next frame, when it was waited for.
    first: Option<u8>,
    /// The place of an inbound stream; streams that we opened have none.
    _permit: Option<Permit>,
}

impl MeshStream {
    pub(super) fn new(stream: Stream, permit: Option<Permit>) -> MeshStream {
        MeshStream { stream, first: None, _permit: permit }
    }

    /// Waits until the next frame begins to come, or the stream ends. Giving up waiting loses nothing.
    ///
    /// # Errors
    /// [`MeshError::Io`] when the stream broke.
    pub async fn incoming(&mut self) -> Result<(), MeshError> {
        let mut first = [0];
        if self.first.is_none() && self.stream.read(&mut first).await.map_err(broken)? == 1 {
            self.first = Some(first[0]);
        }
        Ok(())
    }

    /// Reads one frame of at most `cap` bytes. Memory grows with what arrives, not with what is announced.
    ///
    /// # Errors
    /// [`MeshError::Ended`] when the peer closed the stream between two frames, [`MeshError::Frame`] when the frame
    /// is too long or no CBOR of a `T`, [`MeshError::Io`] when the stream or connection broke.
    pub async fn read_frame<T: DeserializeOwned>(&mut self, cap: usize) -> Result<T, MeshError> {
        self.read_within(None, cap).await
    }

    /// [`MeshStream::read_frame`] from a peer that may be slow: it fails when no byte has come for as long as `silence`.
    ///
    /// # Errors
    /// As there, and [`MeshError::TimedOut`].
    pub async fn read_frame_steadily<T: DeserializeOwned>(
        &mut self,
        cap: usize,
        silence: Duration,
    ) -> Result<T, MeshError> {
        self.read_within(Some(silence), cap).await
    }

    async fn read_within<T: DeserializeOwned>(
        &mut self,
        silence: Option<Duration>,
        cap: usize,
    ) -> Result<T, MeshError> {
        in_time(silence, self.incoming()).await?;
        let mut prefix = [0; LENGTH_BYTES];
        prefix[0] = self.first.take().ok_or(MeshError::Ended)?;
        in_time(silence, async { self.stream.read_exact(&mut prefix[1..]).await.map_err(broken) }).await?;
        let length = frame::length(prefix, cap).map_err(MeshError::Frame)?;
        // Room for all of it, which takes no memory before it is touched: growing piece by piece copies what came before.
        let (mut bytes, mut read) = (Vec::with_capacity(length), 0);
        while read < length {
            if read == bytes.len() {
                bytes.resize(length.min(read + PIECE_BYTES), 0);
            }
            match in_time(silence, async { self.stream.read(&mut bytes[read..]).await.map_err(broken) }).await? {
                0 => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
                more => read += more,
            }
        }
        frame::decode(&bytes).map_err(MeshError::Frame)
    }

    /// Writes one frame of at most `cap` bytes and hands it to the network.
    ///
    /// # Errors
    /// [`MeshError::Frame`] when `value` is larger than `cap`, [`MeshError::Io`] when the stream broke.
    pub async fn write_frame<T: Serialize>(&mut self, value: &T, cap: usize) -> Result<(), MeshError> {
        self.write_within(None, value, cap).await
    }

    /// [`MeshStream::write_frame`] to a peer that may be slow: it fails when no byte was taken for as long as `silence`.
    ///
    /// # Errors
    /// As there, and [`MeshError::TimedOut`].
    pub async fn write_frame_steadily<T: Serialize>(
        &mut self,
        value: &T,
        cap: usize,
        silence: Duration,
    ) -> Result<(), MeshError> {
        self.write_within(Some(silence), value, cap).await
    }

    async fn write_within<T: Serialize>(
        &mut self,
        silence: Option<Duration>,
        value: &T,
        cap: usize,
    ) -> Result<(), MeshError> {
        let bytes = frame::encode(value, cap).map_err(MeshError::Frame)?;
        let mut left = &bytes[..];
        while !left.is_empty() {
            match in_time(silence, async { self.stream.write(left).await.map_err(broken) }).await? {
                0 => return Err(broken(io::ErrorKind::WriteZero.into())),
                taken => left = &left[taken..],
            }
        }
        in_time(silence, async { self.stream.flush().await.map_err(broken) }).await
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

/// Bounds one step, if there is a bound; a step is over with the first byte.
async fn in_time<T>(
    silence: Option<Duration>,
    step: impl Future<Output = Result<T, MeshError>>,
) -> Result<T, MeshError> {
    let Some(silence) = silence else { return step.await };
    let late = async {
        Timer::after(silence).await;
        Err(MeshError::TimedOut)
    };
    or(step, late).await
}

fn broken(error: io::Error) -> MeshError {
    MeshError::Io(error.to_string())
}
