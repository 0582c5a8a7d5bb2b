//! guests/DIGESTS: what the committed components are, and which toolchain made them.
//! Its form is that of `sha256sum`, so `sha256sum -c DIGESTS` reads it too; the toolchain stands in comments.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Failure;

/// What a line about the toolchain begins with.
const TOOLCHAIN_PREFIX: &str = "# built with: ";

/// File names and their SHA-256 in hex.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digests {
    /// One line per tool, as it names itself.
    pub(super) toolchain: Vec<String>,
    files: BTreeMap<String, String>,
}

impl Digests {
    /// Reads `DIGESTS` in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(folder.join("DIGESTS")).map_err(|error| format!("guests/DIGESTS: {error}"))?;
        Self::parse(&text)
    }

    /// Computes those of every `.wasm` file in `folder`.
    pub(super) fn of(folder: &Path, toolchain: Vec<String>) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", folder.display());
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                let bytes = fs::read(&path).map_err(failed)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.insert(name, sha256(&bytes));
            }
        }
        Ok(Self { toolchain, files })
    }

    /// Writes `DIGESTS` in `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Failure> {
        fs::write(folder.join("DIGESTS"), self.text()).map_err(|error| format!("guests/DIGESTS: {error}"))
    }

    /// The names of the components.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// One line for each file that is here only, there only, or not the same. The toolchains are not compared.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, digest) in &self.files {
            match other.files.get(name) {
                None => lines.push(format!("  {name}: missing")),
                Some(found) if found != digest => lines.push(format!("  {name}: {found} instead of {digest}")),
                Some(_) => {}
            }
        }
        let unlisted = other.names().filter(|name| !self.files.contains_key(*name));
        lines.extend(unlisted.map(|name| format!("  {name}: not listed")));
        lines
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let (mut toolchain, mut files) = (Vec::new(), BTreeMap::new());
        for (number, line) in text.lines().enumerate() {
            if let Some(tool) = line.strip_prefix(TOOLCHAIN_PREFIX) {
                toolchain.push(tool.to_owned());
            } else if !line.starts_with('#') && !line.is_empty() {
                let (digest, name) = line.split_once("  ").unwrap_or((line, ""));
                let well_formed = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !well_formed || name.is_empty() || files.insert(name.to_owned(), digest.to_owned()).is_some() {
                    return Err(format!("guests/DIGESTS line {}: `{line}` is no digest of a further file", number + 1));
                }
            }
        }
        Ok(Self { toolchain, files })
    }

    fn text(&self) -> String {
        let mut text = "# Written by `cargo xtask guests --update`; `sha256sum -c DIGESTS` checks it too.\n".to_owned();
        for tool in &self.toolchain {
            text.push_str(&format!("{TOOLCHAIN_PREFIX}{tool}\n"));
        }
        for (name, digest) in &self.files {
            text.push_str(&format!("{digest}  {name}\n"));
        }
        text
    }
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(files: &[(&str, u8)]) -> Digests {
        let files = files.iter().map(|(name, fill)| ((*name).to_owned(), hex(&[*fill; 32]))).collect();
        Digests { toolchain: vec!["rustc 1".to_owned(), "zig 2".to_owned()], files }
    }

    #[test]
    fn text_form_comes_back() {
        let before = digests(&[("a.wasm", 1), ("b.wasm", 2)]);
        assert_eq!(Digests::parse(&before.text()).unwrap(), before);
    }

    #[test]
    fn torn_text_is_refused() {
        assert!(Digests::parse("abc  a.wasm\n").is_err());
        assert!(Digests::parse(&format!("{}\n", "0".repeat(64))).is_err());
        let line = format!("{}  a.wasm\n", "0".repeat(64));
        assert!(Digests::parse(&line.repeat(2)).is_err());
    }

    #[test]
    fn every_difference_is_named() {
        let recorded = digests(&[("changed.wasm", 1), ("gone.wasm", 2), ("same.wasm", 3)]);
        let found = digests(&[("changed.wasm", 9), ("same.wasm", 3), ("stray.wasm", 4)]);
        let lines = recorded.differences(&found).join("\n");
        for expected in ["changed.wasm: 0909", "gone.wasm: missing", "stray.wasm: not listed"] {
            assert!(lines.contains(expected), "{lines}");
        }
        assert!(!lines.contains("same.wasm"));
        assert!(recorded.differences(&recorded).is_empty());
    }

    #[test]
    fn digests_files_as_sha256sum_does() {
        let folder = std::env::temp_dir().join(format!("xtask-digests-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("empty.wasm"), b"").unwrap();
        fs::write(folder.join("other.txt"), b"x").unwrap();
        let found = Digests::of(&folder, Vec::new()).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(found.files.into_iter().collect::<Vec<_>>(), [("empty.wasm".to_owned(), empty.to_owned())]);
    }
}
