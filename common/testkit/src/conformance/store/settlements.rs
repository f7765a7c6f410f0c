//! What a worker writes when it is done.

use std::sync::Arc;

use evergrant_contract::connection::{IfPresent, Settled, Settlement, Stored};
use evergrant_contract::ids::Version;
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::transition::{Change, Standing};

use super::steps::{
    HOUR, access_token, access_token_in_the_clear, at_once, attempt, connect, ended, failed, failed_job, find, hold,
    hold_and_lapse, hold_as_it_stands, new_connection, open_jobs, put_all, refreshed, request, secs, settle, take_over,
    unchanged,
};
use crate::ManualClock;

const SECOND: Version = Version::FIRST.next();

/// Once more, not twice; with everything that the answer brought, counted from when the request was sent.
pub async fn new_tokens_are_one_version_more(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let mut version = Version::FIRST;
    for round in 2..5 {
        let grant = hold_as_it_stands(&*store, id).await;
        let mut settlement = refreshed(grant.lease, &clock, &format!("user-{round}"));
        let sent_at = clock.now();
        clock.advance(HOUR / 60).await;
        settlement.decided_at = clock.now();
        version = version.next();
        assert_eq!(settle(&*store, settlement).await, Settled::Written(version));
        let held = access_token_in_the_clear(&*store, id).await;
        assert_eq!(held, Some((format!("Atza|user-{round}"), sent_at + secs(3600), version)));
        let row = find(&*store, id).await;
        assert_eq!((row.version, row.expires_at, row.leased_until), (version, Some(sent_at + secs(3600)), None));
        assert_eq!((row.refresh_at, row.refreshed_at), (Some(sent_at + secs(2700)), Some(clock.now())));
        assert_eq!((row.state, row.reason, row.last_error), (State::Active, None, None));
    }
    assert_eq!(hold_as_it_stands(&*store, id).await.refresh_token.expose(), "Atzr|user-4");
}

/// A failure moves the connection, never its tokens; the next success clears the error.
pub async fn without_tokens_the_tokens_stay_as_they_are(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let before = access_token_in_the_clear(&*store, id).await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    assert_eq!(settle(&*store, failed(lease, &clock)).await, Settled::Written(Version::FIRST));
    let row = find(&*store, id).await;
    assert_eq!((row.state, row.reason, row.failures), (State::Failing, Some(Reason::AttemptsExhausted), 3));
    assert_eq!((row.version, row.refreshed_at), (Version::FIRST, None), "nothing was refreshed");
    assert_eq!(row.refresh_at, Some(clock.now() + secs(60)));
    assert_eq!(row.last_error.as_deref(), Some("the provider is down"));
    assert_eq!(access_token_in_the_clear(&*store, id).await, before);

    let grant = hold_as_it_stands(&*store, id).await;
    assert_eq!(grant.refresh_token.expose(), "Atzr|user-1");
    settle(&*store, refreshed(grant.lease, &clock, "healed")).await;
    let row = find(&*store, id).await;
    assert_eq!((row.state, row.reason, row.failures, row.last_error), (State::Active, None, 0, None));
}

/// What the rules of the next transition need to know.
pub async fn a_suspicion_is_kept_with_its_counts(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let standing = Standing { state: State::Suspect, failures: 2, suspicions: 1 };
    let reason = Some(Reason::GrantSuspect);
    let change = Change { standing, reason, refresh_at: Some(clock.now() + secs(60)), gives_up: false };
    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, unchanged(lease, &clock, Some(change))).await;
    let row = find(&*store, id).await;
    assert_eq!((row.state, row.reason, row.failures), (State::Suspect, reason, 2));
    assert!(access_token(&*store, id).await.is_some(), "a suspicion takes nothing away");
    let grant = hold_as_it_stands(&*store, id).await;
    assert_eq!(grant.standing, standing);
}

/// Most providers send it once; an empty one is a missing one.
pub async fn a_missing_refresh_token_keeps_the_stored_one(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    for (round, missing) in [(2, None), (3, Some(Secret::new("")))] {
        let lease = hold_as_it_stands(&*store, id).await.lease;
        let mut settlement = refreshed(lease, &clock, &format!("user-{round}"));
        if let Some((tokens, _)) = &mut settlement.tokens {
            tokens.refresh_token = missing;
        }
        assert_eq!(settle(&*store, settlement).await, Settled::Written(Version::new(round)));
        let held = access_token(&*store, id).await.expect("it has tokens");
        assert_eq!(held.token.expose(), format!("Atza|user-{round}"));
    }
    assert_eq!(hold_as_it_stands(&*store, id).await.refresh_token.expose(), "Atzr|user-1");
}

