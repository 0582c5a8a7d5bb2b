//! The intent that pins a manifest, and names those before it.

use crate::blob::Artifact;
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::text::excerpt;
use serde::{Deserialize, Serialize};

/// How many earlier manifests an apply names: enough to go back to last month's, and below 5 KiB.
pub const MAX_PAST: usize = 16;

/// The longest note that is kept of an earlier manifest, in bytes.
pub const MAX_PAST_NOTE_BYTES: usize = 128;

/// An earlier manifest of a realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub version: u32,
    /// The document.
    pub manifest: Artifact,
    /// When it was signed, in Unix milliseconds by the signer's clock.
    pub issued_at: u64,
    /// What the operator said of it, at most [`MAX_PAST_NOTE_BYTES`].
    pub note: String,
}

/// The payload of [`Kind::Apply`](crate::Kind::Apply): what the realm should run from now on, beside what was pushed by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apply {
    /// The operator's number of it, from 1 on.
    pub version: u32,
    /// The document, an artifact.
    pub manifest: Artifact,
    /// Those before it, at most [`MAX_PAST`], the newest first: their numbers go down.
    pub past: Vec<Past>,
}

impl Past {
    fn check(&self) -> Result<(), String> {
        let (version, bytes) = (self.version, self.note.len());
        check_document(version, &self.manifest)?;
        if bytes > MAX_PAST_NOTE_BYTES {
            let note = excerpt(&self.note);
            return Err(format!(
                "the note `{note}` of version {version} has {bytes} bytes, at most {MAX_PAST_NOTE_BYTES} are allowed"
            ));
        }
        Ok(())
    }
}

impl Apply {
    /// Every document that it pins: its own, and the earlier ones.
    pub fn documents(&self) -> impl Iterator<Item = &Artifact> {
        std::iter::once(&self.manifest).chain(self.past.iter().map(|past| &past.manifest))
    }

    /// Checks the bounds that the field types do not.
    ///
    /// # Errors
    /// A text that names the field, its size and what is allowed.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_document(self.version, &self.manifest)?;
        if self.past.len() > MAX_PAST {
            return Err(format!("it names {} earlier manifests, at most {MAX_PAST} are allowed", self.past.len()));
        }
        self.past.iter().try_for_each(Past::check)?;
        let later = std::iter::once(self.version).chain(self.past.iter().map(|past| past.version));
        match later.zip(&self.past).find(|(later, past)| past.version >= *later) {
            Some((later, past)) => Err(format!("version {} is named as one before version {later}", past.version)),
            None => Ok(()),
        }
    }
}

fn check_document(version: u32, document: &Artifact) -> Result<(), String> {
    if version == 0 {
        return Err("a manifest has the version 0; the first one is 1".into());
    }
    if document.size > MAX_MANIFEST_BYTES as u64 {
        let bytes = document.size;
        return Err(format!(
            "version {version} of the manifest has {bytes} bytes, at most {MAX_MANIFEST_BYTES} are allowed"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::rollout::Rollout;

    #[test]
    fn earlier_versions_go_down() {
        let manifest = Manifest::new(Rollout::default(), Vec::new()).unwrap().artifact();
        let apply = |version: u32, past: &[u32]| {
            let past =
                past.iter().map(|version| Past { version: *version, manifest, issued_at: 0, note: String::new() });
            Apply { version, manifest, past: past.collect() }.check()
        };
        assert_eq!(apply(1, &[]), Ok(()));
        assert_eq!(apply(u32::MAX, &[9, 8, 1]), Ok(()));
        assert_eq!(apply(3, &[3]), Err("version 3 is named as one before version 3".into()));
        assert_eq!(apply(4, &[2, 3]), Err("version 3 is named as one before version 2".into()));
        assert_eq!(apply(4, &[0]), Err("a manifest has the version 0; the first one is 1".into()));
    }
}
