//! One bad row, and its neighbours.

use evergrant_contract::connection::{Settled, Settlement};
use evergrant_contract::failed_job::{FailedJob, FailedJobFilter, FailedJobState};
use evergrant_contract::ids::{JobId, Version};
use evergrant_contract::ports::{Connections as _, Leases as _, Operations as _, StoreError};
use evergrant_contract::verdict::{AnswerTrace, Attempt, VerdictKind};

use crate::database::{Database, keyring};
use crate::steps::{connect, given_back, hold_all, noon, refreshed};

/// The whole batch fails for it, so each is written by itself.
#[tokio::test]
async fn one_bad_row_does_not_fail_its_neighbours() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let ids = connect(&store, 20).await;
    let leases = hold_all(&store, &ids).await;
    database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'this row is bad'; END $$;
             CREATE TRIGGER refuse BEFORE UPDATE ON tokens FOR EACH ROW
             WHEN (NEW.expires_at > '2100-01-01') EXECUTE FUNCTION refuse()",
        )
        .await;
    let settlement = |n: usize| {
        let mut settlement = refreshed(leases[n], "Atza|new", None);
        if let (7, Some((tokens, _))) = (n, &mut settlement.tokens) {
            tokens.lifetime *= 24 * 365 * 100;
        }
        store.settle(settlement)
    };
    let settled = futures::future::join_all((0..20).map(settlement)).await;
    for (n, settled) in settled.into_iter().enumerate() {
        let row = store.find(ids[n]).await.unwrap().unwrap();
        if n == 7 {
            let error = settled.unwrap_err();
            assert!(matches!(&error, StoreError::Refused(problem) if problem.contains("this row is bad")), "{error}");
            assert_eq!((row.version, row.leased_until.is_some()), (Version::FIRST, true), "all of it or nothing");
        } else {
            assert_eq!(settled.unwrap(), Settled::Written(Version::new(2)));
            assert_eq!((row.version, row.leased_until), (Version::new(2), None));
        }
    }
}

/// PostgreSQL has no NUL in its text; a provider's answer may have one, and must not cost the settlement.
#[tokio::test]
async fn a_nul_in_a_text_is_replaced() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let id = connect(&store, 1).await[0];
    let trace = AnswerTrace {
        status: Some(500),
        code: Some("a\0b".into()),
        message: "went\0wrong".into(),
        request_id: Some("\0".into()),
        duration_ms: u64::MAX,
        ambiguous: false,
    };
    let attempt = Attempt { at: noon(), verdict: VerdictKind::Transient, trace };
    let job = FailedJob {
        id: JobId::generate(),
        kind: "refresh\0due".into(),
        connection: Some(id),
        provider: None,
        payload: "\0".into(),
        attempts: vec![attempt.clone()],
        error: "went\0wrong".into(),
        traceparent: None,
        failed_at: noon(),
        state: FailedJobState::Open,
    };
    let lease = hold_all(&store, &[id]).await[0];
    let settlement = Settlement { attempts: vec![attempt], failed_job: Some(job), ..given_back(lease) };
    assert_eq!(store.settle(settlement).await.unwrap(), Settled::Written(Version::FIRST));
    assert_eq!(store.attempts(id, 1).await.unwrap()[0].trace.message, "went\u{fffd}wrong");
    let kept = &store.failed_jobs(&FailedJobFilter::default(), None, 1).await.unwrap()[0];
    assert_eq!((kept.payload.as_str(), kept.attempts[0].trace.message.as_str()), ("\u{fffd}", "went\u{fffd}wrong"));
}

#[tokio::test]
async fn a_corrupt_row_is_named() {
    let Some(database) = Database::fresh().await else { return };
    let store = database.store(keyring()).await;
    let id = connect(&store, 1).await[0];
    database.execute("UPDATE connections SET provider = 'Amazon NA'").await;
    let error = store.find(id).await.unwrap_err().to_string();
    let expected = format!(
        "connections.provider of row {id} is corrupt: a provider name (1 to 64 of a-z, 0-9 and -) expected, got `Amazon NA`"
    );
    assert_eq!(error, expected);
}
