//! Small files that must survive a power cut, and the text of the two that both programs touch.
//! The only place in this crate that names the file system; it stands here so that it exists once.

mod node_files;

pub use node_files::{AgentConfig, ConfigError, TrustFile, agent_data_dir};

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Replaces `path` so that at every instant, a power cut included, it holds either the old or the new bytes:
/// write beside it, fsync, rename, fsync the directory. `mode` is the permission bits on Unix.
///
/// # Errors
/// What the system says; the old file is then as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = beside(path)?;
    let written = write_new(&beside, bytes, mode).and_then(|file| file.sync_all());
    let written = written.and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        // Best effort: what is left over is overwritten by the next attempt.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// New bytes of a file, beside the old ones and not yet durable.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    beside: PathBuf,
}

/// Begins to replace `path`, as [`replace`] does. Several are made durable together: stage each, [`Staged::sync`] each or the
/// whole file system, [`Staged::rename`] each, and [`sync_dir`] in the end.
///
/// # Errors
/// What the system says; nothing is left over then.
pub fn stage(path: &Path, bytes: &[u8], mode: u32) -> io::Result<Staged> {
    let beside = beside(path)?;
    match write_new(&beside, bytes, mode) {
        Ok(_) => Ok(Staged { path: path.to_owned(), beside }),
        Err(error) => {
            let _ = fs::remove_file(&beside);
            Err(error)
        }
    }
}

impl Staged {
    /// Makes the new bytes durable, under their name beside the old ones.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        File::open(&self.beside)?.sync_all()
    }

    /// Puts them in place of the old ones.
    ///
    /// # Errors
    /// What the system says; the old file is then as it was.
    pub fn rename(self) -> io::Result<()> {
        fs::rename(&self.beside, &self.path).inspect_err(|_| {
            let _ = fs::remove_file(&self.beside);
        })
    }
}

/// Whether the disk has no room left.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why a file could not be read or written, in words that say what to do about it.
#[must_use]
pub fn fault(error: &io::Error) -> String {
    match error.kind() {
        _ if is_full(error) => "the disk is full".into(),
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".into(),
        _ => format!("the disk failed: {error}"),
    }
}

/// Removes `path` durably; a file that is not there is no error.
///
/// # Errors
/// What the system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir(path.parent().unwrap_or(Path::new("."))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// What the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// Makes a directory that only its owner can enter, with all that lead to it.
///
/// # Errors
/// What the system says.
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("a path without a file name"))?;
    let mut name = name.to_os_string();
    name.push(".new");
    Ok(path.with_file_name(name))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    // A file left over by a crash may have other permission bits: begin anew.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}
