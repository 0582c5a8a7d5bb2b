//! Which realm: a hash of its genesis root record, which for the first owner is the owner's public key.

use crate::digest::Digest;
use crate::owner::OwnerId;
use crate::text::{ParseError, bytes32, excerpt, hex, unhex};
use std::fmt;
use std::str::FromStr;

/// Keeps a realm id from being the hash of the same bytes for another purpose.
const DOMAIN: &[u8] = b"realm/genesis/v1\0";

bytes32! {
    /// A realm: SHA-256 of its genesis record. Text form: 64 hexadecimal digits.
    RealmId
}

impl RealmId {
    /// The realm whose first owner is `owner`.
    #[must_use]
    pub fn of_owner(owner: &OwnerId) -> RealmId {
        RealmId(*Digest::of_parts(&[DOMAIN, owner.as_bytes()]).as_bytes())
    }
}

impl fmt::Display for RealmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for RealmId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<RealmId, ParseError> {
        let fault = || ParseError::new("64 hexadecimal digits", format!("`{}` is not a realm id", excerpt(text)));
        unhex(text).map(RealmId).ok_or_else(fault)
    }
}
