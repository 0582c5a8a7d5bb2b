//! `cargo xtask guests`: rebuilds the sample components where that is possible, and otherwise runs the committed ones.
//! The `.wasm` files are committed because few machines can build all of them; this says whether they can be believed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use argh::FromArgs;

use crate::Failure;
use crate::command::{self, Echo};
use crate::workspace;

mod digests;
mod expect;

use digests::Digests;
pub(crate) use digests::sha256;

/// Names a program that is called as `PROGRAM FOLDER COMMAND` and runs COMMAND in FOLDER where a toolchain for guests is.
const SHELL_VARIABLE: &str = "REALM_GUEST_SHELL";
/// What a guest is compiled for.
const TARGET: &str = "wasm32-wasip2";
/// `rustup target add` downloads 20 MB, where it can.
const TARGET_ADD_WITHIN: Duration = Duration::from_secs(180);

/// Rebuild the guests and compare their digests, or run the committed ones on a real agent.
#[derive(FromArgs)]
#[argh(subcommand, name = "guests")]
pub(crate) struct Args {
    /// put the rebuilt components and their digests into guests/
    #[argh(switch)]
    update: bool,
    /// run them on an agent even if their digests match
    #[argh(switch)]
    run: bool,
}

/// Does what this machine allows, and says what that was.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let committed = workspace::root()?.join("guests");
    let shell = match find_toolchain()? {
        Ok(shell) => shell,
        Err(missing) if args.update => return Err(missing),
        Err(missing) => {
            verify()?;
            println!("not rebuilt: {missing}");
            return expect::run(&committed);
        }
    };
    let (built, toolchain) = rebuild(shell.as_deref(), &committed)?;
    let fresh = Digests::of(&built, toolchain)?;
    if args.update {
        for name in fresh.names() {
            let (from, to) = (built.join(name), committed.join(name));
            fs::copy(&from, &to).map_err(|error| format!("cannot write `{}`: {error}", to.display()))?;
        }
        fresh.write(&committed)?;
        println!("guests/ holds the {} rebuilt components", fresh.names().count());
        return expect::run(&committed);
    }
    verify()?;
    let recorded = Digests::read(&committed)?;
    let differences = recorded.differences(&fresh);
    if differences.is_empty() {
        println!("rebuilt: the {} components are the committed ones, byte for byte", fresh.names().count());
        return if args.run { expect::run(&committed) } else { Ok(()) };
    }
    if recorded.toolchain == fresh.toolchain {
        let hint = "hint: sources and components do not belong together: `cargo xtask guests --update`";
        return Err(format!("the recorded toolchain makes other components:\n{}\n{hint}", differences.join("\n")));
    }
    println!(
        "rebuilt with another toolchain than the recorded one, so the bytes may differ:\n{}",
        differences.join("\n")
    );
    expect::run(&built)
}

/// Whether the committed components are those that guests/DIGESTS lists, no more and no fewer.
pub(crate) fn verify() -> Result<(), Failure> {
    let folder = workspace::root()?.join("guests");
    let recorded = Digests::read(&folder)?;
    let present = Digests::of(&folder, Vec::new())?;
    let differences = recorded.differences(&present);
    if !differences.is_empty() {
        return Err(format!("guests/ is not what guests/DIGESTS says:\n{}", differences.join("\n")));
    }
    println!("the {} committed components are those of guests/DIGESTS", present.names().count());
    Ok(())
}

/// `Ok(Ok(Some(program)))`: the wrapper; `Ok(Ok(None))`: this machine itself; `Ok(Err(why))`: none.
fn find_toolchain() -> Result<Result<Option<PathBuf>, String>, Failure> {
    if let Some(program) = env::var_os(SHELL_VARIABLE) {
        return Ok(Ok(Some(program.into())));
    }
    for (program, words) in [("wasm-tools", "--version"), ("rustc", "--version")] {
        let there = command::output(Command::new(program).arg(words)).is_ok();
        if !there {
            return Ok(Err(format!("`{program}` is not installed, and {SHELL_VARIABLE} is not set")));
        }
    }
    if has_target()? {
        return Ok(Ok(None));
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET]);
    let added = command::bounded(&mut add, TARGET_ADD_WITHIN, Echo::Quiet).is_ok_and(|done| done.code == Some(0));
    if added && has_target()? {
        return Ok(Ok(None));
    }
    Ok(Err(format!("`rustup target add {TARGET}` does not work here, and {SHELL_VARIABLE} is not set")))
}

fn has_target() -> Result<bool, Failure> {
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir())
}

/// Builds in a copy, so that nothing of a build lies among the sources. Returns where the components are, and the toolchain.
fn rebuild(shell: Option<&Path>, sources: &Path) -> Result<(PathBuf, Vec<String>), Failure> {
    let stage = workspace::target()?.join("guests");
    let mut copy = Command::new("sh");
    let script = "mkdir -p \"$2\" && rm -rf \"$2/out\" \"$2/src\" \"$2/c\" \"$2/adapter\" && cd \"$1\" && \
                  cp -R Cargo.toml Cargo.lock build.sh src c adapter \"$2\"";
    command::output(copy.args(["-c", script, "sh"]).arg(sources).arg(&stage))?;
    let mut build = Command::new(shell.unwrap_or(Path::new("sh")));
    match shell {
        Some(_) => build.arg(&stage).arg("./build.sh"),
        None => build.args(["-c", "./build.sh"]).current_dir(&stage),
    };
    // Cargo sets these for us, for another workspace.
    build.env_remove("CARGO_MANIFEST_DIR").env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    command::run(&mut build)?;
    let out = stage.join("out");
    let toolchain = fs::read_to_string(out.join("TOOLCHAIN")).map_err(|error| format!("no out/TOOLCHAIN: {error}"))?;
    Ok((out, toolchain.lines().map(str::to_owned).collect()))
}
