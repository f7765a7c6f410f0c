//! Those who stop waiting in the middle.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use evergrant_cluster::{PgOptions, PgStore};
use evergrant_contract::Timestamp;
use evergrant_contract::connection::ConnectionFilter;
use evergrant_contract::ids::AuditId;
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Connections as _, Operations as _};
use std::sync::Arc;

use crate::database::{Database, keyring};

/// More than a look is polled from its begin to its end.
const POLLS: usize = 24;

/// Polls it so often and drops it, as a server does with the request of a browser that has gone.
async fn abandoned<F: Future>(asked: F, polls: usize) {
    let mut asked = pin!(asked);
    let mut seen = 0;
    poll_fn(|context| {
        seen += 1;
        let is_done = asked.as_mut().poll(context).is_ready();
        if is_done || seen >= polls { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_no_transaction_to_the_next() {
    let Some(database) = Database::fresh().await else { return };
    // One connection only: whoever comes next gets the very one that was left.
    let options = PgOptions { max_connections: 1, ..database.options.clone() };
    let store = PgStore::connect(&options, Arc::new(keyring())).await.unwrap();
    let mut around = database.connection().await;
    for (round, polls) in (1..=POLLS).cycle().take(3 * POLLS).enumerate() {
        abandoned(store.list(&ConnectionFilter::default(), None, 10), polls).await;
        let entry = AuditEntry {
            id: AuditId::generate(),
            at: Timestamp::UNIX_EPOCH,
            actor: "cli ada".to_owned(),
            action: Action::Pause,
            subject: format!("round {round}"),
            reason: String::new(),
            outcome: "paused".to_owned(),
        };
        store.audit(&entry).await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log").fetch_one(&mut around).await.unwrap();
        assert_eq!(usize::try_from(rows).unwrap(), round + 1, "what was written stays, after {polls} polls");
    }
}
