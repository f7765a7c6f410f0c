//! One look at one provider app's due rows.

use std::time::Duration;

use evergrant_contract::app::{App, AppState};
use evergrant_contract::connection::Due;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::job::{Job, JobKind, Payload};
use evergrant_contract::ports::{Clock, JobQueue, QueueError, Schedule, StoreError};
use evergrant_contract::timing::until;

use crate::ledger::Ledger;
use crate::pace::{Pace, ramp};
use crate::settings::SchedulerSettings;

/// Due rows that a held app is probed with: more than one, since the first may be leased by a process that has died.
const PROBES: u32 = 3;
/// Probes are published again when nobody has taken a turn for so long.
const PROBE_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// With nothing waiting in the queue, a job that has not moved its row for so long was dropped or lost: whoever has it in hand
/// holds a lease, and a second job costs one look at that.
const REPUBLISH_WHEN_IDLE: Duration = Duration::from_secs(5);

/// How often what was published and is still due is read again. Looks in between read on from where the last one ended: a
/// backlog is not read once for every few jobs that the queue has room for.
const WHOLE_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a look could not be finished. What was published is published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What a look did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Jobs published.
    pub(crate) published: u32,
    /// More is due than could be published now.
    pub(crate) more: bool,
}

/// What a look needs.
pub(crate) struct Ports<'a> {
    pub(crate) schedule: &'a dyn Schedule,
    pub(crate) queue: &'a dyn JobQueue,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) settings: &'a SchedulerSettings,
}

/// What is remembered of one provider app between looks.
pub(crate) struct Outlook {
    provider: ProviderName,
    ledger: Ledger,
    pace: Pace,
    /// The last due row that a look has read: all before it are on their way, or were not due yet.
    frontier: Option<Due>,
    looked_whole_at: Option<Duration>,
    probed_at: Option<Duration>,
}

impl Outlook {
    pub(crate) fn new(provider: ProviderName, settings: &SchedulerSettings, now: Duration) -> Self {
        Self {
            provider,
            ledger: Ledger::default(),
            pace: Pace::new(settings.publish_rate, now),
            frontier: None,
            looked_whole_at: None,
            probed_at: None,
        }
    }

    pub(crate) const fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// Forgets what was published: the queue may have lost it.
    pub(crate) fn forget(&mut self) {
        self.ledger.clear();
        self.looked_whole_at = None;
    }

    /// Behind which row this look begins; `None`: with the earliest that is due.
    fn begin_look(&mut self, now: Duration) -> Option<Due> {
        if self.looked_whole_at.is_some_and(|at| now < at + WHOLE_LOOK_EVERY) {
            return self.frontier;
        }
        self.looked_whole_at = Some(now);
        None
    }

    /// Publishes what is due, as far as the app, the pace and the queue allow.
    pub(crate) async fn look(&mut self, ports: &Ports<'_>, app: Option<&App>) -> Result<Looked, LookError> {
        match app {
            Some(app) if app.state != AppState::Open => self.probe(ports, app).await,
            _ => {
                let full = ports.settings.publish_rate;
                let open_for = app.map(|app| until(app.since, ports.clock.now()));
                self.publish_due(ports, open_for.map_or(full, |open_for| ramp(full, open_for))).await
            }
        }
    }

    async fn publish_due(&mut self, ports: &Ports<'_>, rate: u32) -> Result<Looked, LookError> {
        let now = ports.clock.monotonic();
        let waiting = ports.queue.depth(JobKind::RefreshDue).await?;
        let room = u32::try_from(ports.settings.queue_high_water.saturating_sub(waiting)).unwrap_or(u32::MAX);
        let mut allowance = self.pace.allowance(now, rate).min(room);
        let patient = ports.settings.republish_after;
        let patience = if waiting == 0 { patient.min(REPUBLISH_WHEN_IDLE) } else { patient };
        let begun_behind = self.begin_look(now);
        let mut look = self.ledger.rebuild(now, patience);
        let mut looked = Looked::default();
        let mut read_to = begun_behind;
        let result = loop {
            let page = match page_behind(ports, &self.provider, read_to).await {
                Ok(page) => page,
                Err(error) => break Err(error.into()),
            };
            let is_last = page.len() < ports.settings.page_size as usize;
            let (jobs, rest): (Vec<Due>, Vec<Due>) = {
                let mut fresh: Vec<Due> = page.iter().filter(|due| !look.is_on_its_way(due)).copied().collect();
                let rest = fresh.split_off(fresh.len().min(allowance as usize));
                (fresh, rest)
            };
            if let Err(error) = publish(ports.queue, &jobs).await {
                break Err(error.into());
            }
            for due in &jobs {
                look.published(due);
            }
            let published = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
            looked.published += published;
            allowance -= published;
            looked.more = !rest.is_empty();
            read_to = if looked.more { jobs.last() } else { page.last() }.copied().or(read_to);
            if is_last || looked.more {
                break Ok(());
            }
        };
        // Only a look that reached the end has met every row that is still due.
        let reached_end = result.is_ok() && !looked.more;
        if reached_end || read_to.is_some() {
            look.finish(begun_behind, if reached_end { None } else { read_to });
        }
        self.frontier = read_to;
        self.pace.spend(looked.published);
        result.map(|()| looked)
    }

    async fn probe(&mut self, ports: &Ports<'_>, app: &App) -> Result<Looked, LookError> {
        let now = ports.clock.monotonic();
        // Jobs that meet a held app are given back: none of them is on its way any more.
        self.forget();
        let is_turn = app.probe_at.is_none_or(|at| at <= ports.clock.now());
        let was_just_published = self.probed_at.is_some_and(|at| now < at + PROBE_AGAIN_AFTER);
        if !is_turn || was_just_published {
            return Ok(Looked::default());
        }
        let due = ports.schedule.due(&self.provider, ports.clock.now(), None, PROBES).await?;
        publish(ports.queue, &due).await?;
        self.probed_at = Some(now);
        Ok(Looked { published: u32::try_from(due.len()).unwrap_or(u32::MAX), more: false })
    }
}

async fn page_behind(ports: &Ports<'_>, provider: &ProviderName, after: Option<Due>) -> Result<Vec<Due>, StoreError> {
    ports.schedule.due(provider, ports.clock.now(), after, ports.settings.page_size).await
}

async fn publish(queue: &dyn JobQueue, due: &[Due]) -> Result<(), QueueError> {
    if due.is_empty() {
        return Ok(());
    }
    let job = |due: &Due| {
        let Due { connection, version, refresh_at } = *due;
        Job::new(Payload::RefreshDue { connection, version, refresh_at })
    };
    queue.publish(due.iter().map(job).collect()).await
}
