//! A file system in a file, on which a node keeps its data: the file has what was written to the device below, and nothing of what
//! is in memory, which is what a power cut leaves. It is mounted where only the processes of the test see it.

use crate::child::{Guard, Place, lines_of};
use crate::skip::{skipped, unsupported};
use crate::support::PATIENCE;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How large it is, in bytes: a node with some components takes a tenth of it.
const SIZE: usize = 32 << 20;

/// Nothing is left to the forbearance of ext4, which writes out files that are renamed over others; and nothing is written
/// because time has passed.
const OPTIONS: &str = "loop,noauto_da_alloc,noinit_itable,commit=300";

/// What `mount` says where the kernel does not have what it needs, and nothing that is installed would help.
const LACKS: [&str; 2] = ["loop device", "unknown filesystem type"];

/// Blocks of zeros are left out of a copy.
const BLOCK: usize = 4096;

/// A file with a file system.
pub(crate) struct Image {
    dir: TempDir,
}

/// The same, mounted. It goes with the last process that sees it.
pub(crate) struct Mounted {
    image: Image,
    /// The process in whose mount namespace it is; it ends with its standard input.
    holder: Guard,
}

impl Image {
    fn new() -> Result<Image, String> {
        let image = Image { dir: TempDir::new().unwrap() };
        File::create(image.file()).unwrap().set_len(SIZE as u64).unwrap();
        let mut command = Command::new("mkfs.ext4");
        command.args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(image.file());
        let done = command.stdin(Stdio::null()).output().map_err(|error| format!("`mkfs.ext4`: {error}"))?;
        if done.status.success() { Ok(image) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
    }

    /// One with these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Image {
        let image = Image { dir: TempDir::new().unwrap() };
        let mut file = File::create(image.file()).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        for (at, block) in bytes.chunks(BLOCK).enumerate().filter(|(_, block)| block.iter().any(|byte| *byte != 0)) {
            file.seek(SeekFrom::Start((at * BLOCK) as u64)).unwrap();
            file.write_all(block).unwrap();
        }
        image
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn mountpoint(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    /// What is there of what was written before is put right by its journal.
    pub(crate) fn mount(self) -> Result<Mounted, String> {
        fs::create_dir(self.mountpoint()).unwrap();
        let script = format!("mount -t ext4 -o {OPTIONS} \"$0\" \"$1\" && echo mounted && exec cat");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        command.args([self.file(), self.mountpoint()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("`unshare`: {error}"))?;
        let (lines, mut stderr) = (lines_of(child.stdout.take().unwrap()), child.stderr.take().unwrap());
        let holder = Guard(child);
        if lines.recv_timeout(PATIENCE).is_ok_and(|line| line == "mounted") {
            return Ok(Mounted { image: self, holder });
        }
        let mut why = String::new();
        stderr.read_to_string(&mut why).unwrap();
        Err(why)
    }
}

impl Mounted {
    /// A fresh one; `None` when this machine has none to give, which is told.
    pub(crate) fn new() -> Option<Mounted> {
        let told = |why: String| match LACKS.iter().any(|lack| why.contains(lack)) {
            true => unsupported(&why),
            false => skipped(&format!("no file system of its own: {why}")),
        };
        let mounted = match Path::new("/dev/loop-control").exists() {
            true => Image::new().and_then(Image::mount),
            false => Err("there is no `/dev/loop-control`, and so no loop device".into()),
        };
        mounted.map_err(told).ok()
    }

    /// Where programs run that see it.
    pub(crate) fn place(&self) -> Place {
        Place::behind(&["nsenter", "--mount", "--target", &self.holder.0.id().to_string()])
    }

    /// A data directory on it, as those programs name it.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.image.mountpoint().join("data")
    }

    /// The same, for everybody else.
    pub(crate) fn seen(&self) -> PathBuf {
        let root = Path::new("/proc").join(self.holder.0.id().to_string()).join("root");
        root.join(self.data_dir().strip_prefix("/").unwrap())
    }

    /// What a power cut would leave now. Nobody may be writing but the kernel, and a copy into which it has written is taken anew.
    pub(crate) fn left_by_a_power_cut(&self) -> Vec<u8> {
        let read = || fs::read(self.image.file()).unwrap();
        let mut bytes = read();
        loop {
            let again = read();
            if again == bytes {
                return bytes;
            }
            bytes = again;
        }
    }
}
