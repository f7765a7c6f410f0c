//! The steps that cases about users, sessions and keys are made of.

use evergrant_contract::ids::{SessionId, UserId};
use evergrant_contract::people::{FIRST_GENERATION, Saved, Session, User, UserKey};
use evergrant_contract::ports::{Clock as _, Store};

use super::steps::secs;
use crate::ManualClock;

pub(super) fn user_id(id: &str) -> UserId {
    id.parse().expect("a user id in a case is well formed")
}

/// A user whose address and account are made of the id.
pub(super) fn new_user(id: &str, clock: &ManualClock) -> User {
    User {
        id: user_id(id),
        email: format!("{id}@example.com"),
        name: format!("Name of {id}"),
        account: format!("account-of-{id}"),
        is_admin: false,
        is_active: true,
        profile_ids: vec!["1".into(), "2".into()],
        marketplace_ids: vec!["ATVPDKIKX0DER".into()],
        created_at: clock.now(),
    }
}

pub(super) async fn user(store: &dyn Store, key: UserKey<'_>) -> Option<User> {
    store.user(key).await.expect("a working store finds users")
}

pub(super) async fn save(store: &dyn Store, user: &User) -> Saved {
    store.save_user(user).await.expect("a working store keeps users")
}

/// A session of an hour at most, idle after ten minutes.
pub(super) fn new_session(user: &UserId, clock: &ManualClock) -> Session {
    let now = clock.now();
    Session {
        id: SessionId::generate(),
        user: user.clone(),
        generation: FIRST_GENERATION,
        rotated_at: now,
        created_at: now,
        idle_until: now + secs(600),
        ends_at: now + secs(3600),
        ended_at: None,
        end_reason: None,
    }
}

pub(super) async fn open(store: &dyn Store, session: &Session) {
    store.open_session(session).await.expect("a working store keeps sessions");
}

/// Opens a session of a user, who is made if there is none of this name.
pub(super) async fn sign_in(store: &dyn Store, clock: &ManualClock, id: &str) -> Session {
    assert_eq!(save(store, &new_user(id, clock)).await, Saved::Done);
    let session = new_session(&user_id(id), clock);
    open(store, &session).await;
    session
}

pub(super) async fn session(store: &dyn Store, id: SessionId) -> Option<Session> {
    store.session(id).await.expect("a working store finds sessions")
}
