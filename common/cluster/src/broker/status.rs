//! How the broker is, in words that people and probes read.

/// How one connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkStatus {
    /// Connected, topology declared.
    Up,
    /// Connected, but the broker takes nothing from it until its memory or disk alarm is over.
    Blocked(String),
    /// Not connected, trying again; the last reason.
    Down(String),
}

impl LinkStatus {
    /// Whether it can be used now.
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }
}

/// How the three connections are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerStatus {
    /// The one that jobs are published on.
    pub publish: LinkStatus,
    /// The one that jobs are consumed on.
    pub consume: LinkStatus,
    /// The one that events travel on.
    pub events: LinkStatus,
}

impl BrokerStatus {
    /// Whether everything can be used now.
    pub const fn is_ready(&self) -> bool {
        self.publish.is_up() && self.consume.is_up() && self.events.is_up()
    }
}

/// One queue, as the broker counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueReport {
    /// Its name on the broker.
    pub name: String,
    /// Messages waiting, those in hand apart.
    pub waiting: u64,
    /// Workers that consume from it.
    pub consumers: u64,
}
