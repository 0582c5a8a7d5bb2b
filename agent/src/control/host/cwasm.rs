//! Compiled code on disk: `cwasm/<compat>/<digest>` and beside it `<digest>.seal`, the SHA-256 of the code signed
//! with the node's own key. Loading machine code is `unsafe`; code that this node did not compile is never loaded.

use serde::{Deserialize, Serialize};
use shared::{Digest, NodeId, OwnerKey, Signature, frame};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The type string inside the signature.
const SEAL_TYPE: &str = "realm/cwasm/v1";

/// The extension of code that is being compiled.
pub(super) const UNFINISHED: &str = "compiling";

/// The largest seal file.
const MAX_SEAL: usize = 512;

#[derive(Serialize, Deserialize)]
struct Seal {
    sha256: Digest,
    sig: Signature,
}

/// Compiled code that may be loaded, as long as its bytes have this digest.
#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) path: PathBuf,
    pub(super) sha256: Digest,
}

fn signed(compat: &str, digest: &Digest, sha256: &Digest) -> Vec<u8> {
    shared::pae(SEAL_TYPE, format!("{compat} {digest} {sha256}").as_bytes())
}

fn seal_path(code: &Path) -> PathBuf {
    code.with_extension("seal")
}

fn code_path(dir: &Path, compat: &str, digest: &Digest) -> PathBuf {
    dir.join(compat).join(digest.hex())
}

/// Code that was compiled before, if its seal is this node's.
pub(super) fn find(dir: &Path, seed: &[u8; 32], compat: &str, digest: &Digest) -> Option<Code> {
    let path = code_path(dir, compat, digest);
    let seal = fs::read(seal_path(&path)).ok().filter(|bytes| bytes.len() <= MAX_SEAL)?;
    let seal: Seal = frame::decode(&seal).ok()?;
    let ours = NodeId::of_seed(seed).verify(&signed(compat, digest, &seal.sha256), &seal.sig);
    (ours && path.is_file()).then_some(Code { path, sha256: seal.sha256 })
}

/// Whether there is code, sealed or not.
pub(super) fn exists(dir: &Path, compat: &str, digest: &Digest) -> bool {
    code_path(dir, compat, digest).exists()
}

/// Puts fresh code in its place and seals it.
pub(super) fn keep(
    dir: &Path,
    seed: &[u8; 32],
    compat: &str,
    digest: &Digest,
    fresh: &Path,
    sha256: Digest,
) -> io::Result<Code> {
    let path = code_path(dir, compat, digest);
    if let Some(parent) = path.parent() {
        shared::files::make_private_dir(parent)?;
    }
    fs::rename(fresh, &path)?;
    let sig = OwnerKey::of_seed(seed).sign(&signed(compat, digest, &sha256));
    let seal = frame::to_bytes(&Seal { sha256, sig }, MAX_SEAL).map_err(io::Error::other)?;
    shared::files::replace(&seal_path(&path), &seal, 0o600)?;
    Ok(Code { path, sha256 })
}

/// Removes what compile children have left that were killed with the agent. None runs when the edge starts.
pub(super) fn remove_unfinished(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let unfinished = |path: &PathBuf| path.extension().is_some_and(|extension| extension == UNFINISHED);
    entries.flatten().map(|entry| entry.path()).filter(unfinished).for_each(|path| _ = fs::remove_file(path));
}

/// Artifacts that there is compiled code of in `dir` and that nothing names, `most` of them.
#[must_use]
pub fn unnamed(dir: &Path, is_named: impl Fn(&Digest) -> bool, most: usize) -> BTreeSet<Digest> {
    let Ok(kinds) = fs::read_dir(dir) else { return BTreeSet::new() };
    let files = kinds.flatten().filter_map(|kind| fs::read_dir(kind.path()).ok()).flatten().flatten();
    let digests = files.filter_map(|file| Digest::from_hex(file.path().file_stem()?.to_str()?));
    digests.filter(|digest| !is_named(digest)).take(most).collect()
}

/// Bytes of what was compiled of each artifact, of every kind, with the seals.
#[must_use]
pub fn usage(dir: &Path) -> BTreeMap<Digest, u64> {
    let mut usage = BTreeMap::new();
    let Ok(kinds) = fs::read_dir(dir) else { return usage };
    for file in kinds.flatten().filter_map(|kind| fs::read_dir(kind.path()).ok()).flatten().flatten() {
        let digest = file.path().file_stem().and_then(|stem| Digest::from_hex(stem.to_str()?));
        if let (Some(digest), Ok(metadata)) = (digest, file.metadata()) {
            *usage.entry(digest).or_default() += metadata.len();
        }
    }
    usage
}

/// The same of one artifact.
pub(super) fn size(dir: &Path, digest: &Digest) -> u64 {
    let Ok(kinds) = fs::read_dir(dir) else { return 0 };
    let files = kinds.flatten().flat_map(|kind| {
        let code = kind.path().join(digest.hex());
        [seal_path(&code), code]
    });
    files.filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum()
}

/// Removes code that is not what its seal says.
pub(super) fn discard(code: &Code) {
    let _ = fs::remove_file(seal_path(&code.path));
    let _ = fs::remove_file(&code.path);
}

/// Removes what was compiled of an artifact, for every kind of engine but those in `except`.
pub(super) fn forget(dir: &Path, digest: &Digest, except: &[&str]) {
    let Ok(kinds) = fs::read_dir(dir) else { return };
    let is_excepted = |name: &std::ffi::OsStr| except.iter().any(|kind| name == *kind);
    for kind in kinds.flatten().filter(|kind| !is_excepted(&kind.file_name())) {
        let path = kind.path().join(digest.hex());
        let _ = fs::remove_file(seal_path(&path));
        if fs::remove_file(path).is_ok() {
            // It goes when it is empty: nothing else would remove that of an engine which is no more.
            let _ = fs::remove_dir(kind.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_node_sealed_is_found() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (digest, fresh) = (Digest::of(b"wasm"), dir.path().join("fresh"));
        fs::write(&fresh, b"code")?;
        let sha256 = Digest::of(b"code");
        keep(dir.path(), &[1; 32], "abc", &digest, &fresh, sha256)?;
        let found = find(dir.path(), &[1; 32], "abc", &digest);
        assert!(found.is_some_and(|code| code.sha256 == sha256));
        assert!(find(dir.path(), &[2; 32], "abc", &digest).is_none(), "another node's seal");
        assert!(find(dir.path(), &[1; 32], "abd", &digest).is_none(), "another engine");
        let seal = seal_path(&code_path(dir.path(), "abc", &digest));
        let mut bytes = fs::read(&seal)?;
        bytes[20] ^= 1;
        fs::write(&seal, bytes)?;
        assert!(find(dir.path(), &[1; 32], "abc", &digest).is_none(), "a bent seal");
        Ok(())
    }
}
