//! Frames over a Unix socket, and descriptors that travel with them.

use super::FRAME_CAP;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::frame::{self, FrameError, LENGTH_BYTES};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Why a frame did not go through.
#[derive(Debug)]
pub enum IpcError {
    /// The socket failed, or ended in the middle of a frame.
    Io(io::Error),
    /// The frame is too long, or not what it should be.
    Frame(FrameError),
}

impl std::fmt::Display for IpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            IpcError::Io(error) => write!(f, "channel: {error}"),
            IpcError::Frame(error) => write!(f, "channel: {error}"),
        }
    }
}

impl std::error::Error for IpcError {}

impl From<io::Error> for IpcError {
    fn from(error: io::Error) -> IpcError {
        IpcError::Io(error)
    }
}

impl From<FrameError> for IpcError {
    fn from(error: FrameError) -> IpcError {
        IpcError::Frame(error)
    }
}

/// Writes one frame, and waits until the other end has room for it.
///
/// # Errors
/// When the value is above [`FRAME_CAP`], or the other end is gone.
pub fn write_frame<T: Serialize>(writer: &mut impl Write, value: &T) -> Result<(), IpcError> {
    writer.write_all(&frame::encode(value, FRAME_CAP)?)?;
    Ok(writer.flush()?)
}

/// Waits for one frame; `None` when the other end has closed between frames.
///
/// # Errors
/// When the frame is torn, above [`FRAME_CAP`], or not a `T`.
pub fn read_frame<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, IpcError> {
    let mut prefix = [0; LENGTH_BYTES];
    let mut have = 0;
    while have < LENGTH_BYTES {
        match reader.read(&mut prefix[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(read) => have += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(read_body(reader, prefix)?))
}

fn read_body<T: DeserializeOwned>(reader: &mut impl Read, prefix: [u8; LENGTH_BYTES]) -> Result<T, IpcError> {
    let mut body = vec![0; frame::length(prefix, FRAME_CAP)?];
    reader.read_exact(&mut body)?;
    Ok(frame::decode(&body)?)
}

/// Writes one frame and hands `fd` over with it.
///
/// # Errors
/// As [`write_frame`].
pub fn send_with_fd<T: Serialize>(stream: &UnixStream, value: &T, fd: BorrowedFd<'_>) -> Result<(), IpcError> {
    let frame = frame::encode(value, FRAME_CAP)?;
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("no room for a descriptor").into());
    }
    let parts = [IoSlice::new(&frame)];
    let sent = retry_on_intr(|| rustix::net::sendmsg(stream, &parts, &mut ancillary, SendFlags::empty()))
        .map_err(io::Error::from)?;
    let mut writer = stream;
    Ok(writer.write_all(&frame[sent..])?)
}

/// Waits for one frame and for the descriptor that may come with it; `None` when the other end has closed. The
/// descriptor is closed on exec. Of several, the first is kept and the others are closed.
///
/// # Errors
/// As [`read_frame`].
pub fn recv_with_fd<T: DeserializeOwned>(stream: &UnixStream) -> Result<Option<(T, Option<OwnedFd>)>, IpcError> {
    let mut prefix = [0; LENGTH_BYTES];
    let mut have = 0;
    let mut fd = None;
    while have < LENGTH_BYTES {
        let (read, came) = receive(stream, &mut prefix[have..])?;
        fd = fd.or(came);
        match read {
            0 if have == 0 => return Ok(None),
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => have += read,
        }
    }
    let mut reader = stream;
    Ok(Some((read_body(&mut reader, prefix)?, fd)))
}

fn receive(stream: &UnixStream, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>), IpcError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let received = retry_on_intr(|| rustix::net::recvmsg(stream, &mut parts, &mut ancillary, CLOSE_ON_EXEC))
        .map_err(io::Error::from)?;
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    if let Some(fd) = &fd {
        rustix::io::fcntl_setfd(fd.as_fd(), rustix::io::FdFlags::CLOEXEC).map_err(io::Error::from)?;
    }
    Ok((received.bytes, fd))
}

