//! Replaying and discarding failed jobs, for the API and the command line alike.
//!
//! A replay never sends the old message again. It looks at the row and, if there is still something to do, asks for a fresh
//! refresh of the row as it is now: version and `refresh_at` are the row's, so the lease lets it through only if nobody has
//! touched the row since, and a spent token is never spent again. Publishing comes before closing: what ends in between is
//! met again as `moved_on` or published once more, and both are harmless.
//!
//! Somebody waits for the replay of one job, so it is a forced refresh. Nobody waits for those of many: they go where the
//! refreshes that are due go, step aside for people, and are paced by what the workers take away.

mod cursor;
mod decide;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evergrant_contract::app::AppState;
use evergrant_contract::connection::Connection;
use evergrant_contract::controls::PauseTarget;
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobKey, FailedJobState};
use evergrant_contract::ids::{AuditId, ConnectionId, JobId, ProviderName};
use evergrant_contract::job::Payload;
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Clock, QueueError, Store, StoreError};
use evergrant_contract::state::State;
use futures::{StreamExt as _, TryStreamExt as _, stream};

pub use self::cursor::{cursor, place};
pub use self::decide::Outcome;
use self::decide::{decide, payload_of};
pub use self::way::Way;
pub(crate) use self::way::{Haste, WAITING_MAX, job_for};

/// Rows looked at, and failed jobs closed, at once: as many as a process has connections to its store, so that none of them
/// waits in line for longer than the store takes.
const AT_ONCE: usize = 8;
/// Failed jobs published and closed together: what is lost of the work when something breaks off in between.
const CHUNK: usize = 100;

/// What is to be done with failed jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Do again what still needs doing.
    Replay,
    /// Give up for good.
    Discard,
}

/// What is to be done, by whom and why.
#[derive(Debug, Clone)]
pub struct Order {
    /// What.
    pub deed: Deed,
    /// Only look what would come of it.
    pub is_dry_run: bool,
    /// Who, as the audit log tells it.
    pub actor: String,
    /// Why, in their own words; may be empty.
    pub reason: String,
    /// W3C trace context of whoever asks.
    pub traceparent: Option<String>,
}

/// What came of one failed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Which.
    pub id: JobId,
    /// Of which connection, if that is known.
    pub connection: Option<ConnectionId>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a page of failed jobs.
#[derive(Debug, Default)]
pub struct Page {
    /// Each, in the order of the list.
    pub done: Vec<Done>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<FailedJobKey>,
    /// What broke the page off before its end. What is in `done` is done.
    pub trouble: Option<ReplayError>,
}

impl Page {
    /// How many of each outcome.
    pub fn counts(&self) -> BTreeMap<Outcome, u64> {
        self.done.iter().fold(BTreeMap::new(), |mut counts, done| {
            *counts.entry(done.outcome).or_default() += 1;
            counts
        })
    }
}

/// Why nothing could be said or done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue did not do its part.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The workers have enough to do: go on when they have taken some of it away.
    #[error("{waiting} jobs wait for the workers already")]
    Crowded {
        /// How many.
        waiting: u64,
    },
}

/// Replays and discards failed jobs.
pub struct Replays {
    store: Arc<dyn Store>,
    way: Way,
    clock: Arc<dyn Clock>,
}

/// A failed job with what is to become of it.
struct Decided<'a> {
    job: &'a FailedJob,
    row: Option<Connection>,
    outcome: Outcome,
}

impl Replays {
    /// Looks at the rows of this store, and reaches workers on this way.
    pub fn new(store: Arc<dyn Store>, way: Way, clock: Arc<dyn Clock>) -> Self {
        Self { store, way, clock }
    }

    /// Deals with one failed job; an edited payload takes the place of its own. That it was tried is told to the audit log
    /// even if nothing came of it.
    pub async fn one(&self, job: &FailedJob, edited: Option<&Payload>, order: &Order) -> Result<Done, ReplayError> {
        let mut decided = vec![self.decided(job, edited, order, &held(&*self.store).await?).await?];
        self.act(&mut decided, order, Haste::Awaited).await?;
        let done = self.closed(&decided.remove(0), order).await?;
        if done.outcome.closes_as().is_none() && !order.is_dry_run {
            self.store.audit(&self.entry(job.id, done.outcome, order)).await?;
        }
        Ok(done)
    }

