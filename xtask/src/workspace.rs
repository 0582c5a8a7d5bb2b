//! Where things are: the checkout, the target folder, the built programs.
//! In one place, because no task may depend on the folder it was called from.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;
use crate::command::cargo;

/// Which of the two profiles a program is built with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Tests and demo.
    Dev,
    /// `build` and `bench`.
    Release,
}

/// The two programs, built.
#[derive(Clone)]
pub(crate) struct Programs {
    /// The operator's `realm`.
    pub(crate) realm: PathBuf,
    /// The daemon `realm-agent`.
    pub(crate) agent: PathBuf,
}

/// The root of the checkout.
pub(crate) fn root() -> Result<PathBuf, Failure> {
    // Cargo sets it for programs that it runs; a path compiled in would be wrong after the checkout has moved.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    manifest
        .as_deref()
        .and_then(Path::parent)
        .map(Path::to_path_buf)
        .ok_or_else(|| "cannot tell where the checkout is\nhint: run `cargo xtask` in it".to_owned())
}

/// The folder that Cargo builds into, whatever the environment or a configuration file made it.
pub(crate) fn target() -> Result<PathBuf, Failure> {
    // This program lies in `<target>/<profile>/xtask`.
    let exe = env::current_exe().map_err(|error| format!("cannot find this program's own file: {error}"))?;
    exe.ancestors().nth(2).map(Path::to_path_buf).ok_or_else(|| format!("no target folder above `{}`", exe.display()))
}

/// Builds `realm` and `realm-agent` and says where they are.
pub(crate) fn build(profile: Profile) -> Result<Programs, Failure> {
    let mut build = whole("--bins");
    if profile == Profile::Release {
        build.arg("--release");
    }
    crate::command::run(&mut build)?;
    programs(&target()?.join(if profile == Profile::Release { "release" } else { "debug" }))
}

/// The same with the names of all functions in them, in a folder of its own: the agent.
pub(crate) fn build_with_symbols() -> Result<PathBuf, Failure> {
    let folder = target()?.join("symbols");
    let mut build = whole("--bins");
    build.arg("--release").arg("--target-dir").arg(&folder).env("CARGO_PROFILE_RELEASE_STRIP", "none");
    crate::command::run(&mut build)?;
    programs(&folder.join("release")).map(|programs| programs.agent)
}

/// Builds a benchmark as programs are released, and says where it is.
pub(crate) fn build_benchmark(name: &str) -> Result<PathBuf, Failure> {
    let mut build = whole("--release");
    build.args(["--bench", name, "--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let messages = crate::command::output(&mut build)?;
    executable(&messages, name).ok_or_else(|| format!("cargo does not say where `{name}` is"))
}

/// In what Cargo says of what it has built: one JSON object a line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let named = format!("\"name\":\"{name}\"");
    let line = messages.lines().find(|line| line.contains(&named) && line.contains("\"executable\":\""))?;
    line.split_once("\"executable\":\"")?.1.split('"').next().map(PathBuf::from)
}

/// The whole workspace, as the tests build it: for two packages alone, Cargo would unify features otherwise and build twice.
fn whole(what: &str) -> Command {
    let mut build = cargo();
    build.args(["build", "--workspace", "--exclude", "xtask", what]);
    build
}

/// The two programs in a folder.
pub(crate) fn programs(folder: &Path) -> Result<Programs, Failure> {
    let programs = Programs { realm: folder.join("realm"), agent: folder.join("realm-agent") };
    for program in [&programs.realm, &programs.agent] {
        if !program.is_file() {
            return Err(format!("there is no `{}`", program.display()));
        }
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_found_by_its_name() {
        let messages = "{\"target\":{\"name\":\"agent\"},\"executable\":null}\n\
            {\"target\":{\"name\":\"b\"},\"executable\":\"/t/b-1\",\"fresh\":true}\n";
        assert_eq!(executable(messages, "b"), Some(PathBuf::from("/t/b-1")));
        assert_eq!(executable(messages, "agent"), None);
    }
}
