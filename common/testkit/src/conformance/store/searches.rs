//! Connections as operators look for them.

use std::sync::Arc;

use evergrant_contract::connection::{ConnectionFilter, NewConnection};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::state::{Reason, State};

use super::steps::{connect, ended, failed, hold_as_it_stands, new_connection, put, settle};
use crate::ManualClock;

async fn list(
    store: &dyn Store,
    filter: &ConnectionFilter,
    after: Option<ConnectionId>,
    limit: u32,
) -> Vec<ConnectionId> {
    let page = store.list(filter, after, limit).await.expect("a working store lists connections");
    page.into_iter().map(|connection| connection.id).collect()
}

async fn search(store: &dyn Store, text: &str) -> Vec<ConnectionId> {
    list(store, &ConnectionFilter { text: Some(text.into()), ..ConnectionFilter::default() }, None, 100).await
}

/// Connections of these users, accounts and labels, in the order of their ids.
async fn put_named<const N: usize>(store: &dyn Store, clock: &ManualClock, names: [[&str; 3]; N]) -> [ConnectionId; N] {
    let mut ids = Vec::with_capacity(N);
    for [user, account, label] in names {
        let new = NewConnection { account: account.into(), label: label.into(), ..new_connection(user, clock.now()) };
        ids.push(put(store, new).await);
    }
    assert!(ids.is_sorted(), "ids sort by the time at which they were made");
    ids.try_into().expect("one id was made for each name")
}

/// Of the user, the account or the label, in capitals or not; and what is in the middle of one is not its beginning.
pub async fn connections_are_found_by_the_beginning_of_a_name(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let names = [
        ["Anna", "amzn1.account.X7", "Winter Sale"],
        ["bert", "AMZN1.account.y8", "winterthur"],
        ["winnie", "ENTITY-1", "anna's shop"],
        ["zoë", "", ""],
    ];
    let [anna, bert, winnie, zoe] = put_named(&*store, &clock, names).await;
    let cases: [(&str, &[ConnectionId]); 14] = [
        ("anna", &[anna, winnie]),
        ("ANNA", &[anna, winnie]),
        ("anna'", &[winnie]),
        ("bert", &[bert]),
        ("amzn1.ACCOUNT", &[anna, bert]),
        ("Amzn1.account.Y8", &[bert]),
        ("entity-1", &[winnie]),
        ("WIN", &[anna, bert, winnie]),
        ("winter ", &[anna]),
        ("zoë", &[zoe]),
        ("sale", &[]),
        ("account", &[]),
        ("bertha", &[]),
        ("", &[anna, bert, winnie, zoe]),
    ];
    for (text, expected) in cases {
        assert_eq!(search(&*store, text).await, expected, "{text}");
    }
}

