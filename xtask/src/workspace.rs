//! Where things are: the checkout, the target folder, the built programs.
//! In one place, because no task may depend on the folder it was called from.

use std::env;
use std::path::{Path, PathBuf};

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
    // The whole workspace, as the tests build it: for two packages alone, Cargo would unify features otherwise and build twice.
    let mut build = cargo();
    build.args(["build", "--workspace", "--exclude", "xtask", "--bins"]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    crate::command::run(&mut build)?;
    programs(&target()?.join(if profile == Profile::Release { "release" } else { "debug" }))
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
