//! A job, from its delivery to its fate.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Grant, Lease, LeaseRequest, Leased, Settled, Settlement};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::{ProcessId, ProviderName, UserId, Version};
use evergrant_contract::job::{Job, JobKind, Payload};
use evergrant_contract::ports::{Chance, Clock, EventBus, Fate, JobHandler, Provider, Store, StoreError};
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::{after, before};
use evergrant_contract::transition::{Change, Finding, Standing, put_off, transition};
use evergrant_contract::usage::{Counts, Left, Meter};
use evergrant_contract::verdict::Attempt;
use evergrant_traces::follow;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, field, info, info_span, warn};

use crate::findings;
use crate::gate::{Gate, Passage};
use crate::orders::Orders;
use crate::refresh::Refresh;
use crate::right_of_way::RightOfWay;
use crate::settings::WorkerSettings;
use crate::window::Window;
use crate::writer::{Writer, Written, store_pauses};

/// A connection whose provider app this process is not configured for is looked at again after this.
const UNKNOWN_PROVIDER_PAUSE: Duration = Duration::from_mins(5);
/// A resting connection is looked at again after this, so that a policy that is taken back is taken back everywhere.
const REST_LOOK: Duration = Duration::from_hours(24);

/// What every job needs.
pub(crate) struct Context {
    pub(crate) process: ProcessId,
    pub(crate) settings: WorkerSettings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) events: Arc<dyn EventBus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) providers: HashMap<ProviderName, Arc<dyn Provider>>,
    pub(crate) gate: Gate,
    pub(crate) orders: Orders,
    pub(crate) writer: Writer,
    pub(crate) right_of_way: RightOfWay,
    pub(crate) window: Window,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tasks: TaskTracker,
    /// No new work.
    pub(crate) stop: CancellationToken,
}

/// Does refresh jobs of both kinds.
#[derive(Clone)]
pub struct RefreshHandler(pub(crate) Arc<Context>);

impl RefreshHandler {
    /// Reads which provider apps are held and what is paused, for callers that handle a job without
    /// [`Workers::run`](crate::Workers::run), which goes on watching.
    pub async fn look_at_apps(&self) -> Result<(), StoreError> {
        self.0.orders.look().await?;
        self.0.gate.look().await
    }
}

#[async_trait]
impl JobHandler for RefreshHandler {
    /// Does the job as a task of its own: whoever waits for the delivery may go away, the refresh does not.
    async fn handle(&self, job: Job) -> Fate {
        let context = Arc::clone(&self.0);
        let span = info_span!("job.run", job.id = %job.id, job.kind = %job.payload.kind(), trace_id = field::Empty);
        let publisher = job.traceparent.as_deref().and_then(|text| text.parse().ok());
        // Where traces are made this is a span below that of whoever published it, or the first of a new trace.
        if let Some(place) = follow(&span, publisher).or(publisher) {
            span.record("trace_id", place.trace_id());
        }
        let task = self.0.tasks.spawn(async move { context.run(job).await }.instrument(span));
        // A panic has been reported by its own hook; the lease lapses and the row is found again.
        task.await.unwrap_or(Fate::Done)
    }
}

