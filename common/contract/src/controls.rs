//! What operators hold back by hand: a queue, a provider app, a connection, or the jobs of one process.
//!
//! A pause is no state of a connection: it says nothing about the grant, so it stands beside the state, and ends with its
//! resumption and with nothing else. Unlike a held app ([`crate::app`]) it is never probed and never ends by itself.

use std::fmt;

use serde::Serialize;

use crate::Timestamp;
use crate::ids::{ConnectionId, InvalidName, ProviderName};
use crate::job::JobKind;

/// What is not to be refreshed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseTarget {
    /// Jobs of this kind: none is published or begun.
    Queue(JobKind),
    /// The connections of this provider app.
    App(ProviderName),
    /// This connection.
    Connection(ConnectionId),
}

impl PauseTarget {
    /// `queue`, `app` or `connection`, as it stands in metrics, API and UI.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::App(_) => "app",
            Self::Connection(_) => "connection",
        }
    }

    /// Which queue, app or connection.
    pub fn name(&self) -> String {
        match self {
            Self::Queue(kind) => kind.to_string(),
            Self::App(provider) => provider.to_string(),
            Self::Connection(id) => id.to_string(),
        }
    }

    /// The target of a kind and a name, as [`PauseTarget::kind`] and [`PauseTarget::name`] tell them.
    pub fn named(kind: &str, name: &str) -> Result<Self, InvalidName> {
        match kind {
            "queue" => name.parse().map(Self::Queue),
            "app" => name.parse().map(Self::App),
            "connection" => name.parse().map(Self::Connection),
            other => Err(InvalidName::new("a kind of pause (queue, app, connection)", other)),
        }
    }

    /// What a line of the audit log names. A connection's line stands among all others about the connection.
    pub fn subject(&self) -> String {
        match self {
            Self::Connection(id) => id.to_string(),
            Self::Queue(_) | Self::App(_) => self.to_string(),
        }
    }
}

impl fmt::Display for PauseTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// What an operator ordered: who, why, and since when it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Who: `user <e-mail or id>`, `key <name>` or `cli <name>`.
    pub by: String,
    /// Why, in their words.
    pub why: String,
    /// Since when.
    pub at: Timestamp,
}

/// A pause that stands until it is resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Of what.
    pub target: PauseTarget,
    /// By whom, why and since when.
    pub order: Order,
}

/// A process that is to take no new jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drain {
    /// By whom, why and since when.
    #[serde(flatten)]
    pub order: Order,
    /// Since when it has nothing in hand any more, as it says itself.
    pub done_at: Option<Timestamp>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ordered<T> {
    /// It stands from now on.
    Done,
    /// Such an order stood already and was left as it is.
    Already(T),
    /// There is no such connection or process.
    NotFound,
}

/// What is paused beyond single connections: few orders, which every process looks at again and again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses(Vec<Pause>);

impl From<Vec<Pause>> for Pauses {
    fn from(pauses: Vec<Pause>) -> Self {
        Self(pauses)
    }
}

impl Pauses {
    /// The pause of a queue.
    pub fn of_queue(&self, kind: JobKind) -> Option<&Pause> {
        self.0.iter().find(|pause| pause.target == PauseTarget::Queue(kind))
    }

    /// The pause of a provider app.
    pub fn of_app(&self, provider: &ProviderName) -> Option<&Pause> {
        self.0.iter().find(|pause| matches!(&pause.target, PauseTarget::App(name) if name == provider))
    }

    /// What keeps jobs of this kind from refreshing connections of this provider app.
    pub fn of_job(&self, kind: JobKind, provider: &ProviderName) -> Option<&Pause> {
        self.of_app(provider).or_else(|| self.of_queue(kind))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Pause> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_back_from_its_kind_and_name() {
        let targets = [
            PauseTarget::Queue(JobKind::RefreshDue),
            PauseTarget::App("amazon-na".parse().unwrap()),
            PauseTarget::Connection(ConnectionId::generate()),
        ];
        for target in targets {
            assert_eq!(PauseTarget::named(target.kind(), &target.name()), Ok(target));
        }
        for (kind, name) in [("queue", "bulk"), ("connection", "amazon-na"), ("worker", "1")] {
            assert!(PauseTarget::named(kind, name).is_err(), "{kind} {name}");
        }
    }

    #[test]
    fn an_app_and_a_queue_are_found_and_others_are_not() {
        let order = Order { by: "cli ada".to_owned(), why: "a release".to_owned(), at: Timestamp::UNIX_EPOCH };
        let of = |target| Pause { target, order: order.clone() };
        let (na, eu): (ProviderName, ProviderName) = ("amazon-na".parse().unwrap(), "amazon-eu".parse().unwrap());
        let pauses =
            Pauses::from(vec![of(PauseTarget::App(na.clone())), of(PauseTarget::Queue(JobKind::ForceRefresh))]);
        assert!(pauses.of_app(&na).is_some() && pauses.of_app(&eu).is_none());
        assert!(pauses.of_job(JobKind::RefreshDue, &na).is_some());
        assert!(pauses.of_job(JobKind::ForceRefresh, &eu).is_some());
        assert!(pauses.of_job(JobKind::RefreshDue, &eu).is_none());
    }
}
