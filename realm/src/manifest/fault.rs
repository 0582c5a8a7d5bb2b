//! What is wrong with a manifest, and where: one line for each fault, as editors and people look for it.

use crate::exit::Failure;
use crate::output::{clean, counted};
use std::fmt;
use std::path::Path;

/// How many faults are shown; the rest is counted. More than two screens of them are read by nobody.
pub const MAX_SHOWN_FAULTS: usize = 50;

/// A place in a file, both counted from 1. A column is a character, a tab too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What, and what was expected: lower case, no full stop.
    pub text: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault at a place.
    #[must_use]
    pub fn new(place: Place, text: impl Into<String>) -> Fault {
        Fault { place, text: text.into(), hint: None }
    }

    /// The same, with the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}

/// Faults of one file, in its order. Displayed, each has a line `FILE:LINE:COLUMN: TEXT`, and its hint one below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    file: String,
    shown: Vec<Fault>,
    hidden: usize,
}

impl Faults {
    /// Brings faults of the file `file` into order; [`MAX_SHOWN_FAULTS`] of them are kept, the rest is counted.
    #[must_use]
    pub fn new(file: &Path, mut faults: Vec<Fault>) -> Faults {
        faults.sort_by_key(|fault| fault.place);
        let hidden = faults.len().saturating_sub(MAX_SHOWN_FAULTS);
        faults.truncate(MAX_SHOWN_FAULTS);
        Faults { file: file.display().to_string(), shown: faults, hidden }
    }

    /// Those found at offsets of a text. Equal ones count once.
    pub(super) fn at(file: &Path, lines: &Lines<'_>, mut found: Vec<Found>) -> Faults {
        found.sort_by(|one, other| (one.at, &one.text).cmp(&(other.at, &other.text)));
        found.dedup();
        let hidden = found.len().saturating_sub(MAX_SHOWN_FAULTS);
        found.truncate(MAX_SHOWN_FAULTS);
        let shown =
            found.into_iter().map(|found| Fault { place: lines.place(found.at), text: found.text, hint: found.hint });
        Faults { file: file.display().to_string(), shown: shown.collect(), hidden }
    }

    /// How many there are, those included that are not shown.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shown.len() + self.hidden
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Those that are shown.
    #[must_use]
    pub fn shown(&self) -> &[Fault] {
        &self.shown
    }

    /// What is displayed, line by line. Nothing in it commands a terminal, whatever the file holds.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Fault { place: Place { line, column }, text, hint } in &self.shown {
            lines.push(clean(&format!("{}:{line}:{column}: {text}", self.file)));
            lines.extend(hint.iter().map(|hint| clean(&format!("  hint: {hint}"))));
        }
        if self.hidden > 0 {
            lines.push(format!("… and {} more", self.hidden));
        }
        lines
    }

    /// The error that they are together.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let count = counted(self.count(), "fault");
        Failure::new(format!("`{}` cannot be used, it has {count}:\n{self}", clean(&self.file)))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for Faults {}

/// The bytes of a file as text.
///
/// # Errors
/// The place of the first byte that is none.
pub(super) fn utf8<'b>(file: &Path, bytes: &'b [u8]) -> Result<&'b str, Faults> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let place = Lines::of(&good).place(good.len());
        let fault = Fault::new(place, format!("the byte 0x{:02x} is no text; expected UTF-8", bytes[good.len()]));
        Faults::new(file, vec![fault.hint("save the file as UTF-8")])
    })
}

/// A fault at an offset of the text, which gets its place when it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: usize,
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Found {
    pub(super) fn new(at: usize, text: impl Into<String>) -> Found {
        Found { at, text: text.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Found {
        self.hint = Some(hint.into());
        self
    }
}

/// Where the lines of a text begin.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl Lines<'_> {
    pub(super) fn of(text: &str) -> Lines<'_> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    /// The line of an offset, counted from 0.
    pub(super) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    pub(super) fn place(&self, at: usize) -> Place {
        let at = self.text.floor_char_boundary(at);
        let line = self.line(at);
        let before = self.text[self.starts[line]..at].trim_start_matches('\u{feff}');
        Place { line: line + 1, column: before.chars().count() + 1 }
    }
}

/// At most 40 characters of what is in the file, for use in a fault.
pub(super) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
