//! Receivers of webhooks and what they are told.

use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ConnectionId, EndpointId, MessageId};
use evergrant_contract::ports::{StoreError, Webhooks};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{after, until};
use evergrant_contract::webhook::{
    ClaimedDelivery, ConsentLifetime, Delivery, DeliveryBacklog, DeliveryFilter, DeliveryOutcome, DeliveryReport,
    DeliveryState, DisabledReason, Endpoint, EndpointChange, EndpointSecrets, EndpointState, Message, MessageKind,
    Reported, Subject, THRESHOLDS, news,
};

use super::MemoryStore;
use super::rows::{Row, Tables};

const DAY: Duration = Duration::from_hours(24);

/// An endpoint and what it signs with.
pub(super) struct EndpointRow {
    endpoint: Endpoint,
    secrets: EndpointSecrets,
}

impl EndpointRow {
    fn wants(&self, kind: MessageKind) -> bool {
        let events = &self.endpoint.events;
        self.endpoint.state == EndpointState::Enabled && (events.is_empty() || events.contains(&kind))
    }

    /// The secret before the present one signs until then.
    fn secrets(&self, now: Timestamp) -> EndpointSecrets {
        let is_good = self.endpoint.former_secret_until.is_some_and(|until| now < until);
        EndpointSecrets { former: self.secrets.former.clone().filter(|_| is_good), ..self.secrets.clone() }
    }
}

/// A delivery, and until when somebody is at it.
pub(super) struct DeliveryRow {
    delivery: Delivery,
    claimed_until: Option<Timestamp>,
}

impl DeliveryRow {
    fn new(message: &Message, endpoint: EndpointId, due_at: Timestamp) -> Self {
        let delivery = Delivery {
            message: message.id,
            endpoint,
            kind: message.kind,
            at: message.at,
            state: DeliveryState::Pending,
            attempts: 0,
            due_at: Some(due_at),
            last: None,
        };
        Self { delivery, claimed_until: None }
    }

    fn close(&mut self, state: DeliveryState) {
        (self.delivery.state, self.delivery.due_at, self.claimed_until) = (state, None, None);
    }

    /// One that goes on is only hurried: whoever is at it stays at it.
    fn replay(&mut self, now: Timestamp) {
        if self.delivery.state != DeliveryState::Pending {
            (self.delivery.state, self.delivery.attempts, self.claimed_until) = (DeliveryState::Pending, 0, None);
        }
        self.delivery.due_at = Some(now);
    }
}

impl Tables {
    /// Keeps a message for those who want it.
    pub(super) fn tell(&mut self, message: Message) {
        for row in self.endpoints.values().filter(|row| row.wants(message.kind)) {
            let id = row.endpoint.id;
            self.deliveries.insert((id, message.id), DeliveryRow::new(&message, id, message.at));
        }
        self.messages.insert(message.id, message);
    }

    /// Tells what there is to tell of a connection that has moved.
    pub(super) fn moved(&mut self, id: ConnectionId, at: Timestamp) {
        let Some(row) = self.connections.get_mut(&id) else { return };
        let (told, kind) = news(row.told, row.standing.state);
        row.told = told;
        if let Some(kind) = kind {
            let message = Message::of_connection(kind, &Subject::from(&row.shown()), at);
            self.tell(message);
        }
    }

    /// Forgets messages from before then that nobody waits for. How many.
    pub(super) fn forget_messages_before(&mut self, before: Timestamp) -> usize {
        let is_pending = |id: MessageId, tables: &Self| {
            tables.deliveries.values().any(|row| row.delivery.message == id && row.claimed_or_due())
        };
        let old: Vec<_> = self
            .messages
            .values()
            .filter(|message| message.at < before && !is_pending(message.id, self))
            .map(|message| message.id)
            .collect();
        self.messages.retain(|id, _| !old.contains(id));
        self.deliveries.retain(|(_, id), _| !old.contains(id));
        old.len()
    }

    fn disable(&mut self, id: EndpointId, reason: DisabledReason) {
        if let Some(row) = self.endpoints.get_mut(&id) {
            (row.endpoint.state, row.endpoint.disabled_reason) = (EndpointState::Disabled, Some(reason));
        }
        let theirs = self.deliveries.values_mut().filter(|row| row.delivery.endpoint == id);
        theirs.filter(|row| row.claimed_or_due()).for_each(|row| row.close(DeliveryState::Failed));
    }
}

impl DeliveryRow {
    fn claimed_or_due(&self) -> bool {
        self.delivery.state == DeliveryState::Pending
    }
}

