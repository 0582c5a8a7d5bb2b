//! Reading a data directory at start. What is torn or foreign is named and set aside; a torn trust file or key ends
//! the agent instead, because going on without would mean a node that obeys the next stranger.

use super::paths::{INTENT, RUN, StorePaths};
use crate::control::disk::{ManifestFile, MemberFile, RunRecord};
use shared::files::{AgentConfig, TrustFile, is_full, make_private_dir, remove, replace, sync_dir};
use shared::{BUILD_FLOOR_UNIX_MS, ComponentName, MAX_SEALED_BYTES, OwnerId};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The largest file that is read whole; the list of members is the only one that comes near.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Why an agent cannot use its data directory. `Display` has the next step.
#[derive(Debug)]
pub struct StoreError(String);

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

/// What a data directory held.
pub struct Loaded {
    /// The secret seed of the node's key; made at the first start.
    pub seed: [u8; 32],
    /// Who commands the node, if somebody does.
    pub owner: Option<OwnerId>,
    /// How the agent is configured.
    pub config: AgentConfig,
    /// How often it has been started, this time included.
    pub boot: u64,
    /// Sealed intents, not opened yet: the file and its bytes.
    pub intents: Vec<(PathBuf, Vec<u8>)>,
    /// Whether there were intents that are not among them, now or before, whether or not they could be set aside.
    pub lacks_intents: bool,
    /// The manifest that was in force, not opened yet.
    pub manifest: Option<ManifestFile>,
    /// How components ended for good.
    pub runs: BTreeMap<ComponentName, RunRecord>,
    /// Other nodes.
    pub members: MemberFile,
    /// What was set aside, and why.
    pub warnings: Vec<String>,
}

/// Reads everything, and makes what is not there yet.
///
/// # Errors
/// When the directory cannot be written, or key, trust or configuration are unreadable.
pub fn load(paths: &StorePaths) -> Result<Loaded, StoreError> {
    for dir in [paths.intents(), paths.runs(), paths.blobs(), paths.cwasm(), paths.logs()] {
        make_private_dir(&dir).map_err(|error| cannot("make", &dir, &error))?;
    }
    let mut warnings = Vec::new();
    let (seed, is_new) = load_key(&paths.key())?;
    let owner = load_trust(&paths.trust())?;
    let config = load_config(&paths.config())?;
    let boot = next_boot(paths, is_new, &mut warnings)?;
    let (intents, lost) = load_intents(paths, &mut warnings)?;
    let lacks_intents = lost || paths.has_intents_aside();
    let manifest = load_cbor(paths, &paths.manifest(), &mut warnings);
    let runs = load_runs(paths, &mut warnings)?;
    let members = load_cbor(paths, &paths.peers(), &mut warnings).unwrap_or_default();
    Ok(Loaded { seed, owner, config, boot, intents, lacks_intents, manifest, runs, members, warnings })
}

/// Moves a file out of the way, into `set-aside/`, and gives the sentence about it.
pub fn set_aside(paths: &StorePaths, path: &Path, why: &str) -> String {
    let dir = paths.set_aside();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free = (0..1000).map(|number| dir.join(format!("{name}.{number}"))).find(|to| !to.exists());
    let moved = make_private_dir(&dir).and_then(|()| match &free {
        Some(to) => fs::rename(path, to).and_then(|()| sync_dir(&dir)),
        None => Err(io::Error::other("a thousand of them are there")),
    });
    match (moved, free) {
        (Ok(()), Some(to)) => {
            format!("`{}` is unreadable ({why}) and was set aside as `{}`", path.display(), to.display())
        }
        (Err(error), _) => format!("`{}` is unreadable ({why}) and could not be set aside: {error}", path.display()),
        (Ok(()), None) => String::new(),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError(format!(
        "cannot {what} `{}`: {error}\nhint: check its permissions and the space on the disk",
        path.display()
    ))
}

/// The bytes of a file; `None` when it is not there.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of a file without which the agent must not go on.
fn read_needed(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    read(path).map_err(|error| cannot("read", path, &error))
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The seed of the node's key, and whether it was made just now.
fn load_key(path: &Path) -> Result<([u8; 32], bool), StoreError> {
    if let Some(bytes) = read_needed(path)? {
        check_mode(path)?;
        // A power cut on a file system without journal can leave a file of the right length full of zeros.
        let seed = <[u8; 32]>::try_from(bytes).ok().filter(|seed| *seed != [0; 32]);
        return seed.map(|seed| (seed, false)).ok_or_else(|| {
            StoreError(format!(
                "`{}` does not hold a key of 32 bytes\nhint: restore it from a backup, or remove it: \
                 the node then gets a new identity",
                path.display()
            ))
        });
    }
    let mut seed = [0; 32];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut seed))
        .map_err(|error| cannot("read", Path::new("/dev/urandom"), &error))?;
    replace(path, &seed, 0o600).map_err(|error| cannot("write", path, &error))?;
    Ok((seed, true))
}

/// Whoever can read the key can be this node. It may have been read already, so that this is not put right silently.
fn check_mode(path: &Path) -> Result<(), StoreError> {
    let mode = fs::metadata(path).map_err(|error| cannot("look at", path, &error))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(StoreError(format!(
        "the node's key `{shown}` is open to others (mode {mode:04o})\n\
         hint: `chmod 600 '{shown}'`; when others use this machine, remove it: the node then gets a new identity"
    )))
}

fn load_trust(path: &Path) -> Result<Option<OwnerId>, StoreError> {
    let Some(text) = read_needed(path)?.map(text_of) else { return Ok(None) };
    TrustFile::parse(&text).map(|trust| Some(trust.owner)).map_err(|error| {
        StoreError(format!(
            "`{}` is unreadable, and without it this node would obey the next stranger:\n{error}\n\
             hint: `realm configure --owner KEY --force` writes it anew",
            path.display()
        ))
    })
}

