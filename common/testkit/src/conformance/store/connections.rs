//! Connections as people and services use them.

use std::sync::Arc;

use chrono::TimeDelta;
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{
    Connection, ConnectionFilter, IfPresent, NewConnection, Settled, Settlement, Stored,
};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::verdict::{Attempt, VerdictKind};

use super::steps::{
    access_token, access_token_in_the_clear, app_named, attempt, connect, ended, failed, failed_job, find,
    hold_as_it_stands, new_connection, put, put_all, refreshed, secs, settle, unchanged,
};
use crate::ManualClock;

async fn list(
    store: &dyn Store,
    filter: &ConnectionFilter,
    after: Option<ConnectionId>,
    limit: u32,
) -> Vec<Connection> {
    store.list(filter, after, limit).await.expect("a working store lists")
}

/// An import can be run again: it never puts old tokens in the place of newer ones.
pub async fn an_import_keeps_what_is_there(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let (row, token) = (find(&*store, id).await, access_token_in_the_clear(&*store, id).await);
    let mut again = new_connection("user", clock.now() - secs(5));
    again.access_token = Some(Secret::new("Atza|older"));
    again.label = "another label".into();
    assert_eq!(put_all(&*store, vec![again], IfPresent::Keep).await, [Stored::Kept(id)]);
    assert_eq!(find(&*store, id).await, row);
    assert_eq!(access_token_in_the_clear(&*store, id).await, token);
}

/// One version more, a clean record, and the same id: whoever knows the connection goes on using it.
pub async fn a_consent_replaces_the_tokens(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for end in [Some(Reason::GrantInvalid), None] {
        let user = if end.is_some() { "ended" } else { "gone" };
        let id = connect(&*store, &clock, user).await;
        let created_at = find(&*store, id).await.created_at;
        match end {
            Some(reason) => {
                let lease = hold_as_it_stands(&*store, id).await.lease;
                settle(&*store, ended(lease, &clock, reason)).await;
            }
            None => assert!(store.disconnect(id).await.expect("a working store disconnects")),
        }
        let version = find(&*store, id).await.version;
        let consent = NewConnection {
            access_token: Some(Secret::new("Atza|consent")),
            refresh_token: Some(Secret::new("Atzr|consent")),
            scopes: "profile".into(),
            label: "new label".into(),
            ..new_connection(user, clock.now() + secs(60))
        };
        let expires_at = consent.expires_at.expect("it has an end");
        assert_eq!(put_all(&*store, vec![consent], IfPresent::Replace).await, [Stored::Replaced(id)]);
        let row = find(&*store, id).await;
        assert_eq!((row.version, row.state, row.reason), (version.next(), State::Active, None));
        assert_eq!((row.failures, row.last_error, row.created_at), (0, None, created_at));
        assert_eq!((row.refresh_at, row.leased_until), (Some(clock.now() + secs(60)), None));
        assert_eq!((row.scopes.as_str(), row.label.as_str()), ("profile", "new label"));
        let held = access_token_in_the_clear(&*store, id).await;
        assert_eq!(held, Some(("Atza|consent".into(), expires_at, version.next())));
        assert_eq!(hold_as_it_stands(&*store, id).await.refresh_token.expose(), "Atzr|consent");
    }
}

/// Old and new mixed, in no order of their own.
pub async fn answers_come_in_the_order_of_the_questions(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let known = connect(&*store, &clock, "m-known").await;
    let users = ["z-new", "m-known", "a-new", "k-new"];
    let offer = || users.map(|user| new_connection(user, clock.now())).to_vec();
    let first = put_all(&*store, offer(), IfPresent::Keep).await;
    let [Stored::Inserted(z), Stored::Kept(m), Stored::Inserted(a), Stored::Inserted(k)] = first[..] else {
        panic!("one of four is known, the answers are {first:?}");
    };
    assert_eq!(m, known);
    for (id, user) in [(z, "z-new"), (a, "a-new"), (k, "k-new")] {
        assert_eq!(find(&*store, id).await.user.as_str(), user);
    }
    let again = put_all(&*store, offer(), IfPresent::Keep).await;
    assert_eq!(again, [z, m, a, k].map(Stored::Kept), "the second import changes nothing");
    let replaced = put_all(&*store, offer(), IfPresent::Replace).await;
    assert_eq!(replaced, [z, m, a, k].map(Stored::Replaced));
}

/// A list that was exported twice and joined must not fail as a whole.
pub async fn one_account_twice_in_one_call_is_one_connection(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let mut second = new_connection("user", clock.now());
    second.access_token = Some(Secret::new("Atza|second"));
    let offer = vec![new_connection("user", clock.now()), new_connection("other", clock.now()), second];
    let answers = put_all(&*store, offer, IfPresent::Keep).await;
    let [Stored::Inserted(first), Stored::Inserted(_), Stored::Kept(again)] = answers[..] else {
        panic!("the third is the first again, the answers are {answers:?}");
    };
    assert_eq!(first, again);
    let held = access_token(&*store, first).await.expect("it has tokens");
    assert_eq!(held.token.expose(), "Atza|user-1", "the first one stays");
}