/// A descriptor that arrives while another thread starts a process must not leak into it. Where the kernel cannot mark
/// it on arrival (macOS), it is marked right after.
#[cfg(target_os = "linux")]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::empty();

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{FromGuard, FromRunner, OutputStream, Tenants, ToGuard};
    use super::*;
    use std::net::Shutdown;
    use std::path::PathBuf;

    #[test]
    fn frames_arrive_in_order_and_then_the_end() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let output = FromRunner::Output { instance: 7, stream: OutputStream::Stderr, bytes: vec![0, 255, 10] };
        write_frame(&mut ours, &output).unwrap();
        write_frame(&mut ours, &FromRunner::Started { instance: u64::MAX }).unwrap();
        drop(ours);
        assert_eq!(read_frame(&mut theirs).unwrap(), Some(output));
        assert_eq!(read_frame(&mut theirs).unwrap(), Some(FromRunner::Started { instance: u64::MAX }));
        assert_eq!(read_frame::<FromRunner>(&mut theirs).unwrap(), None);
    }

    #[test]
    fn a_torn_frame_is_an_error_and_not_an_end() {
        let frame = frame::encode(&ToGuard::StartRunner { runner: 1, tenants: Tenants::Shared }, FRAME_CAP).unwrap();
        for kept in 1..frame.len() {
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            ours.write_all(&frame[..kept]).unwrap();
            ours.shutdown(Shutdown::Write).unwrap();
            assert!(matches!(read_frame::<ToGuard>(&mut theirs), Err(IpcError::Io(_))), "{kept} bytes");
        }
    }

    #[test]
    fn a_frame_above_the_cap_is_refused_both_ways() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let job = ToGuard::Compile {
            job: 1,
            input: PathBuf::from("x".repeat(FRAME_CAP)),
            output: PathBuf::new(),
            fuel: false,
            sha256: [1; 32],
            room: 0,
        };
        assert!(matches!(write_frame(&mut ours, &job), Err(IpcError::Frame(FrameError::TooLong { .. }))));
        ours.write_all(&u32::MAX.to_be_bytes()).unwrap();
        let read = read_frame::<ToGuard>(&mut theirs);
        assert!(matches!(read, Err(IpcError::Frame(FrameError::TooLong { .. }))), "{read:?}");
    }

    #[test]
    fn noise_is_refused() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.write_all(&[0, 0, 0, 4, 1, 2, 3, 4]).unwrap();
        assert!(matches!(read_frame::<ToGuard>(&mut theirs), Err(IpcError::Frame(_))));
    }

    #[test]
    fn a_descriptor_travels_with_its_own_frame() {
        let (mut guard, control) = UnixStream::pair().unwrap();
        let (mut runner, handed) = UnixStream::pair().unwrap();
        write_frame(&mut guard, &FromGuard::RunnerFailed { runner: 1, reason: "x".repeat(9000) }).unwrap();
        send_with_fd(&guard, &FromGuard::Runner { runner: 2 }, handed.as_fd()).unwrap();
        write_frame(&mut guard, &FromGuard::Shutdown { grace_ms: 3 }).unwrap();
        drop(handed);

        let (first, none) = recv_with_fd::<FromGuard>(&control).unwrap().unwrap();
        assert!(matches!(first, FromGuard::RunnerFailed { runner: 1, .. }) && none.is_none());
        let (second, fd) = recv_with_fd::<FromGuard>(&control).unwrap().unwrap();
        assert_eq!(second, FromGuard::Runner { runner: 2 });
        let (third, none) = recv_with_fd::<FromGuard>(&control).unwrap().unwrap();
        assert!(third == FromGuard::Shutdown { grace_ms: 3 } && none.is_none());

        let fd = fd.unwrap();
        assert!(rustix::io::fcntl_getfd(&fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        write_frame(&mut UnixStream::from(fd), &FromRunner::Started { instance: 5 }).unwrap();
        assert_eq!(read_frame(&mut runner).unwrap(), Some(FromRunner::Started { instance: 5 }));
        drop(guard);
        assert!(recv_with_fd::<FromGuard>(&control).unwrap().is_none());
    }
}
