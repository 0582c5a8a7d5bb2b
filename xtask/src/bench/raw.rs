//! What the machine can do without us: plain TCP to several receivers at once, each of which hashes what comes.
//! No encryption, no file, no chunk: a transfer that verifies cannot be faster than this.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::Failure;

/// How much is handed to the system at once, as much as one chunk of an artifact.
const PIECE_BYTES: usize = 256 * 1024;

/// Sends `bytes` to so many receivers; the time until the last of them has the digest, which is checked.
pub(super) fn tcp(bytes: &[u8], receivers: usize) -> Result<Duration, Failure> {
    let failed = |error: std::io::Error| format!("plain TCP on loopback: {error}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let to = listener.local_addr().map_err(failed)?;
    let wanted = Sha256::digest(bytes);
    let started = Instant::now();
    let digests = thread::scope(|scope| {
        let pairs: Vec<_> = (0..receivers)
            .map(|_| {
                // The system takes the connection before anybody accepts it.
                let mut receiver = TcpStream::connect(to)?;
                let (mut sender, _) = listener.accept()?;
                let sending =
                    scope.spawn(move || bytes.chunks(PIECE_BYTES).try_for_each(|piece| sender.write_all(piece)));
                Ok((sending, scope.spawn(move || digest(&mut receiver))))
            })
            .collect::<std::io::Result<_>>()?;
        let join = |(sending, receiving): (thread::ScopedJoinHandle<'_, _>, thread::ScopedJoinHandle<'_, _>)| {
            let sent: std::io::Result<()> = sending.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
            let digest = receiving.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
            sent.and(digest)
        };
        pairs.into_iter().map(join).collect::<std::io::Result<Vec<_>>>()
    });
    let took = started.elapsed();
    if digests.map_err(failed)?.iter().all(|digest| *digest == wanted[..]) {
        Ok(took)
    } else {
        Err("plain TCP on loopback has changed bytes".to_owned())
    }
}

fn digest(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE_BYTES]);
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hasher.finalize().to_vec()),
            read => hasher.update(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_everything() {
        assert!(tcp(&vec![7; 3 * PIECE_BYTES + 5], 3).unwrap() > Duration::ZERO);
    }
}
