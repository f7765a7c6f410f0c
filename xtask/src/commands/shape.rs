//! Which shape of the system a command is about.

use clap::ValueEnum;

/// One of the two, or both at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    Embedded,
    Cluster,
    #[default]
    Both,
}

impl Shape {
    /// Of what there is for each shape, the part that is meant.
    pub(super) fn of<T>(self, embedded_and_cluster: &[T; 2]) -> &[T] {
        match self {
            Self::Embedded => &embedded_and_cluster[..1],
            Self::Cluster => &embedded_and_cluster[1..],
            Self::Both => embedded_and_cluster,
        }
    }
}
