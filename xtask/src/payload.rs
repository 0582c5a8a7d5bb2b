//! Components of any size: a sample guest, and custom sections behind it, which no engine looks at.
//! Their bytes are made from a seed, so that every run moves the same ones and nothing can compress them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Failure;
use crate::workspace;

/// Bytes of the sections that are added; in pieces, because whoever checks a component holds a section as a whole.
const SECTION_BYTES: u64 = 1 << 20;
/// The name of these sections.
const SECTION_NAME: &[u8] = b"bench";

/// A component in a file.
pub(crate) struct Payload {
    pub(crate) file: PathBuf,
    pub(crate) size: u64,
    /// As in `sha256:…`, without that.
    pub(crate) digest: String,
}

/// The sample guest that says hello and ends.
pub(crate) fn hello() -> Result<Vec<u8>, Failure> {
    let hello = guest("hello")?;
    fs::read(&hello).map_err(|error| format!("cannot read `{}`: {error}", hello.display()))
}

/// The file of a sample guest.
pub(crate) fn guest(name: &str) -> Result<PathBuf, Failure> {
    Ok(workspace::root()?.join(format!("guests/{name}.wasm")))
}

/// The same component with one more custom section: another digest, so it is compiled anew.
pub(crate) fn with_section(component: &[u8], bytes: &[u8]) -> Vec<u8> {
    [component, &head(bytes.len()), bytes].concat()
}

/// Writes a component of `size` bytes, give or take a few; another seed gives other bytes.
pub(crate) fn write(folder: &Path, size: u64, seed: u64) -> Result<Payload, Failure> {
    let file = folder.join(format!("payload-{seed}.wasm"));
    let failed = |error: std::io::Error| format!("cannot write `{}`: {error}", file.display());
    let mut out = BufWriter::new(File::create(&file).map_err(failed)?);
    let (mut hasher, mut written, mut noise) = (Sha256::new(), 0, Noise::new(seed));
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes).map_err(failed)
    };
    let guest = hello()?;
    put(&guest)?;
    written += guest.len() as u64;
    while written < size {
        let length = usize::try_from((size - written).min(SECTION_BYTES)).unwrap_or(usize::MAX);
        let section = with_section(&[], &noise.bytes(length));
        put(&section)?;
        written += section.len() as u64;
    }
    out.flush().map_err(failed)?;
    let digest = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Payload { file, size: written, digest })
}

/// What stands before the content of a custom section: its kind, its length, and its name.
fn head(content: usize) -> Vec<u8> {
    let mut head = vec![0];
    let mut left = content + 1 + SECTION_NAME.len();
    // LEB128: seven bits a byte, lowest first; the highest bit says that more follow.
    loop {
        let more = left > 0x7f;
        head.push((left & 0x7f) as u8 | u8::from(more) << 7);
        left >>= 7;
        if !more {
            break;
        }
    }
    head.push(SECTION_NAME.len() as u8);
    head.extend(SECTION_NAME);
    head
}

/// Xorshift: no secret, and nothing that a compressor finds a pattern in.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Noise {
        // Its state must not be zero.
        Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_added_section_is_well_formed_and_changes_the_component() {
        let empty = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
        let longer = with_section(&empty, b"run 1");
        assert_eq!(longer[..8], empty);
        assert_eq!(longer[8..], *b"\x00\x0b\x05benchrun 1");
        assert_ne!(longer, with_section(&empty, b"run 2"));
        assert_eq!(with_section(&empty, &[7; 300])[8..11], [0, 0xb2, 0x02]);
    }

    #[test]
    fn noise_depends_on_its_seed_alone() {
        assert_eq!(Noise::new(1).bytes(13), Noise::new(1).bytes(13));
        assert_ne!(Noise::new(1).bytes(13), Noise::new(2).bytes(13));
        assert_eq!(Noise::new(0).bytes(13).len(), 13);
    }
}
