//! What artifacts and compiled code take on this node's disk together, against what they may. Counted is what may come before it
//! is there: an artifact in full from when it is ordered, code by what it was allowed while it is compiled; and what goes
//! counts until it has gone.

use shared::{Artifact, Digest, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// So many peers that probably have an artifact are remembered while it waits for room.
const MAX_HINTS: usize = 8;

/// Code is taken to have no more than so many times the bytes of its component, and so many beside: the guests of this repository
/// take 3.2 to 3.8 times, metered ones 3.7 to 4.5. Where there is less room, it gets that, so this refuses nobody.
const CODE_FACTOR: u64 = 5;
const CODE_BESIDE: u64 = 256 << 10;

/// Compiled code: of which artifact, and whether for metered runs.
pub type Code = (Digest, bool);

/// What there is of an artifact on the disk, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The artifact, whole or in part.
    pub artifact: u64,
    /// What was set aside because it was something else.
    pub aside: u64,
    /// Compiled code of every kind.
    pub code: u64,
}

#[derive(Default)]
struct Kept {
    usage: Usage,
    /// Its removal is ordered: it counts until the edge says that it is gone, which may wait for whoever reads it.
    leaving: bool,
}

/// What can be given up for the sake of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spare {
    /// Of which artifact.
    pub digest: Digest,
    /// Whether only the code that was compiled of it.
    pub code_only: bool,
    /// How much that is.
    pub bytes: u64,
}

/// See the module.
pub struct Quota {
    max: u64,
    kept: BTreeMap<Digest, Kept>,
    /// Code that is being compiled, and what it may take.
    compiling: BTreeMap<Code, u64>,
    /// Artifacts that are wanted and have no room yet, the oldest first, with those who probably have them. Bounded by what held
    /// intents name.
    pub(super) fetches: VecDeque<(Artifact, Vec<NodeId>)>,
    /// Those of them that were told to have none, with the reason.
    pub(super) refused: BTreeMap<Digest, String>,
    /// Code that is wanted and is not being compiled yet, the oldest first.
    pub(super) compiles: VecDeque<Code>,
    /// What code takes for which there was no room.
    pub(super) needs: BTreeMap<Code, u64>,
    /// Whether it was said that there is too much.
    warned: bool,
}

impl Quota {
    /// With what the disk has.
    pub fn new(max: u64, usage: BTreeMap<Digest, Usage>) -> Quota {
        let kept = |(digest, usage)| (digest, Kept { usage, leaving: false });
        Quota {
            max,
            kept: usage.into_iter().map(kept).collect(),
            compiling: BTreeMap::new(),
            fetches: VecDeque::new(),
            refused: BTreeMap::new(),
            compiles: VecDeque::new(),
            needs: BTreeMap::new(),
            warned: false,
        }
    }

    /// All that may be taken.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// All that counts.
    pub fn used(&self) -> u64 {
        let kept = self.kept.values().map(|kept| kept.usage.artifact + kept.usage.aside + kept.usage.code);
        kept.chain(self.compiling.values().copied()).fold(0, u64::saturating_add)
    }

    /// What nobody has and nobody is promised.
    pub fn left(&self) -> u64 {
        self.max.saturating_sub(self.used())
    }

    /// What counts and will be gone.
    pub fn going(&self) -> u64 {
        let leaving = self.kept.values().filter(|kept| kept.leaving);
        leaving.map(|kept| kept.usage.artifact + kept.usage.aside).fold(0, u64::saturating_add)
    }

    /// By how much there is too much, though all goes that is to go.
    pub fn excess(&self) -> u64 {
        self.used().saturating_sub(self.going()).saturating_sub(self.max)
    }

    /// What there is of an artifact.
    pub fn usage(&self, digest: &Digest) -> Usage {
        self.kept.get(digest).map(|kept| kept.usage).unwrap_or_default()
    }

