//! Who a node is: its ed25519 public key, written as libp2p writes a peer id.

use crate::owner::{OwnerId, Signature};
use crate::text::{ParseError, bytes32, excerpt};
use std::fmt;
use std::str::FromStr;

/// What libp2p puts before an ed25519 public key to make a peer id: identity multihash (0x00) of 36 bytes (0x24),
/// holding a protobuf with key type 1 (08 01) and 32 bytes of data (12 20). Source: libp2p peer-ids specification.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

const EXPECTED: &str = "a peer id such as `12D3KooW…` (52 characters)";

/// The longest text form that is looked at; a peer id has 52 characters.
const MAX_TEXT: usize = 64;

bytes32! {
    /// A node: its ed25519 public key. Text form: the libp2p peer id `12D3KooW…`.
    NodeId
}

impl NodeId {
    /// The node that a 32-byte secret seed belongs to.
    #[must_use]
    pub fn of_seed(seed: &[u8; 32]) -> NodeId {
        let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new(*seed));
        NodeId(*pair.pk)
    }

    /// The 38 bytes of the libp2p peer id.
    #[must_use]
    pub fn to_peer_id_bytes(self) -> [u8; 38] {
        let mut bytes = [0; 38];
        bytes[..6].copy_from_slice(&PEER_ID_PREFIX);
        bytes[6..].copy_from_slice(&self.0);
        bytes
    }

    /// The node behind a libp2p peer id; `None` when its key is not ed25519.
    #[must_use]
    pub fn from_peer_id_bytes(bytes: &[u8]) -> Option<NodeId> {
        let key = bytes.strip_prefix(&PEER_ID_PREFIX)?;
        Some(NodeId(key.try_into().ok()?))
    }

    /// Whether this node made `signature` over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        OwnerId::from_bytes(self.0).verify(message, signature)
    }

    /// The last eight characters, enough to tell the nodes of a realm apart when they are shown to a person.
    #[must_use]
    pub fn short(&self) -> String {
        let text = self.to_string();
        // The first eight characters are the same for every ed25519 key.
        text[text.len() - 8..].to_owned()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.to_peer_id_bytes()).into_string())
    }
}

impl FromStr for NodeId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<NodeId, ParseError> {
        let fault = || ParseError::new(EXPECTED, format!("`{}` is not a peer id", excerpt(text)));
        if text.len() > MAX_TEXT {
            return Err(fault());
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| fault())?;
        NodeId::from_peer_id_bytes(&bytes).ok_or_else(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_libp2ps() {
        let node = NodeId::of_seed(&[7; 32]);
        let text = node.to_string();
        assert!(text.starts_with("12D3KooW"), "{text}");
        assert_eq!(text.parse(), Ok(node));
        assert!("12D3KooW".parse::<NodeId>().is_err());
        assert!("x".repeat(1 << 20).parse::<NodeId>().is_err());
    }
}
