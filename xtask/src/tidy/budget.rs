//! What every file owes its reader: a first sentence, a bounded length, nothing left undone.

use super::Finding;
use super::source::{Source, Token, tokens};

/// Above this many lines a file is named, not refused.
const FILE_SOFT: usize = 300;
/// Above this many it is refused.
const FILE_HARD: usize = 400;
/// Tests are lists of cases and may be longer.
const TEST_FILE_HARD: usize = 500;
/// Lines of code in a function's body, without comments and empty lines, as clippy counts them.
const FUNCTION_HARD: usize = 70;

/// All rules about one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.text.starts_with("//!") {
        findings.push(Finding::new(source, 1, "does not open with `//!`: what is it, and why here?".to_owned()));
    }
    let lines = source.text.lines().count();
    let hard = if source.is_test() { TEST_FILE_HARD } else { FILE_HARD };
    if lines > hard {
        findings.push(Finding::new(source, hard, format!("{lines} lines, the budget is {hard}")));
    } else if lines > FILE_SOFT && !source.is_test() {
        let message = format!("{lines} lines, {FILE_SOFT} are enough for most");
        findings.push(Finding { warning: true, ..Finding::new(source, FILE_SOFT, message) });
    }
    let tokens = tokens(&source.code);
    findings.extend(functions(source, &tokens));
    findings.extend(leftovers(source, &tokens));
    findings
}

fn functions(source: &Source, tokens: &[Token]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        // `fn` followed by a name: not the type `fn(u8)`.
        let Some(name) = tokens.get(at + 1).filter(|name| token.text == "fn" && name.text != "(") else { continue };
        let Some((first, last)) = body(&tokens[at..]) else { continue };
        let inside = source.code.lines().take(last.saturating_sub(1)).skip(first);
        let lines = inside.filter(|line| !line.trim().is_empty()).count();
        if lines > FUNCTION_HARD {
            let message = format!("`{}` has {lines} lines, the budget is {FUNCTION_HARD}", name.text);
            findings.push(Finding::new(source, token.line, message));
        }
    }
    findings
}

/// The lines of the braces around the body of the function that begins here; none for one that is only declared.
fn body(tokens: &[Token]) -> Option<(usize, usize)> {
    // A `;` inside of brackets belongs to an array's type.
    let mut brackets = 0_usize;
    let open = tokens.iter().position(|token| {
        match token.text.as_str() {
            "[" | "(" => brackets += 1,
            "]" | ")" => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        brackets == 0 && matches!(token.text.as_str(), "{" | ";")
    })?;
    if tokens[open].text == ";" {
        return None;
    }
    let mut depth = 0_usize;
    for token in &tokens[open..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((tokens[open].line, token.line));
        }
    }
    None
}

fn leftovers(source: &Source, tokens: &[Token]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let follows = |text: &str| tokens.get(at + 1).is_some_and(|next| next.text == text);
        let attribute = at > 0 && tokens[at - 1].text == "[" && (follows("]") || follows("="));
        let undone = match token.text.as_str() {
            "todo" | "unimplemented" => follows("!"),
            "ignore" => attribute,
            _ => false,
        };
        if undone {
            findings.push(Finding::new(source, token.line, format!("`{}` is left", token.text)));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).into_iter().map(|finding| finding.message).collect()
    }

    fn function(lines: usize) -> String {
        format!("//! x\nfn long(a: [u8; 4])\n{{\n{}}}\n", "    call();\n\n    // comment\n".repeat(lines))
    }

    #[test]
    fn a_file_opens_with_its_purpose() {
        assert_eq!(messages("a/src/x.rs", "//! Why.\n").len(), 0);
        assert_eq!(messages("a/src/x.rs", "// Why.\n").len(), 1);
        assert_eq!(messages("a/src/x.rs", "use std::fs;\n").len(), 1);
        assert_eq!(messages("a/src/x.rs", "").len(), 1);
    }

    #[test]
    fn files_have_a_budget() {
        let file = |lines: usize| format!("//! x\n{}", "\n".repeat(lines - 1));
        let failing = |path: &str, lines: usize| {
            check(&Source::new(path, &file(lines))).iter().filter(|finding| !finding.warning).count()
        };
        assert_eq!(messages("a/src/x.rs", &file(300)).len(), 0);
        assert_eq!(messages("a/src/x.rs", &file(301)).len(), 1);
        assert_eq!((failing("a/src/x.rs", 400), failing("a/src/x.rs", 401)), (0, 1));
        assert_eq!((failing("a/tests/x.rs", 500), failing("a/tests/x.rs", 501)), (0, 1));
    }

    #[test]
    fn functions_have_a_budget_of_code_lines() {
        assert_eq!(messages("a/src/x.rs", &function(70)).len(), 0);
        let over = messages("a/src/x.rs", &function(71));
        assert!(over[0].contains("`long` has 71 lines"), "{over:?}");
        let declared =
            format!("//! x\ntrait T {{ fn a(&self) -> [u8; 3]; }}\nfn b() {{}}\n{}", "const A: u8 = 1;\n".repeat(90));
        assert_eq!(messages("a/src/x.rs", &declared).len(), 0);
    }

    #[test]
    fn braces_in_strings_do_not_count() {
        let text = function(71).replace("fn long(a: [u8; 4])\n{\n", "fn long()\n{\n    print(\"}\", '}');\n");
        assert_eq!(messages("a/src/x.rs", &text).len(), 1);
    }

    #[test]
    fn nothing_is_left_undone() {
        for bad in ["fn f() { todo!() }", "fn f() { unimplemented!(\"x\") }", "#[ignore]", "#[ignore = \"slow\"]"] {
            assert_eq!(messages("a/src/x.rs", &format!("//! x\n{bad}")).len(), 1, "{bad}");
        }
        for good in ["// todo!()", "fn f() { g(\"#[ignore]\") }", "fn todo() {}", "let x = [ignore, b];"] {
            assert_eq!(messages("a/src/x.rs", &format!("//! x\n{good}")).len(), 0, "{good}");
        }
    }
}
