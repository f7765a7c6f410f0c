//! Refreshing every connection that a filter names, for the API and the command line alike.
//!
//! As with replays, the row as it is decides: version and `refresh_at` of the job are the row's, so whatever touches the row
//! first makes the job a no-op, and a spent token is never spent again. Nobody waits for any of them, so they step aside for
//! those that somebody waits for.

use std::collections::BTreeMap;
use std::sync::Arc;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Connection, ConnectionFilter};
use evergrant_contract::ids::{AuditId, ConnectionId};
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Clock, Store, StoreError};
use evergrant_contract::state::State;
use serde::Serialize;

use crate::replay::{Haste, ReplayError, WAITING_MAX, Way, held, job_for, some_at_once};

/// Connections asked for together: what is repeated when something breaks off in between.
const CHUNK: usize = 100;

/// What came of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// A refresh is in the queue.
    Published,
    /// It is due now; the running process finds it.
    MadeDue,
    /// A worker refreshes it right now.
    UnderWay,
    /// Its provider app is held or paused: nothing of it is refreshed.
    AppHeld,
    /// An operator has paused it.
    Paused,
    /// Its grant has ended, or its tokens cannot be read.
    NeedsReauth,
    /// The user took it away.
    Disconnected,
}

impl Asked {
    /// Every outcome, in order.
    pub const ALL: &[Self] = &[
        Self::Published,
        Self::MadeDue,
        Self::UnderWay,
        Self::AppHeld,
        Self::Paused,
        Self::NeedsReauth,
        Self::Disconnected,
    ];