/// More than any database takes parameters in one statement.
pub async fn thousands_are_put_at_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let offer: Vec<_> = (0..2_500).map(|n| new_connection(&format!("user-{n}"), clock.now())).collect();
    let answers = put_all(&*store, offer.clone(), IfPresent::Keep).await;
    assert_eq!(answers.len(), 2_500);
    for n in [0, 1_249, 2_499] {
        let Stored::Inserted(id) = answers[n] else { panic!("user-{n} is new, the answer is {:?}", answers[n]) };
        assert_eq!(find(&*store, id).await.user.as_str(), format!("user-{n}"));
    }
    let again = put_all(&*store, offer, IfPresent::Keep).await;
    assert!(again.iter().all(|answer| matches!(answer, Stored::Kept(_))));
    let stats = store.stats(clock.now(), clock.now()).await.expect("a working store counts");
    assert_eq!((stats.total, stats.due), (2_500, 2_500));
}

/// There is nothing to keep alive. A consent without one ends it likewise; an empty one is a missing one.
pub async fn without_a_refresh_token_a_connection_needs_reauth(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for (user, missing) in [("none", None), ("empty", Some(Secret::new("")))] {
        let offer = NewConnection { refresh_token: missing.clone(), ..new_connection(user, clock.now()) };
        let id = put(&*store, offer.clone()).await;
        let assert_needs_reauth = async |version: Version| {
            let row = find(&*store, id).await;
            assert_eq!((row.state, row.reason), (State::NeedsReauth, Some(Reason::NoRefreshToken)));
            assert_eq!((row.version, row.refresh_at), (version, None));
        };
        assert_needs_reauth(Version::FIRST).await;
        put_all(&*store, vec![new_connection(user, clock.now())], IfPresent::Replace).await;
        assert_eq!(find(&*store, id).await.state, State::Active);
        put_all(&*store, vec![offer], IfPresent::Replace).await;
        assert_needs_reauth(Version::new(3)).await;
    }
}

/// Both databases return the times that were written, and names with any letters.
pub async fn what_is_put_is_found_to_the_millisecond(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let at = |millis: i64| clock.now() + TimeDelta::milliseconds(millis);
    let offer = NewConnection {
        account: "ENTITY3NÄ'; --".into(),
        label: "Zoë 🦀 \"quoted\"".into(),
        expires_at: Some(at(3_600_001)),
        consent_at: Some(at(-86_399_999)),
        refresh_expires_at: Some(at(86_400_999)),
        ..new_connection("usér-1", at(123))
    };
    let id = put(&*store, offer.clone()).await;
    let row = find(&*store, id).await;
    assert_eq!((row.user, row.provider, row.account), (offer.user, offer.provider, offer.account));
    assert_eq!((row.label, row.scopes), (offer.label, offer.scopes));
    assert_eq!((row.refresh_at, row.expires_at), (Some(offer.refresh_at), offer.expires_at));
    assert_eq!((row.consent_at, row.refresh_expires_at), (offer.consent_at, offer.refresh_expires_at));
    assert_eq!((row.refreshed_at, row.leased_until, row.id), (None, None, id));
    assert_eq!(row.created_at.timestamp_subsec_nanos() % 1_000_000, 0, "kept to the millisecond, not finer");
    assert!(row.key.is_some(), "its tokens are encrypted with some key");
    assert_eq!(store.find(ConnectionId::generate()).await.expect("a working store finds"), None);

    let due = store.due(&super::steps::app(), at(123), None, 10).await.expect("a working store says what is due");
    assert_eq!(due.len(), 1, "due to the millisecond");
    let early = store.due(&super::steps::app(), at(122), None, 10).await.expect("a working store says what is due");
    assert_eq!(early, [], "and not one earlier");
}

/// In the order of the ids, none twice, none left out.
pub async fn listing_goes_by_id_page_by_page(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    put_all(&*store, (0..25).map(|n| new_connection(&format!("user-{n}"), clock.now())).collect(), IfPresent::Keep)
        .await;
    let any = ConnectionFilter::default();
    let whole = list(&*store, &any, None, 100).await;
    assert_eq!(whole.len(), 25);
    assert!(whole.is_sorted_by_key(|row| row.id));
    let mut paged = Vec::new();
    loop {
        let page = list(&*store, &any, paged.last().map(|row: &Connection| row.id), 7).await;
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 7, "a page is no longer than its limit");
        paged.extend(page);
        assert!(paged.len() <= whole.len(), "a page repeats rows of the one before");
    }
    assert_eq!(paged, whole);
}

