//! Whether every file of a data directory is explained by what exists: an agent has to give back the disk that a component
//! took, also when it was killed while it did.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::Failure;

/// Files of the agent itself; see the list in `ARCHITECTURE.md`.
const OWN: [&str; 10] = [
    "lock",
    "control.lock",
    "node.key",
    "trust.toml",
    "config.toml",
    "ports",
    "boot",
    "peers.cbor",
    "endpoint",
    "http.sock",
];

/// What there is to have files of.
#[derive(Default)]
pub(super) struct Explained {
    /// Every name that was ever used: a removal is kept, because a node that was off would bring the name back otherwise.
    pub(super) names: BTreeSet<String>,
    /// Names that were not removed.
    pub(super) live: BTreeSet<String>,
    /// Artifacts that those name, in hexadecimal: any node may have to give them to another one.
    pub(super) digests: BTreeSet<String>,
}

impl Explained {
    /// Whether a file belongs to something that there is.
    fn holds(&self, path: &[&str]) -> bool {
        let name = |file: &str, before: &str, after: &str| {
            file.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).map(str::to_owned)
        };
        match path {
            [own] => OWN.contains(own),
            ["intents", file] => name(file, "component.", ".intent").is_some_and(|name| self.names.contains(&name)),
            ["runs", file] => name(file, "", ".run").is_some_and(|name| self.live.contains(&name)),
            ["logs", file] => {
                let of = name(file, "", ".log").or_else(|| name(file, "", ".log.1"));
                of.is_some_and(|name| self.live.contains(&name))
            }
            ["blobs", "sha256", _, digest] => self.digests.contains(*digest),
            ["cwasm", _, file] => self.digests.contains(file.strip_suffix(".seal").unwrap_or(file)),
            _ => false,
        }
    }
}

/// Files of a data directory: how many, how large together, and which of them nothing explains.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) count: usize,
    pub(super) bytes: u64,
    pub(super) unexplained: Vec<String>,
}

/// Looks at all of them. One that goes while we look was none.
pub(super) fn look(data_dir: &Path, explained: &Explained) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut folders = vec![data_dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let (path, Ok(about)) = (entry.path(), entry.metadata()) else { continue };
            if about.is_dir() {
                folders.push(path);
                continue;
            }
            found.count += 1;
            found.bytes += about.len();
            let relative = path.strip_prefix(data_dir).unwrap_or(&path);
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            if !explained.holds(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()) {
                found.unexplained.push(format!("{} ({} bytes)", relative.display(), about.len()));
            }
        }
    }
    found.unexplained.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained() -> Explained {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Explained { names: set(&["a", "b"]), live: set(&["a"]), digests: set(&["abcd"]) }
    }

    #[test]
    fn what_belongs_to_something_is_explained() {
        for path in [
            "node.key",
            "intents/component.b.intent",
            "runs/a.run",
            "logs/a.log",
            "logs/a.log.1",
            "blobs/sha256/ab/abcd",
            "cwasm/x/abcd",
            "cwasm/x/abcd.seal",
        ] {
            assert!(explained().holds(&path.split('/').collect::<Vec<_>>()), "{path}");
        }
    }

    #[test]
    fn what_is_left_of_something_is_not() {
        for path in [
            "boot.new",
            "intents/component.c.intent",
            "intents/component.a.intent.new",
            "runs/b.run",
            "logs/b.log",
            "blobs/sha256/ab/abcd.part",
            "blobs/sha256/ef/efgh",
            "cwasm/x/efgh",
            "cwasm/1.compiling",
            "set-aside/boot.0",
            "other",
        ] {
            assert!(!explained().holds(&path.split('/').collect::<Vec<_>>()), "{path}");
        }
    }

    #[test]
    fn every_file_is_looked_at() {
        let folder = std::env::temp_dir().join(format!("xtask-files-{}", std::process::id()));
        fs::create_dir_all(folder.join("cwasm/x")).unwrap();
        fs::write(folder.join("boot"), "1\n").unwrap();
        fs::write(folder.join("cwasm/x/efgh"), "code").unwrap();
        let found = look(&folder, &explained());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, Ok(Found { count: 2, bytes: 6, unexplained: vec!["cwasm/x/efgh (4 bytes)".into()] }));
    }
}
