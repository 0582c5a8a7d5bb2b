//! Whether bytes are one CBOR item that everybody reads alike, looked at before any type is read from them. The codec
//! itself is lenient: it takes endless lengths, and enum values that are not whole CBOR items.

/// How deep arrays, maps and tags may be nested. The deepest message has eight levels; the rest is for later ones.
const MAX_DEPTH: usize = 32;

const ENDS_EARLY: &str = "ends early";

/// How many bytes the first item of `bytes` has. Lengths must be definite, and the nesting at most [`MAX_DEPTH`].
/// Allocates nothing, whatever lengths the bytes announce.
///
/// # Errors
/// What is wrong, for people.
pub(crate) fn item_length(bytes: &[u8]) -> Result<usize, &'static str> {
    // How many items are still to come on each level.
    let mut open = [0; MAX_DEPTH];
    let (mut depth, mut at) = (0, 0);
    loop {
        let (head, inner) = head(bytes.get(at..).unwrap_or_default())?;
        at = at.checked_add(head).filter(|at| *at <= bytes.len()).ok_or(ENDS_EARLY)?;
        if inner > 0 {
            // Each item has at least one byte.
            if inner > (bytes.len() - at) as u64 {
                return Err(ENDS_EARLY);
            }
            *open.get_mut(depth).ok_or("is nested too deep")? = inner;
            depth += 1;
            continue;
        }
        loop {
            let Some(level) = depth.checked_sub(1) else { return Ok(at) };
            open[level] -= 1;
            if open[level] > 0 {
                break;
            }
            depth = level;
        }
    }
}

/// Of the item that `bytes` begin with: its size without the items within it, and how many of those follow.
fn head(bytes: &[u8]) -> Result<(usize, u64), &'static str> {
    let first = *bytes.first().ok_or(ENDS_EARLY)?;
    let (major, low) = (first >> 5, first & 31);
    let (argument, head) = match low {
        0..=23 => (u64::from(low), 1),
        24..=27 => {
            let width = 1 << (low - 24);
            let argument = bytes.get(1..1 + width).ok_or(ENDS_EARLY)?;
            (argument.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), 1 + width)
        }
        31 => return Err("has an item of indefinite length"),
        _ => return Err("has a reserved head"),
    };
    match major {
        0 | 1 => Ok((head, 0)),
        2 | 3 => {
            let content = usize::try_from(argument).map_err(|_| ENDS_EARLY)?;
            Ok((head.checked_add(content).ok_or(ENDS_EARLY)?, 0))
        }
        4 => Ok((head, argument)),
        5 => Ok((head, argument.checked_mul(2).ok_or(ENDS_EARLY)?)),
        6 => Ok((head, 1)),
        // False, true, null, and floating point numbers of three widths.
        _ if matches!(low, 20..=22 | 25..=27) => Ok((head, 0)),
        _ => Err("has a simple value that nobody uses"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_items() {
        for (bytes, length) in [
            (&b"\x17\xff"[..], 1),
            (b"\x18\x18", 2),
            (b"\x3b\x00\x00\x00\x00\x00\x00\x00\x00", 9),
            (b"\x43abcdef", 4),
            (b"\x80\x80", 1),
            (b"\x82\x80\x81\xf6\x01", 4),
            (b"\xa2\x61a\x01\x61b\x82\x01\x02\xff", 9),
            (b"\xc1\x1a\x00\x00\x00\x01\x00", 6),
            (b"\xf9\x00\x00\xf6", 3),
        ] {
            assert_eq!(item_length(bytes), Ok(length), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_no_item() {
        for bytes in [
            &b""[..],
            b"\x18",
            b"\x43ab",
            b"\x82\x01",
            b"\xa1\x65never",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x00",
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xc1",
            b"\x1c",
            b"\x9f\xff",
            b"\x5f\xff",
            b"\xff",
            b"\xf7",
            b"\xf8\x20",
        ] {
            assert!(item_length(bytes).is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth| [vec![0x81; depth], vec![0x00]].concat();
        assert_eq!(item_length(&nested(MAX_DEPTH)), Ok(MAX_DEPTH + 1));
        assert_eq!(item_length(&nested(MAX_DEPTH + 1)), Err("is nested too deep"));
        assert_eq!(item_length(&nested(1 << 20)), Err("is nested too deep"));
    }
}
