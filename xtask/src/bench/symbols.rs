//! Of which crates the agent's code is, by the names of its functions. For that it is built once more, with symbols; so this is
//! measured only when it is asked for.

use std::collections::BTreeMap;
use std::process::Command;

use super::Figures;
use crate::Failure;
use crate::command;
use crate::workspace;

/// Crates that are listed; all others are one line.
const LISTED: usize = 30;

/// Builds, and has `nm` of binutils read the program.
pub(super) fn measure() -> Result<Figures, Failure> {
    let program = workspace::build_with_symbols()?;
    let nm = command::output(Command::new("nm").args(["--print-size", "--demangle"]).arg(program))?;
    let mut crates: Vec<(String, u64)> = by_crate(&nm).into_iter().collect();
    crates.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let all: u64 = crates.iter().map(|(_, bytes)| bytes).sum();
    let listed = &crates[..crates.len().min(LISTED)];
    let others = all - listed.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let kb = |bytes: u64| bytes as f64 / 1e3;
    let mut text = format!("\n{:32} {:>9}\n", "code of the agent, by crate", "kB");
    for (name, bytes) in listed {
        text.push_str(&format!("{name:32} {:>9.0}\n", kb(*bytes)));
    }
    text.push_str(&format!("{:32} {:>9.0}\n{:32} {:>9.0}\n", "others", kb(others), "all", kb(all)));
    let members: Vec<String> = listed.iter().map(|(name, bytes)| format!("\"{name}\":{bytes}")).collect();
    Ok(Figures { text, json: format!("\"symbols\":{{{}}}", members.join(",")) })
}

/// Bytes of functions. A generic one counts for the first crate in its name, which is where it was written.
fn by_crate(nm: &str) -> BTreeMap<String, u64> {
    let mut crates = BTreeMap::new();
    for line in nm.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some(_address), Some(size), Some(kind), Some(name)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if let (Ok(bytes), "t" | "T" | "w" | "W") = (u64::from_str_radix(size, 16), kind) {
            *crates.entry(crate_of(name)).or_default() += bytes;
        }
    }
    crates
}

fn crate_of(name: &str) -> String {
    let mut path = name;
    loop {
        let signs = path.trim_start_matches(['<', '&', '*', '(', '[']);
        let words = ["dyn ", "mut ", "const "].iter().fold(signs, |path, word| path.strip_prefix(word).unwrap_or(path));
        if words == path {
            break;
        }
        path = words;
    }
    let end = path.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(path.len());
    // Only names in Rust have paths; `core` and `alloc` have taken the crate's name from what they were made for.
    let (first, rest) = path.split_at(end);
    if rest.starts_with("::") || rest.starts_with('[') { first.to_owned() } else { "(C and others)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_count_for_their_crate() {
        let nm = "\
00000000000a0000 0000000000000010 t quinn_proto::connection::poll
00000000000b0000 0000000000000020 t <quinn_proto::Thing as core::fmt::Debug>::fmt
00000000000c0000 0000000000000040 T aws_lc_0_1_sha256
00000000000d0000 0000000000000080 r some::table
                 U malloc
00000000000e0000 0000000000000100 t <&mut dyn tokio::Io>::read";
        let crates = by_crate(nm);
        assert_eq!(crates["quinn_proto"], 0x30);
        assert_eq!(crates["(C and others)"], 0x40);
        assert_eq!(crates["tokio"], 0x100);
        assert_eq!(crates.len(), 3);
    }
}
