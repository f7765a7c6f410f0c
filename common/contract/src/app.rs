//! A provider app: open, or held by an outage or a fault.
//!
//! While an app is held no connection of it is tried, so an outage costs no connection anything. One probe at a time goes
//! through, whichever worker wins its turn, and its success opens the app again.

use serde::Serialize;

use crate::Timestamp;
use crate::ids::ProviderName;
use crate::state::words;

words!(
    /// Whether refreshes of a provider app go through.
    AppState, "a provider app state (open, outage, fault)" {
        /// Refreshes go through.
        Open => "open",
        /// The provider does not answer, or not sensibly.
        Outage => "outage",
        /// The provider refuses our own credentials or configuration. A person must act.
        Fault => "fault",
    }
);

/// What the store keeps of a provider app. An app that the store has never heard of is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct App {
    /// Which.
    pub provider: ProviderName,
    /// Whether refreshes go through.
    pub state: AppState,
    /// Since when.
    pub since: Timestamp,
    /// When the next probe may go through, while held.
    pub probe_at: Option<Timestamp>,
    /// The provider's error code that held it.
    pub code: Option<String>,
    /// One sentence for people.
    pub message: Option<String>,
}

/// Why an app is to be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// `Outage` or `Fault`. A fault is never weakened to an outage.
    pub state: AppState,
    /// When the first probe may go through.
    pub probe_at: Timestamp,
    /// The provider's error code.
    pub code: Option<String>,
    /// One sentence for people.
    pub message: String,
}
