//! The audit log, and what happened minute by minute.

use std::fmt::Display;
use std::sync::Arc;

use chrono::TimeDelta;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{AuditId, ConnectionId, JobId, ProviderName};
use evergrant_contract::operations::{Action, AuditEntry, Series, Tally};
use evergrant_contract::ports::{Clock as _, Store};

use super::steps::{app, app_named, at_once, secs};
use crate::ManualClock;

// -------------------------------------------------------------------------------------------------------------- audit

/// A line about something that was done just now.
pub(super) fn entry(action: Action, subject: impl Display, clock: &ManualClock) -> AuditEntry {
    AuditEntry {
        id: AuditId::generate(),
        at: clock.now(),
        actor: "user operator@example.com".into(),
        action,
        subject: subject.to_string(),
        reason: "the provider is back".into(),
        outcome: "published".into(),
    }
}

pub(super) async fn audit_log(
    store: &dyn Store,
    subject: Option<&str>,
    after: Option<AuditId>,
    limit: u32,
) -> Vec<AuditEntry> {
    store.audit_log(subject, after, limit).await.expect("a working store shows its audit log")
}

async fn audit(store: &dyn Store, entry: &AuditEntry) {
    store.audit(entry).await.expect("a working store keeps an audit log");
}

/// So many lines about a subject each, the newest first.
fn lines(subjects: &[&str], clock: &ManualClock) -> Vec<AuditEntry> {
    let mut lines: Vec<_> = subjects.iter().map(|subject| entry(Action::RefreshConnection, subject, clock)).collect();
    lines.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    lines
}

/// Whole, newest first, in whatever order the lines arrive.
pub async fn the_audit_log_begins_with_the_newest(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    assert_eq!(audit_log(&*store, None, None, 10).await, []);
    let mut log: Vec<AuditEntry> =
        Action::ALL.iter().map(|action| entry(*action, ConnectionId::generate(), &clock)).collect();
    log.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    log[1].at = clock.now() + TimeDelta::milliseconds(7);
    (log[2].reason, log[2].actor) = (String::new(), "key Zoë's \"key\" 🦀".into());
    for entry in log.iter().skip(2).chain(log.iter().take(2)) {
        audit(&*store, entry).await;
    }
    assert_eq!(audit_log(&*store, None, None, 100).await, log);
    assert_eq!(audit_log(&*store, None, None, 2).await, log[..2]);
    assert_eq!(audit_log(&*store, None, Some(log[1].id), 100).await, log[2..]);
    assert_eq!(audit_log(&*store, None, Some(log[1].id), 1).await, log[2..3]);
    let oldest = log.last().map(|entry| entry.id);
    assert_eq!(audit_log(&*store, None, oldest, 10).await, []);
}

/// One connection's or one job's story, page by page like the whole.
pub async fn the_audit_log_is_narrowed_to_a_subject(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let subject = JobId::generate().to_string();
    let log = lines(&[&subject, "another", &subject, "another", &subject], &clock);
    for entry in &log {
        audit(&*store, entry).await;
    }
    let about: Vec<AuditEntry> = log.iter().filter(|entry| entry.subject == subject).cloned().collect();
    assert_eq!(about.len(), 3);
    assert_eq!(audit_log(&*store, Some(&subject), None, 10).await, about);
    assert_eq!(audit_log(&*store, Some(&subject), None, 2).await, about[..2]);
    assert_eq!(audit_log(&*store, Some(&subject), Some(about[1].id), 10).await, about[2..]);
    assert_eq!(audit_log(&*store, Some(&subject[..8]), None, 10).await, [], "the whole subject is meant");
}

// ----------------------------------------------------------------------------------------------------------- activity

/// The begin of a minute, so many minutes from now.
fn minute(minutes: i64, clock: &ManualClock) -> Timestamp {
    let now = clock.now().timestamp();
    let begin = chrono::DateTime::from_timestamp(now - now.rem_euclid(60), 0).expect("a minute of now is a time");
    begin + secs(60 * minutes)
}

fn tally(minute: Timestamp, series: Series, label: &str, count: u64) -> Tally {
    Tally { minute, series, provider: Some(app()), label: label.into(), count }
}

async fn add(store: &dyn Store, tallies: &[Tally]) {
    store.add_activity(tallies).await.expect("a working store counts activity");
}

/// In the order of the minutes; what a minute holds is put in an order here.
async fn activity(store: &dyn Store, since: Timestamp, until: Timestamp) -> Vec<Tally> {
    let mut tallies = store.activity(since, until).await.expect("a working store shows activity");
    assert!(tallies.is_sorted_by_key(|tally| tally.minute), "in the order of the minutes: {tallies:?}");
    tallies.sort_by(|one, other| place(one).cmp(&place(other)));
    tallies
}

