//! What a user sees: data on standard output, talk and progress on standard error, and the sentences of both.

mod apply;
mod history;
mod inspect;
mod json;
mod logs;
mod plan;
mod ps;
mod push;
mod status;
mod table;

pub use apply::{ApplyNodeObject, ApplyObject};
pub(crate) use apply::{
    HEADS as APPLY_HEADS, hint as apply_hint, outcome_of, rows as apply_rows, unlisted as apply_unlisted,
    verdict_text as apply_verdict,
};
pub(crate) use history::{HEADS as HISTORY_HEADS, history_rows};
pub use history::{HistoryObject, VersionObject};
pub use inspect::{InspectNodeObject, InspectObject};
pub(crate) use inspect::{Inspected, inspect_text};
pub(crate) use json::PushNodeObject;
pub use json::{
    AlarmObject, ComponentObject, LogObject, ManifestObject, NodeObject, PushObject, StatusObject, UnclaimedObject,
};
pub(crate) use logs::{json_line, text_line};
pub use plan::PlanObject;
pub(crate) use plan::plan_text;
pub(crate) use ps::{HEADS as PS_HEADS, ps_objects, ps_omitted, ps_rows};
pub use ps::{PsComponentObject, PsObject, PsOmittedObject};
pub(crate) use push::{HEADS as PUSH_HEADS, bytes, failure_hint, outcome_rows, verdict_text, why};
pub(crate) use status::{HEADS as STATUS_HEADS, alarms, behind, not_shown, status_rows, unlisted};
pub(crate) use table::table;

use crate::cli::Color;
use crate::exit::Failure;
use crate::rollout::{Aim, Target};
use crate::world::{Ask, World};
use shared::NodeId;
use std::io::Write;

/// Lines of nodes that are redrawn in place; the rest of a large realm is counted in one line.
const MAX_LIVE_LINES: usize = 20;

/// How a piece of text is meant. The words alone say it too, for those who see no colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warning,
    Faint,
    Plain,
}

/// What can be told while it goes on.
pub(crate) trait Shown: Aim {
    /// Where a node stands, for a line of progress.
    fn line(&self, node: &NodeId, target: &Target<Self::Stand>) -> (Tone, String);

    /// What has to be another one before that is told anew, where nothing can be redrawn.
    fn news(&self, node: &NodeId, target: &Target<Self::Stand>) -> String;
}

/// Where a command writes to. A reader that goes away (`realm status | head`) is no error.
pub(crate) struct Terminal<'w> {
    out: &'w mut dyn Write,
    err: &'w mut dyn Write,
    ask: Option<Ask>,
    paint: bool,
    /// Columns and rows, when lines can be redrawn in place.
    size: Option<(u16, u16)>,
    live: Vec<String>,
    drawn: usize,
    unread: bool,
}

impl<'w> Terminal<'w> {
    /// Without colours: for what is said before the flags are known.
    pub(crate) fn plain(world: &'w mut World) -> Terminal<'w> {
        Terminal::of(world, Color::Never)
    }

    pub(crate) fn of(world: &'w mut World, color: Color) -> Terminal<'w> {
        let is_dumb = world.env("TERM").is_some_and(|term| term == "dumb");
        let size = world.err_terminal.filter(|_| !is_dumb);
        let wants_none = world.env("NO_COLOR").is_some_and(|value| !value.is_empty());
        let paint = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => size.is_some() && !wants_none,
        };
        Terminal {
            out: &mut *world.out,
            err: &mut *world.err,
            ask: world.ask.clone(),
            paint,
            size,
            live: Vec::new(),
            drawn: 0,
            unread: false,
        }
    }

    /// Whether progress is redrawn in place; otherwise each change gets a line of its own.
    pub(crate) fn is_live(&self) -> bool {
        self.size.is_some()
    }

    /// Writes data.
    pub(crate) fn data(&mut self, text: &str) {
        self.end_live();
        self.unread |= writeln!(self.out, "{text}").and_then(|()| self.out.flush()).is_err();
    }

    /// Whether whoever reads the data has gone.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread
    }

    /// Says something beside the data.
    pub(crate) fn say(&mut self, tone: Tone, text: &str) {
        let text = self.painted(tone, text);
        self.redraw(Some(&text));
    }

    /// Asks a question, and waits for a line, while the rest of the command goes on; `None` where nobody can be asked.
    pub(crate) async fn ask(&mut self, question: &str) -> Option<String> {
        let ask = self.ask.clone()?;
        self.end_live();
        let _ = write!(self.err, "{question} ").and_then(|()| self.err.flush());
        Some(smol::unblock(move || ask()).await)
    }

    /// Shows these lines in place of the ones that were shown before; nothing where nothing can be redrawn.
    pub(crate) fn show(&mut self, lines: Vec<(Tone, String)>) {
        let Some((columns, rows)) = self.size else { return };
        let most = MAX_LIVE_LINES.min(usize::from(rows).saturating_sub(2)).max(1);
        let hidden = lines.len().saturating_sub(most);
        // A line that wraps would be two to erase.
        let cut = |text: &str| text.chars().take(usize::from(columns).saturating_sub(1)).collect::<String>();
        let mut live: Vec<String> =
            lines.iter().take(most).map(|(tone, text)| self.painted(*tone, &cut(text))).collect();
        if hidden > 0 {
            live.push(format!("… and {hidden} more"));
        }
        self.live = live;
        self.redraw(None);
    }

    /// Leaves what is shown where it is.
    pub(crate) fn end_live(&mut self) {
        self.live.clear();
        self.drawn = 0;
    }

    /// Says what failed and what to do next.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        self.end_live();
        let head = self.painted(Tone::Bad, "error:");
        self.say(Tone::Plain, &format!("{head} {}", failure.message));
        if let Some(hint) = &failure.hint {
            self.say(Tone::Plain, &format!("hint: {hint}"));
        }
    }

    fn painted(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.paint => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Warning => 33,
            Tone::Faint => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Writes `said` above the lines that are shown. In one piece: a terminal that sees halves of it flickers.
    fn redraw(&mut self, said: Option<&str>) {
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}F\x1b[J", self.drawn));
        }
        for line in said.into_iter().chain(self.live.iter().map(String::as_str)) {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = self.live.len();
        let _ = self.err.write_all(text.as_bytes());
        let _ = self.err.flush();
    }
}

/// Text from elsewhere, without what would command the terminal.
pub(crate) fn clean(text: &str) -> String {
    let is_command =
        |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_command(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Names joined with commas, the first few of many.
pub(crate) fn listed(names: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<String> = names.into_iter().collect();
    let hidden = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if hidden > 0 { format!("{shown} and {hidden} more") } else { shown }
}

/// `1 node`, `3 nodes`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_command_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\r\tc\u{202e}d"), "a\\u{1b}[2Jb\\u{d}\tc\\u{202e}d");
        assert_eq!(clean("grüße 🙂"), "grüße 🙂");
    }

    #[test]
    fn lists_and_counts() {
        assert_eq!(listed(["a".to_owned(), "b".to_owned()]), "a, b");
        assert!(listed((0..20).map(|at| at.to_string())).ends_with("11 and 8 more"));
        assert_eq!((counted(1, "node"), counted(3, "node")), ("1 node".into(), "3 nodes".into()));
    }
}
