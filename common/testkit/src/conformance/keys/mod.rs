//! What every store must do while keys change. One set of rows, seen by processes with different keys.

pub mod races;
pub mod resealing;

use std::sync::Arc;

use evergrant_contract::ids::ConnectionId;
use evergrant_contract::keys::{Resealed, SealedRow};
use evergrant_contract::ports::Store;

use super::Guard;
use super::store::steps::{access_token, find, hold, request, settle, unchanged};
use crate::ManualClock;

/// The same rows, seen by processes with different keys.
pub struct Turnover {
    /// A process before the turn: encrypts with the old key, has the new one too.
    pub before: Arc<dyn Store>,
    /// A process after the turn: encrypts with the new key, has the old one too.
    pub after: Arc<dyn Store>,
    /// A process when all is done: has the new key alone.
    pub done: Arc<dyn Store>,
    /// A process with a key that nobody else has.
    pub stranger: Arc<dyn Store>,
}

/// Runs one case on fresh stores, unless there is no service to make them from.
pub async fn run(
    fresh: impl AsyncFnOnce(Arc<ManualClock>) -> Option<(Turnover, Guard)>,
    case: impl AsyncFnOnce(Turnover, Arc<ManualClock>),
) {
    let clock = ManualClock::new();
    let Some((stores, guard)) = fresh(Arc::clone(&clock)).await else { return };
    super::complete(case(stores, clock)).await;
    drop(guard);
}

/// Makes one test of each thing that a store must do while keys change.
///
/// `$fresh` is `async fn(Arc<ManualClock>) -> Option<(Turnover, Box<dyn Any + Send>)>`: empty stores on the same rows that
/// live as long as the box, or `None` where the service that they need is missing.
#[macro_export]
macro_rules! keys_conformance {
    ($fresh:path) => {
        $crate::conformance_cases! { $fresh; keys;
            resealing:
                rows_under_other_keys_come_page_by_page,
                resealing_changes_the_key_and_nothing_else,
                an_unread_answer_is_encrypted_again,
                rows_that_do_not_open_stay_as_they_are,
                what_is_left_is_counted_by_key,
                a_row_without_tokens_is_left_alone;
            races:
                a_refresh_in_between_wins,
                a_refresh_that_keeps_its_token_wins,
                a_refresh_under_way_is_written_after_its_row_was_encrypted_again,
                a_consent_in_between_wins,
                a_disconnect_in_between_wins,
                an_old_copy_never_comes_back,
                a_random_walk_loses_no_token,
                refreshes_and_resealing_at_once_lose_no_token;
        }
    };
}

async fn page(store: &dyn Store, after: Option<&SealedRow>, limit: u32) -> Vec<SealedRow> {
    store.sealed_under_other_keys(after, limit).await.expect("a working store reads")
}

async fn reseal(store: &dyn Store, rows: Vec<SealedRow>) -> Resealed {
    store.reseal(rows).await.expect("a working store encrypts again")
}

/// Everything that is left, as often as somebody has a row in hand.
async fn reseal_all(store: &dyn Store) -> Resealed {
    let mut all = Resealed::default();
    let mut after = None;
    loop {
        let rows = page(store, after.as_ref(), 3).await;
        let Some(last) = rows.last().cloned() else { return all };
        all = all.plus(reseal(store, rows).await);
        after = Some(last);
    }
}

async fn left(store: &dyn Store) -> Vec<(String, u64)> {
    store.rows_under_other_keys().await.expect("a working store counts")
}

/// Both tokens, as this store opens them; it must.
async fn tokens(store: &dyn Store, clock: &ManualClock, id: ConnectionId) -> (String, String) {
    let access_token = access_token(store, id).await.expect("the access token opens").token.expose().to_owned();
    let grant = hold(store, request(id, find(store, id).await.version)).await;
    settle(store, unchanged(grant.lease, clock, None)).await;
    (access_token, grant.refresh_token.expose().to_owned())
}