#[async_trait]
impl Webhooks for MemoryStore {
    async fn add_endpoint(&self, endpoint: &Endpoint, secret: &Secret) -> Result<(), StoreError> {
        let secrets = EndpointSecrets { current: secret.clone(), former: None };
        self.tables()?.endpoints.insert(endpoint.id, EndpointRow { endpoint: endpoint.clone(), secrets });
        Ok(())
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        let mut endpoints: Vec<_> = self.tables()?.endpoints.values().map(|row| row.endpoint.clone()).collect();
        endpoints.sort_by_key(|endpoint| (endpoint.created_at, endpoint.id));
        Ok(endpoints)
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        Ok(self.tables()?.endpoints.get(&id).map(|row| row.endpoint.clone()))
    }

    async fn change_endpoint(&self, id: EndpointId, change: &EndpointChange) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let Some(row) = tables.endpoints.get_mut(&id) else { return Ok(false) };
        let endpoint = &mut row.endpoint;
        endpoint.url = change.url.clone().unwrap_or_else(|| endpoint.url.clone());
        endpoint.description = change.description.clone().unwrap_or_else(|| endpoint.description.clone());
        endpoint.events = change.events.clone().unwrap_or_else(|| endpoint.events.clone());
        let was_enabled = endpoint.state == EndpointState::Enabled;
        match change.is_enabled {
            Some(true) => {
                (endpoint.state, endpoint.disabled_reason, endpoint.failing_since) =
                    (EndpointState::Enabled, None, None);
            }
            Some(false) if was_enabled => tables.disable(id, DisabledReason::ByOperator),
            Some(false) | None => {}
        }
        Ok(true)
    }

    async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        tables.deliveries.retain(|(endpoint, _), _| *endpoint != id);
        Ok(tables.endpoints.remove(&id).is_some())
    }

    async fn rotate_endpoint_secret(
        &self,
        id: EndpointId,
        secret: &Secret,
        former_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let Some(row) = tables.endpoints.get_mut(&id) else { return Ok(false) };
        row.secrets.former = Some(std::mem::replace(&mut row.secrets.current, secret.clone()));
        row.endpoint.former_secret_until = Some(former_until);
        Ok(true)
    }

    async fn endpoint_secrets(&self, id: EndpointId, now: Timestamp) -> Result<Option<EndpointSecrets>, StoreError> {
        Ok(self.tables()?.endpoints.get(&id).map(|row| row.secrets(now)))
    }

    async fn reseal_endpoint_secrets(&self) -> Result<u64, StoreError> {
        self.tables().map(|_| 0)
    }

    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let tables = self.tables()?;
        let theirs = tables.deliveries.values().rev().map(|row| &row.delivery).filter(|one| one.endpoint == endpoint);
        let behind = theirs.filter(|one| after.is_none_or(|after| one.message < after));
        let meant = behind.filter(|one| {
            filter.state.is_none_or(|state| one.state == state) && filter.kind.is_none_or(|kind| one.kind == kind)
        });
        Ok(meant.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        Ok(self.tables()?.messages.get(&id).cloned())
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        ttl: Duration,
        except: &[EndpointId],
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let time = self.time();
        let mut guard = self.tables()?;
        let tables = &mut *guard;
        let is_free = |row: &&mut DeliveryRow| {
            row.delivery.due_at.is_some_and(|at| at <= now)
                && row.claimed_until.is_none_or(|until| until <= time)
                && !except.contains(&row.delivery.endpoint)
        };
        let mut free: Vec<_> = tables.deliveries.values_mut().filter(is_free).collect();
        free.sort_by_key(|row| (row.delivery.due_at, row.delivery.message));
        free.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let claimed = free.into_iter().filter_map(|row| {
            let (endpoint, message) =
                (tables.endpoints.get(&row.delivery.endpoint)?, tables.messages.get(&row.delivery.message)?);
            row.claimed_until = Some(after(time, ttl));
            row.delivery.attempts += 1;
            Some(ClaimedDelivery {
                message: message.clone(),
                endpoint: endpoint.endpoint.id,
                url: endpoint.endpoint.url.clone(),
                secrets: Some(endpoint.secrets(now)),
                attempt: row.delivery.attempts,
            })
        });
        Ok(claimed.collect())
    }

    async fn report_delivery(&self, report: &DeliveryReport) -> Result<Reported, StoreError> {
        let mut tables = self.tables()?;
        let row = tables.deliveries.get_mut(&(report.endpoint, report.message));
        let held = row.filter(|row| row.claimed_or_due() && row.delivery.attempts == report.attempt);
        let Some(row) = held else { return Ok(Reported::Lost) };
        row.delivery.last = Some(report.result.clone());
        match report.outcome {
            DeliveryOutcome::Delivered => row.close(DeliveryState::Delivered),
            DeliveryOutcome::Retry(at) => (row.delivery.due_at, row.claimed_until) = (Some(at), None),
            DeliveryOutcome::GaveUp | DeliveryOutcome::Gone => row.close(DeliveryState::Failed),
        }
        let Some(endpoint) = tables.endpoints.get_mut(&report.endpoint) else { return Ok(Reported::Lost) };
        let failing_since = &mut endpoint.endpoint.failing_since;
        let disabled = match report.outcome {
            DeliveryOutcome::Delivered => {
                *failing_since = None;
                None
            }
            DeliveryOutcome::Gone => Some(DisabledReason::Gone),
            DeliveryOutcome::Retry(_) | DeliveryOutcome::GaveUp => {
                let since = *failing_since.get_or_insert(report.result.at);
                (since <= report.hopeless_since).then_some(DisabledReason::Failing)
            }
        };
        if let Some(reason) = disabled {
            tables.disable(report.endpoint, reason);
        }
        Ok(Reported::Written(disabled))
    }

    async fn replay_delivery(
        &self,
        endpoint: EndpointId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let is_enabled = is_enabled(&tables, endpoint);
        let row = tables.deliveries.get_mut(&(endpoint, message)).filter(|_| is_enabled);
        Ok(row.map(|row| row.replay(now)).is_some())
    }

    async fn replay_missed(&self, endpoint: EndpointId, since: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut guard = self.tables()?;
        let tables = &mut *guard;
        let mut replayed = 0;
        let Some(row) = tables.endpoints.get(&endpoint).filter(|row| row.endpoint.state == EndpointState::Enabled)
        else {
            return Ok(0);
        };
        for message in tables.messages.values().filter(|message| message.at >= since) {
            match tables.deliveries.get_mut(&(endpoint, message.id)) {
                Some(row) if row.delivery.state == DeliveryState::Failed => row.replay(now),
                None if row.wants(message.kind) => {
                    let new = DeliveryRow::new(message, endpoint, now);
                    tables.deliveries.insert((endpoint, message.id), new);
                }
                Some(_) | None => continue,
            }
            replayed += 1;
        }
        Ok(replayed)
    }

    async fn tell_of_expiring(
        &self,
        lifetimes: &[ConsentLifetime],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let mut messages = Vec::new();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        for row in tables.connections.values_mut().filter(|row| row.is_refreshable()) {
            let Some(ends_at) = consent_ends(row, lifetimes) else { continue };
            let left = until(now, ends_at);
            let threshold = THRESHOLDS.iter().copied().find(|days| left <= DAY * u32::from(*days));
            match threshold {
                None => row.expiry_told = None,
                Some(days) if !left.is_zero() && row.expiry_told.is_none_or(|told| days < told) => {
                    if messages.len() < limit {
                        row.expiry_told = Some(days);
                        messages.push(Message::of_consent(&Subject::from(&row.shown()), ends_at, now));
                    }
                }
                Some(_) => {}
            }
        }
        let told = messages.len();
        for message in messages {
            tables.tell(message);
        }
        Ok(u64::try_from(told).unwrap_or(u64::MAX))
    }

    async fn delivery_backlog(&self) -> Result<DeliveryBacklog, StoreError> {
        let tables = self.tables()?;
        let pending = tables.deliveries.values().filter(|row| row.claimed_or_due());
        let (pending, oldest_at) = pending.fold((0, None), |(count, oldest), row| {
            let at = row.delivery.at;
            (count + 1, Some(oldest.map_or(at, |oldest: Timestamp| oldest.min(at))))
        });
        Ok(DeliveryBacklog { pending, oldest_at })
    }
}

fn is_enabled(tables: &Tables, id: EndpointId) -> bool {
    tables.endpoints.get(&id).is_some_and(|row| row.endpoint.state == EndpointState::Enabled)
}

fn consent_ends(row: &Row, lifetimes: &[ConsentLifetime]) -> Option<Timestamp> {
    let lifetime = lifetimes.iter().find(|one| one.provider == row.provider).map(|one| one.lifetime);
    row.refresh_expires_at.or_else(|| Some(after(row.consent_at?, lifetime?)))
}