    /// Deals with the failed jobs of these ids, in this order.
    pub async fn some(&self, ids: &[JobId], order: &Order) -> Result<Page, ReplayError> {
        let look = |id: &JobId| {
            let id = *id;
            async move { self.store.failed_job(id).await.map(|job| (id, job)) }
        };
        let found = some_at_once(ids.iter().map(look).collect()).await?;
        let missing = found.iter().filter(|(_, job)| job.is_none());
        let missing: Vec<_> =
            missing.map(|(id, _)| Done { id: *id, connection: None, outcome: Outcome::NotFound }).collect();
        let jobs: Vec<_> = found.into_iter().filter_map(|(_, job)| job).collect();
        let mut page = self.all(&jobs, order).await;
        page.done.extend(missing);
        Ok(page)
    }

    /// Deals with a page of the open failed jobs that the filter names, newest first, from behind `after`: so that those
    /// which fail while it goes on are not met again and again, and it ends.
    pub async fn page(
        &self,
        filter: &FailedJobFilter,
        after: Option<FailedJobKey>,
        limit: u32,
        order: &Order,
    ) -> Result<Page, ReplayError> {
        let filter = FailedJobFilter { states: vec![FailedJobState::Open], ..filter.clone() };
        let mut jobs = self.store.failed_jobs(&filter, after, limit.saturating_add(1)).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_last = jobs.len() <= wanted;
        jobs.truncate(wanted);
        let mut page = self.all(&jobs, order).await;
        page.next = match page.trouble {
            Some(_) => page.done.len().checked_sub(1).and_then(|last| jobs.get(last)).map(FailedJob::key).or(after),
            None => jobs.last().filter(|_| !is_last).map(FailedJob::key),
        };
        Ok(page)
    }

    /// Chunk by chunk; what breaks one off is told with what was done before it.
    async fn all(&self, jobs: &[FailedJob], order: &Order) -> Page {
        let mut page = Page::default();
        if let Err(trouble) = self.room(order).await {
            return Page { trouble: Some(trouble), ..page };
        }
        for chunk in jobs.chunks(CHUNK) {
            match self.chunk(chunk, order).await {
                Ok(done) => page.done.extend(done),
                Err(trouble) => {
                    page.trouble = Some(trouble);
                    break;
                }
            }
        }
        page
    }

    /// Whether the workers want more of what nobody waits for.
    async fn room(&self, order: &Order) -> Result<(), ReplayError> {
        if order.is_dry_run || order.deed == Deed::Discard {
            return Ok(());
        }
        let waiting = self.way.waiting().await?;
        if waiting >= WAITING_MAX { Err(ReplayError::Crowded { waiting }) } else { Ok(()) }
    }

    async fn chunk(&self, jobs: &[FailedJob], order: &Order) -> Result<Vec<Done>, ReplayError> {
        let held = held(&*self.store).await?;
        let look = |job| self.decided(job, None, order, &held);
        let mut decided = some_at_once(jobs.iter().map(look).collect()).await?;
        self.act(&mut decided, order, Haste::None).await?;
        some_at_once(decided.iter().map(|decided| self.closed(decided, order)).collect()).await
    }

