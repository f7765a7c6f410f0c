//! The measurements, one file each.

mod drain;
mod embedded;
mod forced;
mod herd;
mod latency;
mod look;
mod throughput;
mod vending;

use anyhow::Result;
use clap::ValueEnum;

use crate::figure::Figure;
use crate::scale::Scale;
use crate::world::Lab;
use crate::{parts, screen};

/// What can be measured, in the order in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Refreshes in a second, cluster shape, against naive and floor in the same run
    ThroughputCluster,
    /// CPU seconds of our processes for 1,000 refreshes; measured with throughput-cluster
    Cpu,
    /// Refreshes in a second, embedded shape, against the floor on `SQLite`
    ThroughputEmbedded,
    /// Refreshes in a second with a provider that takes 50 ms
    #[value(name = "latency-50ms")]
    Latency50ms,
    /// How long a forced refresh takes when there is nothing else to do
    ForcedIdle,
    /// How long it takes beside 100,000 due jobs
    ForcedUnderBacklog,
    /// 1,000 forced refreshes of one connection at the same moment
    Coalescing,
    /// Tokens handed out in a second, and how soon a revoked key is refused
    Vending,
    /// The scheduler's look, 10,000,000 rows stored
    Look,
    /// 1,000,000 connections due at once
    Herd,
    /// Memory and CPU of an embedded process that has nothing to do
    Footprint,
    /// Size and start of the program
    Binary,
    /// What the parts can do by themselves
    Raw,
}

impl Name {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ThroughputCluster => "throughput-cluster",
            Self::Cpu => "cpu",
            Self::ThroughputEmbedded => "throughput-embedded",
            Self::Latency50ms => "latency-50ms",
            Self::ForcedIdle => "forced-idle",
            Self::ForcedUnderBacklog => "forced-under-backlog",
            Self::Coalescing => "coalescing",
            Self::Vending => "vending",
            Self::Look => "look",
            Self::Herd => "herd",
            Self::Footprint => "footprint",
            Self::Binary => "binary",
            Self::Raw => "raw",
        }
    }

    /// Whether it needs PostgreSQL and RabbitMQ.
    pub fn needs_servers(self) -> bool {
        !matches!(self, Self::ThroughputEmbedded | Self::Footprint | Self::Binary)
    }

    /// What is measured, how, and what it has to reach.
    pub fn told(self) -> &'static str {
        match self {
            Self::ThroughputCluster => throughput::CLUSTER,
            Self::Cpu => throughput::CPU,
            Self::ThroughputEmbedded => throughput::EMBEDDED,
            Self::Latency50ms => latency::TOLD,
            Self::ForcedIdle => forced::IDLE,
            Self::ForcedUnderBacklog => forced::BESIDE,
            Self::Coalescing => forced::COALESCING,
            Self::Vending => vending::TOLD,
            Self::Look => look::TOLD,
            Self::Herd => herd::TOLD,
            Self::Footprint => embedded::FOOTPRINT,
            Self::Binary => embedded::BINARY,
            Self::Raw => parts::TOLD,
        }
    }

    /// Measurements that are made together are made once.
    fn made_by(self) -> Self {
        match self {
            Self::Cpu => Self::ThroughputCluster,
            other => other,
        }
    }
}

/// Measures what is asked for: the figures, and what could not be measured.
pub(crate) async fn measure(lab: &Lab, names: &[Name]) -> (Vec<Figure>, Vec<(String, String)>) {
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for name in Name::value_variants() {
        let wanted = names.iter().any(|wanted| wanted.made_by() == *name);
        if !wanted {
            continue;
        }
        screen::step(name.word());
        match measure_one(lab, *name).await {
            Ok(found) => figures.extend(found.into_iter().map(|figure| figure.only_if(lab.scale != Scale::Smoke))),
            Err(error) => {
                screen::progress(&format!("not measured: {error:#}"));
                failed.push((name.word().to_owned(), format!("{error:#}")));
            }
        }
    }
    (figures, failed)
}

async fn measure_one(lab: &Lab, name: Name) -> Result<Vec<Figure>> {
    match name {
        Name::ThroughputCluster => throughput::cluster(lab).await,
        Name::Cpu => Ok(Vec::new()),
        Name::ThroughputEmbedded => throughput::embedded(lab).await,
        Name::Latency50ms => latency::latency(lab).await,
        Name::ForcedIdle => forced::idle(lab).await,
        Name::ForcedUnderBacklog => forced::beside_a_backlog(lab).await,
        Name::Coalescing => forced::coalescing(lab).await,
        Name::Vending => vending::vending(lab).await,
        Name::Look => look::look(lab).await,
        Name::Herd => herd::herd(lab).await,
        Name::Footprint => embedded::footprint(lab).await,
        Name::Binary => embedded::binary(lab).await,
        Name::Raw => parts::raw(lab).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_command_line() {
        for name in Name::value_variants() {
            assert_eq!(name.to_possible_value().unwrap().get_name(), name.word());
            assert!(!name.told().is_empty());
            assert_eq!(name.made_by().made_by(), name.made_by());
        }
    }
}
