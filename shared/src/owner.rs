//! The owner's key: what commands a realm. Ed25519, shown as `ed25519:BASE58`.

use crate::text::{ParseError, bytes32, excerpt, serde_id};
use ed25519_compact as ed;
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "ed25519:";
const EXPECTED: &str = "an owner key such as `ed25519:BASE58` (32 bytes in base 58)";
const EXPECTED_SECRET: &str = "an owner's secret key, `ed25519-secret:BASE58` (32 bytes in base 58)";
const SECRET_PREFIX: &str = "ed25519-secret:";

/// The longest text form that is looked at; 32 bytes have at most 44 base 58 digits.
const MAX_TEXT: usize = 96;

bytes32! {
    /// An owner: the public key whose signature commands a realm. Text form `ed25519:BASE58`.
    OwnerId
}

impl OwnerId {
    /// Whether this owner made `signature` over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed::Signature::new(signature.0);
        ed::PublicKey::new(*self.as_bytes()).verify(message, &signature).is_ok()
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", bs58::encode(self.as_bytes()).into_string())
    }
}

impl FromStr for OwnerId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<OwnerId, ParseError> {
        let fault = |what: &str| ParseError::new(EXPECTED, format!("`{}` {what}", excerpt(text)));
        let bytes = base58_of(text, PREFIX).map_err(fault)?;
        ed::PublicKey::new(bytes).validate().map_err(|_| fault("is not a point of the curve"))?;
        Ok(OwnerId::from_bytes(bytes))
    }
}

/// The 32 bytes behind `prefix`.
fn base58_of(text: &str, prefix: &str) -> Result<[u8; 32], &'static str> {
    let digits = text.strip_prefix(prefix).ok_or("has another prefix")?;
    if text.len() > MAX_TEXT {
        return Err("is too long");
    }
    let bytes = bs58::decode(digits).into_vec().map_err(|_| "is not base 58")?;
    bytes.try_into().map_err(|_| "has the wrong length")
}

/// An owner's secret key. Has no `Debug` and no `Display`: it can only be shown on purpose.
#[derive(Clone)]
pub struct OwnerKey(ed::KeyPair);

impl OwnerKey {
    /// The key of a 32-byte secret seed.
    ///
    /// # Panics
    /// When all bytes of the seed are zero.
    #[must_use]
    pub fn of_seed(seed: &[u8; 32]) -> OwnerKey {
        OwnerKey(ed::KeyPair::from_seed(ed::Seed::new(*seed)))
    }

    /// The public half.
    #[must_use]
    pub fn id(&self) -> OwnerId {
        OwnerId::from_bytes(*self.0.pk)
    }

    /// Signs `message`. Deterministic, as in RFC 8032.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(*self.0.sk.sign(message, None))
    }

    /// The text that a key file holds.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        format!("{SECRET_PREFIX}{}", bs58::encode(*self.0.sk.seed()).into_string())
    }

    /// Reads what [`OwnerKey::to_secret_text`] wrote.
    ///
    /// # Errors
    /// When the text is anything else; the error never repeats the text.
    pub fn from_secret_text(text: &str) -> Result<OwnerKey, ParseError> {
        let seed = base58_of(text.trim(), SECRET_PREFIX)
            .map_err(|what| ParseError::new(EXPECTED_SECRET, format!("the key {what}")))?;
        if seed == [0; 32] {
            return Err(ParseError::new(EXPECTED_SECRET, "the key is all zeros"));
        }
        Ok(OwnerKey::of_seed(&seed))
    }
}

/// A detached Ed25519 signature, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Takes the 64 bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Signature {
        Signature(bytes)
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.0).into_string())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Signature {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Signature, ParseError> {
        let fault = || ParseError::new("a signature of 64 bytes in base 58", format!("`{}` is none", excerpt(text)));
        if text.len() > MAX_TEXT {
            return Err(fault());
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| fault())?;
        Ok(Signature(bytes.try_into().map_err(|_| fault())?))
    }
}

serde_id!(Signature, 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_their_texts() {
        let key = OwnerKey::of_seed(&[3; 32]);
        let id = key.id();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with("ed25519:"));
        let again = OwnerKey::from_secret_text(&key.to_secret_text()).map(|key| key.id());
        assert_eq!(again, Ok(id));
        let Err(error) = OwnerKey::from_secret_text(&id.to_string()).map(|key| key.id()) else {
            panic!("a public key is no secret key")
        };
        assert!(!error.to_string().contains(&id.to_string()));
    }

    #[test]
    fn a_signature_is_over_every_bit() {
        let key = OwnerKey::of_seed(&[3; 32]);
        let signature = key.sign(b"hello");
        assert!(key.id().verify(b"hello", &signature));
        assert!(!key.id().verify(b"hellp", &signature));
        assert!(!OwnerKey::of_seed(&[4; 32]).id().verify(b"hello", &signature));
        let mut bent = *signature.as_bytes();
        bent[63] ^= 1;
        assert!(!key.id().verify(b"hello", &Signature::from_bytes(bent)));
    }

    #[test]
    fn keys_of_small_order_are_refused() {
        let text = format!("ed25519:{}", bs58::encode([0_u8; 32]).into_string());
        assert!(text.parse::<OwnerId>().is_err());
    }
}