    /// Artifacts whose code takes room.
    pub fn with_code(&self) -> impl Iterator<Item = &Digest> {
        self.kept.iter().filter(|(_, kept)| kept.usage.code > 0).map(|(digest, _)| digest)
    }

    /// What an artifact needs beside what counts already of it; none when it may be fetched, or is here.
    pub fn need(&self, artifact: &Artifact) -> Option<u64> {
        let kept = self.kept.get(&artifact.digest);
        let here = kept.map_or(0, |kept| kept.usage.artifact);
        let is_staying = kept.is_some_and(|kept| !kept.leaving) || artifact.size == 0;
        (here < artifact.size || !is_staying).then(|| artifact.size.saturating_sub(here))
    }

    /// It may be fetched, and counts.
    pub fn admit(&mut self, artifact: &Artifact) {
        let kept = self.kept.entry(artifact.digest).or_default();
        kept.leaving = false;
        kept.usage.artifact = kept.usage.artifact.max(artifact.size);
        self.refused.remove(&artifact.digest);
    }

    /// It is wanted, and waits.
    pub fn wait(&mut self, artifact: Artifact, hints: Vec<NodeId>) {
        if let Some((_, known)) = self.fetches.iter_mut().find(|(other, _)| *other == artifact) {
            known.retain(|hint| !hints.contains(hint));
            known.splice(..0, hints);
            known.truncate(MAX_HINTS);
        } else {
            self.fetches.push_back((artifact, hints));
        }
    }

    /// Nobody waits for it any more.
    pub fn cancel(&mut self, digest: &Digest) {
        self.fetches.retain(|(artifact, _)| artifact.digest != *digest);
        self.refused.remove(digest);
    }

    /// Its removal is ordered, with its code. That one nobody reads: it is gone at once.
    pub fn dropped(&mut self, digest: &Digest) {
        self.cancel(digest);
        self.code_dropped(digest);
        if let Some(kept) = self.kept.get_mut(digest) {
            kept.leaving = true;
        }
    }

    /// The removal of its code is ordered.
    pub fn code_dropped(&mut self, digest: &Digest) {
        self.compiles.retain(|(of, _)| of != digest);
        self.compiling.retain(|(of, _), _| of != digest);
        self.needs.retain(|(of, _), _| of != digest);
        if let Some(kept) = self.kept.get_mut(digest) {
            kept.usage.code = 0;
        }
    }

    /// It is gone from the disk, or lies there until the next start; unless it was wanted again meanwhile.
    pub fn removed(&mut self, digest: &Digest, gone: bool) {
        match self.kept.get_mut(digest).filter(|kept| kept.leaving) {
            Some(_) if gone => _ = self.kept.remove(digest),
            Some(kept) => kept.leaving = false,
            None => {}
        }
    }

    /// What was here was something else, and is kept aside. It is fetched again, or is being fetched: it has its room for that.
    pub fn torn(&mut self, digest: &Digest) {
        if let Some(kept) = self.kept.get_mut(digest) {
            kept.usage.aside = kept.usage.artifact;
        }
    }

    /// Code is wanted: it is compiled when it is its turn, once for all who want it. Gives what it may take where it is being
    /// compiled already.
    pub fn want_code(&mut self, code: Code) -> Option<u64> {
        let compiling = self.compiling.get(&code).copied();
        if compiling.is_none() && !self.compiles.contains(&code) {
            self.compiles.push_back(code);
        }
        compiling
    }

    /// What code will take at the most, as far as that is known.
    pub fn code_needs(&self, code: &Code) -> u64 {
        let guess = || self.usage(&code.0).artifact.saturating_mul(CODE_FACTOR).saturating_add(CODE_BESIDE);
        self.needs.get(code).copied().unwrap_or_else(guess)
    }

    /// Code is compiled, and may take so much.
    pub fn compile(&mut self, code: Code, bytes: u64) {
        self.compiling.insert(code, bytes);
    }

