//! How much of everything: a run that proves something, a quick one, and one that only shows that the instrument works.

use serde::Serialize;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// So little that figures mean nothing: the instrument is tested, in whatever build.
    Smoke,
    /// Under three minutes for everything; short of the numbers that the targets name, and says so.
    Quick,
    /// What the targets name.
    Full,
}

impl Scale {
    /// The number for this scale.
    pub const fn pick(self, smoke: usize, quick: usize, full: usize) -> usize {
        match self {
            Self::Smoke => smoke,
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// Whether figures mean anything.
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Smoke)
    }
}
