//! Chance that is the same in every run with the same seed.

/// `SplitMix64`: small, and good enough to decide who of many equals comes first.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is not zero.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// `count` parts in `per`, rounded up or down so that it is right in the mean.
    pub(super) fn share(&mut self, count: u64, part: u64, per: u64) -> u64 {
        let exact = count * part;
        exact / per + u64::from(self.below(per) < exact % per)
    }
}
