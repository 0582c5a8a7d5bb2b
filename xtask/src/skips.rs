//! Tests that passed without having shown anything, because this machine lacks what they need: counted and named, for
//! nobody reads the output of a test that passed.

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use crate::Failure;

/// Names the file to the tests, which add a line to it each.
const FILE: &str = "REALM_SKIPPED";

/// The beginning of the line of a test whose machine has a kernel without what it needs. Nothing that is installed helps, so it
/// is told and counted apart, and is no failure anywhere.
const UNSUPPORTED: &str = "UNSUPPORTED: ";

/// Where the tests of this run say that they were skipped.
pub(crate) struct Skips {
    path: PathBuf,
}

impl Skips {
    /// With an empty file, so that one that cannot be written is found out before the tests.
    pub(crate) fn new() -> Result<Self, Failure> {
        let path = env::temp_dir().join(format!("realm-skipped-{}", std::process::id()));
        File::create(&path).map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// Tells the tests that `command` runs.
    pub(crate) fn note_those_of(&self, command: &mut Command) {
        command.env(FILE, &self.path);
    }

    /// Prints which tests were skipped. `strict` where a machine has to have what tests need: there it is a failure.
    pub(crate) fn finish(self, strict: bool) -> Result<(), Failure> {
        let said = fs::read_to_string(&self.path).map_err(|error| format!("`{}`: {error}", self.path.display()))?;
        print!("{said}");
        let unsupported = said.lines().filter(|line| line.starts_with(UNSUPPORTED)).count();
        let count = said.lines().count() - unsupported;
        println!("tests that were skipped: {count}");
        if unsupported > 0 {
            println!("tests that this machine's kernel cannot run: {unsupported}");
        }
        if strict && count > 0 {
            let hint = "`CI` is set, so this machine has to have what they need: root, iproute2, iptables, util-linux, strace, e2fsprogs and promtool";
            return Err(format!("tests that were skipped: {count}\nhint: {hint}"));
        }
        Ok(())
    }
}

impl Drop for Skips {
    fn drop(&mut self) {
        // In the folder for temporary files: one that stays does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_is_counted_and_fails_where_none_may_be() {
        let run = |script: &str, strict: bool| {
            let skips = Skips::new().unwrap();
            let mut test = Command::new("sh");
            skips.note_those_of(test.args(["-c", script]));
            assert!(test.status().unwrap().success());
            skips.finish(strict)
        };
        let skipping = format!("echo 'SKIPPED: a: no ip' >> \"${FILE}\"");
        assert!(run("true", true).is_ok());
        assert!(run(&skipping, false).is_ok());
        assert!(run(&skipping, true).is_err_and(|why| why.contains("skipped: 1")));
        let unsupported = format!("echo 'UNSUPPORTED: a: no loop device' >> \"${FILE}\"");
        assert!(run(&unsupported, true).is_ok(), "nothing can be done about it");
        assert!(run(&format!("{unsupported}; {skipping}"), true).is_err_and(|why| why.contains("skipped: 1")));
        assert!(run("rm \"$REALM_SKIPPED\"", false).is_err(), "nobody knows how many");
    }
}