    /// Whether any code is being compiled: what it leaves of what it may take is not known yet.
    pub fn is_compiling(&self) -> bool {
        !self.compiling.is_empty()
    }

    /// All code of an artifact takes so much. It counts when somebody waits for that word; all else is of before it was dropped.
    pub fn code_is(&mut self, digest: &Digest, bytes: u64) {
        if self.compiling.keys().any(|(of, _)| of == digest) {
            self.kept.entry(*digest).or_default().usage.code = bytes;
        }
    }

    /// It is compiled, or will not be.
    pub fn compiled(&mut self, code: &Code) {
        self.compiling.remove(code);
    }

    /// Whether it has not been said yet that there is too much.
    pub fn warn_once(&mut self) -> bool {
        !std::mem::replace(&mut self.warned, true)
    }
}

/// Chooses from what can be given up, the least missed first, enough for `bytes`; `None` when there is not enough. What was
/// chosen and turns out not to be needed is spared, the most missed first.
pub fn choose(spares: &[Spare], bytes: u64) -> Option<Vec<Spare>> {
    let mut chosen = Vec::new();
    let mut sum: u64 = 0;
    let mut spares = spares.iter();
    while sum < bytes {
        let spare = spares.next()?;
        sum = sum.saturating_add(spare.bytes);
        chosen.push(*spare);
    }
    for at in (0..chosen.len()).rev() {
        if sum - chosen[at].bytes >= bytes {
            sum -= chosen.remove(at).bytes;
        }
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare(number: u8, bytes: u64) -> Spare {
        Spare { digest: Digest::of(&[number]), code_only: false, bytes }
    }

    #[test]
    fn no_more_is_given_up_than_is_needed() {
        let spares = [spare(1, 5), spare(2, 30), spare(3, 40), spare(4, 9)];
        assert_eq!(choose(&spares, 0), Some(vec![]));
        assert_eq!(choose(&spares, 5), Some(vec![spares[0]]));
        assert_eq!(
            choose(&spares, 40),
            Some(vec![spares[2]]),
            "the small ones would not be enough, and are not needed"
        );
        assert_eq!(choose(&spares, 45), Some(vec![spares[0], spares[2]]));
        assert_eq!(choose(&spares, 84), Some(spares.to_vec()));
        assert_eq!(choose(&spares, 85), None);
    }

    #[test]
    fn what_goes_counts_until_it_has_gone() {
        let artifact = |number: u8| Artifact { digest: Digest::of(&[number]), size: 40, chunks: Digest::of(b"") };
        let mut quota = Quota::new(100, BTreeMap::new());
        quota.admit(&artifact(1));
        quota.compile((artifact(1).digest, false), 50);
        assert_eq!((quota.left(), quota.need(&artifact(1)), quota.need(&artifact(2))), (10, None, Some(40)));
        quota.code_is(&artifact(1).digest, 20);
        quota.compiled(&(artifact(1).digest, false));
        assert_eq!(quota.left(), 40);
        quota.code_is(&artifact(1).digest, 90);
        assert_eq!(quota.left(), 40, "nobody has asked");
        quota.dropped(&artifact(1).digest);
        assert_eq!((quota.left(), quota.going()), (60, 40));
        // Wanted again before it was gone.
        assert_eq!(quota.need(&artifact(1)), Some(0));
        quota.admit(&artifact(1));
        quota.removed(&artifact(1).digest, true);
        assert_eq!((quota.left(), quota.going()), (60, 0));
        // The disk does not let go of it.
        quota.dropped(&artifact(1).digest);
        quota.removed(&artifact(1).digest, false);
        assert_eq!((quota.left(), quota.going(), quota.need(&artifact(1))), (60, 0, None));
        quota.dropped(&artifact(1).digest);
        quota.removed(&artifact(1).digest, true);
        assert_eq!(quota.left(), 100);
    }
}