/// Success without a usable token: the body is kept aside, what was there stays in use.
pub async fn an_unread_answer_costs_no_token(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let before = access_token_in_the_clear(&*store, id).await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    let body = Secret::new(r#"{"tokens": ["Atza|somewhere-else"]}"#);
    let settlement = Settlement { unread_answer: Some(body), ..failed(lease, &clock) };
    assert_eq!(settle(&*store, settlement).await, Settled::Written(Version::FIRST));
    assert_eq!(access_token_in_the_clear(&*store, id).await, before);
    assert_eq!(hold_as_it_stands(&*store, id).await.refresh_token.expose(), "Atzr|user-1");
    let shown = format!("{:?}", find(&*store, id).await);
    assert!(!shown.contains("somewhere-else"), "the body is a secret and shown to nobody");
}

/// An answer that does not mention them does not take them away.
pub async fn scopes_and_consent_end_change_only_when_named(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let scopes = find(&*store, id).await.scopes;
    let consent_end = clock.now() + secs(86_400);
    let answers = [(None, None), (Some("profile"), Some(consent_end)), (None, None)];
    let kept = [(scopes.as_str(), None), ("profile", Some(consent_end)), ("profile", Some(consent_end))];
    for ((scopes, refresh_expires_at), kept) in answers.into_iter().zip(kept) {
        let lease = hold_as_it_stands(&*store, id).await.lease;
        let mut settlement = refreshed(lease, &clock, "next");
        if let Some((tokens, _)) = &mut settlement.tokens {
            tokens.scopes = scopes.map(str::to_owned);
            tokens.refresh_expires_at = refresh_expires_at;
        }
        settle(&*store, settlement).await;
        let row = find(&*store, id).await;
        assert_eq!((row.scopes.as_str(), row.refresh_expires_at), kept);
    }
}

/// In the same commit, whole, and not again when the same one is recorded later.
pub async fn a_failed_job_comes_with_its_settlement_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    let job = failed_job(id, clock.now());
    settle(&*store, Settlement { failed_job: Some(job.clone()), ..failed(lease, &clock) }).await;
    let open = async || open_jobs(&*store).await;
    assert_eq!(open().await, std::slice::from_ref(&job));
    let lease = hold_as_it_stands(&*store, id).await.lease;
    let settlement = Settlement { failed_job: Some(job.clone()), ..failed(lease, &clock) };
    assert_eq!(settle(&*store, settlement).await, Settled::Written(Version::FIRST));
    assert_eq!(open().await, [job], "the same job is one failed job, and no obstacle to the settlement");
}

/// No state, no attempt, no error, no failed job, no token.
pub async fn a_lost_settlement_writes_nothing(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, refreshed(lease, &clock, "winner")).await;
    let (row, token) = (find(&*store, id).await, access_token_in_the_clear(&*store, id).await);
    let late = [
        Settlement { failed_job: Some(failed_job(id, clock.now())), ..failed(lease, &clock) },
        Settlement { attempts: vec![attempt(clock.now(), "late")], ..refreshed(lease, &clock, "late") },
        ended(lease, &clock, Reason::GrantInvalid),
        Settlement { unread_answer: Some(Secret::new("late")), ..unchanged(lease, &clock, None) },
    ];
    for settlement in late {
        assert_eq!(settle(&*store, settlement).await, Settled::Lost);
        assert_eq!(find(&*store, id).await, row);
        assert_eq!(access_token_in_the_clear(&*store, id).await, token);
        assert_eq!(store.attempts(id, 10).await.expect("a working store keeps attempts"), []);
        assert_eq!(open_jobs(&*store).await, []);
    }
}

/// The first gave the lease back, so the second has none. Tokens that come twice are written once.
pub async fn a_second_settlement_of_a_lease_is_lost(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    assert_eq!(settle(&*store, failed(lease, &clock)).await, Settled::Written(Version::FIRST));
    assert_eq!(settle(&*store, ended(lease, &clock, Reason::GrantInvalid)).await, Settled::Lost);
    assert_eq!(find(&*store, id).await.state, State::Failing);
    let tokens = refreshed(lease, &clock, "late");
    assert_eq!(settle(&*store, tokens.clone()).await, Settled::Written(SECOND), "tokens need the version alone");
    assert_eq!(settle(&*store, tokens).await, Settled::Lost);
}

