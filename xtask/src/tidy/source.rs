//! Rust text with comments and literals blanked, so that rules look at code only.
//! Not a parser: it knows where strings, characters and comments begin and end, which is what a search for words needs.

/// One file, as read and as code.
pub(super) struct Source {
    /// From the root of the checkout, with `/`.
    pub(super) path: String,
    /// As it is.
    pub(super) text: String,
    /// The same lines with the contents of comments, strings and characters as spaces.
    pub(super) code: String,
}

impl Source {
    /// Blanks `text`.
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    /// A file of tests only: a folder `tests`, or a module file of that name.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Whether the path is `prefix` itself, as a file or as a folder.
    pub(super) fn is_in(&self, prefix: &str) -> bool {
        let rest = self.path.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/') || prefix.ends_with('/'))
    }
}

/// A word or sign of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// From 1.
    pub(super) line: usize,
    /// An identifier or number, `::`, or one other character.
    pub(super) text: String,
}

/// Splits blanked code.
pub(super) fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                word => word,
            };
            tokens.push(Token { line: index + 1, text: rest[..length].to_owned() });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Whether the letter can be inside an identifier.
pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn blank(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = match literal_or_comment(&letters, at) {
            Some(end) => end,
            None => {
                code.push(letters[at]);
                at += 1;
                continue;
            }
        };
        let hidden = letters[at..end].iter();
        code.extend(hidden.map(|letter| if *letter == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// Where the comment or literal that begins at `at` ends, if one does.
fn literal_or_comment(letters: &[char], at: usize) -> Option<usize> {
    let next = letters.get(at + 1).copied();
    match letters[at] {
        '/' if next == Some('/') => Some(find(letters, at, |rest| rest[0] == '\n')),
        '/' if next == Some('*') => Some(end_of_block_comment(letters, at)),
        '"' => Some(end_of_string(letters, at)),
        '\'' => end_of_character(letters, at),
        // `r` begins a raw string only where no word goes on; `br` and `cr` reach this with their second letter.
        'r' if at == 0 || !is_word(letters[at - 1]) || is_prefixed(letters, at) => end_of_raw_string(letters, at),
        _ => None,
    }
}

fn is_prefixed(letters: &[char], at: usize) -> bool {
    matches!(letters[at - 1], 'b' | 'c') && (at == 1 || !is_word(letters[at - 2]))
}

fn find(letters: &[char], from: usize, stop: impl Fn(&[char]) -> bool) -> usize {
    (from..letters.len()).find(|at| stop(&letters[*at..])).unwrap_or(letters.len())
}

fn end_of_block_comment(letters: &[char], at: usize) -> usize {
    let (mut depth, mut at) = (0, at);
    while at < letters.len() {
        match (letters[at], letters.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 1),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 1),
            _ => {}
        }
        at += 1;
    }
    letters.len()
}

fn end_of_string(letters: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < letters.len() {
        match letters[at] {
            '\\' => at += 1,
            '"' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    letters.len()
}

/// `None` for a lifetime.
fn end_of_character(letters: &[char], at: usize) -> Option<usize> {
    match (letters.get(at + 1), letters.get(at + 2)) {
        (Some('\\'), _) => Some(find(letters, at + 3, |rest| rest[0] == '\'') + 1),
        (_, Some('\'')) => Some(at + 3),
        _ => None,
    }
}

fn end_of_raw_string(letters: &[char], at: usize) -> Option<usize> {
    let hashes = letters[at + 1..].iter().take_while(|letter| **letter == '#').count();
    if letters.get(at + 1 + hashes) != Some(&'"') {
        return None;
    }
    let closes = |rest: &[char]| rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#');
    Some((find(letters, at + 2 + hashes, closes) + 1 + hashes).min(letters.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text = "a // tokio\nb /* tokio /* x\n */ tokio */ c\nd \"tok\\\"io\n\" e r#\"to\"kio\"# f br\"x\" g";
        let code = blank(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(code.split_whitespace().collect::<String>(), "abcdefbg");
    }

    #[test]
    fn a_lifetime_is_no_character() {
        assert_eq!(blank("<'a>(x: &'a str) '\"' '\\'' 'b' end"), "<'a>(x: &'a str)              end");
    }

    #[test]
    fn an_identifier_that_ends_in_r_begins_no_raw_string() {
        assert_eq!(blank("for \"x\" y var#z"), "for     y var#z");
    }

    #[test]
    fn tokens_know_their_lines() {
        let found: Vec<_> = tokens("std::fs\n  ::x").into_iter().map(|token| (token.line, token.text)).collect();
        let expected = [(1, "std"), (1, "::"), (1, "fs"), (2, "::"), (2, "x")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn a_prefix_means_a_file_or_a_folder() {
        let source = |path| Source::new(path, "");
        assert!(source("shared/src/mesh.rs").is_in("shared/src/mesh"));
        assert!(source("shared/src/mesh/gate.rs").is_in("shared/src/mesh"));
        assert!(!source("shared/src/meshwork.rs").is_in("shared/src/mesh"));
        assert!(source("agent/tests/x.rs").is_test() && source("a/src/mesh/tests.rs").is_test());
        assert!(!source("xtask/src/test.rs").is_test());
    }
}