impl Context {
    async fn run(&self, job: Job) -> Fate {
        let delivered = self.clock.monotonic();
        let (_ahead, _place) = match job.payload.kind() {
            JobKind::ForceRefresh => (Some(self.right_of_way.go_ahead()), None),
            JobKind::RefreshDue => {
                let place = self.window.enter().await;
                self.right_of_way.step_aside(self.clock.as_ref()).await;
                (None, Some(place))
            }
        };
        if let Payload::ForceRefresh { deadline, .. } = job.payload
            && deadline <= self.clock.now()
        {
            debug!("Nobody waits for this job any more");
            return Fate::Done;
        }
        if !self.orders.takes(job.payload.kind()) {
            debug!("No jobs are taken any more; this one goes back");
            return Fate::PutBack;
        }
        let lease_ends = self.settings.lease_ends(self.clock.as_ref());
        let leased = match self.acquire(&job).await {
            Ok(Some(leased)) => leased,
            Ok(None) => return Fate::PutBack,
            Err(error) => {
                error!(connection = %job.payload.connection(), %error, "A connection cannot be leased; it is tried again when the scheduler looks next");
                return Fate::Done;
            }
        };
        match leased {
            Leased::Held(grant) => {
                let waited = self.clock.monotonic().saturating_sub(delivered);
                metrics::histogram!("evergrant_lease_wait_seconds", "kind" => job.payload.kind().as_str())
                    .record(waited);
                self.refresh(&job, &grant, lease_ends).await;
            }
            Leased::Unspendable { lease, user, provider, standing, reason } => {
                self.give_up(&job, lease, &user, &provider, standing, reason).await;
            }
            Leased::MovedOn { .. } | Leased::NotRefreshable { .. } => match job.payload.kind() {
                JobKind::ForceRefresh => self.tell_how_it_stands(&job).await,
                JobKind::RefreshDue => debug!("The row has moved on since the job was made"),
            },
            // On its resumption the row is due as it was. Whoever waits is told now.
            Leased::Paused => match job.payload.kind() {
                JobKind::ForceRefresh => self.tell_how_it_stands(&job).await,
                JobKind::RefreshDue => debug!("The connection is paused"),
            },
            Leased::Busy => {
                metrics::counter!("evergrant_leases_busy_total").increment(1);
                debug!("Another worker has the lease");
            }
        }
        Fate::Done
    }

    /// Asks for the lease until the store answers; `None` at shutdown.
    async fn acquire(&self, job: &Job) -> Result<Option<Leased>, StoreError> {
        let request = LeaseRequest {
            connection: job.payload.connection(),
            version: job.payload.version(),
            seen_refresh_at: Some(job.payload.refresh_at()),
            owner: self.process,
            ttl: self.settings.lease,
            takeover_grace: self.settings.takeover_grace,
            is_awaited: job.payload.kind() == JobKind::ForceRefresh,
        };
        for pause in store_pauses() {
            match self.store.acquire(request).await {
                Ok(leased) => return Ok(Some(leased)),
                Err(error) if error.is_transient() => debug!(%error, "The store is away; the job waits for it"),
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.clock.sleep(pause) => {}
            }
        }
        Ok(None)
    }

    async fn refresh(&self, job: &Job, grant: &Grant, lease_ends: Duration) {
        // Noted first: whatever else this job comes to, the row forgets the former holder with it.
        let lost = self.lost_attempt(grant);
        if self.orders.pause_of(&grant.provider).is_some() {
            debug!(provider = %grant.provider, "The provider app is paused");
            return self.give_back(job, grant.lease, lost, None).await;
        }
        let Some(provider) = self.providers.get(&grant.provider) else {
            return self.put_off_unknown_provider(job, grant, lost).await;
        };
        let is_probe = match self.gate.pass(&grant.provider).await {
            Ok(Passage::Open) => false,
            Ok(Passage::Probe) => true,
            Ok(Passage::Held(until)) => return self.give_back(job, grant.lease, lost, Some(until)).await,
            Err(error) => {
                warn!(connection = %grant.lease.connection, %error, "The state of the provider app cannot be read; the job is left for later");
                return self.give_back(job, grant.lease, lost, None).await;
            }
        };
        // A call may start only if it and its write fit into the lease, whatever the store took to grant it.
        let room = self.settings.room_for_call(provider.policy());
        if self.clock.monotonic() + room > lease_ends {
            warn!(connection = %grant.lease.connection, "The lease took too long to get; the job is left for later");
            return self.give_back(job, grant.lease, lost, None).await;
        }
        if let Some(rests_until) = self.rests_until(job).await {
            debug!(connection = %grant.lease.connection, "Nobody has used the connection for long: it rests");
            return self.rest(job, grant, lost, rests_until).await;
        }
        self.say_that_it_refreshes(job, grant);
        let left = grant.expires_at.map(|at| (at - self.clock.now()).num_seconds());
        let refresh = Refresh { context: self, provider: provider.as_ref(), grant, job, lease_ends, is_probe, lost };
        let settlement = refresh.run().await;
        self.meter(job, grant, left, &settlement);
        self.write(job, settlement).await;
    }