/// Nothing that arrives late brings a connection back that its user took away.
pub async fn a_disconnect_during_a_refresh_wins(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    assert!(store.disconnect(id).await.expect("a working store disconnects"));
    assert_eq!(settle(&*store, refreshed(lease, &clock, "late")).await, Settled::Lost);
    assert_eq!(settle(&*store, failed(lease, &clock)).await, Settled::Lost);
    let row = find(&*store, id).await;
    assert_eq!((row.state, row.reason, row.version), (State::Disconnected, Some(Reason::ByUser), SECOND));
    assert!(access_token(&*store, id).await.is_none());
}

/// Tokens of the former grant never replace those of the new one, and its `invalid_grant` does not end it.
pub async fn a_consent_during_a_refresh_wins(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    let mut consent = new_connection("user", clock.now());
    consent.refresh_token = Some(Secret::new("Atzr|consent"));
    assert_eq!(put_all(&*store, vec![consent], IfPresent::Replace).await, [Stored::Replaced(id)]);
    assert_eq!(settle(&*store, refreshed(lease, &clock, "late")).await, Settled::Lost);
    assert_eq!(settle(&*store, ended(lease, &clock, Reason::GrantInvalid)).await, Settled::Lost);
    let row = find(&*store, id).await;
    assert_eq!((row.state, row.version), (State::Active, SECOND));
    let next = hold(&*store, request(id, SECOND)).await;
    assert_eq!(next.refresh_token.expose(), "Atzr|consent", "the lease on the former tokens holds up nobody");
}

/// Two holders bring tokens in the same moment, perhaps in the same commit: one pair is kept, and its bringer is told so.
pub async fn one_of_two_concurrent_settlements_is_written(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for round in 0..10 {
        let id = connect(&*store, &clock, &format!("user-{round}")).await;
        let former = hold_and_lapse(&*store, &clock, id).await.lease;
        let taker = take_over(&*store, &clock, id).await.lease;
        let both = [refreshed(former, &clock, "former"), refreshed(taker, &clock, "taker")];
        let answers = at_once(2, |n| {
            let (store, settlement) = (Arc::clone(&store), both[n].clone());
            async move { settle(&*store, settlement).await }
        })
        .await;
        let written = match answers[..] {
            [Settled::Written(SECOND), Settled::Lost] => "former",
            [Settled::Lost, Settled::Written(SECOND)] => "taker",
            _ => panic!("one of two is written, the answers are {answers:?}"),
        };
        let grant = hold(&*store, request(id, SECOND)).await;
        assert_eq!(grant.refresh_token.expose(), format!("Atzr|{written}"));
        let held = access_token(&*store, id).await.expect("it has tokens");
        assert_eq!(held.token.expose(), format!("Atza|{written}"), "both tokens are of one answer");
    }
}

/// Adapters write many in one commit: each caller still gets its own answer, and a lost one spoils no other.
pub async fn concurrent_settlements_are_each_answered(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    const CONNECTIONS: usize = 60;
    let mut settlements = Vec::new();
    for n in 0..CONNECTIONS {
        let id = connect(&*store, &clock, &format!("user-{n}")).await;
        let lease = hold_as_it_stands(&*store, id).await.lease;
        settlements.push(refreshed(lease, &clock, &format!("refreshed-{n}")));
        if n % 3 == 0 {
            store.disconnect(id).await.expect("a working store disconnects");
        }
    }
    let answers = at_once(CONNECTIONS, |n| {
        let (store, settlement) = (Arc::clone(&store), settlements[n].clone());
        async move { settle(&*store, settlement).await }
    })
    .await;
    for (n, (settled, settlement)) in answers.into_iter().zip(&settlements).enumerate() {
        let held = access_token(&*store, settlement.lease.connection).await.map(|held| held.token.expose().to_owned());
        if n % 3 == 0 {
            assert_eq!((settled, held), (Settled::Lost, None), "connection {n} was disconnected");
        } else {
            assert_eq!((settled, held), (Settled::Written(SECOND), Some(format!("Atza|refreshed-{n}"))));
        }
    }
}
