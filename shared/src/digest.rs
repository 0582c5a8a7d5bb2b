//! SHA-256 digests, as they name artifacts and chunks.

use crate::text::{ParseError, bytes32, excerpt, hex, unhex};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

bytes32! {
    /// A SHA-256. Text form `sha256:` and 64 hexadecimal digits.
    Digest
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::of_parts(&[bytes])
    }

    /// The digest of the concatenation of `parts`.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Digest {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Digest(hasher.finalize().into())
    }

    /// The 64 hexadecimal digits, as they are used in file names.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The first twelve hexadecimal digits, to be shown to a person.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// The digest that 64 hexadecimal digits name, as in a file name.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Digest> {
        unhex(text).map(Digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Digest, ParseError> {
        let fault =
            || ParseError::new("`sha256:` and 64 hexadecimal digits", format!("`{}` is no digest", excerpt(text)));
        text.strip_prefix("sha256:").and_then(unhex).map(Digest).ok_or_else(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        // FIPS 180-2, appendix B.1.
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }
}
