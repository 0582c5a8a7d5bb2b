//! `realm-agent`: one binary for all processes of a node; the first word tells which one this is.

use agent::args::{self, Asked};
use agent::{adhoc, control, guard, runner};
use argh::FromArgs;
use std::process::ExitCode;

/// The command line was not understood.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match words.first().map(String::as_str) {
        Some("runner") => runner::main(),
        Some("compile") => compile(&words[1..]),
        Some("control") => with_args(&words[1..], |args| control::main(args).map(|()| ExitCode::SUCCESS)),
        _ => with_args(&words, guard::run),
    }
}

fn compile(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match runner::compile::CompileArgs::from_args(&["realm-agent", "compile"], &words) {
        Ok(args) => runner::compile::run(&args),
        Err(exit) => fail(&exit.output, EXIT_USAGE),
    }
}

fn with_args(words: &[String], run: impl FnOnce(args::AgentArgs) -> Result<ExitCode, String>) -> ExitCode {
    match args::parse(words, &|name| std::env::var(name).ok()) {
        Ok(Asked::Print(text)) => print(&text),
        Ok(Asked::Adhoc(args)) => adhoc::run(args).unwrap_or_else(|error| fail(&error, 1)),
        Ok(Asked::Run(args)) => run(args).unwrap_or_else(|error| fail(&error, 1)),
        Err(error) => fail(&error, EXIT_USAGE),
    }
}

/// The guard and control share the standard output, one word of it in a line each.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    let printed = writeln!(std::io::stdout(), "{}", text.trim_end());
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fail(text: &str, code: u8) -> ExitCode {
    eprintln!("realm-agent: {}", text.trim_end());
    ExitCode::from(code)
}
