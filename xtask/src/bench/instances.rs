//! How many small components a second the runner instantiates and runs, beside a bare Wasmtime loop. Both are in one program,
//! `agent/benches/instantiate.rs`, which is built like the agent itself.

use std::process::Command;

use super::{Figures, verdict};
use crate::Failure;
use crate::command;
use crate::workspace;

/// Of the bare loop.
const TARGET: f64 = 0.8;

/// Builds the program, and reads what it prints.
pub(super) fn measure() -> Result<Figures, Failure> {
    let program = workspace::build_benchmark("instantiate")?;
    println!("small components, instantiated and run");
    figures(&command::output(&mut Command::new(program))?)
}

fn figures(said: &str) -> Result<Figures, Failure> {
    let number = |key: &str| member(said, key).ok_or_else(|| format!("no `{key}` in `{said}`"));
    let (runner, bare, threads) = (number("runner_per_s")?, number("bare_per_s")?, number("threads")?);
    // That of the middle round, and not of the two figures, which may be of different rounds.
    let ratio = number("ratio")?;
    let title = "instantiated and run";
    let text = format!(
        "\n{title:32} {:>9}\n{:32} {runner:>9.0}\n{:32} {bare:>9.0}\n{:32} {ratio:>9.2}   target {TARGET:.2}, {}\n",
        "per s",
        "by the runner",
        format!("baseline: bare loop, {threads} threads"),
        "ratio",
        verdict(ratio >= TARGET)
    );
    let json = format!("\"instances\":{{\"runner_per_s\":{runner:.0},\"bare_per_s\":{bare:.0},\"ratio\":{ratio:.3}}}");
    Ok(Figures { text, json })
}

/// A number in an object without others inside.
fn member(json: &str, key: &str) -> Option<f64> {
    let (_, rest) = json.split_once(&format!("\"{key}\":"))?;
    rest.split([',', '}']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_prints_is_read() {
        let said = |ratio| format!("{{\"runner_per_s\":800,\"bare_per_s\":1000,\"ratio\":{ratio},\"threads\":2}}");
        assert!(figures(&said("0.801")).unwrap().text.contains("0.80, met"));
        assert!(figures(&said("0.790")).unwrap().text.contains("MISSED"));
        assert!(figures("{}").is_err());
    }
}