/// Each alone and all together, before the limit counts.
pub async fn filters_narrow_the_list(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let eu = |user: &str| NewConnection { provider: app_named("amazon-eu"), ..new_connection(user, clock.now()) };
    let ann_na = connect(&*store, &clock, "ann").await;
    let ann_eu = put(&*store, eu("ann")).await;
    let bob_eu = put(&*store, NewConnection { expires_at: Some(clock.now() - secs(1)), ..eu("bob") }).await;
    let cat_na = connect(&*store, &clock, "cat").await;
    store.disconnect(ann_eu).await.expect("a working store disconnects");
    let lease = hold_as_it_stands(&*store, cat_na).await.lease;
    settle(&*store, failed(lease, &clock)).await;

    let user = |name: &str| name.parse().ok();
    let any = ConnectionFilter::default;
    let cases = [
        (any(), vec![ann_na, ann_eu, bob_eu, cat_na]),
        (ConnectionFilter { user: user("ann"), ..any() }, vec![ann_na, ann_eu]),
        (ConnectionFilter { provider: Some(app_named("amazon-eu")), ..any() }, vec![ann_eu, bob_eu]),
        (ConnectionFilter { states: vec![State::Failing, State::Disconnected], ..any() }, vec![ann_eu, cat_na]),
        (ConnectionFilter { expired_before: Some(clock.now()), ..any() }, vec![bob_eu]),
        (ConnectionFilter { user: user("ann"), states: vec![State::Active], ..any() }, vec![ann_na]),
        (ConnectionFilter { user: user("nobody"), ..any() }, vec![]),
    ];
    for (filter, mut expected) in cases {
        expected.sort();
        let found: Vec<_> = list(&*store, &filter, None, 10).await.into_iter().map(|row| row.id).collect();
        assert_eq!(found, expected, "{filter:?}");
        let first: Vec<_> = list(&*store, &filter, None, 1).await.into_iter().map(|row| row.id).collect();
        assert_eq!(first[..], expected[..expected.len().min(1)], "{filter:?}, one row");
    }
}

/// Once; a second time there is nothing to remove. The version tells every late writer.
pub async fn disconnecting_removes_the_tokens_once(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let disconnect = async |id| store.disconnect(id).await.expect("a working store disconnects");
    let id = connect(&*store, &clock, "user").await;
    assert!(disconnect(id).await);
    let row = find(&*store, id).await;
    assert_eq!((row.state, row.reason), (State::Disconnected, Some(Reason::ByUser)));
    assert_eq!((row.version, row.refresh_at, row.key.as_ref()), (Version::FIRST.next(), None, None));
    assert!(access_token(&*store, id).await.is_none());
    assert!(!disconnect(id).await, "it was disconnected already");
    assert_eq!(find(&*store, id).await, row);
    assert!(!disconnect(ConnectionId::generate()).await, "there is none");
}

/// Expired or not, that is for the caller to see; of an ended connection there is none.
pub async fn an_access_token_is_for_refreshable_connections(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    clock.advance(2 * super::steps::HOUR).await;
    let held = access_token(&*store, id).await.expect("an expired token is a token");
    assert!(held.expires_at < clock.now());
    assert_eq!(held.version, Version::FIRST);

    let bare = NewConnection { access_token: None, expires_at: None, ..new_connection("bare", clock.now()) };
    let bare = put(&*store, bare).await;
    assert!(access_token(&*store, bare).await.is_none(), "it has a refresh token only");
    assert_eq!(find(&*store, bare).await.state, State::Active);

    let endless = put(&*store, NewConnection { expires_at: None, ..new_connection("endless", clock.now()) }).await;
    let held = access_token(&*store, endless).await;
    assert!(held.is_none_or(|held| held.expires_at <= clock.now()), "an unknown end counts as past");

    let lease = hold_as_it_stands(&*store, id).await.lease;
    settle(&*store, ended(lease, &clock, Reason::GrantInvalid)).await;
    assert!(access_token(&*store, id).await.is_none(), "the grant has ended");
    assert!(access_token(&*store, ConnectionId::generate()).await.is_none());
}

