//! A new consent for a connection that exists.

use std::sync::Arc;

use evergrant_contract::connection::{ConnectionFilter, IfPresent, NewConnection, Reconnected, Settled, Stored};
use evergrant_contract::ids::{ConnectionId, Version};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};

use super::steps::{
    access_token_in_the_clear, app_named, at_once, connect, ended, find, hold_and_lapse, hold_as_it_stands,
    new_connection, put, put_all, refreshed, secs, settle, take_over,
};
use crate::ManualClock;

async fn reconnect(store: &dyn Store, id: ConnectionId, consent: NewConnection) -> Reconnected {
    store.reconnect(id, consent).await.expect("a working store reconnects")
}

/// What a consent of `user` brings, with tokens that no other step makes.
fn consent(user: &str, clock: &ManualClock) -> NewConnection {
    NewConnection {
        label: "new label".into(),
        scopes: "profile".into(),
        access_token: Some(Secret::new("Atza|consent")),
        refresh_token: Some(Secret::new("Atzr|consent")),
        refresh_expires_at: Some(clock.now() + secs(86_400)),
        ..new_connection(user, clock.now() + secs(60))
    }
}

/// As a consent that replaces: one version more, a clean record, the lease given back. Whatever state it was in.
pub async fn a_reconnect_starts_over_on_the_same_row(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let ends: [(&str, Option<Reason>); 3] =
        [("ended", Some(Reason::GrantInvalid)), ("unreadable", Some(Reason::Undecryptable)), ("gone", None)];
    for (user, end) in ends {
        let id = connect(&*store, &clock, user).await;
        match end {
            Some(reason) => {
                let lease = hold_as_it_stands(&*store, id).await.lease;
                settle(&*store, ended(lease, &clock, reason)).await;
            }
            None => assert!(store.disconnect(id).await.expect("a working store disconnects")),
        }
        let before = find(&*store, id).await;
        let (consent, version) = (consent(user, &clock), before.version.next());
        assert_eq!(reconnect(&*store, id, consent.clone()).await, Reconnected::Done(version));
        let row = find(&*store, id).await;
        assert_eq!((row.version, row.state, row.reason), (version, State::Active, None));
        assert_eq!((row.failures, row.last_error, row.created_at), (0, None, before.created_at));
        assert_eq!((row.refresh_at, row.leased_until), (Some(consent.refresh_at), None));
        assert_eq!((row.scopes, row.label, row.account), (consent.scopes, consent.label, consent.account));
        assert_eq!((row.consent_at, row.refresh_expires_at), (consent.consent_at, consent.refresh_expires_at));
        let expires_at = consent.expires_at.expect("it has an end");
        let held = access_token_in_the_clear(&*store, id).await;
        assert_eq!(held, Some(("Atza|consent".into(), expires_at, version)));
        assert_eq!(hold_as_it_stands(&*store, id).await.refresh_token.expose(), "Atzr|consent");
    }
}

/// The tokens that somebody is refreshing are gone: what comes of it is lost, and the next lease is for the new ones.
pub async fn a_reconnect_during_a_refresh_wins(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let lease = hold_as_it_stands(&*store, id).await.lease;
    assert_eq!(reconnect(&*store, id, consent("user", &clock)).await, Reconnected::Done(Version::new(2)));
    assert_eq!(settle(&*store, refreshed(lease, &clock, "late")).await, Settled::Lost);
    let next = hold_as_it_stands(&*store, id).await;
    assert_eq!((next.refresh_token.expose(), next.taken_over_from), ("Atzr|consent", None));

    let contested = connect(&*store, &clock, "contested").await;
    hold_and_lapse(&*store, &clock, contested).await;
    let taker = take_over(&*store, &clock, contested).await.lease;
    assert_eq!(reconnect(&*store, contested, consent("contested", &clock)).await, Reconnected::Done(Version::new(2)));
    assert_eq!(settle(&*store, refreshed(taker, &clock, "late")).await, Settled::Lost);
    let held = access_token_in_the_clear(&*store, contested).await;
    assert_eq!(held.map(|(token, ..)| token).as_deref(), Some("Atza|consent"));
}

/// An import did not know it; the consent does, and from then on it is the account.
pub async fn a_reconnect_names_an_unknown_account(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let unknown = NewConnection { account: String::new(), ..new_connection("user", clock.now()) };
    let id = put(&*store, unknown.clone()).await;
    let nameless = NewConnection { account: String::new(), ..consent("user", &clock) };
    assert_eq!(reconnect(&*store, id, nameless.clone()).await, Reconnected::Done(Version::new(2)), "still unknown");
    assert_eq!(reconnect(&*store, id, consent("user", &clock)).await, Reconnected::Done(Version::new(3)));
    assert_eq!(find(&*store, id).await.account, "account");
    let again = put_all(&*store, vec![consent("user", &clock)], IfPresent::Keep).await;
    assert_eq!(again, [Stored::Kept(id)], "it is found by its account");
    assert_eq!(reconnect(&*store, id, nameless).await, Reconnected::OtherAccount, "an account is not forgotten");
    let another = put_all(&*store, vec![unknown], IfPresent::Keep).await;
    assert!(matches!(another[..], [Stored::Inserted(_)]), "and no more without one: {another:?}");
}

