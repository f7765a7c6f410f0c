//! The people who may sign in.

use std::sync::Arc;

use chrono::TimeDelta;
use evergrant_contract::ids::UserId;
use evergrant_contract::people::{Saved, User, UserKey};
use evergrant_contract::ports::{Clock as _, Store};
use evergrant_contract::secret::Secret;

use super::people::{new_user, save, user, user_id};
use super::steps::{at_once, secs};
use crate::ManualClock;

async fn password(store: &dyn Store, id: &UserId) -> Option<String> {
    let hash = store.password(id).await.expect("a working store gives password hashes");
    hash.map(|hash| hash.expose().to_owned())
}

async fn set_password(store: &dyn Store, id: &UserId, hash: Option<&str>) -> bool {
    store.set_password(id, hash.map(Secret::new).as_ref()).await.expect("a working store keeps password hashes")
}

/// Whole: every column, names with any letters, times to the millisecond, lists in their order.
pub async fn a_user_is_found_as_it_was_saved(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let whole = User {
        id: user_id("usér '1'; --"),
        email: "Zoë.Müller@Example.com".into(),
        name: "Zoë 🦀 \"quoted\"".into(),
        account: "amzn1.account.ABC".into(),
        is_admin: true,
        is_active: false,
        profile_ids: vec!["2".into(), "1".into(), "{\"quoted\", NULL}".into(), String::new()],
        marketplace_ids: vec!["ATVPDKIKX0DER".into()],
        created_at: clock.now() + TimeDelta::milliseconds(123),
    };
    let bare = User { name: String::new(), profile_ids: Vec::new(), ..new_user("bare", &clock) };
    for saved in [&whole, &bare] {
        assert_eq!(save(&*store, saved).await, Saved::Done);
        assert_eq!(user(&*store, UserKey::Id(&saved.id)).await.as_ref(), Some(saved));
    }
    assert_eq!(user(&*store, UserKey::Email(&whole.email)).await, Some(whole.clone()));
    assert_eq!(user(&*store, UserKey::Account(&whole.account)).await, Some(whole));
    assert_eq!(user(&*store, UserKey::Id(&user_id("nobody"))).await, None);
    assert_eq!(user(&*store, UserKey::Email("nobody@example.com")).await, None);
    assert_eq!(user(&*store, UserKey::Account("nobody")).await, None);
}

/// An address is found however it is typed, in any alphabet, and shown as it was given. An account is not: it is no word.
pub async fn addresses_are_found_whatever_the_case_of_their_letters(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let addresses = ["Ann@Example.COM", "ÄRGER@Ökö.example", "ДМИТРИЙ@пример.рф", "İLKER@example.com"];
    for (n, address) in addresses.into_iter().enumerate() {
        let saved =
            User { email: address.into(), account: format!("Account-{n}"), ..new_user(&format!("user-{n}"), &clock) };
        assert_eq!(save(&*store, &saved).await, Saved::Done);
        for typed in [address.to_owned(), address.to_lowercase()] {
            assert_eq!(user(&*store, UserKey::Email(&typed)).await, Some(saved.clone()), "{typed}");
        }
        assert_eq!(
            user(&*store, UserKey::Account(&format!("account-{n}"))).await,
            None,
            "an account is taken as it is"
        );
    }
    let typed = user(&*store, UserKey::Email("äRGER@öKÖ.EXAMPLE")).await;
    assert_eq!(typed.map(|user| user.email), Some("ÄRGER@Ökö.example".to_owned()));
    assert_eq!(user(&*store, UserKey::Email("arger@oko.example")).await, None, "letters are folded, not accents");
    assert_eq!(user(&*store, UserKey::Email("a%@example.com")).await, None, "an address is no pattern");
}

/// Any number of people may have none; to look for none finds nobody, not one of them.
pub async fn an_empty_address_or_account_is_nobodys(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for id in ["one", "two"] {
        let bare = User { email: String::new(), account: String::new(), ..new_user(id, &clock) };
        assert_eq!(save(&*store, &bare).await, Saved::Done);
    }
    assert_eq!(user(&*store, UserKey::Email("")).await, None);
    assert_eq!(user(&*store, UserKey::Account("")).await, None);
}

/// Whoever saves a user anew changes what they say of the person, not since when they know them nor their password.
pub async fn saving_again_keeps_the_first_day_and_the_password(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let first = new_user("user", &clock);
    assert_eq!(save(&*store, &first).await, Saved::Done);
    assert!(set_password(&*store, &first.id, Some("$argon2id$first")).await);
    let again = User {
        email: "other@example.com".into(),
        name: "Another Name".into(),
        account: "another".into(),
        is_admin: true,
        is_active: false,
        profile_ids: vec!["9".into()],
        marketplace_ids: Vec::new(),
        created_at: clock.now() + secs(3600),
        id: first.id.clone(),
    };
    assert_eq!(save(&*store, &again).await, Saved::Done);
    let expected = User { created_at: first.created_at, ..again };
    assert_eq!(user(&*store, UserKey::Id(&first.id)).await, Some(expected.clone()));
    assert_eq!(user(&*store, UserKey::Email(&first.email)).await, None, "the former address is free");
    assert_eq!(user(&*store, UserKey::Account(&first.account)).await, None, "the former account is free");
    assert_eq!(save(&*store, &expected).await, Saved::Done, "nobody is in their own way");
    assert_eq!(password(&*store, &first.id).await.as_deref(), Some("$argon2id$first"));
}