/// `undecryptable` keeps its ciphertext: once the keyring opens it, it is back in use. Other ends stay ends.
pub async fn quarantined_tokens_come_back(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let quarantined = connect(&*store, &clock, "quarantined").await;
    let over = connect(&*store, &clock, "over").await;
    let before = access_token_in_the_clear(&*store, quarantined).await;
    for (id, reason) in [(quarantined, Reason::Undecryptable), (over, Reason::GrantInvalid)] {
        let lease = hold_as_it_stands(&*store, id).await.lease;
        assert_eq!(settle(&*store, ended(lease, &clock, reason)).await, Settled::Written(Version::FIRST));
        assert!(access_token(&*store, id).await.is_none());
    }
    clock.advance(super::steps::HOUR).await;
    let restore = async || store.restore_decryptable(clock.now()).await.expect("a working store restores");
    assert_eq!(restore().await, 1);
    let row = find(&*store, quarantined).await;
    assert_eq!((row.state, row.reason, row.refresh_at), (State::Active, None, Some(clock.now())));
    assert_eq!(access_token_in_the_clear(&*store, quarantined).await, before);
    assert_eq!(hold_as_it_stands(&*store, quarantined).await.refresh_token.expose(), "Atzr|quarantined-1");
    assert_eq!(find(&*store, over).await.state, State::NeedsReauth);
    assert_eq!(restore().await, 0, "there is nobody left to restore");
}

/// Whole, and no more than asked for.
pub async fn attempts_come_newest_first(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let mut bare = attempt(clock.now() + TimeDelta::milliseconds(7), "third");
    bare.verdict = VerdictKind::GrantInvalid;
    (bare.trace.status, bare.trace.code, bare.trace.request_id, bare.trace.ambiguous) = (None, None, None, false);
    let written = [attempt(clock.now() - secs(2), "first"), attempt(clock.now() - secs(1), "second"), bare];
    for part in [&written[..2], &written[2..]] {
        let lease = hold_as_it_stands(&*store, id).await.lease;
        settle(&*store, Settlement { attempts: part.to_vec(), ..failed(lease, &clock) }).await;
    }
    let kept = async |id, limit| store.attempts(id, limit).await.expect("a working store keeps attempts");
    let newest_first: Vec<Attempt> = written.iter().rev().cloned().collect();
    assert_eq!(kept(id, 10).await, newest_first);
    assert_eq!(kept(id, 2).await, newest_first[..2]);
    let other = connect(&*store, &clock, "other").await;
    assert_eq!(kept(other, 10).await, []);
}

/// Every state has a number, if only zero.
pub async fn stats_name_every_state(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let since = clock.now();
    let stats = async |now: Timestamp| store.stats(now, since).await.expect("a working store counts");
    let empty = stats(since).await;
    assert_eq!((empty.total, empty.by_state.len()), (0, State::ALL.len()), "every state is named");
    assert!(empty.by_state.values().all(|count| *count == 0));

    for n in 0..3 {
        connect(&*store, &clock, &format!("due-{n}")).await;
    }
    put(&*store, new_connection("rests", clock.now() + secs(600))).await;
    let failing = connect(&*store, &clock, "failing").await;
    let lease = hold_as_it_stands(&*store, failing).await.lease;
    settle(&*store, Settlement { failed_job: Some(failed_job(failing, since)), ..failed(lease, &clock) }).await;
    let gone = connect(&*store, &clock, "gone").await;
    store.disconnect(gone).await.expect("a working store disconnects");
    let fresh = connect(&*store, &clock, "fresh").await;
    let lease = hold_as_it_stands(&*store, fresh).await.lease;
    settle(&*store, refreshed(lease, &clock, "fresh")).await;

    let counted = stats(since).await;
    let of = |state| counted.by_state[&state];
    assert_eq!((counted.total, of(State::Active), of(State::Failing)), (7, 5, 1));
    assert_eq!((of(State::Suspect), of(State::NeedsReauth), of(State::Disconnected)), (0, 0, 1));
    assert_eq!((counted.due, counted.expired), (3, 0));
    assert_eq!((counted.refreshed, counted.failed_jobs), (1, 1), "refreshed at the very time asked about counts");
    let later = stats(since + secs(1000)).await;
    assert_eq!((later.due, later.expired), (5, 4), "a disconnected one is neither due nor expired");
    let nothing_since = store.stats(since, since + secs(1)).await.expect("a working store counts");
    assert_eq!(nothing_since.refreshed, 0);
}

/// So that a process whose keyring lacks one of them can say so before it judges anybody.
pub async fn keys_in_use_are_those_of_stored_tokens(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let keys = async || store.keys_in_use().await.expect("a working store names its keys");
    assert_eq!(keys().await, [], "nothing is encrypted yet");
    let first = connect(&*store, &clock, "first").await;
    let second = connect(&*store, &clock, "second").await;
    let key = find(&*store, first).await.key.expect("its tokens are encrypted with some key");
    assert_eq!(keys().await, [(key.clone(), 2)]);
    let lease = hold_as_it_stands(&*store, second).await.lease;
    settle(&*store, unchanged(lease, &clock, None)).await;
    store.disconnect(second).await.expect("a working store disconnects");
    assert_eq!(keys().await, [(key, 1)], "a disconnected connection has nothing encrypted");
}
