//! The table `[rollout]`: how a manifest spreads over the nodes that it changes.

use super::component::Reader;
use super::fault::{Found, excerpt};
use super::keys::ROLLOUT;
use super::syntax::{Value, in_order, kind};
use shared::{MAX_HEALTHY_S, Rollout};
use std::ops::RangeInclusive;
use toml::de::{DeTable, DeValue};

impl Reader<'_> {
    pub(super) fn rollout(&mut self, table: &DeTable<'_>) -> Rollout {
        let mut rollout = Rollout::default();
        for (name, at, value) in in_order(table) {
            match name {
                "max_parallel" => rollout.max_parallel = self.count(name, value, 1..=u16::MAX),
                "min_healthy_s" => {
                    rollout.min_healthy_s = self.count(name, value, 0..=MAX_HEALTHY_S).unwrap_or(rollout.min_healthy_s);
                }
                "max_failures" => {
                    rollout.max_failures = self.count(name, value, 1..=u16::MAX).unwrap_or(rollout.max_failures);
                }
                "auto_rollback" => {
                    rollout.auto_rollback = self.values.boolean(name, value).unwrap_or(rollout.auto_rollback);
                }
                _ => {
                    let expected = "`max_parallel`, `min_healthy_s`, `max_failures` or `auto_rollback`";
                    self.values.unknown((name, at), ROLLOUT, expected, |_| None);
                }
            }
        }
        rollout
    }

    fn count(&mut self, key: &str, value: &Value<'_>, range: RangeInclusive<u16>) -> Option<u16> {
        let (least, most) = (range.start(), range.end());
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| range.contains(number));
        if number.is_none() {
            let given = match value.get_ref() {
                DeValue::Integer(number) => excerpt(&number.to_string()),
                other => kind(other).to_owned(),
            };
            let fault = format!("{key} is {given}; expected a whole number from {least} to {most}");
            self.values.add(Found::new(value.span().start, fault));
        }
        number
    }
}
