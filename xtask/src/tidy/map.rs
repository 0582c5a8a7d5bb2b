//! ARCHITECTURE.md against the tree: all that is there is on the map, and all that is on the map is there.
//! A map that nobody checks is wrong within a month.

use std::collections::BTreeSet;

use super::Finding;

/// The map.
const MAP: &str = "ARCHITECTURE.md";

/// What the tree holds, as far as the map speaks of it.
pub(super) struct Tree {
    /// Every file and folder, from the root, with `/`.
    pub(super) paths: BTreeSet<String>,
    /// Folders at the top.
    pub(super) folders: BTreeSet<String>,
    /// Names of crates and programs, as in `[package]` and `[[bin]]`.
    pub(super) crates: BTreeSet<String>,
    /// Protocol names of `shared/src/protocol*`.
    pub(super) protocols: BTreeSet<String>,
}

/// Compares the text of the map with the tree.
pub(super) fn check(map: &str, tree: &Tree) -> Vec<Finding> {
    let finding = |line: usize, message: String| Finding { path: MAP.to_owned(), line, message, warning: false };
    let mut findings = Vec::new();
    let terms: Vec<(usize, &str)> = terms(map).collect();
    let says = |name: &str| {
        terms.iter().any(|(_, term)| term.trim_end_matches('/') == name)
            || is_folder_in(map, name)
            || is_drawn(map, name)
    };
    for name in tree.folders.union(&tree.crates) {
        if !says(name) {
            findings.push(finding(1, format!("`{name}` is missing on the map")));
        }
    }
    for name in &tree.protocols {
        if !map.contains(name.as_str()) {
            findings.push(finding(1, format!("the protocol `{name}` is missing on the map")));
        }
    }
    for (line, term) in terms {
        if protocol_names(term).any(|name| name == term) {
            if !tree.protocols.contains(term) {
                findings.push(finding(line, format!("there is no protocol `{term}`")));
            }
        } else if is_path(term, tree) && !exists(term, tree) {
            findings.push(finding(line, format!("there is no `{term}`")));
        }
    }
    findings
}

/// `/realm/NAME/NUMBER`, wherever such a name stands in a text.
pub(super) fn protocol_names(text: &str) -> impl Iterator<Item = &str> {
    let ends = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '/' || letter == '-');
    let starts = text.match_indices("/realm/").map(|(at, _)| at);
    let names = starts.map(move |at| &text[at..][..text[at..].find(ends).unwrap_or(text.len() - at)]);
    names.filter(|name| {
        let parts: Vec<&str> = name.split('/').collect();
        parts.len() == 4 && !parts[2].is_empty() && parts[3].parse::<u32>().is_ok()
    })
}

/// What stands between backticks, with its line; fenced blocks have none of it.
fn terms(map: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = map.lines().enumerate().filter(|(_, line)| !line.starts_with("```"));
    lines.flat_map(|(index, line)| line.split('`').skip(1).step_by(2).map(move |term| (index + 1, term)))
}

/// Named in a drawing: the first word of a line in a fenced block.
fn is_drawn(map: &str, name: &str) -> bool {
    let fenced = map.split("```").skip(1).step_by(2).flat_map(str::lines);
    let start = |line: &str| line.find(char::is_alphanumeric).unwrap_or(line.len());
    fenced.filter_map(|line| line[start(line)..].split(' ').next()).any(|first| first == name)
}

/// Named as the folder of a path: a word with a slash behind it.
fn is_folder_in(map: &str, name: &str) -> bool {
    let part_of_word = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
    map.match_indices(name).any(|(at, _)| {
        let (before, after) = (map[..at].chars().next_back(), map[at + name.len()..].chars().next());
        !before.is_some_and(|letter| part_of_word(letter) || letter == '/') && after == Some('/')
    })
}

/// A term that claims to be in the tree: begins with a folder at the top and has no sign that a path has not.
fn is_path(term: &str, tree: &Tree) -> bool {
    let (first, rest) = term.split_once('/').unwrap_or((term, ""));
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    tree.folders.contains(first) && !rest.is_empty() && term.chars().all(plain)
}

/// `a/b/` and `a/b` are a file or a folder; `agent/control/node` is short for `agent/src/control/node`.
fn exists(term: &str, tree: &Tree) -> bool {
    let term = term.trim_end_matches('/');
    let with_src = term.split_once('/').map(|(first, rest)| format!("{first}/src/{rest}")).unwrap_or_default();
    [term, &with_src].iter().any(|path| tree.paths.contains(*path) || tree.paths.contains(&format!("{path}.rs")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn tree() -> Tree {
        Tree {
            paths: set(&["agent", "agent/src/control", "agent/src/control/node.rs", "docs", "docs/protocol.md"]),
            folders: set(&["agent", "docs"]),
            crates: set(&["agent", "realm-agent"]),
            protocols: set(&["/realm/hello/1"]),
        }
    }

    const GOOD: &str = "`agent` is `realm-agent`; see `docs/`, `agent/src/control/`, `agent/control/node`, `docs/protocol.md`.\n\
                        Speaks `/realm/hello/1`; topics are `realm/<hex>/intents/1`.";

    #[test]
    fn a_true_map_passes() {
        let findings: Vec<_> = check(GOOD, &tree()).into_iter().map(|finding| finding.message).collect();
        assert!(findings.is_empty(), "{findings:?}");
        assert!(check(&GOOD.replace("`docs/`", "docs/"), &tree()).is_empty());
        let drawn = "```\n ├─ realm-agent control\n```\n".to_owned() + &GOOD.replace("`realm-agent`", "it");
        assert!(check(&drawn, &tree()).is_empty());
        assert_eq!(check(&drawn.replace("```", ""), &tree()).len(), 1);
    }

    #[test]
    fn what_is_missing_on_the_map_is_named() {
        for gone in ["`realm-agent`", "`/realm/hello/1`"] {
            assert_eq!(check(&GOOD.replace(gone, "x"), &tree()).len(), 1, "{gone}");
        }
        assert_eq!(check("", &tree()).len(), 4);
        // Part of a longer word is not the name.
        assert_eq!(check(&GOOD.replace("`agent` is", "agents are").replace("agent/", "x/"), &tree()).len(), 1);
    }

    #[test]
    fn what_is_only_on_the_map_is_named() {
        for wrong in ["`agent/src/gone.rs`", "`docs/gone/`", "`/realm/gone/1`", "`/realm/hello/2`"] {
            let findings = check(&format!("{GOOD}\n{wrong}"), &tree());
            assert_eq!(findings.len(), 1, "{wrong}");
            assert_eq!(findings[0].line, 3);
        }
        for fine in ["`agent::control`", "`agent/<data>/x`", "`elsewhere/x`", "`agent`"] {
            assert_eq!(check(&format!("{GOOD}\n{fine}"), &tree()).len(), 0, "{fine}");
        }
    }

    #[test]
    fn protocol_names_are_found_in_code() {
        let text = "\"/realm/hello/1\" => \"/realm/blob/12\", \"/realm/x\" \"/realm//1\" \"a/realm/sync/1/more\"";
        assert_eq!(protocol_names(text).collect::<Vec<_>>(), ["/realm/hello/1", "/realm/blob/12"]);
    }
}
