//! The operator's files under `REALM_HOME`: the owner key, and addresses of nodes that were talked to.

use crate::exit::Failure;
use crate::world::Settings;
use shared::OwnerKey;
use shared::files;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How many addresses are remembered: dialled all at once, they are the dials of a small realm after a reboot.
pub const MAX_PEERS: usize = 32;

/// The most that is read of a file here; each is a few lines.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The next step when the system does not let a file be used.
const YOURS: &str = "does it belong to you, and is there space on the disk? REALM_HOME names another directory";

/// The directory of the operator's files.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// `REALM_HOME`, else the platform's place.
    ///
    /// # Errors
    /// When neither `REALM_HOME` nor `HOME` is set.
    pub fn of(settings: &Settings) -> Result<Home, Failure> {
        if let Some(dir) = settings.env("REALM_HOME") {
            return Ok(Home { dir: settings.cwd.join(dir) });
        }
        let home = settings.env("HOME").ok_or_else(|| {
            Failure::new("no place for the operator's files: neither REALM_HOME nor HOME is set")
                .hint("set REALM_HOME to a directory of your own")
        })?;
        let place = if cfg!(target_os = "macos") { "Library/Application Support/realm" } else { ".config/realm" };
        Ok(Home { dir: Path::new(&home).join(place) })
    }

    /// Where the owner key is.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.dir.join("owner.key")
    }

    fn peers_path(&self) -> PathBuf {
        self.dir.join("peers")
    }

    /// The owner key.
    ///
    /// # Errors
    /// When it is not there, when others can read it, when it is no key.
    pub fn owner_key(&self) -> Result<OwnerKey, Failure> {
        let path = self.key_path();
        let shown = path.display();
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Failure::new(format!("no owner key at `{shown}`")).hint("`realm init` makes one")
            }
            _ => Failure::new(format!("cannot open the owner key `{shown}`: {error}")).hint(YOURS),
        })?;
        check_mode(&file, &path)?;
        let mut bytes = Vec::new();
        let read = (&mut file).take(MAX_FILE_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| Failure::new(format!("cannot read the owner key `{shown}`: {error}")).hint(YOURS))?;
        // What is no text is no key either.
        OwnerKey::from_secret_text(&String::from_utf8_lossy(&bytes)).map_err(|error| {
            Failure::new(format!("`{shown}` is no owner key: {error}")).hint(
                "put back a copy of the key; `realm init --force` makes another one, which your nodes do not obey",
            )
        })
    }

    /// Makes the owner key.
    ///
    /// # Errors
    /// When one is there and `force` is not given, and what the system says.
    pub fn make_key(&self, force: bool) -> Result<OwnerKey, Failure> {
        let path = self.key_path();
        let fault = |error: io::Error| {
            Failure::new(format!("cannot write the owner key `{}`: {error}", path.display())).hint(YOURS)
        };
        files::make_private_dir(&self.dir).map_err(fault)?;
        // Two `init` at once must not each take the other's key for theirs.
        let dir = File::open(&self.dir).map_err(fault)?;
        rustix::fs::flock(&dir, rustix::fs::FlockOperation::LockExclusive).map_err(|error| fault(error.into()))?;
        if !force && fs::symlink_metadata(&path).is_ok() {
            return Err(Failure::new(format!("there is an owner key already, `{}`", path.display()))
                .hint("`realm key show` prints its public half; `realm init --force` replaces it for ever"));
        }
        let key = OwnerKey::of_seed(&fresh_seed());
        files::replace(&path, format!("{}\n", key.to_secret_text()).as_bytes(), 0o600).map_err(fault)?;
        Ok(key)
    }

    /// Addresses of nodes that were talked to, the latest first. A file that cannot be read counts as none: it only
    /// saves typing.
    #[must_use]
    pub fn peers(&self) -> Vec<String> {
        let text = read_small(&self.peers_path()).unwrap_or_default();
        text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_PEERS).map(str::to_owned).collect()
    }

    /// Remembers addresses, these first. Nothing is written when nothing changes.
    ///
    /// # Errors
    /// What the system says.
    pub fn remember(&self, addrs: &[String]) -> io::Result<()> {
        let before = self.peers();
        let after = merged(addrs, &before);
        // The order alone is not worth a write to the disk.
        if after.iter().all(|addr| before.contains(addr)) {
            return Ok(());
        }
        files::make_private_dir(&self.dir)?;
        files::replace(&self.peers_path(), format!("{}\n", after.join("\n")).as_bytes(), 0o600)
    }
}

/// Both lists, each address once, at most [`MAX_PEERS`].
fn merged(first: &[String], then: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for addr in first.iter().chain(then).filter(|addr| !addr.contains('\n')) {
        if all.len() < MAX_PEERS && !all.contains(addr) {
            all.push(addr.clone());
        }
    }
    all
}

/// A seed that nobody else has.
pub(crate) fn fresh_seed() -> [u8; 32] {
    *ed25519_compact::Seed::generate()
}

/// The text of a small file.
///
/// # Errors
/// What the system says; not UTF-8 is an error too.
pub(crate) fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let shown = path.display();
    let metadata = file.metadata().map_err(|error| Failure::new(format!("cannot look at `{shown}`: {error}")))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("the owner key `{shown}` is open to others (mode {mode:04o})"))
        .hint(format!("chmod 600 '{shown}'; when others use this machine, make another key")))
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_latest_comes_first() {
        assert_eq!(merged(&texts(&["c", "a"]), &texts(&["a", "b"])), texts(&["c", "a", "b"]));
        let many: Vec<String> = (0..100).map(|at| at.to_string()).collect();
        let kept = merged(&texts(&["x", "bad\nline"]), &many);
        assert_eq!((kept.len(), kept[0].as_str(), kept[1].as_str()), (MAX_PEERS, "x", "0"));
    }

    #[test]
    fn the_file_is_written_only_when_something_is_added() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home { dir: dir.path().join("home") };
        assert!(home.peers().is_empty());
        home.remember(&texts(&["a", "b"])).unwrap();
        let written = fs::metadata(home.peers_path()).unwrap().modified().unwrap();
        home.remember(&texts(&["b", "a"])).unwrap();
        assert_eq!(fs::metadata(home.peers_path()).unwrap().modified().unwrap(), written);
        assert_eq!(home.peers(), texts(&["a", "b"]));
        home.remember(&texts(&["c"])).unwrap();
        assert_eq!(home.peers(), texts(&["c", "a", "b"]));
    }
}
