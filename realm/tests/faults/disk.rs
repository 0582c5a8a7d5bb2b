//! A small disk for one test: a tmpfs that only the processes of the test see, so that it goes with the last of them.

use crate::child::{Guard, Place, lines_of, run};
use crate::skip::skipped;
use crate::support::PATIENCE;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How large it is: an agent with some components takes less than half of it.
const SIZE_KIB: u32 = 8 * 1024;

/// A page of a tmpfs, the least that a file takes there.
pub(crate) const PAGE: usize = 4096;

/// See the module.
pub(crate) struct Disk {
    /// The process in whose mount namespace it is; it ends with its standard input.
    holder: Guard,
    /// Where it is mounted.
    dir: TempDir,
}

impl Disk {
    /// `None` when this machine lends no disks, which is told.
    pub(crate) fn new() -> Option<Disk> {
        Disk::mount().map_err(|why| skipped(&why)).ok()
    }

    fn mount() -> Result<Disk, String> {
        let dir = TempDir::new().unwrap();
        let script = format!("mount -t tmpfs -o size={SIZE_KIB}k none \"$0\" && echo mounted && exec cat");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).arg(dir.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("`unshare`: {error}"))?;
        let (lines, mut stderr) = (lines_of(child.stdout.take().unwrap()), child.stderr.take().unwrap());
        let holder = Guard(child);
        if lines.recv_timeout(PATIENCE).is_ok_and(|line| line == "mounted") {
            return Ok(Disk { holder, dir });
        }
        let mut why = String::new();
        stderr.read_to_string(&mut why).unwrap();
        Err(format!("no disk of its own: {why}"))
    }

    /// Where programs run that see it.
    pub(crate) fn place(&self) -> Place {
        Place::behind(&["nsenter", "--mount", "--target", &self.holder.0.id().to_string()])
    }

    /// A data directory on it, as those programs name it.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A file in the data directory, for everybody else.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.seen(&self.data_dir().join(name))
    }

    fn seen(&self, path: &Path) -> PathBuf {
        Path::new("/proc").join(self.holder.0.id().to_string()).join("root").join(path.strip_prefix("/").unwrap())
    }

    fn ballast(&self) -> PathBuf {
        self.seen(&self.dir.path().join("ballast"))
    }

    /// Fills it until so much is left.
    pub(crate) fn fill_but(&self, left: usize) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        loop {
            match file.write(&[1; PAGE]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        let size = file.metadata().unwrap().len();
        file.set_len(size - left as u64).unwrap();
    }

    /// The end of [`Disk::fill_but`].
    pub(crate) fn free(&self) {
        File::create(self.ballast()).unwrap();
    }

    /// Makes it read-only, or writable again. Nobody may be writing.
    pub(crate) fn remount(&self, mode: &str) {
        let mut command = self.place().command("mount");
        let (code, out, err) = run(command.args(["-o", &format!("remount,{mode}")]).arg(self.dir.path()));
        assert_eq!(code, Some(0), "{out}{err}");
    }
}
