//! How a manifest spreads over the nodes that it changes, and when it stops doing so.

use serde::{Deserialize, Serialize};

/// The longest time that a node may have to be healthy for, in seconds: an hour.
pub const MAX_HEALTHY_S: u16 = 3_600;

/// What an operator says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// So many nodes change at a time; left out, one third of them, and all where nothing was in force before.
    pub max_parallel: Option<u16>,
    /// What has run for so many seconds without a failure is healthy.
    pub min_healthy_s: u16,
    /// When so many nodes have failed, no further one changes.
    pub max_failures: u16,
    /// Whether those that changed go back to the manifest before it then.
    pub auto_rollback: bool,
}

impl Default for Rollout {
    fn default() -> Rollout {
        Rollout { max_parallel: None, min_healthy_s: 5, max_failures: 1, auto_rollback: false }
    }
}

impl Rollout {
    /// Checks the bounds that the field types do not.
    ///
    /// # Errors
    /// A text that names the field and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let fault = |field: &str, given: u16, allowed: &str| Err(format!("{field} is {given}; {allowed} are allowed"));
        match self {
            Rollout { max_parallel: Some(0), .. } => fault("max_parallel", 0, "1 to 65535"),
            Rollout { max_failures: 0, .. } => fault("max_failures", 0, "1 to 65535"),
            Rollout { min_healthy_s, .. } if *min_healthy_s > MAX_HEALTHY_S => {
                fault("min_healthy_s", *min_healthy_s, &format!("0 to {MAX_HEALTHY_S}"))
            }
            _ => Ok(()),
        }
    }

    /// How many nodes may change at a time, of so many that have to.
    #[must_use]
    pub fn parallel(&self, of: usize, is_first: bool) -> usize {
        let most = self.max_parallel.map(usize::from);
        most.unwrap_or(if is_first { of } else { of.div_ceil(3) }).max(1)
    }
}

/// Where one node stands with the manifest that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManifestState {
    /// Its document is on the way.
    Coming,
    /// It waits for its turn.
    Waiting,
    /// It is in force, and not yet healthy.
    Changing,
    /// It is in force, and was healthy for long enough.
    Healthy,
    /// It is in force, and something failed before it was healthy for long enough.
    Failing,
    /// It does not come into force here: too many others have failed.
    Halted,
    /// It was in force, too many have failed, and the one before it is in force again.
    RolledBack,
}

impl std::fmt::Display for ManifestState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            ManifestState::Coming => "coming",
            ManifestState::Waiting => "waiting",
            ManifestState::Changing => "changing",
            ManifestState::Healthy => "healthy",
            ManifestState::Failing => "failing",
            ManifestState::Halted => "halted",
            ManifestState::RolledBack => "rolled back",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_changes_at_a_time_and_all_where_nothing_was_before() {
        let rollout = Rollout::default();
        let third = [1, 2, 3, 4, 10].map(|of| rollout.parallel(of, false));
        assert_eq!(third, [1, 1, 1, 2, 4]);
        assert_eq!((rollout.parallel(10, true), rollout.parallel(0, true)), (10, 1));
        assert_eq!(Rollout { max_parallel: Some(2), ..rollout }.parallel(10, true), 2);
    }

    #[test]
    fn bounds() {
        let good = Rollout::default();
        assert_eq!(good.check(), Ok(()));
        assert!(Rollout { max_parallel: Some(0), ..good }.check().is_err());
        assert!(Rollout { max_failures: 0, ..good }.check().is_err());
        assert!(Rollout { min_healthy_s: MAX_HEALTHY_S + 1, ..good }.check().is_err());
    }
}