    /// The word for programs, the audit log and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::MadeDue => "made_due",
            Self::UnderWay => "under_way",
            Self::AppHeld => "app_held",
            Self::Paused => "paused",
            Self::NeedsReauth => "needs_reauth",
            Self::Disconnected => "disconnected",
        }
    }

    /// What happened and what to do, for people.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Published => "A refresh is in the queue.",
            Self::MadeDue => "Due now: the running `evergrant serve` takes it up at its next look, within seconds.",
            Self::UnderWay => "A worker refreshes it right now.",
            Self::AppHeld => {
                "The provider app is paused. Mend that first; what is due is then refreshed by itself, so nothing has to be \
                 repeated."
            }
            Self::Paused => "An operator has paused it: resumed, it is refreshed by itself if it is due.",
            Self::NeedsReauth => "The user has to connect again, or the key has to be given back: no refresh helps.",
            Self::Disconnected => "The user took the connection away.",
        }
    }

    /// Whether a refresh was asked for.
    pub const fn is_asked(self) -> bool {
        matches!(self, Self::Published | Self::MadeDue)
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// By whom, why, and whether it is done at all.
#[derive(Debug, Clone)]
pub struct RefreshOrder {
    /// Only look what would come of it.
    pub is_dry_run: bool,
    /// Who, as the audit log tells it.
    pub actor: String,
    /// Why, in their own words; may be empty.
    pub reason: String,
    /// W3C trace context of whoever asks.
    pub traceparent: Option<String>,
}

/// What came of a page of connections.
#[derive(Debug, Default)]
pub struct RefreshPage {
    /// Each, in the order of their ids.
    pub done: Vec<(ConnectionId, Asked)>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<ConnectionId>,
    /// What broke the page off before its end. What is in `done` is done.
    pub trouble: Option<ReplayError>,
}

impl RefreshPage {
    /// How many of each outcome.
    pub fn counts(&self) -> BTreeMap<Asked, u64> {
        self.done.iter().fold(BTreeMap::new(), |mut counts, (_, asked)| {
            *counts.entry(*asked).or_default() += 1;
            counts
        })
    }
}

/// Refreshes every connection that a filter names.
pub struct Refreshes {
    store: Arc<dyn Store>,
    way: Way,
    clock: Arc<dyn Clock>,
}

impl Refreshes {
    /// Looks at the rows of this store, and reaches workers on this way.
    pub fn new(store: Arc<dyn Store>, way: Way, clock: Arc<dyn Clock>) -> Self {
        Self { store, way, clock }
    }

    /// Asks for the refresh of a page of the connections that the filter names, in the order of their ids, from behind
    /// `after`: a connection that is refreshed while it goes on is not met again, and it ends.
    pub async fn page(
        &self,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        limit: u32,
        order: &RefreshOrder,
    ) -> Result<RefreshPage, ReplayError> {
        let mut rows = self.store.list(filter, after, limit.saturating_add(1)).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_last = rows.len() <= wanted;
        rows.truncate(wanted);
        let mut page = RefreshPage::default();
        if !order.is_dry_run {
            let waiting = self.way.waiting().await?;
            if waiting >= WAITING_MAX {
                return Ok(RefreshPage { next: after, trouble: Some(ReplayError::Crowded { waiting }), ..page });
            }
        }
        for chunk in rows.chunks(CHUNK) {
            match self.chunk(chunk, order).await {
                Ok(done) => page.done.extend(done),
                Err(trouble) => {
                    page.next = page.done.last().map(|(id, _)| *id).or(after);
                    page.trouble = Some(trouble);
                    return Ok(page);
                }
            }
        }
        page.next = rows.last().filter(|_| !is_last).map(|row| row.id);
        Ok(page)
    }

    async fn chunk(
        &self,
        rows: &[Connection],
        order: &RefreshOrder,
    ) -> Result<Vec<(ConnectionId, Asked)>, ReplayError> {
        let (held, now) = (held(&*self.store).await?, self.clock.now());
        let mut done: Vec<_> =
            rows.iter().map(|row| (row.id, decide(row, held.contains(&row.provider), now))).collect();
        let wanted = || rows.iter().zip(&done).filter(|(_, (_, asked))| asked.is_asked()).map(|(row, _)| row);
        match &self.way {
            Way::Queue(queue) if !order.is_dry_run => {
                let job = |row| job_for(row, Haste::None, now, order.traceparent.clone());
                let jobs: Vec<_> = wanted().map(job).collect();
                if !jobs.is_empty() {
                    queue.publish(jobs).await?;
                }
            }
            Way::Queue(_) => {}
            Way::Row => {
                for (id, asked) in done.iter_mut().filter(|(_, asked)| asked.is_asked()) {
                    *asked = Asked::MadeDue;
                    if !order.is_dry_run && !self.store.make_due(*id, now).await? {
                        // It ended since it was listed.
                        *asked = Asked::NeedsReauth;
                    }
                }
            }
        }
        if !order.is_dry_run {
            let asked_for = done.iter().filter(|(_, asked)| asked.is_asked()).copied();
            some_at_once(asked_for.map(|(id, asked)| self.line(id, asked, order)).collect()).await?;
        }
        Ok(done)
    }

    async fn line(&self, id: ConnectionId, asked: Asked, order: &RefreshOrder) -> Result<(), StoreError> {
        let entry = AuditEntry {
            id: AuditId::generate(),
            at: self.clock.now(),
            actor: order.actor.clone(),
            action: Action::RefreshConnection,
            subject: id.to_string(),
            reason: order.reason.clone(),
            outcome: asked.as_str().to_owned(),
        };
        self.store.audit(&entry).await
    }
}

/// What the row allows. [`Asked::Published`]: a refresh is to be asked for.
fn decide(row: &Connection, is_held: bool, now: Timestamp) -> Asked {
    match row.state {
        State::Disconnected => Asked::Disconnected,
        State::NeedsReauth => Asked::NeedsReauth,
        _ if row.leased_until.is_some_and(|until| until > now) => Asked::UnderWay,
        _ if row.paused.is_some() => Asked::Paused,
        _ if is_held => Asked::AppHeld,
        State::Active | State::Failing | State::Suspect => Asked::Published,
    }
}