/// What another has is not taken away: nothing is written, whether the user is new or known.
pub async fn an_address_or_account_of_another_is_taken(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (ann, bob) = (new_user("ann", &clock), new_user("bob", &clock));
    for user in [&ann, &bob] {
        assert_eq!(save(&*store, user).await, Saved::Done);
    }
    let email = ann.email.to_uppercase();
    let both = User { email: email.clone(), account: ann.account.clone(), name: "changed".into(), ..bob.clone() };
    let attempts = [
        (User { email, name: "changed".into(), ..bob.clone() }, Saved::EmailTaken),
        (User { account: ann.account.clone(), name: "changed".into(), ..bob.clone() }, Saved::AccountTaken),
        (both, Saved::EmailTaken),
    ];
    for (attempt, expected) in attempts {
        let new = User { id: user_id("new"), ..attempt.clone() };
        // A new user named like bob in the rest would stand in bob's way.
        let new = match expected {
            Saved::EmailTaken => User { account: "new".into(), ..new },
            _ => User { email: "new@example.com".into(), ..new },
        };
        assert_eq!(save(&*store, &attempt).await, expected);
        assert_eq!(save(&*store, &new).await, expected);
    }
    assert_eq!(store.users(None, 10).await.expect("a working store lists users"), [ann, bob]);
}

/// Two sign-ups at once are not two people with one address.
pub async fn one_of_fifty_callers_gets_an_address(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let answers = at_once(50, |n| {
        let (store, mut offer) = (Arc::clone(&store), new_user(&format!("user-{n}"), &clock));
        let typed = if n % 2 == 0 { "Käthe@Example.com" } else { "kÄTHE@example.COM" };
        offer.email = typed.into();
        async move { save(&*store, &offer).await }
    })
    .await;
    let done = answers.iter().filter(|answer| **answer == Saved::Done).count();
    let taken = answers.iter().filter(|answer| **answer == Saved::EmailTaken).count();
    assert_eq!((done, taken), (1, 49));
    assert_eq!(store.users(None, 100).await.expect("a working store lists users").len(), 1);
}

/// In the order of the bytes of their ids, whatever language a database sorts in; none twice, none left out.
pub async fn users_are_listed_by_the_bytes_of_their_ids(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let mut ids = ["b", "B", "a", "ä", "_", "a b", "ab", "10", "9", "é", "Z", "-a", "🦀"].map(user_id);
    for id in &ids {
        // `b` and `B` are two ids, and one address.
        let user = User { email: String::new(), ..new_user(id.as_str(), &clock) };
        assert_eq!(save(&*store, &user).await, Saved::Done);
    }
    ids.sort_by(|one, other| one.as_str().as_bytes().cmp(other.as_str().as_bytes()));
    let mut paged: Vec<UserId> = Vec::new();
    loop {
        let page = store.users(paged.last(), 4).await.expect("a working store lists users");
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 4, "a page is no longer than its limit");
        paged.extend(page.into_iter().map(|user| user.id));
        assert!(paged.len() <= ids.len(), "a page repeats users of the one before: {paged:?}");
    }
    assert_eq!(paged, ids);
    let behind = store.users(Some(&user_id("a0")), 1).await.expect("a working store lists users");
    assert_eq!(behind.first().map(|user| user.id.as_str()), Some("ab"), "a page may start behind nobody");
}

/// Theirs alone, and only of somebody who is there.
pub async fn a_password_is_kept_until_it_is_removed(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (ann, bob) = (new_user("ann", &clock), new_user("bob", &clock));
    for user in [&ann, &bob] {
        assert_eq!(save(&*store, user).await, Saved::Done);
    }
    assert_eq!(password(&*store, &ann.id).await, None, "nobody starts with one");
    for hash in ["$argon2id$v=19$first", "$argon2id$v=19$second"] {
        assert!(set_password(&*store, &ann.id, Some(hash)).await);
        assert_eq!(password(&*store, &ann.id).await.as_deref(), Some(hash));
    }
    assert_eq!(password(&*store, &bob.id).await, None);
    assert!(set_password(&*store, &ann.id, None).await);
    assert_eq!(password(&*store, &ann.id).await, None);
    assert_eq!(user(&*store, UserKey::Id(&ann.id)).await, Some(ann), "a password is nothing else's business");

    let nobody = user_id("nobody");
    assert!(!set_password(&*store, &nobody, Some("$argon2id$v=19$first")).await);
    assert!(!set_password(&*store, &nobody, None).await);
    assert_eq!(password(&*store, &nobody).await, None);
}