fn place(tally: &Tally) -> (Timestamp, Series, Option<&str>, &str) {
    (tally.minute, tally.series, tally.provider.as_ref().map(ProviderName::as_str), &tally.label)
}

/// What several processes counted is what happened, and nothing is added to a neighbour.
pub async fn activity_adds_up(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (first, second) = (minute(0, &clock), minute(1, &clock));
    let of = |minute, label, count| tally(minute, Series::Attempts, label, count);
    add(&*store, &[]).await;
    add(&*store, &[of(first, "refreshed", 3), of(first, "transient", 1)]).await;
    add(&*store, &[of(first, "refreshed", 4), of(second, "refreshed", 5), of(first, "refreshed", 10)]).await;
    let elsewhere = Tally { provider: Some(app_named("amazon-eu")), ..of(first, "refreshed", 6) };
    let nowhere = Tally { provider: None, ..of(first, "refreshed", 7) };
    let unlabelled = tally(first, Series::ForceSeconds, "", 8);
    for tally in [&elsewhere, &nowhere, &unlabelled, &elsewhere] {
        add(&*store, std::slice::from_ref(tally)).await;
    }
    let mut expected = vec![
        of(first, "refreshed", 17),
        of(first, "transient", 1),
        of(second, "refreshed", 5),
        Tally { count: 12, ..elsewhere },
        nowhere,
        unlabelled,
    ];
    expected.sort_by(|one, other| place(one).cmp(&place(other)));
    assert_eq!(activity(&*store, first, second + secs(60)).await, expected);
}

/// A level is what it was at its highest, however often somebody looked.
pub async fn of_levels_the_highest_stays(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let at = minute(0, &clock);
    let levels: Vec<Series> = Series::ALL.iter().copied().filter(|series| series.is_level()).collect();
    assert_eq!(levels, [Series::Due, Series::QueueDepth]);
    for counts in [vec![5], vec![9, 2], vec![7]] {
        for series in &levels {
            let tallies: Vec<Tally> = counts.iter().map(|count| tally(at, *series, "refresh_due", *count)).collect();
            add(&*store, &tallies).await;
        }
    }
    add(&*store, &[tally(at, Series::SecondsLeft, "300", 5), tally(at, Series::SecondsLeft, "300", 2)]).await;
    let expected = [
        tally(at, Series::SecondsLeft, "300", 7),
        tally(at, Series::Due, "refresh_due", 9),
        tally(at, Series::QueueDepth, "refresh_due", 9),
    ];
    assert_eq!(activity(&*store, at, at + secs(60)).await, expected);
}

/// None of it is lost when several add at once.
pub async fn concurrent_activity_adds_up(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let at = minute(0, &clock);
    at_once(20, |n| {
        let store = Arc::clone(&store);
        // In opposite orders, as processes flush whatever map they count in.
        let mut tallies = ["refreshed", "throttled", "transient"].map(|label| tally(at, Series::Attempts, label, 1));
        if n % 2 == 0 {
            tallies.reverse();
        }
        async move { add(&*store, &tallies).await }
    })
    .await;
    let expected = ["refreshed", "throttled", "transient"].map(|label| tally(at, Series::Attempts, label, 20));
    assert_eq!(activity(&*store, at, at + secs(60)).await, expected);
}

/// From the first instant to before the last.
pub async fn activity_is_shown_of_a_range(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let of = |n: i64| tally(minute(n, &clock), Series::Attempts, "refreshed", 1);
    add(&*store, &[of(3), of(1), of(0), of(2)]).await;
    let shown = async |since, until| activity(&*store, since, until).await;
    assert_eq!(shown(minute(1, &clock), minute(3, &clock)).await, [of(1), of(2)]);
    assert_eq!(shown(minute(0, &clock), minute(9, &clock)).await, [of(0), of(1), of(2), of(3)]);
    assert_eq!(shown(minute(0, &clock) + secs(1), minute(1, &clock)).await, []);
    assert_eq!(shown(minute(3, &clock), minute(0, &clock)).await, []);
}

/// Activity goes by age; who did what is kept for ever.
pub async fn forgetting_spares_the_audit_log(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let of = |n: i64| tally(minute(n, &clock), Series::Attempts, "refreshed", 1);
    add(&*store, &[of(-2), of(-1), of(0)]).await;
    let old = AuditEntry { at: minute(-1000, &clock), ..entry(Action::DisconnectConnection, "subject", &clock) };
    audit(&*store, &old).await;
    let forget = async || store.forget_before(minute(-1, &clock)).await.expect("a working store forgets");
    assert_eq!(forget().await, 1, "one minute is older");
    assert_eq!(activity(&*store, minute(-9, &clock), minute(9, &clock)).await, [of(-1), of(0)]);
    assert_eq!(audit_log(&*store, None, None, 10).await, [old]);
    assert_eq!(forget().await, 0, "there is nothing left to forget");
}
