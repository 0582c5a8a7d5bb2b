//! A small seeded source of jitter: the same seed gives the same run. Not for secrets.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// `ms` give or take `percent` of it.
    pub fn jitter(&mut self, ms: u64, percent: u64) -> u64 {
        let spread = ms / 100 * percent;
        ms - spread + self.below(2 * spread + 1)
    }
}

/// A delay that doubles with each failure, from `first_ms` to `most_ms`, give or take a quarter.
pub fn backoff_ms(random: &mut Random, failures: u32, first_ms: u64, most_ms: u64) -> u64 {
    let doubled = first_ms.saturating_mul(1 << failures.saturating_sub(1).min(30));
    random.jitter(doubled.min(most_ms), 25)
}
