//! Who uses the API.

use std::cmp::Reverse;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ApiKeyId, SessionId, UserId};
use evergrant_contract::people::{ApiKey, Flow, Saved, Session, SessionEnd, User, UserKey};
use evergrant_contract::ports::{ApiKeys, Sessions, StoreError, Users};
use evergrant_contract::secret::Secret;

use super::MemoryStore;

#[async_trait]
impl Users for MemoryStore {
    async fn user(&self, key: UserKey<'_>) -> Result<Option<User>, StoreError> {
        let tables = self.tables()?;
        let is_it = |user: &&User| match key {
            UserKey::Id(id) => user.id == *id,
            UserKey::Email(email) => !email.is_empty() && same_email(&user.email, email),
            UserKey::Account(account) => !account.is_empty() && user.account == account,
        };
        Ok(tables.users.values().find(is_it).cloned())
    }

    async fn save_user(&self, user: &User) -> Result<Saved, StoreError> {
        let mut tables = self.tables()?;
        let others = || tables.users.values().filter(|other| other.id != user.id);
        if !user.email.is_empty() && others().any(|other| same_email(&other.email, &user.email)) {
            return Ok(Saved::EmailTaken);
        }
        if !user.account.is_empty() && others().any(|other| other.account == user.account) {
            return Ok(Saved::AccountTaken);
        }
        let created_at = tables.users.get(&user.id).map_or(user.created_at, |known| known.created_at);
        tables.users.insert(user.id.clone(), User { created_at, ..user.clone() });
        Ok(Saved::Done)
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        let tables = self.tables()?;
        let behind = tables.users.values().filter(|user| after.is_none_or(|after| user.id > *after));
        Ok(behind.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn password(&self, id: &UserId) -> Result<Option<Secret>, StoreError> {
        Ok(self.tables()?.passwords.get(id).cloned())
    }

    async fn set_password(&self, id: &UserId, hash: Option<&Secret>) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        if !tables.users.contains_key(id) {
            return Ok(false);
        }
        match hash {
            Some(hash) => tables.passwords.insert(id.clone(), hash.clone()),
            None => tables.passwords.remove(id),
        };
        Ok(true)
    }
}

#[async_trait]
impl Sessions for MemoryStore {
    async fn open_session(&self, session: &Session) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        if !tables.users.contains_key(&session.user) {
            return Err(StoreError::Refused("the session is of a user who does not exist".into()));
        }
        tables.sessions.insert(session.id, session.clone());
        Ok(())
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        Ok(self.tables()?.sessions.get(&id).cloned())
    }

    async fn advance_session(
        &self,
        id: SessionId,
        from_generation: i64,
        now: Timestamp,
        idle_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let stands = |session: &&mut Session| session.generation == from_generation && session.ended_at.is_none();
        let Some(session) = tables.sessions.get_mut(&id).filter(stands) else { return Ok(false) };
        session.generation += 1;
        (session.rotated_at, session.idle_until) = (now, idle_until);
        Ok(true)
    }

    async fn end_session(&self, id: SessionId, reason: SessionEnd, now: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let open = tables.sessions.get_mut(&id).filter(|session| session.ended_at.is_none());
        Ok(open.map(|session| end(session, reason, now)).is_some())
    }

    async fn end_sessions(&self, user: &UserId, reason: SessionEnd, now: Timestamp) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let theirs = tables.sessions.values_mut().filter(|session| session.user == *user);
        let open = theirs.filter(|session| session.ended_at.is_none());
        Ok(open.map(|session| end(session, reason, now)).map(|()| 1).sum())
    }

    async fn keep_flow(&self, flow: &Flow, now: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        tables.flows.retain(|_, kept| kept.expires_at >= now);
        tables.flows.insert(flow.state, flow.clone());
        Ok(())
    }

    async fn take_flow(&self, state: &[u8; 32], now: Timestamp) -> Result<Option<Flow>, StoreError> {
        Ok(self.tables()?.flows.remove(state).filter(|flow| now < flow.expires_at))
    }
}

#[async_trait]
impl ApiKeys for MemoryStore {
    async fn keep_api_key(&self, key: &ApiKey) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let taken = tables.api_keys.values().any(|other| other.name == key.name && other.revoked_at.is_none());
        if !taken {
            tables.api_keys.insert(key.id, key.clone());
        }
        Ok(!taken)
    }

    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.tables()?.api_keys.get(&id).cloned())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let mut keys: Vec<ApiKey> = self.tables()?.api_keys.values().cloned().collect();
        keys.sort_by_key(|key| Reverse((key.created_at, key.id)));
        Ok(keys)
    }

    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables()?;
        let good = tables.api_keys.get_mut(&id).filter(|key| key.revoked_at.is_none());
        Ok(good.map(|key| key.revoked_at = Some(now)).is_some())
    }

    async fn api_key_used(&self, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
        if let Some(key) = self.tables()?.api_keys.get_mut(&id) {
            key.used_at = key.used_at.max(Some(now));
        }
        Ok(())
    }
}

fn same_email(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn end(session: &mut Session, reason: SessionEnd, now: Timestamp) {
    session.ended_at = Some(now);
    session.end_reason = Some(reason);
}
