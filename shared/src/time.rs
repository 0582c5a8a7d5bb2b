//! Times as people read and write them: UTC, sortable as text, and spans such as `10m`. Computed, for nothing here looks at
//! a clock.

use std::str::FromStr;
use std::time::Duration;

/// A whole number with its unit: `300ms`, `90s`, `5m`, `1h`, `3d`; none for another text.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let factor_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor_ms).map(Duration::from_millis)
}

/// A time to look back to: so long ago, or a moment of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// Unix milliseconds.
    At(u64),
}

impl Since {
    /// The moment in Unix milliseconds, when it is `now`.
    #[must_use]
    pub fn unix_ms(self, now: u64) -> u64 {
        match self {
            Since::Ago(ago) => now.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
            Since::At(at) => at,
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Since, String> {
        let ago = duration(text).map(Since::Ago);
        let at = || parse_utc_millis(text).map(Since::At);
        ago.or_else(at).ok_or_else(|| {
            "expected how long ago (`90s`, `10m`, `2h`, `3d`) or a time of UTC (`2026-11-25T07:00:00Z`)".to_owned()
        })
    }
}

/// `2026-11-23T09:47:05Z` for seconds since 1970. Days by Howard Hinnant's `civil_from_days`.
#[must_use]
pub fn utc(unix_seconds: u64) -> String {
    format!("{}Z", to_the_second(unix_seconds))
}

/// `2026-11-23T09:47:05.123Z` for milliseconds since 1970.
#[must_use]
pub fn utc_millis(unix_ms: u64) -> String {
    format!("{}.{:03}Z", to_the_second(unix_ms / 1000), unix_ms % 1000)
}

/// The milliseconds since 1970 that `2026-11-23T09:47:05Z` or `2026-11-23T09:47:05.123Z` says; none for another text.
#[must_use]
pub fn parse_utc_millis(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (whole, millis) = match text.split_once('.') {
        Some((whole, millis)) if millis.len() == 3 => (whole, millis.parse().ok()?),
        Some(_) => return None,
        None => (text, 0),
    };
    let mut numbers = [0_u64; 6];
    let parts = whole.split(['-', 'T', ':']);
    if parts.clone().count() != numbers.len() {
        return None;
    }
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().ok()?;
    }
    let [year, month, day, hour, minute, second] = numbers;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The reverse of what is done below.
    let year = year - u64::from(month <= 2);
    let march_month = (month + 9) % 12;
    let of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + (153 * march_month + 2) / 5 + day - 1;
    let days = (year / 400 * 146_097 + of_era).checked_sub(719_468)?;
    let ms = (days * 86_400 + hour.min(99) * 3600 + minute.min(99) * 60 + second.min(99)) * 1000 + millis;
    // A day or an hour that there is not would have become another one.
    (to_the_second(ms / 1000) == whole).then_some(ms)
}

fn to_the_second(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Days since 0000-03-01, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_793_491_200_000, "2026-11-01T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(utc_millis(ms), text);
            assert_eq!(parse_utc_millis(text), Some(ms));
        }
        assert_eq!(parse_utc_millis("2026-11-01T00:00:00Z"), Some(1_793_491_200_000));
        for wrong in [
            "",
            "Z",
            "2026-11-01",
            "2026-02-30T00:00:00Z",
            "2026-11-01T24:00:00Z",
            "2026-1-01T00:00:00Z",
            "2026-18446744073709551615-01T00:00:00Z",
        ] {
            assert_eq!(parse_utc_millis(wrong), None, "{wrong}");
        }
        for wrong in ["2026-11-01T00:00:00.5Z", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z"]
        {
            assert_eq!(parse_utc_millis(wrong), None, "{wrong}");
        }
        assert_eq!(utc(1_709_251_199), "2024-02-29T23:59:59Z");
        // No time that a node can name makes it overflow.
        assert!(utc(u64::MAX).ends_with('Z') && utc_millis(u64::MAX).ends_with('Z'));
    }

    #[test]
    fn looking_back() {
        assert_eq!("10m".parse::<Since>().map(|since| since.unix_ms(600_001)), Ok(1));
        assert_eq!("3d".parse::<Since>().map(|since| since.unix_ms(5)), Ok(0), "not before 1970");
        assert_eq!("2026-11-01T00:00:00Z".parse(), Ok(Since::At(1_793_491_200_000)));
        for wrong in ["", "10", "m", "-1m", "1.5h", "5M", "99999999999999999999d", "yesterday", "2026-11-01"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }
}
