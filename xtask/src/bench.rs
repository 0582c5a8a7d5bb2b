//! `cargo xtask bench`: how long pushes take, what agents cost, and how near transfers come to what this machine allows.
//! Beside each figure stands what bounds it here, measured in the same run.

use std::fs;
use std::path::PathBuf;

use argh::{FromArgValue, FromArgs};

use crate::Failure;
use crate::workspace::{self, Profile};

mod component;
mod idle;
mod instances;
mod lan;
mod memory;
mod pushes;
mod raw;
mod samples;
mod size;
mod spread;
mod start;
mod stored;
mod symbols;
mod transfer;

/// As in the README's claim.
const AGENTS: usize = 3;
/// Fewer runs give no median.
const FEWEST_RUNS: usize = 3;

/// Measure pushes, agents and transfers (release profile).
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub(crate) struct Args {
    /// also write the figures to this file, as JSON
    #[argh(option)]
    json: Option<PathBuf>,
    /// how often each push of a small component is repeated (default 15)
    #[argh(option, default = "15")]
    runs: usize,
    /// measure this part alone: push, start, run, idle, component, size, lan, transfer, spread, memory, or symbols, which
    /// has to be named; may be given more than once
    #[argh(option)]
    only: Vec<Part>,
    /// measure the programs in this folder instead of building them, to compare them with others
    #[argh(option)]
    programs: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// Pushes of a small component.
    Push,
    /// Agents that start, with and without components.
    Start,
    /// Small components, instantiated and run, beside a bare Wasmtime loop.
    Run,
    /// Agents that do nothing.
    Idle,
    /// Components that do nothing.
    Component,
    /// The programs themselves.
    Size,
    /// Agents and an operator on one LAN that were told no address.
    Lan,
    /// A large component on loopback, beside plain TCP.
    Transfer,
    /// A large component to eight agents over links of 100 Mbit/s, beside the bound.
    Spread,
    /// What agents hold in memory while they transfer a very large one.
    Memory,
    /// The crates in the agent's code. Takes another build, hence only when it is named.
    Symbols,
}

impl Part {
    const ALL: [(&'static str, Part); 11] = [
        ("push", Part::Push),
        ("start", Part::Start),
        ("run", Part::Run),
        ("idle", Part::Idle),
        ("component", Part::Component),
        ("size", Part::Size),
        ("lan", Part::Lan),
        ("transfer", Part::Transfer),
        ("spread", Part::Spread),
        ("memory", Part::Memory),
        ("symbols", Part::Symbols),
    ];

    /// Whether it is to be measured, when these were named.
    fn is_wanted(self, named: &[Part]) -> bool {
        if named.is_empty() { self != Part::Symbols } else { named.contains(&self) }
    }
}

impl FromArgValue for Part {
    fn from_arg_value(word: &str) -> Result<Part, String> {
        let found = Part::ALL.iter().find(|(name, _)| *name == word);
        let names = || Part::ALL.map(|(name, _)| format!("`{name}`")).join(", ");
        found.map(|(_, part)| *part).ok_or_else(|| format!("it is one of {}", names()))
    }
}

/// What was measured: lines for people, and members of one JSON object for machines.
struct Figures {
    text: String,
    json: String,
}

/// Measures, prints tables, writes the JSON file.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.runs < FEWEST_RUNS {
        return Err(format!("`--runs` is at least {FEWEST_RUNS}"));
    }
    let programs = match &args.programs {
        Some(folder) => workspace::programs(folder)?,
        None => workspace::build(Profile::Release)?,
    };
    let mut all = Vec::new();
    for (_, part) in Part::ALL.iter().filter(|(_, part)| part.is_wanted(&args.only)) {
        all.push(match part {
            Part::Push => pushes::measure(&programs, args.runs)?,
            Part::Start => start::measure(&programs)?,
            Part::Run => instances::measure()?,
            Part::Idle => idle::measure(&programs)?,
            Part::Component => component::measure(&programs)?,
            Part::Size => size::measure(&programs)?,
            Part::Lan => lan::measure(&programs)?,
            Part::Transfer => transfer::measure(&programs)?,
            Part::Spread => spread::measure(&programs)?,
            Part::Memory => memory::measure(&programs)?,
            Part::Symbols => symbols::measure()?,
        });
    }
    for figures in &all {
        print!("{}", figures.text);
    }
    if let Some(path) = &args.json {
        fs::write(path, json(&all)).map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    }
    Ok(())
}

fn json(all: &[Figures]) -> String {
    let members = all.iter().map(|figures| format!(",{}", figures.json)).collect::<String>();
    format!("{{\"schema\":3{members}}}\n")
}

/// Whether a figure is what somebody promised.
fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_as_in_the_help() {
        for (name, part) in Part::ALL {
            assert_eq!(Part::from_arg_value(name), Ok(part));
        }
        assert!(Part::from_arg_value("pushes").is_err());
    }

    #[test]
    fn the_part_that_builds_once_more_has_to_be_named() {
        assert!(Part::Size.is_wanted(&[]) && !Part::Symbols.is_wanted(&[]));
        assert!(Part::Symbols.is_wanted(&[Part::Symbols]) && !Part::Size.is_wanted(&[Part::Symbols]));
    }

    #[test]
    fn members_make_one_object() {
        let figures = |json: &str| Figures { text: String::new(), json: json.into() };
        assert_eq!(json(&[figures("\"a\":1"), figures("\"b\":[]")]), "{\"schema\":3,\"a\":1,\"b\":[]}\n");
        assert_eq!(json(&[]), "{\"schema\":3}\n");
    }
}
