//! Frames: a length of four bytes, big endian, then one CBOR value. The length is checked against a cap before
//! anything is read or allocated, and nothing may follow the value.

use crate::text::clip;
use crate::wellformed;
use cbor4ii::core::utils::SliceReader;
use cbor4ii::serde::{DecodeError, Deserializer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Bytes of the length before each frame.
pub const LENGTH_BYTES: usize = 4;

/// The longest reason in [`FrameError::Malformed`]: a sentence, in a log or a receipt.
const MAX_REASON_BYTES: usize = 200;

/// Why bytes are not the value they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// The frame is larger than this exchange allows.
    TooLong {
        /// Its size in bytes.
        size: usize,
        /// What is allowed.
        cap: usize,
    },
    /// The bytes are not CBOR of the expected form.
    Malformed(String),
    /// There are bytes behind the value.
    Trailing,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLong { size, cap } => write!(f, "a frame of {size} bytes, at most {cap} are allowed"),
            FrameError::Malformed(why) => write!(f, "malformed: {why}"),
            FrameError::Trailing => f.write_str("malformed: bytes behind the end"),
        }
    }
}

impl std::error::Error for FrameError {}

/// The CBOR form of `value`, without a length.
///
/// # Errors
/// When the value is larger than `cap` bytes.
pub fn to_bytes<T: Serialize>(value: &T, cap: usize) -> Result<Vec<u8>, FrameError> {
    let bytes = cbor4ii::serde::to_vec(Vec::new(), value).map_err(|error| FrameError::Malformed(error.to_string()))?;
    check_length(bytes.len(), cap)?;
    Ok(bytes)
}

/// The frame that carries `value`: length and CBOR.
///
/// # Errors
/// When the CBOR is larger than `cap` bytes.
pub fn encode<T: Serialize>(value: &T, cap: usize) -> Result<Vec<u8>, FrameError> {
    let frame = vec![0; LENGTH_BYTES];
    let mut frame = cbor4ii::serde::to_vec(frame, value).map_err(|error| FrameError::Malformed(error.to_string()))?;
    let size = frame.len() - LENGTH_BYTES;
    let length = check_length(size, cap)?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// The length that the first four bytes of a frame announce.
///
/// # Errors
/// When it is above `cap`; nothing should be read then.
pub fn length(prefix: [u8; LENGTH_BYTES], cap: usize) -> Result<usize, FrameError> {
    let size = u32::from_be_bytes(prefix) as usize;
    check_length(size, cap)?;
    Ok(size)
}

fn check_length(size: usize, cap: usize) -> Result<u32, FrameError> {
    match u32::try_from(size) {
        Ok(length) if size <= cap => Ok(length),
        _ => Err(FrameError::TooLong { size, cap }),
    }
}

/// Reads one CBOR value that fills `bytes` to the end. Unknown fields are skipped, so that a newer peer can be read.
/// Lengths must be definite, and nesting is bounded.
///
/// # Errors
/// When the bytes are anything else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let length = wellformed::item_length(bytes).map_err(|fault| FrameError::Malformed(fault.into()))?;
    if length < bytes.len() {
        return Err(FrameError::Trailing);
    }
    let mut deserializer = Deserializer::new(SliceReader::new(bytes));
    let value = T::deserialize(&mut deserializer).map_err(|error| FrameError::Malformed(reason(error)))?;
    // What the type left unread, as an enum without content leaves a value that stands where none belongs.
    let mut rest = deserializer.into_inner();
    let rest =
        cbor4ii::core::dec::Read::fill(&mut rest, 1).map_err(|error| FrameError::Malformed(error.to_string()))?;
    if rest.as_ref().is_empty() { Ok(value) } else { Err(FrameError::Trailing) }
}

/// Such a text quotes what was received, which is as long as a frame may be and meant for no terminal.
fn reason<E: fmt::Debug>(error: DecodeError<E>) -> String {
    match error {
        DecodeError::Custom(text) => clip(&text, MAX_REASON_BYTES).replace(char::is_control, "?"),
        DecodeError::Core(error) => clip(&format!("{error:?}"), MAX_REASON_BYTES).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_both_ways() {
        let text = "x".repeat(100);
        assert!(matches!(encode(&text, 50), Err(FrameError::TooLong { cap: 50, .. })));
        let frame = encode(&text, 200).unwrap_or_default();
        let size = length([frame[0], frame[1], frame[2], frame[3]], 200);
        assert_eq!(size, Ok(frame.len() - LENGTH_BYTES));
        assert_eq!(decode::<String>(&frame[LENGTH_BYTES..]), Ok(text));
        assert!(length([255; 4], 200).is_err());
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = to_bytes(&7_u8, 10).unwrap_or_default();
        bytes.push(0);
        assert_eq!(decode::<u8>(&bytes), Err(FrameError::Trailing));
    }

    #[test]
    fn a_reason_is_a_sentence() {
        #[derive(Debug, PartialEq, Eq, serde::Deserialize)]
        enum Only {
            One,
            Two(u8),
        }
        let bytes = to_bytes(&"\u{1b}[2J".repeat(10_000), 1 << 20).unwrap_or_default();
        let Err(FrameError::Malformed(reason)) = decode::<Only>(&bytes) else { panic!("no such variant") };
        assert!(reason.starts_with("unknown variant") && reason.len() <= MAX_REASON_BYTES, "{reason}");
        assert!(!reason.contains('\u{1b}'));
        assert_eq!(decode::<Only>(b"\x63One"), Ok(Only::One));
        // The codec takes this for `One`, but it is no CBOR: a map of one pair without its value.
        assert!(decode::<Only>(b"\xa1\x63One").is_err());
        assert_eq!(decode::<Only>(b"\xa1\x63One\xf6"), Err(FrameError::Trailing));
        assert_eq!(decode::<Only>(b"\xa1\x63Two\x05"), Ok(Only::Two(5)));
        // Nor is this `Two`, but two items.
        assert_eq!(decode::<Only>(b"\x63Two\x05"), Err(FrameError::Trailing));
    }
}