    async fn decided<'a>(
        &self,
        job: &'a FailedJob,
        edited: Option<&Payload>,
        order: &Order,
        held: &BTreeSet<ProviderName>,
    ) -> Result<Decided<'a>, StoreError> {
        if order.deed == Deed::Discard {
            let is_open = job.state == FailedJobState::Open;
            let outcome = if is_open { Outcome::Discarded } else { Outcome::AlreadyClosed };
            return Ok(Decided { job, row: None, outcome });
        }
        let payload = edited.cloned().or_else(|| payload_of(job));
        let row = match &payload {
            Some(payload) => self.store.find(payload.connection()).await?,
            None => None,
        };
        let is_held = row.as_ref().is_some_and(|row| held.contains(&row.provider));
        let outcome = decide(job, payload.as_ref(), row.as_ref(), is_held, self.clock.now());
        Ok(Decided { job, row, outcome })
    }

    /// Asks for the refreshes: one for each connection, however many of its jobs failed.
    async fn act(&self, decided: &mut [Decided<'_>], order: &Order, haste: Haste) -> Result<(), ReplayError> {
        let job = |row: &Connection| job_for(row, haste, self.clock.now(), order.traceparent.clone());
        match &self.way {
            Way::Queue(queue) if !order.is_dry_run => {
                let rows = decided.iter().filter(|decided| decided.outcome == Outcome::Published);
                let rows: BTreeMap<_, _> =
                    rows.filter_map(|decided| Some((decided.row.as_ref()?.id, decided))).collect();
                let jobs: Vec<_> = rows.values().filter_map(|decided| Some(job(decided.row.as_ref()?))).collect();
                if !jobs.is_empty() {
                    queue.publish(jobs).await?;
                }
            }
            Way::Queue(_) => {}
            Way::Row => {
                for decided in decided.iter_mut().filter(|decided| decided.outcome == Outcome::Published) {
                    decided.outcome = match &decided.row {
                        Some(row) if !order.is_dry_run => self.made_due(row.id).await?,
                        _ => Outcome::MadeDue,
                    };
                }
            }
        }
        Ok(())
    }

    async fn made_due(&self, id: ConnectionId) -> Result<Outcome, StoreError> {
        if self.store.make_due(id, self.clock.now()).await? {
            return Ok(Outcome::MadeDue);
        }
        // It ended since it was looked at.
        let state = self.store.find(id).await?.map(|row| row.state);
        Ok(match state {
            None => Outcome::ConnectionGone,
            Some(State::Disconnected) => Outcome::Disconnected,
            Some(State::NeedsReauth) => Outcome::NeedsReauth,
            Some(State::Active | State::Failing | State::Suspect) => Outcome::UnderWay,
        })
    }

    /// Closes what was dealt with, with its line in the audit log.
    async fn closed(&self, decided: &Decided<'_>, order: &Order) -> Result<Done, ReplayError> {
        let Decided { job, row, outcome } = decided;
        let mut outcome = *outcome;
        if let Some(state) = outcome.closes_as()
            && !order.is_dry_run
            && !self.store.close_failed_job(job.id, state, &self.entry(job.id, outcome, order)).await?
        {
            outcome = Outcome::AlreadyClosed;
        }
        let connection = row.as_ref().map(|row| row.id).or(job.connection);
        Ok(Done { id: job.id, connection, outcome })
    }

    fn entry(&self, job: JobId, outcome: Outcome, order: &Order) -> AuditEntry {
        AuditEntry {
            id: AuditId::generate(),
            at: self.clock.now(),
            actor: order.actor.clone(),
            action: match order.deed {
                Deed::Replay => Action::ReplayJob,
                Deed::Discard => Action::DiscardJob,
            },
            subject: job.to_string(),
            reason: order.reason.clone(),
            outcome: outcome.as_str().to_owned(),
        }
    }
}

/// The provider apps whose refreshes are paused, by what they answer or by an operator.
pub(crate) async fn held(store: &dyn Store) -> Result<BTreeSet<ProviderName>, StoreError> {
    let (apps, pauses) = (store.apps().await?, store.pauses().await?);
    let held = apps.into_iter().filter(|app| app.state != AppState::Open).map(|app| app.provider);
    let by_hand = pauses.iter().filter_map(|pause| match &pause.target {
        PauseTarget::App(provider) => Some(provider.clone()),
        PauseTarget::Queue(_) | PauseTarget::Connection(_) => None,
    });
    Ok(held.chain(by_hand).collect())
}

/// Does them all, a few at once, and gives their results in their order.
pub(crate) async fn some_at_once<T, E>(tasks: Vec<impl Future<Output = Result<T, E>>>) -> Result<Vec<T>, E> {
    stream::iter(tasks).buffered(AT_ONCE).try_collect().await
}
