//! The steps that these tests are made of.

use std::time::Duration;

use chrono::TimeDelta;
use evergrant_cluster::PgStore;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{
    Grant, IfPresent, Lease, LeaseRequest, Leased, NewConnection, Settlement, Stored,
};
use evergrant_contract::ids::{ConnectionId, ProcessId, SessionId, UserId, Version};
use evergrant_contract::people::{FIRST_GENERATION, Saved, Session, User};
use evergrant_contract::ports::{Connections as _, Leases as _, Users as _};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::after;
use evergrant_contract::transition::{Change, Standing};
use evergrant_contract::verdict::Tokens;

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// A fixed instant.
pub(crate) fn noon() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A connection with the tokens `Atza|<user>` and `Atzr|<user>`, due at noon.
pub(crate) fn new_connection(user: &str) -> NewConnection {
    NewConnection {
        user: user.parse().unwrap(),
        provider: "amazon-na".parse().unwrap(),
        account: "account".into(),
        label: String::new(),
        scopes: String::new(),
        access_token: Some(Secret::new(format!("Atza|{user}"))),
        refresh_token: Some(Secret::new(format!("Atzr|{user}"))),
        expires_at: Some(noon() + TimeDelta::minutes(15)),
        refresh_at: noon(),
        consent_at: None,
        refresh_expires_at: None,
    }
}

/// Puts so many connections, of `user-0` and so on.
pub(crate) async fn connect(store: &PgStore, connections: usize) -> Vec<ConnectionId> {
    let new = (0..connections).map(|n| new_connection(&format!("user-{n}"))).collect();
    let stored = store.put(new, IfPresent::Keep).await.unwrap();
    let id = |stored| match stored {
        Stored::Inserted(id) => id,
        other => panic!("a new connection was put, the answer is {other:?}"),
    };
    stored.into_iter().map(id).collect()
}

/// A request for the first version by a new process.
pub(crate) fn request(connection: ConnectionId) -> LeaseRequest {
    LeaseRequest {
        connection,
        version: Version::FIRST,
        seen_refresh_at: None,
        owner: ProcessId::generate(),
        ttl: HOUR,
        takeover_grace: HOUR,
        is_awaited: false,
    }
}

/// Takes a lease that must be free.
pub(crate) async fn hold(store: &PgStore, request: LeaseRequest) -> Grant {
    match store.acquire(request).await.unwrap() {
        Leased::Held(grant) => *grant,
        _ => panic!("the lease is free"),
    }
}

/// Takes the leases of these connections.
pub(crate) async fn hold_all(store: &PgStore, ids: &[ConnectionId]) -> Vec<Lease> {
    let grants = ids.iter().map(|id| hold(store, request(*id)));
    futures::future::join_all(grants).await.into_iter().map(|grant| grant.lease).collect()
}

/// A success that brought these tokens.
pub(crate) fn refreshed(lease: Lease, access_token: &str, refresh_token: Option<&str>) -> Settlement {
    let tokens = Tokens {
        access_token: Secret::new(access_token),
        refresh_token: refresh_token.map(Secret::new),
        lifetime: HOUR,
        refresh_expires_at: None,
        scopes: None,
    };
    let refresh_at = Some(noon() + TimeDelta::minutes(45));
    let change = Change { standing: Standing::ACTIVE, reason: None, refresh_at, gives_up: false };
    Settlement { tokens: Some((tokens, noon())), change: Some(change), ..given_back(lease) }
}

/// Nothing but the lease.
pub(crate) fn given_back(lease: Lease) -> Settlement {
    Settlement {
        lease,
        change: None,
        tokens: None,
        unread_answer: None,
        attempts: Vec::new(),
        last_error: None,
        failed_job: None,
        decided_at: noon(),
    }
}

/// A user whose address and account are made of the id.
pub(crate) fn new_user(id: &str) -> User {
    User {
        id: id.parse().unwrap(),
        email: format!("{id}@example.com"),
        name: String::new(),
        account: format!("account-of-{id}"),
        is_admin: false,
        is_active: true,
        profile_ids: Vec::new(),
        marketplace_ids: Vec::new(),
        created_at: noon(),
    }
}

/// Saves a user whom nobody is in the way of.
pub(crate) async fn saved(store: &PgStore, user: User) -> UserId {
    assert_eq!(store.save_user(&user).await.unwrap(), Saved::Done);
    user.id
}

/// A session that began at noon and ends an hour later.
pub(crate) fn new_session(user: &UserId) -> Session {
    Session {
        id: SessionId::generate(),
        user: user.clone(),
        generation: FIRST_GENERATION,
        rotated_at: noon(),
        created_at: noon(),
        idle_until: after(noon(), HOUR),
        ends_at: after(noon(), HOUR),
        ended_at: None,
        end_reason: None,
    }
}
