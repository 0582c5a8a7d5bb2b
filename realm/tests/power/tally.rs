//! What came of each moment: the version before or the next one, as a whole; and how many moments are tried.

use crate::site::{OnDisk, Site, components};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// With this set, every moment is tried.
const ALL: &str = "REALM_POWER_ALL";

/// Otherwise one of so many.
const PART: usize = 5;

/// Which moments are tried in this run.
pub(crate) struct Course {
    first: usize,
    step: usize,
}

impl Course {
    /// Other ones each time.
    pub(crate) fn of_this_run() -> Course {
        if std::env::var_os(ALL).is_some() {
            return Course { first: 1, step: 1 };
        }
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Course { first: 1 + usize::try_from(seconds).unwrap() % PART, step: PART }
    }

    /// The numbers of these moments, the first of which is 1.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> {
        (self.first..).step_by(self.step)
    }
}

/// How the moments ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The node knows nothing of the next version.
    old: usize,
    /// It holds that, lacks its document, and runs the one before.
    held: usize,
    /// It runs the next version, but for what it has no artifact of.
    part: usize,
    /// It runs all of it.
    new: usize,
}

impl Tally {
    /// Looks at a node that was cut off on its way to the next version, and has nobody to ask. The operator may have been told that it
    /// has that.
    pub(crate) fn judge(&mut self, site: &Site, acknowledged: bool) {
        let (old, new) = (site.version, site.version + 1);
        let OnDisk { held, in_force } = site.on_disk();
        assert!([old, new].contains(&held) && [old, held].contains(&in_force), "{held}, {in_force} of {new}");
        assert!(!acknowledged || held == new, "version {new} was acknowledged, and is lost");
        let comes = in_force == new || (held == new && site.has_document());
        let version = if comes { new } else { old };
        // What both declare is there, and so is all that the version before needs.
        let (before, wanted) = (components(old), components(new));
        let kept = |digest: &str| before.values().any(|it| it == digest);
        site.until_runs(&[old, new], version, &|digest| !comes || kept(digest) || site.has(digest));
        assert_eq!(site.on_disk(), OnDisk { held, in_force: version });
        let count = match (comes, held == new, wanted.values().all(|digest| site.has(digest))) {
            (true, _, true) => &mut self.new,
            (true, _, false) => &mut self.part,
            (false, true, _) => &mut self.held,
            (false, false, _) => &mut self.old,
        };
        *count += 1;
    }

    /// A test that sees one end of it alone shows nothing.
    pub(crate) fn check(&self) {
        assert!(self.part + self.new > 0, "{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { old, held, part, new } = self;
        let all = old + held + part + new;
        write!(
            f,
            "{all} moments; {old} ended old, {held} old with the next one held, {new} new, {part} new without all artifacts"
        )
    }
}