/// The person chose another account at the provider: its tokens must not come to the connection of this one.
pub async fn a_reconnect_with_another_account_writes_nothing(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let unknown = put(&*store, NewConnection { account: String::new(), ..new_connection("user", clock.now()) }).await;
    // The same account at another provider app and of another user: neither is in the way of anything.
    let elsewhere = NewConnection { provider: app_named("amazon-eu"), ..new_connection("user", clock.now()) };
    for other in [elsewhere, new_connection("other", clock.now())] {
        put(&*store, NewConnection { account: "free".into(), ..other }).await;
    }
    hold_as_it_stands(&*store, id).await;
    let before = [find(&*store, id).await, find(&*store, unknown).await];
    let with = |account: &str| NewConnection { account: account.into(), ..consent("user", &clock) };
    assert_eq!(reconnect(&*store, id, with("another")).await, Reconnected::OtherAccount);
    assert_eq!(reconnect(&*store, id, with("ACCOUNT")).await, Reconnected::OtherAccount, "an account is no word");
    let taken = reconnect(&*store, unknown, with("account")).await;
    assert_eq!(taken, Reconnected::OtherAccount, "another connection has this account");
    assert_eq!([find(&*store, id).await, find(&*store, unknown).await], before);
    let held = access_token_in_the_clear(&*store, id).await;
    assert_eq!(held.map(|(token, ..)| token).as_deref(), Some("Atza|user-1"));
    assert_eq!(reconnect(&*store, unknown, with("free")).await, Reconnected::Done(Version::new(2)));
}

/// Neither an id that does not exist nor one of somebody else says anything but that it is not there.
pub async fn a_reconnect_is_for_ones_own_connection(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    let before = find(&*store, id).await;
    let own = || consent("user", &clock);
    let strangers = [
        (ConnectionId::generate(), own()),
        (id, consent("other", &clock)),
        (id, NewConnection { provider: app_named("amazon-eu"), ..own() }),
        (id, NewConnection { account: "another".into(), ..consent("other", &clock) }),
    ];
    for (id, consent) in strangers {
        assert_eq!(reconnect(&*store, id, consent).await, Reconnected::NotFound);
    }
    assert_eq!(find(&*store, id).await, before);
    let all = store.list(&ConnectionFilter::default(), None, 10).await;
    assert_eq!(all.expect("a working store lists"), [before], "nothing was made");
}

/// As after any consent: there is nothing to keep alive.
pub async fn a_reconnect_without_a_refresh_token_needs_reauth(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = connect(&*store, &clock, "user").await;
    for (missing, version) in [(None, 2), (Some(Secret::new(" ")), 3)] {
        let consent = NewConnection { refresh_token: missing, ..consent("user", &clock) };
        assert_eq!(reconnect(&*store, id, consent).await, Reconnected::Done(Version::new(version)));
        let row = find(&*store, id).await;
        assert_eq!((row.state, row.reason), (State::NeedsReauth, Some(Reason::NoRefreshToken)));
        assert_eq!((row.version.number(), row.refresh_at), (version, None));
    }
}

/// Each is one version, and the row is never half of one consent and half of another.
pub async fn concurrent_reconnects_are_whole(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    const CALLERS: usize = 20;
    let id = connect(&*store, &clock, "user").await;
    let answers = at_once(CALLERS, |n| {
        let (store, mut consent) = (Arc::clone(&store), consent("user", &clock));
        consent.access_token = Some(Secret::new(format!("Atza|{n}")));
        consent.label = format!("{n}");
        async move { (reconnect(&*store, id, consent).await, format!("{n}")) }
    })
    .await;
    let version = |answer: &Reconnected| match answer {
        Reconnected::Done(version) => version.number(),
        other => panic!("it is their connection, the answer is {other:?}"),
    };
    let mut versions: Vec<(i64, String)> = answers.into_iter().map(|(answer, name)| (version(&answer), name)).collect();
    versions.sort();
    assert_eq!(versions.iter().map(|(version, _)| *version).collect::<Vec<_>>(), (2..22).collect::<Vec<_>>());
    let (last, name) = versions.pop().expect("there were twenty");
    let row = find(&*store, id).await;
    assert_eq!((row.version.number(), &row.label), (last, &name));
    let held = access_token_in_the_clear(&*store, id).await;
    assert_eq!(held.map(|(token, ..)| token), Some(format!("Atza|{name}")), "the last consent's token");
}

/// An import brings an account while a consent finds it out: one of the two rows gets it, and both callers are told.
pub async fn one_of_a_put_and_a_reconnect_gets_an_account(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for round in 0..10 {
        let user = format!("user-{round}");
        let nameless = NewConnection { account: String::new(), ..new_connection(&user, clock.now()) };
        let nameless = put(&*store, nameless).await;
        let firsts = at_once(2, |caller| {
            let (store, consent) = (Arc::clone(&store), consent(&user, &clock));
            async move {
                if caller == 0 {
                    let answer = reconnect(&*store, nameless, consent).await;
                    assert!(matches!(answer, Reconnected::Done(_) | Reconnected::OtherAccount), "{answer:?}");
                    return answer == Reconnected::Done(Version::new(2));
                }
                let answer = put_all(&*store, vec![consent], IfPresent::Keep).await;
                match answer[..] {
                    [Stored::Inserted(_)] => true,
                    [Stored::Kept(id)] if id == nameless => false,
                    _ => panic!("one was put, the answer is {answer:?}"),
                }
            }
        })
        .await;
        assert_eq!(firsts.into_iter().filter(|first| *first).count(), 1, "whoever comes second finds it taken");
    }
}
