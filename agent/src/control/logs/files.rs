//! The files of the logs: `<component>.log`, and one older `<component>.log.1`, each at most half of the cap, so that
//! the newest lines are always there. Nothing is synced: a line is not worth wearing out an SD card.

use shared::ComponentName;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The directory.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    /// Makes the directory when it is not there.
    pub(super) fn open(dir: &Path) -> io::Result<Files> {
        shared::files::make_private_dir(dir)?;
        Ok(Files { dir: dir.to_owned() })
    }

    /// Writes `lines`, each with its end, and starts a new file whenever the current one would grow beyond `half`.
    /// Gives how many bytes could not be written, and why.
    pub(super) fn append(
        &self,
        component: &ComponentName,
        half: u64,
        lines: &[Vec<u8>],
    ) -> Result<(), (u64, io::Error)> {
        let mut rest = lines;
        while !rest.is_empty() {
            match self.append_some(component, half, rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => return Err((rest.iter().map(|line| line.len() as u64).sum(), error)),
            }
        }
        Ok(())
    }

    /// Writes as many lines as one file takes, at least one.
    fn append_some(&self, component: &ComponentName, half: u64, lines: &[Vec<u8>]) -> io::Result<usize> {
        let mut file = self.open_current(component)?;
        let mut size = file.metadata()?.len();
        if size > 0 && size + lines[0].len() as u64 > half {
            fs::rename(self.current(component), self.older(component))?;
            file = self.open_current(component)?;
            size = 0;
        }
        let mut bytes = Vec::new();
        if size > 0 && !ends_with_newline(&file, size)? {
            // Torn by a crash or a full disk: what follows must not be glued to it.
            bytes.push(b'\n');
        }
        let mut count = 0;
        for line in lines {
            if count > 0 && size + (bytes.len() + line.len()) as u64 > half {
                break;
            }
            bytes.extend_from_slice(line);
            count += 1;
        }
        file.write_all(&bytes)?;
        Ok(count)
    }

    /// Makes both files fit a cap that has become smaller: their newest lines stay.
    pub(super) fn shrink(&self, component: &ComponentName, half: u64) -> io::Result<()> {
        for path in [self.current(component), self.older(component)] {
            match fs::metadata(&path) {
                Ok(found) if found.len() > half => {
                    let beside = self.dir.join(format!("{component}.log.new"));
                    fs::write(&beside, newest(&path, half)?)?;
                    fs::rename(&beside, &path)?;
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The newest whole lines of a component, in order, at most `max` bytes.
    pub(super) fn newest(&self, component: &ComponentName, max: u64) -> io::Result<Vec<u8>> {
        let current = newest(&self.current(component), max)?;
        let room = max - current.len() as u64;
        let mut bytes = newest(&self.older(component), room)?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(&current);
        Ok(bytes)
    }

    /// Components that have a log, at most `max` of them.
    pub(super) fn components(&self, max: usize) -> io::Result<BTreeSet<ComponentName>> {
        let mut components = BTreeSet::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let name = name.strip_suffix(".log").or_else(|| name.strip_suffix(".log.1"));
            // A file of another name is not ours.
            let Some(Ok(component)) = name.map(str::parse) else { continue };
            components.insert(component);
            if components.len() >= max {
                break;
            }
        }
        Ok(components)
    }

    /// Removes everything of a component.
    pub(super) fn remove(&self, component: &ComponentName) -> io::Result<()> {
        // The older one first: what is left after a failure is the newest.
        let beside = self.dir.join(format!("{component}.log.new"));
        for path in [beside, self.older(component), self.current(component)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn open_current(&self, component: &ComponentName) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(self.current(component))
    }

    fn current(&self, component: &ComponentName) -> PathBuf {
        self.dir.join(format!("{component}.log"))
    }

    fn older(&self, component: &ComponentName) -> PathBuf {
        self.dir.join(format!("{component}.log.1"))
    }
}

fn ends_with_newline(file: &File, size: u64) -> io::Result<bool> {
    let mut last = [0];
    file.read_exact_at(&mut last, size - 1)?;
    Ok(last == *b"\n")
}

/// The last whole lines of a file, at most `max` bytes; nothing when there is no such file.
fn newest(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    let skipped = size.saturating_sub(max);
    // From one byte earlier: when that is an end of line, nothing is torn.
    file.seek(SeekFrom::Start(skipped.saturating_sub(1)))?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if skipped > 0 {
        let torn = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
        bytes.drain(..torn);
    }
    Ok(bytes)
}
