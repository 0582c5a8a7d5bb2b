//! Which number an apply has, and whether it is one at all. Pure.

use crate::exit::Failure;
use shared::{Apply, Artifact, MAX_PAST, MAX_PAST_NOTE_BYTES, Opened, Past};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// To sign it under this number.
    New(u32),
    /// Nothing to sign: it is what is held.
    Held,
}

/// What the operator typed of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Typed {
    pub(super) version: Option<u32>,
    pub(super) if_version: Option<u32>,
}

/// The course for `manifest`, where `held` is the apply that is held.
///
/// # Errors
/// When the number that was typed is taken, or another one is held than was expected.
pub(super) fn course(held: Option<&Apply>, manifest: Artifact, typed: Typed) -> Result<Course, Failure> {
    let held_version = held.map_or(0, |held| held.version);
    let is_same = held.is_some_and(|held| held.manifest == manifest);
    let hint = "`realm plan` shows what would change by now, `realm history` what was applied";
    if typed.if_version.is_some_and(|expected| expected != held_version) {
        let expected = typed.if_version.unwrap_or_default();
        let is_held = if held_version == 0 { "none".into() } else { format!("version {held_version}") };
        return Err(
            Failure::new(format!("expected version {expected}, and {is_held} is held; nothing was sent")).hint(hint)
        );
    }
    match typed.version {
        Some(0) => Err(Failure::usage("`--version` is 0; the first version is 1")),
        Some(version) if version == held_version && is_same => Ok(Course::Held),
        Some(version) if version == held_version => {
            Err(Failure::new(format!("version {version} is held, with other contents; nothing was sent"))
                .hint("leave `--version` out, or give a higher one"))
        }
        Some(version) if version < held_version => {
            Err(Failure::new(format!("version {held_version} is held, and {version} is lower; nothing was sent"))
                .hint("leave `--version` out, or give a higher one; `realm rollback --to N` goes back"))
        }
        Some(version) => Ok(Course::New(version)),
        None if is_same => Ok(Course::Held),
        None => match held_version.checked_add(1) {
            Some(version) => Ok(Course::New(version)),
            None => Err(Failure::new(format!("version {held_version} is held, and no number is higher"))),
        },
    }
}

/// The manifests before the next one: the one that is held, and those before it.
pub(super) fn past(held: &Opened, apply: &Apply) -> Vec<Past> {
    let body = held.body();
    let note = &body.note[..body.note.floor_char_boundary(MAX_PAST_NOTE_BYTES)];
    let newest =
        Past { version: apply.version, manifest: apply.manifest, issued_at: body.issued_at, note: note.to_owned() };
    std::iter::once(newest).chain(apply.past.iter().cloned()).take(MAX_PAST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::Digest;

    fn artifact(byte: u8) -> Artifact {
        Artifact { digest: Digest::of(&[byte]), size: 1, chunks: Digest::of(b"list") }
    }

    fn held(version: u32) -> Apply {
        Apply { version, manifest: artifact(1), past: Vec::new() }
    }

    fn exit(result: Result<Course, Failure>) -> u8 {
        result.unwrap_err().exit.code()
    }

    #[test]
    fn numbers_go_up_and_the_same_again_is_nothing() {
        let free = Typed::default();
        let numbered = |version| Typed { version: Some(version), ..free };
        assert_eq!(course(None, artifact(1), free), Ok(Course::New(1)));
        assert_eq!(course(None, artifact(1), numbered(7)), Ok(Course::New(7)));
        let held = held(3);
        assert_eq!(course(Some(&held), artifact(1), free), Ok(Course::Held));
        assert_eq!(course(Some(&held), artifact(2), free), Ok(Course::New(4)));
        assert_eq!(course(Some(&held), artifact(1), numbered(3)), Ok(Course::Held));
        assert_eq!(exit(course(Some(&held), artifact(2), numbered(3))), 1);
        assert_eq!(exit(course(Some(&held), artifact(1), numbered(2))), 1);
        // Whoever names a number means it.
        assert_eq!(course(Some(&held), artifact(1), numbered(9)), Ok(Course::New(9)));
        assert_eq!(exit(course(None, artifact(1), numbered(0))), 2);
    }

    #[test]
    fn no_number_is_above_the_highest() {
        assert_eq!(exit(course(Some(&held(u32::MAX)), artifact(2), Typed::default())), 1);
    }

    #[test]
    fn what_was_expected_is_compared_first() {
        let expect = |version| Typed { if_version: Some(version), ..Typed::default() };
        assert_eq!(course(None, artifact(1), expect(0)), Ok(Course::New(1)));
        assert_eq!(exit(course(None, artifact(1), expect(1))), 1);
        assert_eq!(course(Some(&held(3)), artifact(2), expect(3)), Ok(Course::New(4)));
        assert_eq!(exit(course(Some(&held(3)), artifact(1), expect(2))), 1);
    }
}
