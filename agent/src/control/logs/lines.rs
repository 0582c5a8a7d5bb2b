//! Pieces of output become lines here: cut where a guest wrote an end, or where a line grows too long.
//! Pure, so that every way of cutting can be tried.

use super::limits::MAX_LINE_BYTES;

/// A line that is begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    bytes: Vec<u8>,
    since: u64,
}

impl Unfinished {
    /// When its first byte came, in Unix milliseconds.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// Takes a piece of output and calls `emit(time, text)` for each line that it completes.
    pub(super) fn push(&mut self, at: u64, mut piece: &[u8], mut emit: impl FnMut(u64, String)) {
        while !piece.is_empty() {
            if self.bytes.is_empty() {
                self.since = at;
            }
            let room = MAX_LINE_BYTES - self.bytes.len();
            // One byte more than there is room for: an end of line takes none.
            let window = &piece[..piece.len().min(room + 1)];
            if let Some(end) = window.iter().position(|byte| *byte == b'\n') {
                self.bytes.extend_from_slice(&window[..end]);
                piece = &piece[end + 1..];
                emit(self.since, text(&self.bytes));
                self.bytes.clear();
            } else if window.len() > room {
                self.bytes.extend_from_slice(&window[..room]);
                piece = &piece[room..];
                let whole = whole_chars(&self.bytes);
                emit(self.since, text(&self.bytes[..whole]));
                self.bytes.drain(..whole);
                self.since = at;
            } else {
                self.bytes.extend_from_slice(window);
                piece = &[];
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What there is of the line so far, without a character that has not come whole.
    pub(super) fn peek(&self) -> Option<(u64, String)> {
        let whole = whole_chars(&self.bytes);
        (whole > 0).then(|| (self.since, text(&self.bytes[..whole])))
    }

    /// The line as it is when nothing more comes: the beginning of a character is shown as one that was lost.
    pub(super) fn finish(self) -> Option<(u64, String)> {
        (!self.bytes.is_empty()).then(|| (self.since, text(&self.bytes)))
    }
}

/// How many bytes can be cut off without tearing a character: all but an incomplete one at the end.
fn whole_chars(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let needed = match bytes[bytes.len() - back] {
            0xF0..=0xF7 => 4,
            0xE0..=0xEF => 3,
            0xC0..=0xDF => 2,
            0x80..=0xBF => continue,
            _ => 1,
        };
        return if needed > back { bytes.len() - back } else { bytes.len() };
    }
    bytes.len()
}

/// The text of a line. What is not UTF-8 is replaced, which can triple it: the bound holds for the result.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(MAX_LINE_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<String>, Option<String>) {
        let mut unfinished = Unfinished::default();
        let mut lines = Vec::new();
        for piece in pieces {
            unfinished.push(0, piece, |_, line| lines.push(line));
        }
        (lines, unfinished.peek().map(|(_, text)| text))
    }

    #[test]
    fn pieces_become_lines_wherever_they_are_cut() {
        let output = "grüße\n\n日本語 🙂\r\nend".as_bytes();
        let expected = (vec!["grüße".to_owned(), String::new(), "日本語 🙂".to_owned()], Some("end".to_owned()));
        for first in 0..output.len() {
            for second in first..output.len() {
                let pieces = [&output[..first], &output[first..second], &output[second..]];
                assert_eq!(lines(&pieces), expected, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn an_endless_line_is_cut_between_characters() {
        let (cut, rest) = lines(&["é".repeat(MAX_LINE_BYTES).as_bytes()]);
        assert_eq!(cut.iter().chain(&rest).map(String::len).sum::<usize>(), 2 * MAX_LINE_BYTES);
        assert!(cut.iter().all(|line| line.len() <= MAX_LINE_BYTES && !line.contains('\u{FFFD}')));
        // One byte before them, so that a cut by bytes alone would go through the middle of a character.
        let shifted = format!("x{}\n", "日".repeat(MAX_LINE_BYTES));
        let (cut, rest) = lines(&[shifted.as_bytes()]);
        assert_eq!((cut.concat() + "\n", rest), (shifted, None));
    }

    #[test]
    fn a_line_of_just_the_most_is_one_line() {
        let line = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(lines(&[format!("{line}\n").as_bytes()]), (vec![line.clone()], None));
        assert_eq!(lines(&[line.as_bytes(), b"\n"]), (vec![line], None));
    }

    #[test]
    fn what_is_not_utf8_is_replaced_within_the_bound() {
        assert_eq!(lines(&[b"a\xFFb\n"]).0, ["a\u{FFFD}b"]);
        let (cut, _) = lines(&[&[0xFF; 100_000], b"\n"]);
        assert!(cut.iter().all(|line| line.len() <= MAX_LINE_BYTES));
        // Continuation bytes without a beginning must not hold up the cut.
        assert!(!lines(&[&[0x80; 100_000]]).0.is_empty());
    }
}