fn load_config(path: &Path) -> Result<AgentConfig, StoreError> {
    let Some(text) = read_needed(path)?.map(text_of) else { return Ok(AgentConfig::default()) };
    AgentConfig::parse(&text).map_err(|error| {
        StoreError(format!("`{}`: {error}\nhint: correct it, or remove it to use the defaults", path.display()))
    })
}

/// Counts this start. Of two reports of a node the one of the later start is newer, so the number never goes back:
/// when it was lost, seconds since 1970 are more than any count.
fn next_boot(paths: &StorePaths, is_new: bool, warnings: &mut Vec<String>) -> Result<u64, StoreError> {
    let path = paths.boot();
    let counted = match read(&path) {
        Ok(None) if is_new => Some(0),
        Ok(None) => {
            let shown = path.display();
            warnings.push(format!("`{shown}` is not there, though the node's key is: starts are counted anew"));
            None
        }
        there => {
            if is_new {
                let shown = paths.key();
                let shown = shown.display();
                warnings.push(format!("`{shown}` was not there: this node has a new identity, unknown to the others"));
            }
            let text = there.map(|bytes| bytes.map(text_of).unwrap_or_default());
            let count = text.map_err(|error| error.to_string()).and_then(|text| parse_boot(&text));
            if let Err(why) = &count {
                warnings.push(set_aside(paths, &path, why));
            }
            count.ok()
        }
    };
    let boot = counted.map_or_else(seconds_since_1970, |count| count.saturating_add(1));
    write_boot(&path, boot, warnings).map_err(|error| cannot("write", &path, &error))
}

/// A number without the end of its line may be the beginning of another one.
fn parse_boot(text: &str) -> Result<u64, String> {
    let line = text.strip_suffix('\n').ok_or("it ends early")?;
    line.parse().map_err(|error: std::num::ParseIntError| error.to_string())
}

/// By a clock that may have no battery.
fn seconds_since_1970() -> u64 {
    let seconds = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    seconds.max(BUILD_FLOOR_UNIX_MS / 1000)
}

/// A full disk must not keep a node from its components after a reboot. It mostly has room for these few bytes where they
/// were before, and a number that is torn there is set aside at the next start. Without that room the count is lost, and
/// begins so high that it does not go back. Gives the count of this start.
fn write_boot(path: &Path, boot: u64, warnings: &mut Vec<String>) -> io::Result<u64> {
    let text = format!("{boot}\n");
    match replace(path, text.as_bytes(), 0o600) {
        Ok(()) => return Ok(boot),
        Err(error) if is_full(&error) => {}
        Err(error) => return Err(error),
    }
    warnings.push("the disk is full: nothing new can be accepted or kept until there is space".into());
    let there = fs::OpenOptions::new().write(true).open(path);
    if there.and_then(|file| file.write_all_at(text.as_bytes(), 0).and_then(|()| file.sync_all())).is_ok() {
        return Ok(boot);
    }
    // A number that stays would be less than this one at the next start.
    remove(path)?;
    warnings.push(format!("`{}` could not be written: the next start is counted anew", path.display()));
    Ok(boot.max(seconds_since_1970()))
}

/// Files of a directory with an extension, in the order of their names. What a crash left half written is removed.
fn files_in(dir: &Path, extension: &str) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(dir).map_err(|error| cannot("read", dir, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| cannot("read", dir, &error))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(other) if other == extension => files.push(path),
            Some("new") => {
                let _ = fs::remove_file(&path);
            }
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}

type Intents = Vec<(PathBuf, Vec<u8>)>;

/// And whether there are some that are not given.
fn load_intents(paths: &StorePaths, warnings: &mut Vec<String>) -> Result<(Intents, bool), StoreError> {
    let (mut intents, mut lost) = (Vec::new(), false);
    for path in files_in(&paths.intents(), INTENT)? {
        match read_or_set_aside(paths, &path, warnings) {
            Some(bytes) if bytes.len() <= MAX_SEALED_BYTES => {
                intents.push((path, bytes));
                continue;
            }
            Some(_) => warnings.push(set_aside(paths, &path, "too large for an intent")),
            None => {}
        }
        lost = true;
    }
    Ok((intents, lost))
}

fn load_runs(paths: &StorePaths, warnings: &mut Vec<String>) -> Result<BTreeMap<ComponentName, RunRecord>, StoreError> {
    let mut runs = BTreeMap::new();
    for path in files_in(&paths.runs(), RUN)? {
        let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        let Some(name) = name else {
            warnings.push(set_aside(paths, &path, "not named after a component"));
            continue;
        };
        if let Some(run) = load_cbor(paths, &path, warnings) {
            runs.insert(name, run);
        }
    }
    Ok(runs)
}

fn load_cbor<T: serde::de::DeserializeOwned>(paths: &StorePaths, path: &Path, warnings: &mut Vec<String>) -> Option<T> {
    let bytes = read_or_set_aside(paths, path, warnings)?;
    let value = shared::frame::decode(&bytes);
    value.map_err(|error| warnings.push(set_aside(paths, path, &error.to_string()))).ok()
}

/// One file that the disk does not give back, or something else in its place, keeps nothing else from running.
fn read_or_set_aside(paths: &StorePaths, path: &Path, warnings: &mut Vec<String>) -> Option<Vec<u8>> {
    read(path).unwrap_or_else(|error| {
        warnings.push(set_aside(paths, path, &error.to_string()));
        None
    })
}
