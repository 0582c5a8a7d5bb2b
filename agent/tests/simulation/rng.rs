//! The one source of chance in a simulation: everything follows from its seed.

/// SplitMix64.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An index of a list with `count` entries.
    pub fn index(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.index(of.len())].clone()) }
    }

    /// So many of them, in random order.
    pub fn some<T: Clone>(&mut self, of: &[T], count: usize) -> Vec<T> {
        let mut left = of.to_vec();
        let taken = count.min(left.len());
        (0..taken).map(|_| left.swap_remove(self.index(left.len()))).collect()
    }

    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|part| part.copy_from_slice(&self.next().to_be_bytes()));
        bytes
    }
}

pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a, by words.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).rotate_left(23).wrapping_mul(0x0100_0000_01b3);
    let words = bytes.chunks_exact(8);
    let rest = head(words.remainder());
    let hash =
        words.map(|word| u64::from_be_bytes(word.try_into().unwrap_or_default())).fold(0xcbf2_9ce4_8422_2325, step);
    mix(step(hash, rest) ^ bytes.len() as u64)
}

/// The first bytes of what looks like chance anyway.
pub fn head(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |head, byte| head << 8 | u64::from(*byte))
}
