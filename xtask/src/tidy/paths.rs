//! Every path that a file names, in full: `use` trees unfolded, `crate`, `self` and `super` resolved.
//! What the rules about arrows and purity are asked of; a grouped import must not hide from them.

use super::source::{Source, Token, tokens};

/// One path in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// From 1.
    pub(super) line: usize,
    /// Segments; those of the file's own crate begin with the crate's name. A glob import ends in `*`.
    pub(super) segments: Vec<String>,
}

impl Named {
    /// Whether the path lies in (or is) `prefix`, written `a::b`; a glob over a parent of `prefix` counts too.
    pub(super) fn reaches(&self, prefix: &str) -> bool {
        let wanted: Vec<&str> = prefix.split("::").collect();
        let glob = self.segments.last().is_some_and(|last| last == "*");
        let own = &self.segments[..self.segments.len() - usize::from(glob)];
        let shared = own.iter().zip(&wanted).take_while(|(own, wanted)| own == wanted).count();
        shared == wanted.len() || (glob && shared == own.len() && !own.is_empty())
    }

    /// As written in full.
    pub(super) fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// All paths of the file, also those of one segment.
pub(super) fn paths(source: &Source) -> Vec<Named> {
    let mut reader = Reader { tokens: tokens(&source.code), at: 0, found: Vec::new() };
    let (crate_name, own) = module_of(&source.path);
    let (mut inline, mut depth) = (Vec::<(String, usize)>::new(), 0_usize);
    while let Some(token) = reader.tokens.get(reader.at).cloned() {
        let before = reader.found.len();
        match token.text.as_str() {
            "{" => (depth, reader.at) = (depth + 1, reader.at + 1),
            "}" => {
                (depth, reader.at) = (depth.saturating_sub(1), reader.at + 1);
                inline.pop_if(|(_, opened)| *opened == depth);
            }
            "mod" if reader.is(2, "{") => {
                inline.push((reader.text(1).to_owned(), depth));
                reader.at += 2;
            }
            "use" if !reader.is(1, "<") => {
                reader.at += 1;
                reader.tree(&[]);
            }
            _ => reader.inline_path(),
        }
        let module = own.iter().chain(inline.iter().map(|(name, _)| name)).cloned().collect::<Vec<_>>();
        for named in &mut reader.found[before..] {
            named.segments = resolve(&named.segments, &crate_name, &module);
        }
    }
    reader.found
}

/// The crate (its folder) and the module that a file is.
pub(super) fn module_of(path: &str) -> (String, Vec<String>) {
    let (crate_name, rest) = path.split_once('/').unwrap_or((path, ""));
    let rest = rest.strip_prefix("src/").unwrap_or(rest).trim_end_matches(".rs");
    let mut module: Vec<String> = rest.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    (crate_name.to_owned(), module)
}

fn resolve(segments: &[String], crate_name: &str, module: &[String]) -> Vec<String> {
    let mut base = match segments.first().map(String::as_str) {
        Some("crate") => Vec::new(),
        Some("self" | "super") => module.to_vec(),
        _ => return segments.to_vec(),
    };
    let words = segments.iter().take_while(|word| matches!(word.as_str(), "crate" | "self" | "super")).count();
    for word in &segments[..words] {
        if word == "super" {
            base.pop();
        }
    }
    std::iter::once(crate_name.to_owned()).chain(base).chain(segments[words..].iter().cloned()).collect()
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    found: Vec<Named>,
}

impl Reader {
    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text.as_str())
    }

    fn is(&self, ahead: usize, text: &str) -> bool {
        self.text(ahead) == text
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    /// Reads one branch of a `use` tree; stops at the `,`, `}` or `;` after it.
    fn tree(&mut self, prefix: &[String]) {
        let (mut segments, line) = (prefix.to_vec(), self.line());
        loop {
            match self.text(0) {
                "" | "," | "}" | ";" => break,
                "::" => self.at += 1,
                "as" => self.at += 2,
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(0), "" | "}" | ";") {
                        self.tree(&segments);
                        self.at += usize::from(self.is(0, ","));
                    }
                    self.at += 1;
                    return;
                }
                word => {
                    // `a::{self}` is `a`.
                    if word != "self" || segments.is_empty() {
                        segments.push(word.to_owned());
                    }
                    self.at += 1;
                }
            }
        }
        self.found.push(Named { line, segments });
    }

    fn inline_path(&mut self) {
        let (mut segments, line) = (Vec::new(), self.line());
        let word = |text: &str| text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_');
        while word(self.text(0)) {
            segments.push(self.text(0).to_owned());
            self.at += 1;
            if !self.is(0, "::") || !word(self.text(1)) {
                break;
            }
            self.at += 1;
        }
        if segments.is_empty() {
            self.at += 1;
        } else {
            self.found.push(Named { line, segments });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, code: &str) -> Vec<String> {
        paths(&Source::new(path, code)).iter().map(Named::text).filter(|text| text.contains("::")).collect()
    }

    #[test]
    fn use_trees_are_unfolded() {
        let found = texts("agent/src/x.rs", "use std::{fs::{self, File as F}, io};\npub use a::b::*;");
        assert_eq!(found, ["std::fs", "std::fs::File", "std::io", "a::b::*"]);
    }

    #[test]
    fn own_paths_are_resolved() {
        let code = "use super::node::State; use crate::ipc::{Frame}; fn f() { self::g(); super::super::h() }";
        let found = texts("agent/src/control/store/disk.rs", code);
        let expected = ["control::store::node::State", "ipc::Frame", "control::store::disk::g", "control::h"];
        assert_eq!(found, expected.map(|path| format!("agent::{path}")));
        assert_eq!(texts("agent/src/control/store/mod.rs", "use super::node;"), ["agent::control::node"]);
        assert_eq!(texts("agent/src/lib.rs", "use crate::node;"), ["agent::node"]);
    }

    #[test]
    fn an_inline_module_is_one_level_more() {
        let code = "mod tests { use super::*; fn f() {} } use super::x;";
        assert_eq!(texts("agent/src/control/a.rs", code), ["agent::control::a::*", "agent::control::x"]);
    }

    #[test]
    fn a_path_reaches_what_it_names_and_a_glob_what_is_below() {
        let named = |text: &str| Named { line: 1, segments: text.split("::").map(str::to_owned).collect() };
        assert!(named("std::fs::read").reaches("std::fs"));
        assert!(named("std::fs").reaches("std::fs"));
        assert!(named("std::*").reaches("std::fs"));
        assert!(!named("std::fs_more").reaches("std::fs"));
        assert!(!named("std").reaches("std::fs"));
        assert!(!named("std::io::*").reaches("std::fs"));
        assert!(!named("*").reaches("std::fs"));
    }
}
