//! Connections as people and services use them.

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{
    AccessToken, Connection, ConnectionFilter, IfPresent, NewConnection, Reconnected, Stats, Stored,
};
use evergrant_contract::failed_job::FailedJobState;
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::{Connections, StoreError};
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::to_millis;
use evergrant_contract::transition::Standing;
use evergrant_contract::verdict::Attempt;

use super::MemoryStore;
use super::rows::{Row, Tables};

#[async_trait]
impl Connections for MemoryStore {
    async fn put(&self, connections: Vec<NewConnection>, if_present: IfPresent) -> Result<Vec<Stored>, StoreError> {
        let mut tables = self.tables()?;
        let now = to_millis(self.clock.now());
        Ok(connections.into_iter().map(|new| put(&mut tables, new, if_present, self.primary(), now)).collect())
    }

    async fn reconnect(&self, id: ConnectionId, consent: NewConnection) -> Result<Reconnected, StoreError> {
        let mut tables = self.tables()?;
        let is_theirs = |row: &Row| row.user == consent.user && row.provider == consent.provider;
        let taken =
            tables.connections.values().any(|row| row.id != id && is_theirs(row) && row.account == consent.account);
        let Some(row) = tables.connections.get_mut(&id).filter(|row| is_theirs(row)) else {
            return Ok(Reconnected::NotFound);
        };
        if row.account != consent.account && (taken || !row.account.is_empty()) {
            return Ok(Reconnected::OtherAccount);
        }
        row.version = row.version.next();
        row.account.clone_from(&consent.account);
        row.consent(consent, self.primary());
        let version = row.version;
        tables.moved(id, to_millis(self.clock.now()));
        Ok(Reconnected::Done(version))
    }

    async fn find(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        Ok(self.tables()?.connections.get(&id).map(Row::shown))
    }

    async fn list(
        &self,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        let tables = self.tables()?;
        let rows = tables.connections.values().filter(|row| after.is_none_or(|after| row.id > after));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(rows.filter(|row| passes(row, filter)).take(limit).map(Row::shown).collect())
    }

    async fn access_token(&self, id: ConnectionId) -> Result<Option<AccessToken>, StoreError> {
        Ok(self.tables()?.connections.get(&id).and_then(|row| row.usable_access_token(self.keys())))
    }

    async fn make_due(&self, id: ConnectionId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let row = tables.connections.get_mut(&id).filter(|row| row.is_refreshable());
        Ok(row.map(|row| row.refresh_at = Some(now)).is_some())
    }

    async fn disconnect(&self, id: ConnectionId) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let row = tables.connections.get_mut(&id).filter(|row| row.standing.state != State::Disconnected);
        let is_ended = row.map(disconnect).is_some();
        tables.moved(id, self.clock.now());
        Ok(is_ended)
    }

    async fn restore_decryptable(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let quarantined = tables.connections.values_mut().filter(|row| row.reason == Some(Reason::Undecryptable));
        let mut restored = Vec::new();
        for row in quarantined.filter(|row| row.opens(self.keys()) && row.refresh_token.is_some()) {
            (row.standing, row.reason, row.refresh_at) = (Standing::ACTIVE, None, Some(now));
            row.last_error = None;
            restored.push(row.id);
        }
        for id in &restored {
            tables.moved(*id, now);
        }
        Ok(u64::try_from(restored.len()).unwrap_or(u64::MAX))
    }

    async fn attempts(&self, id: ConnectionId, limit: u32) -> Result<Vec<Attempt>, StoreError> {
        let tables = self.tables()?;
        let kept = tables.connections.get(&id).map(|row| row.attempts.as_slice()).unwrap_or_default();
        Ok(kept.iter().rev().take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn stats(&self, now: Timestamp, since: Timestamp) -> Result<Stats, StoreError> {
        let tables = self.tables()?;
        let mut stats = Stats { by_state: State::ALL.iter().map(|state| (*state, 0)).collect(), ..Stats::default() };
        for row in tables.connections.values() {
            stats.total += 1;
            *stats.by_state.entry(row.standing.state).or_default() += 1;
            stats.due += u64::from(row.is_due(now));
            stats.expired += u64::from(row.is_refreshable() && row.is_expired(now));
            stats.paused += u64::from(row.paused.is_some());
            stats.refreshed += u64::from(row.refreshed_at.is_some_and(|at| at >= since));
        }
        for job in tables.failed_jobs.values() {
            stats.failed_jobs += u64::from(job.state == FailedJobState::Open);
        }
        Ok(stats)
    }
}

fn put(tables: &mut Tables, new: NewConnection, if_present: IfPresent, key: &str, now: Timestamp) -> Stored {
    let is_same = |row: &&mut Row| row.user == new.user && row.provider == new.provider && row.account == new.account;
    match (tables.connections.values_mut().find(is_same), if_present) {
        (Some(row), IfPresent::Keep) => Stored::Kept(row.id),
        (Some(row), IfPresent::Replace) => {
            row.version = row.version.next();
            row.consent(new, key);
            let id = row.id;
            tables.moved(id, now);
            Stored::Replaced(id)
        }
        (None, _) => {
            let row = Row::new(new, key, now);
            let id = row.id;
            tables.connections.insert(id, row);
            Stored::Inserted(id)
        }
    }
}

fn disconnect(row: &mut Row) {
    row.version = row.version.next();
    row.access_token = None;
    row.refresh_token = None;
    row.unread_answer = None;
    row.expires_at = None;
    row.give_lease_back();
    row.end(State::Disconnected, Reason::ByUser);
}

fn passes(row: &Row, filter: &ConnectionFilter) -> bool {
    (filter.states.is_empty() || filter.states.contains(&row.standing.state))
        && filter.provider.as_ref().is_none_or(|provider| row.provider == *provider)
        && filter.user.as_ref().is_none_or(|user| row.user == *user)
        && filter.expired_before.is_none_or(|before| row.expires_at.is_some_and(|at| at < before))
        && filter.reason.is_none_or(|reason| row.reason == Some(reason))
        && filter.text.as_ref().is_none_or(|text| is_named(row, text))
}

fn is_named(row: &Row, text: &str) -> bool {
    let wanted = text.to_lowercase();
    let begins = |name: &str| name.to_lowercase().starts_with(&wanted);
    begins(row.user.as_str()) || begins(&row.account) || begins(&row.label) || text.parse() == Ok(row.id)
}
