//! The text as a tree of TOML, whatever is wrong with it. The only place that knows how the parser recovers.

use super::fault::{Found, Lines, excerpt};
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it is.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// What is left of a text after parsing it.
pub(super) struct Tree<'t> {
    pub(super) root: DeTable<'t>,
    /// What is no TOML, and keys that are there twice.
    pub(super) found: Vec<Found>,
    broken: Broken,
}

/// Lines, counted from 0 and sorted, that tell a fault from the consequence of another one.
struct Broken {
    /// Those with something that is no TOML.
    lines: Vec<usize>,
    /// Those that begin with a bracket, as the head of a table does.
    heads: Vec<usize>,
}

/// What the parser says of a line with a key and nothing behind it. It stops there, as if that were the end of the text.
const STOPS: &[&str] = &["key with no value", "missing value for key"];

/// The text without the lines at which the parser would stop, each byte of them a space, and what was found there.
pub(super) fn mended<'t>(text: &'t str, lines: &Lines<'_>) -> (Cow<'t, str>, Vec<Found>) {
    let (_, mut errors) = DeTable::parse_recoverable(text);
    errors.retain(|error| STOPS.contains(&error.message().split(',').next().unwrap_or_default()));
    let found: Vec<Found> = errors.iter().map(found).collect();
    if found.is_empty() {
        return (text.into(), found);
    }
    let mut stops = found.iter().map(|found| lines.line(found.at)).peekable();
    let mut mended = String::with_capacity(text.len());
    for (line, text) in text.split_inclusive('\n').enumerate() {
        if stops.next_if_eq(&line).is_some() {
            mended.push_str(&" ".repeat(text.trim_end_matches('\n').len()));
            mended.push_str(&text[text.trim_end_matches('\n').len()..]);
        } else {
            mended.push_str(text);
        }
    }
    (mended.into(), found)
}

/// Parses a text that was mended; `stops` is what was found then.
pub(super) fn tree<'t>(mended: &'t str, lines: &Lines<'_>, stops: Vec<Found>) -> Tree<'t> {
    let (root, errors) = DeTable::parse_recoverable(mended);
    let (doubles, errors): (Vec<_>, Vec<_>) = errors.iter().partition(|error| error.message() == "duplicate key");
    let mut broken = stops;
    broken.extend(errors.into_iter().map(found));
    broken.sort_by_key(|found| found.at);
    // The second fault of a line is mostly what the parser made of the first.
    broken.dedup_by_key(|found| lines.line(found.at));
    let text_lines = mended.split('\n').enumerate();
    let heads = text_lines.filter(|(_, text)| text.trim_start().starts_with('[')).map(|(line, _)| line).collect();
    let mut tree = Tree {
        root: root.into_inner(),
        broken: Broken { lines: broken.iter().map(|found| lines.line(found.at)).collect(), heads },
        found: broken,
    };
    for error in doubles {
        let span = error.span().unwrap_or_default();
        let key = excerpt(mended.get(span.clone()).unwrap_or_default());
        if !tree.is_broken(span.start, lines) {
            tree.found.push(Found::new(span.start, format!("duplicate key `{key}`; expected each key once")));
        }
    }
    tree
}

/// In the words of the parser, which says what it expected, too.
fn found(error: &toml::de::Error) -> Found {
    let at = error.span().map_or(0, |span| span.start);
    Found::new(at, error.message().replacen(", expected ", "; expected ", 1))
}

impl Tree<'_> {
    /// Whether all of the text is in the tree: only then can something be missing in it.
    pub(super) fn is_whole(&self) -> bool {
        self.broken.lines.is_empty()
    }

    /// Whether something was found in a line that is no TOML anyway, or below the head of a table that is none, where
    /// every key is in the wrong table.
    pub(super) fn is_broken(&self, at: usize, lines: &Lines<'_>) -> bool {
        let Broken { lines: broken, heads } = &self.broken;
        let line = lines.line(at);
        let head = heads.partition_point(|head| *head <= line).checked_sub(1).map(|last| heads[last]);
        broken.binary_search(&line).is_ok() || head.is_some_and(|head| broken.binary_search(&head).is_ok())
    }
}

/// The entries of a table in the order of the file; the table itself is sorted by name.
pub(super) fn in_order<'a, 't>(table: &'a DeTable<'t>) -> Vec<(&'a str, usize, &'a Value<'t>)> {
    let entries = table.iter().map(|(key, value)| (&**key.get_ref(), key.span().start, value));
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|(_, at, _)| *at);
    entries
}

/// What the parser puts where a value is missing.
pub(super) fn is_placeholder(value: &Value<'_>) -> bool {
    value.span().is_empty()
}

/// What a value is, with its article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
