//! The last lines of one component, or of all of them merged by time.

use super::LogEntry;
use super::files::Files;
use super::limits::{MAX_TAIL_BYTES, MAX_TAIL_COMPONENTS};
use shared::{ComponentName, Stream};
use std::collections::VecDeque;
use std::io;

/// One line in its file: `<unix ms> <O|E|A> <text>` and an end.
pub(super) fn format(line: &LogEntry) -> Vec<u8> {
    let letter = match line.stream {
        Stream::Stdout => 'O',
        Stream::Stderr => 'E',
        Stream::Agent => 'A',
    };
    format!("{} {letter} {}\n", line.at, line.text).into_bytes()
}

/// The reverse; `None` for what is torn.
fn parse(component: &ComponentName, line: &str) -> Option<LogEntry> {
    let mut parts = line.splitn(3, ' ');
    let at = parts.next()?.parse().ok()?;
    let stream = match parts.next()? {
        "O" => Stream::Stdout,
        "E" => Stream::Stderr,
        "A" => Stream::Agent,
        _ => return None,
    };
    Some(LogEntry { component: component.clone(), at, stream, text: parts.next()?.to_owned() })
}

/// The last `n` lines that are not older than `since`; `unfinished` are those that are begun and not in a file yet.
pub(super) fn tail(
    files: &Files,
    component: Option<&ComponentName>,
    n: usize,
    since: Option<u64>,
    unfinished: Vec<LogEntry>,
) -> io::Result<Vec<LogEntry>> {
    let mut components = match component {
        Some(component) => [component.clone()].into(),
        None => files.components(MAX_TAIL_COMPONENTS)?,
    };
    components.extend(unfinished.iter().map(|line| line.component.clone()));
    let since = since.unwrap_or(0);
    let mut merged = Vec::new();
    for component in components {
        let begun = unfinished.iter().filter(|line| line.component == component && line.at >= since).cloned();
        let mut lines = read(files, &component, n, since)?;
        lines.extend(begun);
        merged = merge(merged, bounded(lines, n));
        merged = bounded(merged, n).into();
    }
    Ok(merged)
}

fn read(files: &Files, component: &ComponentName, n: usize, since: u64) -> io::Result<VecDeque<LogEntry>> {
    let bytes = files.newest(component, MAX_TAIL_BYTES as u64)?;
    let text = String::from_utf8_lossy(&bytes);
    let newest_first = text.lines().rev().filter_map(|line| parse(component, line));
    // All are looked at: a clock that was set leaves newer times before older ones.
    let newest_first = newest_first.filter(|line| line.at >= since).take(n);
    let mut lines: VecDeque<LogEntry> = VecDeque::new();
    newest_first.for_each(|line| lines.push_front(line));
    Ok(lines)
}

/// Drops the oldest until at most `n` lines and [`MAX_TAIL_BYTES`] of text are left.
fn bounded(lines: impl Into<VecDeque<LogEntry>>, n: usize) -> VecDeque<LogEntry> {
    let mut lines = lines.into();
    let mut bytes: usize = lines.iter().map(|line| line.text.len()).sum();
    while lines.len() > n || bytes > MAX_TAIL_BYTES {
        let Some(oldest) = lines.pop_front() else { break };
        bytes -= oldest.text.len();
    }
    lines
}

/// Merges by time. Within one component lines stay in the order they were written in, though the clock was set back.
fn merge(left: Vec<LogEntry>, right: VecDeque<LogEntry>) -> Vec<LogEntry> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut right = right.into_iter().peekable();
    for line in left {
        while let Some(earlier) = right.next_if(|other| other.at < line.at) {
            merged.push(earlier);
        }
        merged.push(line);
    }
    merged.extend(right);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_was_written() {
        let component = "hello".parse().unwrap();
        for text in ["", " two  spaces ", "O E A", "\u{FFFD}"] {
            let entry =
                LogEntry { component: "hello".parse().unwrap(), at: 7, stream: Stream::Stderr, text: text.into() };
            let line = String::from_utf8(format(&entry)).unwrap();
            assert_eq!(parse(&component, line.trim_end_matches('\n')), Some(entry));
        }
        for torn in ["", "17", "17 O", "17 X text", "x O text"] {
            assert_eq!(parse(&component, torn), None, "{torn}");
        }
    }
}
