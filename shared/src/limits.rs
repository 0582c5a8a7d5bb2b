//! Limits of a component as the operator sees them: names, units and defaults are those of `docs/protocol.md`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a number is outside a limit's range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitError {
    name: &'static str,
    fault: String,
    least: u64,
    most: u64,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LimitError { name, fault, least, most } = self;
        write!(f, "{name} {fault}; expected a whole number from {least} to {most}")
    }
}

impl std::error::Error for LimitError {}

macro_rules! limit {
    ($(#[$doc:meta])* $type:ident, $name:literal, $repr:ty, $least:expr, $most:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $type($repr);

        impl $type {
            /// The number, in the unit of the type.
            #[must_use]
            pub const fn get(self) -> $repr {
                self.0
            }

            /// The error for a value that is no whole number: `what` is how it was written, or what it is instead.
            #[must_use]
            pub fn refused(what: &str) -> LimitError {
                LimitError { name: $name, fault: format!("is {what}"), least: $least, most: $most }
            }
        }

        impl TryFrom<u64> for $type {
            type Error = LimitError;

            fn try_from(number: u64) -> Result<$type, LimitError> {
                let refused = || $type::refused(&number.to_string());
                if ($least..=$most).contains(&number) {
                    <$repr>::try_from(number).map($type).map_err(|_| refused())
                } else {
                    Err(refused())
                }
            }
        }

        impl From<$type> for u64 {
            fn from(limit: $type) -> u64 {
                u64::from(limit.0)
            }
        }

        impl FromStr for $type {
            type Err = LimitError;

            fn from_str(text: &str) -> Result<$type, LimitError> {
                match text.parse::<u64>() {
                    Ok(number) => $type::try_from(number),
                    Err(_) => Err($type::refused(&format!("`{}`", crate::text::excerpt(text)))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

limit! {
    /// MiB of all linear memories and tables of one instance together. The most is what 32-bit memories reach.
    Mebibytes, "memory_max_mb", u32, 1, 65_536
}
limit! {
    /// Units of Wasmtime's fuel for one run.
    Fuel, "fuel", u64, 1, u64::MAX
}
limit! {
    /// Milliseconds of one stretch of compute before the guest gives way; ticks are 10 ms apart.
    EpochMs, "epoch_ms", u32, 10, 60_000
}
limit! {
    /// Milliseconds of wall clock for one run, at most a year.
    DeadlineMs, "deadline_ms", u64, 1, 31_536_000_000
}
limit! {
    /// KiB of a component's output that are kept on a node.
    LogMaxKb, "log_max_kb", u32, 16, 1_048_576
}
limit! {
    /// MiB of artifacts and compiled code that a node keeps on its disk, at most 16 TiB.
    StoreMebibytes, "store_max_mb", u32, 1, 16_777_216
}
limit! {
    /// Instances on each matching node.
    Replicas, "replicas", u16, 1, 1_000
}

/// MiB that an instance may have where none were given.
pub const DEFAULT_MEMORY_MB: u32 = 64;
/// The same on a board, a machine with less than 1 GiB.
pub const BOARD_MEMORY_MB: u32 = 16;

/// What one instance may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory; left out, the node decides: [`DEFAULT_MEMORY_MB`], or on a board [`BOARD_MEMORY_MB`].
    pub memory_max_mb: Option<Mebibytes>,
    /// Compute for one run; left out, unlimited.
    pub fuel: Option<Fuel>,
    /// One stretch of compute.
    pub epoch_ms: EpochMs,
    /// Wall clock for one run; left out, unlimited.
    pub deadline_ms: Option<DeadlineMs>,
    /// Kept output.
    pub log_max_kb: LogMaxKb,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_max_mb: None,
            fuel: None,
            epoch_ms: EpochMs(100),
            deadline_ms: None,
            log_max_kb: LogMaxKb(1024),
        }
    }
}

impl Default for Replicas {
    fn default() -> Replicas {
        Replicas(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold() {
        assert_eq!("64".parse::<Mebibytes>().map(Mebibytes::get), Ok(64));
        for bad in ["0", "-1", "65537", "many", "", "1.5", "99999999999999999999999"] {
            let error = bad.parse::<Mebibytes>();
            assert!(error.is_err_and(|error| error.to_string().contains("memory_max_mb")), "{bad}");
        }
        assert!(Replicas::try_from(1 << 32).is_err());
    }
}
