//! Chance that is not.

use std::sync::atomic::{AtomicU64, Ordering};

use evergrant_contract::ports::Chance;

/// Always rolls the same number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedChance(pub f64);

impl Chance for FixedChance {
    fn roll(&self) -> f64 {
        self.0
    }
}

/// Rolls a different number each time, and the same ones in every run with the same seed.
#[derive(Debug)]
pub struct SeededChance(AtomicU64);

impl SeededChance {
    /// A sequence of its own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `limit`, which must not be zero.
    pub fn below(&self, limit: u32) -> u32 {
        let high_half = u32::try_from(self.next() >> 32).unwrap_or_default();
        high_half % limit
    }

    /// The `SplitMix64` sequence: every state is another number, so one atomic addition makes it safe to share.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Chance for SeededChance {
    fn roll(&self) -> f64 {
        f64::from(self.below(u32::MAX)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_stays_in_range() {
        let (a, b, other) = (SeededChance::new(7), SeededChance::new(7), SeededChance::new(8));
        let rolls: Vec<f64> = (0..1000).map(|_| a.roll()).collect();
        assert!(rolls.iter().all(|roll| (0.0..1.0).contains(roll)));
        assert!(rolls.iter().all(|roll| roll.to_bits() == b.roll().to_bits()));
        assert!(rolls.iter().any(|roll| roll.to_bits() != other.roll().to_bits()));
        assert!((0..10).all(|number| (0..1000).any(|_| a.below(10) == number)), "every number comes up");
    }
}