    /// The attempt of a holder that was never heard of again, if the lease was taken over from one.
    fn lost_attempt(&self, grant: &Grant) -> Option<Attempt> {
        let former = grant.taken_over_from?;
        warn!(
            connection = %grant.lease.connection, %former,
            "A lease lapsed without a report: its refresh token may have been spent and the reply never arrived; \
             it is presented again, as the provider's rotation rule allows"
        );
        metrics::counter!("evergrant_lost_replies_total", "provider" => grant.provider.to_string()).increment(1);
        Some(findings::lost_attempt(former, self.clock.now()))
    }

    /// When to look again at a connection that nobody has used for long; `None`: it is refreshed. Whoever waits for it uses it.
    async fn rests_until(&self, job: &Job) -> Option<Timestamp> {
        let rest_after = self.settings.rest_after.filter(|_| job.payload.kind() == JobKind::RefreshDue)?;
        let now = self.clock.now();
        // A store that does not say keeps nothing from being refreshed.
        let used = self.store.last_used(job.payload.connection()).await.ok().flatten()?;
        (used < before(now, rest_after)).then(|| after(now, REST_LOOK))
    }

    /// The connection stays as it is, expired in time, until somebody uses it or the policy changes.
    async fn rest(&self, job: &Job, grant: &Grant, lost: Option<Attempt>, until: Timestamp) {
        let mut settlement = findings::release(grant.lease, Vec::from_iter(lost), self.clock.now());
        settlement.change = Some(put_off(grant.standing, until));
        metrics::counter!("evergrant_rests_total", "provider" => grant.provider.to_string()).increment(1);
        self.write(job, settlement).await;
    }

    /// Counts a refresh for its user. One that made no call was none.
    fn meter(&self, job: &Job, grant: &Grant, left: Option<i64>, settlement: &Settlement) {
        let refreshed = settlement.tokens.is_some();
        if !refreshed && settlement.attempts.is_empty() {
            return;
        }
        let forced = job.payload.kind() == JobKind::ForceRefresh;
        let counts = Counts {
            refreshes: u64::from(refreshed),
            failures: u64::from(!refreshed),
            forced: u64::from(forced),
            left: left.filter(|_| !forced).map(Left::one).unwrap_or_default(),
            ..Counts::default()
        };
        self.meter.add(self.clock.now(), &grant.provider, &grant.user, counts);
    }

    fn say_that_it_refreshes(&self, job: &Job, grant: &Grant) {
        let left = grant.expires_at.map(|at| (at - self.clock.now()).num_seconds());
        if let Some(left) = left
            && job.payload.kind() == JobKind::RefreshDue
        {
            #[expect(clippy::cast_precision_loss, reason = "seconds of a token's life fit a float exactly")]
            metrics::histogram!("evergrant_seconds_left_at_refresh").record(left as f64);
        }
        info!(
            user = %grant.user, connection = %grant.lease.connection, provider = %grant.provider,
            version = %grant.lease.version, seconds = left, "Token for user {} expires in {} seconds, refreshing...", grant.user, left.unwrap_or(0)
        );
    }

