//! What the command line tells about connections.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::wait::{PATIENCE, within};
use super::world::World;

/// What a person who asks sees of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) version: u64,
    pub(crate) failures: u32,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) refreshed_at: Option<DateTime<Utc>>,
    pub(crate) last_error: Option<String>,
    pub(crate) leased_until: Option<DateTime<Utc>>,
}

/// The counts of `connections stats`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Stats {
    pub(crate) total: u64,
    pub(crate) by_state: BTreeMap<String, u64>,
    pub(crate) due: u64,
    pub(crate) expired: u64,
    pub(crate) refreshed: u64,
    pub(crate) failed_jobs: u64,
}

impl Stats {
    pub(crate) fn in_state(&self, state: &str) -> u64 {
        self.by_state.get(state).copied().unwrap_or(0)
    }
}

/// A page of `connections list`.
const PAGE: usize = 10_000;

impl World {
    /// Counts; `refreshed` since this time. `None` while the store is away.
    pub(crate) fn stats(&mut self, since: DateTime<Utc>) -> Option<Stats> {
        let answer = self.ask(&["connections", "stats", "--since", &since.to_rfc3339(), "--json"]);
        (answer.code == 0).then(|| serde_json::from_str(&answer.stdout).unwrap())
    }

    /// Every connection, by its user.
    pub(crate) fn rows(&mut self) -> BTreeMap<String, Row> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let limit = PAGE.to_string();
            let mut args = vec!["connections", "list", "--json", "--limit", &limit];
            let last = rows.last().map(|row| row.id.clone());
            args.extend(last.iter().flat_map(|id| ["--after", id.as_str()]));
            let page: Vec<Row> = serde_json::from_str(&self.ask(&args).success().stdout).unwrap();
            let is_last = page.len() < PAGE;
            rows.extend(page);
            if is_last {
                return rows.into_iter().map(|row| (row.user.clone(), row)).collect();
            }
        }
    }

    /// Waits until so many connections were refreshed after this moment: a token that has just been issued lives out its time first.
    #[track_caller]
    pub(crate) fn until_refreshed_again(&mut self, connections: usize) -> Stats {
        let since = now();
        let wanted = connections as u64;
        let limit = self.token_lifetime + PATIENCE;
        within(limit, &format!("{connections} connections to be refreshed"), || {
            self.stats(since).filter(|stats| stats.refreshed >= wanted)
        })
    }

    /// How many calls are on record for a connection that left and had no answer.
    pub(crate) fn ambiguous_attempts(&mut self, id: &str) -> usize {
        let answer = self.ask(&["connections", "show", id, "--attempts", "1000", "--json"]).success();
        let attempts = answer.json()["attempts"].as_array().expect("a list of attempts").clone();
        attempts.iter().filter(|attempt| attempt["ambiguous"].as_bool().expect("whether an answer came")).count()
    }
}

/// The time of day, as processes see it.
#[expect(clippy::disallowed_methods, reason = "real processes live in real time, and so do their tests")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