/// What a search language might read as more than itself.
pub async fn every_character_of_a_search_means_itself(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let names = [
        ["u1", "a_c", "100% off"],
        ["u2", "abc", "1000 off"],
        ["u3", "[a]", r"back\slash"],
        ["u4", "'; --", "@home"],
        ["u5", "{b}", "`tick"],
    ];
    let [first, second, third, fourth, fifth] = put_named(&*store, &clock, names).await;
    let cases: [(&str, &[ConnectionId]); 12] = [
        ("a_", &[first]),
        ("ab", &[second]),
        ("100%", &[first]),
        ("100", &[first, second]),
        ("%", &[]),
        ("_", &[]),
        ("*", &[]),
        ("[A", &[third]),
        (r"BACK\", &[third]),
        ("'; --", &[fourth]),
        ("@", &[fourth]),
        ("`", &[fifth]),
    ];
    for (text, expected) in cases {
        assert_eq!(search(&*store, text).await, expected, "{text}");
    }
}

/// Whole, as people paste it; a part of an id is not an id.
pub async fn a_connection_is_found_by_its_id(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let [one, other] = put_named(&*store, &clock, [["u1", "a", "l"], ["u2", "a", "l"]]).await;
    for text in [one.to_string(), one.to_string().to_uppercase(), one.uuid().simple().to_string()] {
        assert_eq!(search(&*store, &text).await, [one], "{text}");
    }
    assert_eq!(search(&*store, &one.to_string()[..13]).await, []);
    assert_eq!(search(&*store, &ConnectionId::generate().to_string()).await, []);
    // Somebody may well call an account after a connection.
    let named = NewConnection { label: other.to_string(), ..new_connection("u3", clock.now()) };
    let named = put(&*store, named).await;
    assert_eq!(search(&*store, &other.to_string()).await, [other, named]);
}

/// A search holds together with the other filters, and its pages follow on.
pub async fn a_search_is_narrowed_and_paged(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(connect(&*store, &clock, &format!("{}-{n}", if n % 3 == 0 { "Other" } else { "Shop" })).await);
    }
    let gone = [ids[1], ids[3], ids[10]];
    for id in gone {
        assert!(store.disconnect(id).await.expect("a working store disconnects"));
    }
    let shops = ConnectionFilter { text: Some("shop-".into()), ..ConnectionFilter::default() };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = list(&*store, &shops, after, 3).await;
        assert!(page.len() <= 3, "no page is longer than asked for");
        let Some(last) = page.last() else { break };
        after = Some(*last);
        seen.extend(page);
    }
    assert_eq!(seen, [1, 2, 4, 5, 7, 8, 10, 11].map(|n| ids[n]));
    let of = |states: &[State]| ConnectionFilter { states: states.to_vec(), ..shops.clone() };
    assert_eq!(list(&*store, &of(&[State::Disconnected]), None, 10).await, [ids[1], ids[10]]);
    assert_eq!(list(&*store, &of(&[State::Disconnected]), Some(ids[1]), 10).await, [ids[10]]);
    assert_eq!(list(&*store, &of(&[State::Active, State::Disconnected]), None, 2).await, [ids[1], ids[2]]);
    let by_user = ConnectionFilter { user: Some("Shop-4".parse().expect("a user id")), ..shops.clone() };
    assert_eq!(list(&*store, &by_user, None, 10).await, [ids[4]]);
}

/// Those that ended for one reason, whatever their state; alone, and with a state.
pub async fn connections_are_found_by_their_reason(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let [healthy, revoked, unread, tried, also_revoked] =
        put_named(&*store, &clock, ["u1", "u2", "u3", "u4", "u5"].map(|user| [user, "a", "l"])).await;
    let ends = [(revoked, Reason::GrantInvalid), (unread, Reason::Undecryptable), (also_revoked, Reason::GrantInvalid)];
    for (id, reason) in ends {
        let lease = hold_as_it_stands(&*store, id).await.lease;
        settle(&*store, ended(lease, &clock, reason)).await;
    }
    let lease = hold_as_it_stands(&*store, tried).await.lease;
    settle(&*store, failed(lease, &clock)).await;
    let of = |reason| ConnectionFilter { reason: Some(reason), ..ConnectionFilter::default() };
    let cases: [(ConnectionFilter, &[ConnectionId]); 7] = [
        (of(Reason::GrantInvalid), &[revoked, also_revoked]),
        (of(Reason::Undecryptable), &[unread]),
        (of(Reason::AttemptsExhausted), &[tried]),
        (of(Reason::ByUser), &[]),
        (ConnectionFilter { states: vec![State::NeedsReauth], ..of(Reason::GrantInvalid) }, &[revoked, also_revoked]),
        (ConnectionFilter { states: vec![State::Active], ..of(Reason::GrantInvalid) }, &[]),
        (ConnectionFilter { text: Some("U5".into()), ..of(Reason::GrantInvalid) }, &[also_revoked]),
    ];
    for (filter, expected) in cases {
        assert_eq!(list(&*store, &filter, None, 10).await, expected, "{filter:?}");
    }
    assert_eq!(list(&*store, &of(Reason::GrantInvalid), Some(revoked), 10).await, [also_revoked]);
    assert_eq!(list(&*store, &ConnectionFilter::default(), None, 1).await, [healthy]);
}
