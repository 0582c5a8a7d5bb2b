//! The files: `sha256/ab/<64 hex>` for what is whole, `.part` beside it for what is being fetched, `.torn` for what is
//! not what its name says. Everything here blocks.

use shared::{Artifact, CHUNK_BYTES, ChunkList, Digest, Hasher, MAX_MANIFEST_BYTES, files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The directory.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store in `dir`, which is made when it is not there. What else lies there is left alone.
    pub(super) fn open(dir: &Path) -> io::Result<Store> {
        let root = dir.join("sha256");
        files::make_private_dir(&root)?;
        files::sync_dir(dir)?;
        Ok(Store { root })
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(&hex[..2]).join(hex)
    }

    fn part(&self, digest: &Digest) -> PathBuf {
        self.path(digest).with_extension("part")
    }

    fn torn(&self, digest: &Digest) -> PathBuf {
        self.path(digest).with_extension("torn")
    }

    /// The size of an artifact that is here.
    pub(super) fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        match fs::metadata(self.path(digest)) {
            Ok(found) => Ok(found.is_file().then_some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Renames a file that is not what its name says, so that somebody can look at it, and gives its path.
    pub(super) fn set_aside(&self, digest: &Digest) -> io::Result<PathBuf> {
        let torn = self.torn(digest);
        fs::rename(self.path(digest), &torn)?;
        Ok(torn)
    }

    /// Opens a whole artifact for reading; `None` when it is not here.
    pub(super) fn open_whole(&self, digest: &Digest) -> io::Result<Option<File>> {
        match File::open(self.path(digest)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a whole artifact into memory, no more of it than a manifest may have.
    pub(super) fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path(digest))?.take(MAX_MANIFEST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens the `.part` of an artifact, an earlier one or a fresh one.
    pub(super) fn open_part(&self, artifact: &Artifact) -> io::Result<File> {
        let path = self.part(&artifact.digest);
        if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
            files::make_private_dir(dir)?;
            files::sync_dir(&self.root)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        if file.metadata()?.len() > artifact.size {
            file.set_len(artifact.size)?;
        }
        Ok(file)
    }

    /// Gives a `.part`, which has been checked and synced, its name.
    pub(super) fn commit(&self, digest: &Digest) -> io::Result<()> {
        let path = self.path(digest);
        fs::rename(self.part(digest), &path)?;
        files::sync_dir(path.parent().unwrap_or(&self.root))
    }

    /// Removes a `.part`.
    pub(super) fn remove_part(&self, digest: &Digest) -> io::Result<()> {
        files::remove(&self.part(digest))
    }

    /// Removes an artifact, whole or in part, and what was set aside of it.
    pub(super) fn remove(&self, digest: &Digest) -> io::Result<()> {
        self.remove_part(digest)?;
        files::remove(&self.torn(digest))?;
        files::remove(&self.path(digest))
    }

    /// What each artifact takes: whole or in part, and what was set aside of it.
    pub(super) fn usage(&self) -> BTreeMap<Digest, (u64, u64)> {
        let mut usage: BTreeMap<Digest, (u64, u64)> = BTreeMap::new();
        let Ok(dirs) = fs::read_dir(&self.root) else { return usage };
        for file in dirs.flatten().filter_map(|dir| fs::read_dir(dir.path()).ok()).flatten().flatten() {
            let path = file.path();
            let digest = path.file_stem().and_then(|stem| Digest::from_hex(stem.to_str()?));
            let (Some(digest), Ok(metadata)) = (digest, file.metadata()) else { continue };
            let (here, aside) = usage.entry(digest).or_default();
            let is_aside = path.extension().is_some_and(|extension| extension == "torn");
            *if is_aside { aside } else { here } += metadata.len();
        }
        usage
    }

    /// What lies here of artifacts that nothing names, whole, in part or set aside; `most` of them.
    pub(super) fn unnamed(&self, is_named: impl Fn(&Digest) -> bool, most: usize) -> BTreeSet<Digest> {
        let Ok(dirs) = fs::read_dir(&self.root) else { return BTreeSet::new() };
        let files = dirs.flatten().filter_map(|dir| fs::read_dir(dir.path()).ok()).flatten().flatten();
        let digests = files.filter_map(|file| Digest::from_hex(file.path().file_stem()?.to_str()?));
        digests.filter(|digest| !is_named(digest)).take(most).collect()
    }
}

/// Reads a file to its end and says which artifact it is.
pub(super) fn pin(mut file: &File) -> io::Result<(Artifact, ChunkList)> {
    file.rewind()?;
    let mut hasher = Hasher::default();
    let mut bytes = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut bytes) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(&bytes[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads one chunk; `None` when what is there is not that chunk.
pub(super) fn read_chunk(
    file: &File,
    artifact: &Artifact,
    list: &ChunkList,
    index: u32,
) -> io::Result<Option<Vec<u8>>> {
    if index >= artifact.chunk_count() {
        return Ok(None);
    }
    let mut bytes = vec![0; artifact.chunk_size(index)];
    match file.read_exact_at(&mut bytes, offset(index)) {
        Ok(()) => Ok(list.verify(index, &bytes).then_some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a chunk begins, in bytes.
pub(super) fn offset(index: u32) -> u64 {
    u64::from(index) * CHUNK_BYTES as u64
}
