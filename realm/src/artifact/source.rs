//! Where an artifact's bytes are while nodes pull them: in the file that was named, or in memory when they were encoded
//! from text.

use super::{Component, Refusal, check};
use crate::exit::Failure;
use shared::{CHUNK_BYTES, MAX_ARTIFACT_BYTES};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// The largest text component; a text is read as a whole, and people write them by hand.
const MAX_TEXT_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes that can be read at any place, from any thread.
#[derive(Debug, Clone)]
pub enum Source {
    /// An open file: it stays readable when the name is given to another one meanwhile.
    File(Arc<File>),
    /// Encoded from text.
    Memory(Arc<[u8]>),
}

impl Source {
    /// Reads chunk `index`, of `size` bytes.
    ///
    /// # Errors
    /// What the system says, and `UnexpectedEof` when the file has become shorter.
    pub fn read_chunk(&self, index: u32, size: usize) -> io::Result<Vec<u8>> {
        let start = u64::from(index) * CHUNK_BYTES as u64;
        match self {
            Source::Memory(bytes) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let chunk = bytes.get(start..).and_then(|rest| rest.get(..size));
                chunk.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Source::File(file) => {
                let mut chunk = vec![0; size];
                read_exact_at(file, &mut chunk, start)?;
                Ok(chunk)
            }
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Opens a file, pins it, and checks that agents can run it.
///
/// # Errors
/// When it cannot be read, is too large, or is not a component that agents can run.
pub fn open(path: &Path) -> Result<Component, Failure> {
    let shown = path.display();
    let unread = |error: io::Error| Failure::new(format!("cannot read `{shown}`: {error}"));
    let mut file = File::open(path).map_err(|error| {
        let failure = unread(error);
        failure.hint("a component is a `.wasm` or `.wat` file")
    })?;
    let metadata = file.metadata().map_err(unread)?;
    if !metadata.is_file() {
        return Err(Failure::new(format!("`{shown}` is not a file")));
    }
    let is_text = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wat"));
    let most = if is_text { MAX_TEXT_BYTES } else { MAX_ARTIFACT_BYTES };
    if metadata.len() > most {
        return Err(Failure::new(format!("`{shown}` has {} bytes, at most {most} are allowed", metadata.len())));
    }
    if is_text {
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unread)?;
        let bytes = wat::Parser::new().parse_str(Some(path), &text);
        let bytes: Arc<[u8]> =
            bytes.map_err(|error| Failure::new(format!("`{shown}` is not a text component: {error}")))?.into();
        let checked = check(&mut Cursor::new(&*bytes)).map_err(unread)?;
        let checked = checked.map_err(|refusal: Refusal| refusal.failure(&shown.to_string()))?;
        return Ok(Component { artifact: checked.artifact, chunks: checked.chunks, source: Source::Memory(bytes) });
    }
    of_file(file, &shown.to_string())
}

/// Pins an open file from its beginning on, and checks that agents can run it.
///
/// # Errors
/// When it cannot be read, or is not a component that agents can run.
pub fn of_file(mut file: File, shown: &str) -> Result<Component, Failure> {
    let unread = |error: io::Error| Failure::new(format!("cannot read `{shown}`: {error}"));
    let checked = check(&mut file).map_err(unread)?.map_err(|refusal| refusal.failure(shown))?;
    Ok(Component { artifact: checked.artifact, chunks: checked.chunks, source: Source::File(Arc::new(file)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::Digest;
    use std::io::Write;

    #[test]
    fn chunks_come_from_their_place() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 7).map(|at| (at % 253) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        for source in [Source::File(Arc::new(file)), Source::Memory(bytes.clone().into())] {
            let last = source.read_chunk(1, 7).unwrap();
            assert_eq!(Digest::of(&last), Digest::of(&bytes[CHUNK_BYTES..]));
            assert_eq!(source.read_chunk(1, 8).map_err(|error| error.kind()), Err(io::ErrorKind::UnexpectedEof));
            assert!(source.read_chunk(9, 1).is_err());
        }
    }
}
