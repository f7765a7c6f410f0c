use super::*;

const LIFETIME_MS: i64 = 60_000;

fn grant() -> Grant {
    Grant::new("ann".into(), "profile".into(), LIFETIME_MS)
}

fn terms(rotation: Rotation) -> Terms {
    Terms { rotation, now_ms: 1_000, lifetime_ms: LIFETIME_MS, keep_refresh_token: false }
}

const STRICT: Rotation = Rotation::Strict { retry_until_successor_used: false };
const RETRY: Rotation = Rotation::Strict { retry_until_successor_used: true };

#[test]
fn without_rotation_nothing_is_ever_spent_twice() {
    let mut grant = grant();
    for serial in 1..=3 {
        let issue = grant.spend(0, terms(Rotation::Off)).unwrap();
        assert_eq!((issue.generation, issue.serial), (0, serial));
    }
    assert_eq!(grant.counts.spent_twice, 0);
}

#[test]
fn with_rotation_old_tokens_work_and_are_counted() {
    let mut grant = grant();
    assert_eq!(grant.spend(0, terms(Rotation::On)).unwrap().generation, 1);
    assert_eq!(grant.spend(0, terms(Rotation::On)).unwrap().generation, 2);
    assert_eq!(grant.counts.spent_twice, 1);
    assert_eq!(grant.repeats, [Repeat { generation: 0, spends: 2 }]);
}

#[test]
fn strict_rotation_ends_the_family_at_the_first_reuse() {
    let mut grant = grant();
    grant.spend(0, terms(STRICT)).unwrap();
    assert_eq!(grant.spend(0, terms(STRICT)), Err(End::ReuseDetected));
    assert_eq!(grant.spend(1, terms(STRICT)), Err(End::ReuseDetected), "the good token dies with the family");
}

#[test]
fn retry_gives_the_same_pair_until_the_successor_is_spent() {
    let mut grant = grant();
    let first = grant.spend(0, terms(RETRY)).unwrap();
    assert_eq!(grant.spend(0, terms(RETRY)).unwrap(), first);
    grant.spend(1, terms(RETRY)).unwrap();
    assert_eq!(grant.spend(0, terms(RETRY)), Err(End::ReuseDetected));
}

#[test]
fn a_retry_after_the_access_token_expired_gets_a_fresh_one_and_the_same_refresh_token() {
    let mut grant = grant();
    let first = grant.spend(0, terms(RETRY)).unwrap();
    let late = Terms { now_ms: first.expires_at_ms, ..terms(RETRY) };
    let again = grant.spend(0, late).unwrap();
    assert_eq!(again.generation, first.generation);
    assert_ne!(again.serial, first.serial);
}

#[test]
fn an_answer_without_refresh_token_spends_nothing() {
    let mut grant = grant();
    let kept = Terms { keep_refresh_token: true, ..terms(STRICT) };
    assert_eq!(grant.spend(0, kept).unwrap().generation, 0);
    assert_eq!(grant.spend(0, terms(STRICT)).unwrap().generation, 1);
    assert_eq!(grant.counts.spent_twice, 0);
}

#[test]
fn a_lost_answer_excuses_the_repeat_whether_it_comes_before_or_after_the_loss_is_known() {
    let mut known = grant();
    known.spend(0, terms(RETRY)).unwrap();
    known.settle(0, false);
    known.spend(0, terms(RETRY)).unwrap();
    assert_eq!((known.counts.spent_twice, known.counts.after_lost_reply), (1, 1));

    let mut unknown = grant();
    unknown.spend(0, terms(RETRY)).unwrap();
    unknown.spend(0, terms(RETRY)).unwrap();
    assert_eq!(unknown.counts.after_lost_reply, 0);
    unknown.settle(0, false);
    assert_eq!((unknown.counts.spent_twice, unknown.counts.after_lost_reply), (1, 1));
    assert!(!unknown.counts.is_suspicious());
}

#[test]
fn a_delivered_answer_excuses_nothing() {
    let mut grant = grant();
    grant.spend(0, terms(RETRY)).unwrap();
    grant.settle(0, false);
    grant.spend(0, terms(RETRY)).unwrap();
    grant.settle(0, true);
    grant.spend(0, terms(RETRY)).unwrap();
    assert_eq!((grant.counts.spent_twice, grant.counts.after_lost_reply), (2, 1));
    assert!(grant.counts.is_suspicious());
}

#[test]
fn calls_count_as_after_the_end_once_it_was_said_twice() {
    let mut grant = grant();
    grant.revoke();
    for _ in 0..2 {
        grant.spend(0, terms(Rotation::Off)).unwrap_err();
    }
    assert_eq!(grant.counts.calls_after_end, 0);
    grant.spend(0, terms(Rotation::Off)).unwrap_err();
    assert_eq!(grant.use_access(LIFETIME_MS, 0), Err(Refused::Ended));
    assert_eq!((grant.counts.calls_after_end, grant.counts.refused), (2, 3));
}

#[test]
fn the_most_calls_at_one_time_are_kept() {
    let mut grant = grant();
    grant.begin_token_call();
    grant.begin_token_call();
    grant.end_token_call();
    grant.begin_token_call();
    assert_eq!(grant.counts.concurrent_refreshes, 2);
}