    async fn give_up(
        &self,
        job: &Job,
        lease: Lease,
        user: &UserId,
        provider: &ProviderName,
        standing: Standing,
        reason: Reason,
    ) {
        if self.orders.pause_of(provider).is_some() {
            debug!(%provider, "The provider app is paused");
            return self.give_back(job, lease, None, None).await;
        }
        let (finding, why) = match reason {
            Reason::Undecryptable => (
                Finding::Undecryptable,
                "the stored tokens cannot be opened with the present keys: give the key that wrote them back in FERNET_KEY",
            ),
            _ => (Finding::NoRefreshToken, "there is no refresh token: the user has to connect again"),
        };
        error!(%user, connection = %lease.connection, %provider, %reason, error = why, "Failed to refresh token for user {user}");
        let Some(policy) = self.providers.get(provider).map(|provider| provider.policy()) else {
            return self.give_back(job, lease, None, None).await;
        };
        let now = self.clock.now();
        let change = transition(standing, finding, &self.settings.rules(policy), now, 0.0);
        self.write(job, findings::settlement(lease, change, None, Vec::new(), Some(why.to_owned()), now)).await;
    }

    async fn put_off_unknown_provider(&self, job: &Job, grant: &Grant, lost: Option<Attempt>) {
        let why = format!("provider app {} is not configured in this process", grant.provider);
        error!(user = %grant.user, connection = %grant.lease.connection, provider = %grant.provider, error = why, "Failed to refresh token for user {}", grant.user);
        let now = self.clock.now();
        let mut settlement = findings::release(grant.lease, Vec::from_iter(lost), now);
        settlement.change = Some(put_off(grant.standing, after(now, UNKNOWN_PROVIDER_PAUSE)));
        settlement.last_error = Some(why);
        self.write(job, settlement).await;
    }

    async fn give_back(&self, job: &Job, lease: Lease, lost: Option<Attempt>, retry_at: Option<Timestamp>) {
        self.write(job, findings::release(lease, Vec::from_iter(lost), self.clock.now())).await;
        let Lease { connection, version, .. } = lease;
        let (outcome, traceparent) = (Outcome::Unavailable, job.traceparent.clone());
        let event = Event::Connection { connection, version, outcome, reason: None, retry_at, traceparent };
        self.events.publish(vec![event]).await;
    }

    async fn write(&self, job: &Job, settlement: Settlement) {
        let lease = settlement.lease;
        let told = settlement.change.is_some();
        let event_for = |version: Version| findings::event(job, &settlement, version);
        match self.writer.write(settlement.clone()).await {
            Written::Stored(Settled::Written(version)) => {
                count(&settlement);
                if told {
                    self.events.publish(vec![event_for(version)]).await;
                }
            }
            Written::PutOff => {}
            Written::Stored(Settled::Lost) => {
                metrics::counter!("evergrant_races_lost_total").increment(1);
                info!(connection = %lease.connection, version = %lease.version, "The row has moved on: this result judges nobody");
                // It may be our own write whose confirmation was lost: whoever waits is told what the row says.
                self.tell_how_it_stands(job).await;
            }
        }
    }

    /// Tells whoever waits what the row says, since this job had nothing to write.
    async fn tell_how_it_stands(&self, job: &Job) {
        let (connection, seen) = (job.payload.connection(), job.payload.version());
        let Ok(Some(row)) = self.store.find(connection).await else { return };
        let outcome = match row.state {
            State::Disconnected => Outcome::Disconnected,
            State::NeedsReauth => Outcome::NeedsReauth,
            _ if row.version > seen => Outcome::Refreshed,
            _ => Outcome::Unavailable,
        };
        let retry_at = row.refresh_at.filter(|_| outcome == Outcome::Unavailable);
        let (version, reason, traceparent) = (row.version, row.reason, job.traceparent.clone());
        let event = Event::Connection { connection, version, outcome, reason, retry_at, traceparent };
        self.events.publish(vec![event]).await;
    }
}

/// Counts what somebody may have to look at, once the store has it.
fn count(settlement: &Settlement) {
    if let Some(provider) = settlement.failed_job.as_ref().and_then(|job| job.provider.as_ref()) {
        metrics::counter!("evergrant_failed_jobs_total", "provider" => provider.to_string()).increment(1);
    }
    if let Some(Change { standing: Standing { state: State::NeedsReauth, .. }, reason: Some(reason), .. }) =
        settlement.change
    {
        metrics::counter!("evergrant_connections_given_up_total", "reason" => reason.as_str()).increment(1);
    }
}
