//! Durations of repeated runs, and what is told of them: median, least and most.
//! No mean: one hiccup of a shared machine would move it.

use std::time::Duration;

/// Collected durations.
#[derive(Clone, Default)]
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub(super) fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Median (the upper one of an even number), minimum and maximum in milliseconds; zeros when there are none.
    pub(super) fn summary_ms(&self) -> (f64, f64, f64) {
        let mut sorted: Vec<f64> = self.0.iter().map(|duration| duration.as_secs_f64() * 1000.0).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        (at(sorted.len() / 2), at(0), at(sorted.len().saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_does_not_depend_on_the_order() {
        let mut samples = Samples::default();
        for ms in [30, 10, 20, 50, 40] {
            samples.add(Duration::from_millis(ms));
        }
        assert_eq!(samples.summary_ms(), (30.0, 10.0, 50.0));
        assert_eq!(samples.count(), 5);
        assert_eq!(Samples::default().summary_ms(), (0.0, 0.0, 0.0));
    }
}
