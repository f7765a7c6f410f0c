//! The operators' routes through the whole router, on memory ports.

mod controls;
mod refresh;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use evergrant_contract::Timestamp;
use evergrant_contract::app::{AppState, Hold};
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::ids::{ConnectionId, JobId, ProcessId};
use evergrant_contract::job::{Job, JobKind, Payload};
use evergrant_contract::operations::{Series, Tally};
use evergrant_contract::people::Scope;
use evergrant_contract::ports::{
    Apps as _, Clock as _, Connections as _, FailedJobs as _, JobQueue as _, Offices as _, Operations as _, Peer,
};
use evergrant_contract::state::State;
use evergrant_contract::timing::{after, before};
use evergrant_contract::verdict::{AnswerTrace, Attempt, VerdictKind};
use evergrant_testkit::Reply as ProviderReply;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PROVIDER, Reply, get, post};

/// An API, and an operator.
struct Desk {
    fixture: Fixture,
    credential: String,
}

impl Desk {
    async fn new() -> Self {
        let fixture = Fixture::new();
        let admin = fixture.admin("ops@example.com").await;
        let credential = fixture.bearer(&admin).await;
        Self { fixture, credential }
    }

    async fn get(&self, path: &str) -> Reply {
        self.fixture.call(get(path).header(AUTHORIZATION, &self.credential)).await
    }

    async fn found(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.body);
        reply.json
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.fixture.call_json(post(path).header(AUTHORIZATION, &self.credential), &body).await
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        let reply = self.post(path, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.body);
        reply.json
    }

    async fn connection(&self) -> ConnectionId {
        let owner = self.fixture.user(&format!("{}@example.com", uuid::Uuid::now_v7().simple())).await;
        self.fixture.connection(&owner).await
    }

    /// A failed job of this connection, given up on so many minutes ago.
    async fn failed(&self, connection: ConnectionId, minutes_ago: u64) -> JobId {
        let row = self.fixture.row(connection).await;
        let refresh_at = row.refresh_at.unwrap();
        let job = Job::new(Payload::RefreshDue { connection, version: row.version, refresh_at });
        let payload = String::from_utf8(job.encode()).unwrap();
        self.keep(job.id, Some(connection), payload, minutes_ago).await
    }

    async fn keep(&self, id: JobId, connection: Option<ConnectionId>, payload: String, minutes_ago: u64) -> JobId {
        let failed_at = before(self.fixture.clock.now(), Duration::from_mins(minutes_ago));
        let trace = AnswerTrace {
            status: Some(503),
            code: Some("server_error".to_owned()),
            message: "the provider is down".to_owned(),
            request_id: None,
            duration_ms: 12,
            ambiguous: false,
        };
        let job = FailedJob {
            id,
            kind: "refresh_due".to_owned(),
            connection,
            provider: Some(PROVIDER.parse().unwrap()),
            payload,
            attempts: vec![Attempt { at: failed_at, verdict: VerdictKind::Transient, trace }],
            error: "Gave up: the provider is down".to_owned(),
            traceparent: Some("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".to_owned()),
            failed_at,
            state: FailedJobState::Open,
        };
        self.fixture.store.record(job).await.unwrap();
        id
    }

    async fn state(&self, job: JobId) -> FailedJobState {
        self.fixture.store.failed_job(job).await.unwrap().unwrap().state
    }
}

fn failed_job(id: JobId) -> String {
    format!("/api/ops/failed-jobs/{id}")
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, problem: &str) {
    assert_eq!((reply.status.as_u16(), reply.problem()), (status, problem), "{}", reply.body);
}

// ------------------------------------------------------------------------------------------------------- the whole walk

#[tokio::test]
async fn a_connection_that_failed_is_found_replayed_and_refreshed() {
    let desk = Desk::new().await;
    let fixture = &desk.fixture;
    fixture.run();
    fixture.run_workers();
    let connection = desk.connection().await;
    fixture.provider.otherwise(ProviderReply::Transient);
    let mut rounds = 0;
    while fixture.row(connection).await.state == State::Active {
        rounds += 1;
        assert!(rounds <= 3, "the job is given up on after max_attempts");
        let row = fixture.row(connection).await;
        let refresh_at = row.refresh_at.unwrap();
        let due = Payload::RefreshDue { connection, version: row.version, refresh_at };
        fixture.queue.publish(vec![Job::new(due)]).await.unwrap();
        for _ in 0..100 {
            if fixture.row(connection).await.refresh_at != row.refresh_at {
                break;
            }
            fixture.clock.advance(Duration::from_secs(1)).await;
        }
    }

    let page = desk.found("/api/ops/failed-jobs?state=open&verdict=transient").await;
    assert_eq!((page["total"].as_u64(), &page["items"][0]["connection_id"]), (Some(1), &json!(connection)));
    let id: JobId = ids(&page)[0].parse().unwrap();
    let story = desk.found(&failed_job(id)).await;
    assert_eq!((&story["connection"]["state"], &story["unreadable"]), (&json!("failing"), &Value::Null));
    assert!(!story["history"].as_array().unwrap().is_empty(), "{story}");

    fixture.provider.otherwise(ProviderReply::Rotated);
    let calls = fixture.provider.call_count();
    let done =
        desk.done(&format!("{}/replay", failed_job(id)), json!({ "reason": "the provider is well again" })).await;
    assert_eq!((&done["outcome"], &done["is_closed"]), (&json!("published"), &json!(true)));
    for _ in 0..100 {
        if fixture.row(connection).await.state == State::Active {
            break;
        }
        fixture.clock.advance(Duration::from_millis(100)).await;
    }
    let row = fixture.row(connection).await;
    assert_eq!((row.state, row.version.number(), fixture.provider.call_count()), (State::Active, 2, calls + 1));
    fixture.provider.assert_nothing_spent_twice();

    let again = desk.done(&format!("{}/replay", failed_job(id)), json!({})).await;
    assert_eq!((&again["outcome"], &again["is_closed"]), (&json!("already_closed"), &json!(false)));
    assert_eq!(fixture.provider.call_count(), calls + 1, "a replay of what is dealt with calls nobody");
    let log = desk.found(&format!("/api/ops/audit?subject={id}")).await;
    let lines = log["items"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let first = &lines[1];
    assert_eq!((&first["actor"], &first["action"]), (&json!("user ops@example.com"), &json!("replay_job")));
    assert_eq!((&first["reason"], &first["outcome"]), (&json!("the provider is well again"), &json!("published")));
    assert_eq!(desk.found(&failed_job(id)).await["audit"], log["items"]);
}

#[tokio::test]
async fn a_replayed_job_that_meets_a_row_that_moved_calls_nobody() {
    let desk = Desk::new().await;
    let fixture = &desk.fixture;
    let (connection, other) = (desk.connection().await, desk.connection().await);
    let ids = [desk.failed(connection, 5).await, desk.failed(connection, 4).await, desk.failed(other, 3).await];
    let body = json!({ "filter": { "connection": connection } });
    let done = desk.done("/api/ops/failed-jobs/replay", body).await;
    assert_eq!((&done["closed"], &done["outcomes"]), (&json!(2), &json!({ "published": 2 })));
    assert_eq!(fixture.queue.depth(JobKind::ForceRefresh).await.unwrap(), 0, "nobody waits for one of many");
    let waiting = fixture.queue.take_waiting(JobKind::RefreshDue);
    assert_eq!(waiting.len(), 1, "one refresh answers both");
    let row = fixture.row(connection).await;
    let Payload::RefreshDue { version, refresh_at, .. } = waiting[0].payload.clone() else {
        panic!("a refresh among those that are due was expected: {waiting:?}")
    };
    assert_eq!((version, Some(refresh_at)), (row.version, row.refresh_at));
    assert_eq!(desk.state(ids[2]).await, FailedJobState::Open);

    // Somebody else moves the row before a worker takes the job.
    assert!(fixture.store.make_due(connection, fixture.clock.now()).await.unwrap());
    fixture.run_workers();
    fixture.queue.publish(waiting).await.unwrap();
    for _ in 0..20 {
        fixture.clock.advance(Duration::from_secs(1)).await;
    }
    assert_eq!(fixture.queue.depth(JobKind::RefreshDue).await.unwrap(), 0);
    assert_eq!(fixture.provider.call_count(), 0);
}

// --------------------------------------------------------------------------------------------------------- one at a time

#[tokio::test]
async fn a_replay_that_cannot_help_says_why_leaves_the_job_open_and_is_audited() {
    let desk = Desk::new().await;
    let fixture = &desk.fixture;
    let (gone, away, held) = (ConnectionId::generate(), desk.connection().await, desk.connection().await);
    let of_away = desk.failed(away, 5).await;
    assert!(fixture.store.disconnect(away).await.unwrap());
    let lost = Job::new(Payload::RefreshDue {
        connection: gone,
        version: evergrant_contract::ids::Version::FIRST,
        refresh_at: fixture.clock.now(),
    });
    let of_gone = desk.keep(lost.id, Some(gone), String::from_utf8(lost.encode()).unwrap(), 5).await;
    let unreadable = desk.keep(JobId::generate(), None, "base64:AAEC".to_owned(), 5).await;
    let of_held = desk.failed(held, 5).await;
    let now = fixture.clock.now();
    let outage = Hold { state: AppState::Outage, probe_at: now, code: None, message: "down".to_owned() };
    fixture.store.hold(&PROVIDER.parse().unwrap(), outage, now).await.unwrap();
    for (job, outcome) in
        [(of_away, "disconnected"), (of_gone, "connection_gone"), (unreadable, "unreadable"), (of_held, "app_held")]
    {
        let done = desk.done(&format!("{}/replay", failed_job(job)), json!({})).await;
        assert_eq!((&done["outcome"], &done["is_closed"]), (&json!(outcome), &json!(false)));
        assert!(!done["detail"].as_str().unwrap().is_empty());
        assert_eq!(desk.state(job).await, FailedJobState::Open, "{outcome}");
        let log = desk.found(&format!("/api/ops/audit?subject={job}")).await;
        assert_eq!(log["items"][0]["outcome"], outcome);
    }
    assert!(fixture.queue.published().is_empty());
    assert_problem(&desk.post(&format!("{}/replay", failed_job(JobId::generate())), json!({})).await, 404, "not-found");
}

#[tokio::test]
async fn an_edited_payload_takes_the_place_of_one_that_cannot_be_read() {
    let desk = Desk::new().await;
    let connection = desk.connection().await;
    let id = desk.keep(JobId::generate(), None, r#"{"v":1,"kind":"refresh_dew"}"#.to_owned(), 5).await;
    let path = format!("{}/replay", failed_job(id));
    let story = desk.found(&failed_job(id)).await;
    assert!(story["unreadable"].as_str().unwrap().contains("not a job"), "{story}");
    assert!(story["payload_pretty"].as_str().unwrap().contains("\n  \"kind\": \"refresh_dew\""), "{story}");
    assert_problem(&desk.post(&path, json!({ "payload": { "v": 1 } })).await, 422, "invalid-parameter");
    assert_problem(&desk.post(&path, json!({ "pay_load": {} })).await, 422, "invalid-parameter");
    let edited = json!({
        "v": 1, "id": id, "kind": "refresh_due", "connection": connection, "version": 1,
        "refresh_at": "2026-01-01T00:00:00Z",
    });
    let done = desk.done(&path, json!({ "payload": edited, "reason": "a typing error" })).await;
    assert_eq!((&done["outcome"], &done["connection_id"]), (&json!("published"), &json!(connection)));
    let published = desk.fixture.queue.published();
    let row = desk.fixture.row(connection).await;
    assert_eq!(Some(published[0].payload.refresh_at()), row.refresh_at, "the row's, not the one that was typed");
    let reason = desk.found(&format!("/api/ops/audit?subject={id}")).await["items"][0]["reason"].clone();
    assert_eq!(reason, format!("a typing error (with an edited payload, about {connection})"));
}

#[tokio::test]
async fn a_discarded_job_stays_discarded() {
    let desk = Desk::new().await;
    let id = desk.failed(desk.connection().await, 5).await;
    let key = desk.fixture.key(&[Scope::Ops]).await;
    let path = format!("{}/discard", failed_job(id));
    let by_key = desk.fixture.call(post(&path).header(AUTHORIZATION, format!("Bearer {key}"))).await;
    assert_eq!((&by_key.json["outcome"], &by_key.json["is_closed"]), (&json!("discarded"), &json!(true)));
    for deed in ["replay", "discard"] {
        let done = desk.done(&format!("{}/{deed}", failed_job(id)), json!({})).await;
        assert_eq!(done["outcome"], "already_closed", "{deed}");
    }
    assert_eq!(desk.state(id).await, FailedJobState::Discarded);
    let log = desk.found(&format!("/api/ops/audit?subject={id}")).await;
    let first = log["items"].as_array().unwrap().last().unwrap().clone();
    assert!(first["actor"].as_str().unwrap().starts_with("key "), "{first}");
    assert!(desk.fixture.queue.published().is_empty());
}

// ----------------------------------------------------------------------------------------------------------------- many

#[tokio::test]
async fn a_replay_by_filter_goes_page_by_page_and_can_be_begun_anew() {
    let desk = Desk::new().await;
    let mut jobs = Vec::new();
    for at in 1..=5 {
        jobs.push(desk.failed(desk.connection().await, at).await);
    }
    let unreadable = desk.keep(JobId::generate(), None, "nonsense".to_owned(), 3).await;
    let body =
        |after: &Value| json!({ "filter": { "kind": "refresh_due" }, "limit": 2, "after": after, "dry_run": false });

    let mut dry = body(&Value::Null);
    dry["dry_run"] = json!(true);
    let would = desk.done("/api/ops/failed-jobs/replay", dry).await;
    assert_eq!((&would["handled"], &would["closed"], &would["total"]), (&json!(2), &json!(2), &json!(6)));
    assert!(desk.fixture.queue.published().is_empty(), "a dry run does nothing");
    assert_eq!(desk.found("/api/ops/audit").await["items"], json!([]));

    let first = desk.done("/api/ops/failed-jobs/replay", body(&Value::Null)).await;
    assert_eq!((&first["more"], &first["outcomes"]), (&json!(true), &json!({ "published": 2 })));
    // Whoever was stopped here begins anew, without a cursor.
    let (mut after, mut closed) = (Value::Null, 2);
    loop {
        let page = desk.done("/api/ops/failed-jobs/replay", body(&after)).await;
        closed += page["closed"].as_u64().unwrap();
        for left in page["left_open"].as_array().unwrap() {
            assert_eq!((&left["id"], &left["outcome"]), (&json!(unreadable), &json!("unreadable")));
        }
        after = page["next"].clone();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(closed, 5);
    let published: Vec<_> = desk.fixture.queue.published().iter().map(|job| job.payload.connection()).collect();
    assert_eq!((published.len(), published.iter().collect::<BTreeSet<_>>().len()), (5, 5), "each once");
    assert_eq!(ids(&desk.found("/api/ops/failed-jobs?state=open").await), [unreadable.to_string()]);
    let gone = desk.done("/api/ops/failed-jobs/discard", json!({ "filter": {}, "reason": "poison" })).await;
    assert_eq!((&gone["closed"], &gone["more"]), (&json!(1), &json!(false)));
}

#[tokio::test]
async fn a_replay_keeps_to_its_rate_and_waits_for_workers_that_have_enough_to_do() {
    let desk = Desk::new().await;
    for at in 1..=3 {
        desk.failed(desk.connection().await, at).await;
    }
    let body = json!({ "filter": {}, "rate": 2 });
    let first = desk.done("/api/ops/failed-jobs/replay", body.clone()).await;
    assert_eq!((&first["handled"], &first["more"], &first["wait_ms"]), (&json!(2), &json!(true), &json!(1000)));
    let wrong = desk.post("/api/ops/failed-jobs/replay", json!({ "filter": {}, "rate": 0 })).await;
    assert_problem(&wrong, 422, "invalid-parameter");

    let due = desk.fixture.queue.take_waiting(JobKind::RefreshDue).remove(0);
    let crowd = usize::try_from(crate::replay::WAITING_MAX).unwrap();
    desk.fixture.queue.publish(vec![due; crowd]).await.unwrap();
    let crowded = desk.post("/api/ops/failed-jobs/replay", body.clone()).await;
    assert_problem(&crowded, 503, "unavailable");
    assert!(crowded.body.contains("wait for the workers already") && !crowded.header("retry-after").is_empty());
    let dry = desk.done("/api/ops/failed-jobs/replay", json!({ "filter": {}, "dry_run": true })).await;
    assert_eq!(dry["closed"], 1, "to look is always possible");
    desk.fixture.queue.take_waiting(JobKind::RefreshDue);
    let rest = desk.done("/api/ops/failed-jobs/replay", body).await;
    assert_eq!((&rest["closed"], &rest["more"]), (&json!(1), &json!(false)));
}

#[tokio::test]
async fn a_selection_is_replayed_and_what_is_not_there_is_told() {
    let desk = Desk::new().await;
    let (one, two) = (desk.failed(desk.connection().await, 1).await, desk.failed(desk.connection().await, 2).await);
    let missing = JobId::generate();
    let done = desk.done("/api/ops/failed-jobs/replay", json!({ "ids": [one, missing] })).await;
    assert_eq!(done["outcomes"], json!({ "published": 1, "not_found": 1 }));
    assert_eq!(done["left_open"][0]["id"], json!(missing));
    assert_eq!(desk.state(two).await, FailedJobState::Open);
}

#[tokio::test]
async fn nothing_is_closed_while_the_queue_is_away() {
    let desk = Desk::new().await;
    let id = desk.failed(desk.connection().await, 1).await;
    desk.fixture.queue.fail_next(1);
    let reply = desk.post(&format!("{}/replay", failed_job(id)), json!({})).await;
    assert_problem(&reply, 503, "unavailable");
    assert!(!reply.header("retry-after").is_empty());
    desk.fixture.queue.fail_next(1);
    let many = json!({ "filter": {} });
    assert_problem(&desk.post("/api/ops/failed-jobs/replay", many.clone()).await, 503, "unavailable");
    assert_eq!(desk.state(id).await, FailedJobState::Open);
    assert_eq!(desk.done("/api/ops/failed-jobs/replay", many).await["closed"], 1);
}

#[tokio::test]
async fn whoever_does_not_say_which_failed_jobs_replays_none() {
    let desk = Desk::new().await;
    let id = desk.failed(desk.connection().await, 1).await;
    for wrong in [
        json!({}),
        json!({ "filter": {}, "ids": [id] }),
        json!({ "filter": { "verdicts": "transient" } }),
        json!({ "filter": { "states": ["replayed"] } }),
        json!({ "filter": {}, "limit": 1001 }),
        json!({ "filter": {}, "limit": 0 }),
        json!({ "filter": {}, "after": "7" }),
        json!({ "filter": {}, "reason": "two\nlines" }),
        json!({ "ids": vec![id; 1001] }),
    ] {
        for deed in ["replay", "discard"] {
            let reply = desk.post(&format!("/api/ops/failed-jobs/{deed}"), wrong.clone()).await;
            assert_problem(&reply, 422, "invalid-parameter");
        }
    }
    assert_eq!(desk.state(id).await, FailedJobState::Open);
}

// -------------------------------------------------------------------------------------------------------------- looking

#[tokio::test]
async fn failed_jobs_are_filtered_and_go_page_by_page() {
    let desk = Desk::new().await;
    let mut all = Vec::new();
    for minutes_ago in 1..=5 {
        all.push(desk.failed(desk.connection().await, minutes_ago).await.to_string());
    }
    let mut path = "/api/ops/failed-jobs?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = desk.found(&path).await;
        assert_eq!((&page["total"], &page["total_is_at_least"]), (&json!(5), &json!(false)));
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/ops/failed-jobs?limit=2&after={next}");
    }
    assert_eq!(seen, all, "newest first");
    let since = before(desk.fixture.clock.now(), Duration::from_mins(3)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (query, expected) in [
        ("state=replayed,discarded".to_owned(), 0),
        ("state=open,replayed&kind=refresh_due&provider=amazon-na&verdict=transient&code=server_error".to_owned(), 5),
        ("kind=force_refresh".to_owned(), 0),
        ("text=PROVIDER%20is".to_owned(), 5),
        (format!("since={since}"), 3),
        (format!("until={since}"), 2),
    ] {
        let page = desk.found(&format!("/api/ops/failed-jobs?{query}")).await;
        assert_eq!(ids(&page).len(), expected, "{query}");
    }
    for wrong in ["state=broken", "verdict=x", "limit=201", "limit=0", "after=7", "since=now", "verdit=transient"] {
        let reply = desk.get(&format!("/api/ops/failed-jobs?{wrong}")).await;
        assert_problem(&reply, 422, "invalid-parameter");
    }
}

#[tokio::test]
async fn a_failed_job_is_shown_with_its_attempts_and_its_trace() {
    let desk = Desk::new().await;
    let connection = desk.connection().await;
    let id = desk.failed(connection, 5).await;
    let story = desk.found(&failed_job(id)).await;
    assert_eq!(story["trace_id"], "0123456789abcdef0123456789abcdef");
    let attempt = &story["history"][0];
    assert_eq!(
        (&attempt["verdict"], &attempt["status"], &attempt["duration_ms"]),
        (&json!("transient"), &json!(503), &json!(12))
    );
    assert_eq!(story["connection"]["id"], json!(connection));
    assert_problem(&desk.get(&failed_job(JobId::generate())).await, 404, "not-found");
    let whole = desk.found(&format!("/api/ops/connections/{connection}")).await;
    assert_eq!((&whole["connection"]["id"], &whole["failed_jobs"][0]["id"]), (&json!(connection), &json!(id)));
    assert!(whole["key"].is_string() && whole["attempts"].is_array() && whole["audit"].is_array(), "{whole}");
    assert_problem(&desk.get(&format!("/api/ops/connections/{}", ConnectionId::generate())).await, 404, "not-found");
}

#[tokio::test]
async fn the_overview_answers_whatever_is_away() {
    let desk = Desk::new().await;
    let fixture = &desk.fixture;
    let connection = desk.connection().await;
    desk.failed(connection, 5).await;
    let peer = |role: &str| Peer {
        process: ProcessId::generate(),
        role: role.to_owned(),
        primary_key: "k1".to_owned(),
        keys: vec!["k1".to_owned()],
        drain: None,
        seen_at: Timestamp::default(),
    };
    let (scheduler, worker) = (peer("scheduler"), peer("worker"));
    for peer in [&scheduler, &worker] {
        fixture.store.announce(peer).await.unwrap();
    }
    let all = desk.found("/api/ops/overview").await;
    assert_eq!((&all["connections"]["total"], &all["connections"]["by_state"]["active"]), (&json!(1), &json!(1)));
    assert_eq!((&all["failed_jobs_open"], &all["notes"]), (&json!(1), &json!([])));
    assert_eq!((&all["processes"]["worker"], &all["leader"]), (&json!(1), &json!(scheduler.process)));
    assert_eq!(
        (&all["provider_apps"][0]["provider"], &all["provider_apps"][0]["state"]),
        (&json!(PROVIDER), &json!("open"))
    );
    assert_eq!(all["queues"].as_array().unwrap().len(), JobKind::ALL.len());
    let processes = desk.found("/api/ops/processes").await;
    let seen: Vec<_> =
        processes["items"].as_array().unwrap().iter().map(|it| (it["role"].clone(), it["leads"].clone())).collect();
    assert_eq!(seen, [(json!("scheduler"), json!(true)), (json!("worker"), json!(false))]);
    // With a second one nobody can tell from here who leads.
    fixture.store.announce(&peer("scheduler")).await.unwrap();
    assert_eq!(desk.found("/api/ops/overview").await["leader"], Value::Null);

    fixture.queue.set_down(true);
    fixture.store.set_down(true);
    let without = desk.found("/api/ops/overview").await;
    assert_eq!((&without["connections"], &without["provider_apps"]), (&Value::Null, &Value::Null));
    assert_eq!(without["queues"][0]["depth"], Value::Null);
    let notes = without["notes"].as_array().unwrap();
    assert_eq!(notes.len(), JobKind::ALL.len() + 4, "{notes:?}");
}

#[tokio::test]
async fn activity_is_told_as_lines_for_charts() {
    let desk = Desk::new().await;
    let now = desk.fixture.clock.now();
    let minute = Timestamp::from_timestamp(now.timestamp().div_euclid(60) * 60, 0).unwrap();
    let tally = |minute, count| Tally {
        minute,
        series: Series::Attempts,
        provider: Some(PROVIDER.parse().unwrap()),
        label: "refreshed".to_owned(),
        count,
    };
    let tallies = [tally(minute, 3), tally(before(minute, Duration::from_mins(10)), 5)];
    desk.fixture.store.add_activity(&tallies).await.unwrap();
    let activity = desk.found("/api/ops/activity").await;
    let line = &activity["series"][0];
    let values = line["values"].as_array().unwrap();
    assert_eq!(
        (&line["series"], &line["provider"], &line["label"]),
        (&json!("attempts"), &json!(PROVIDER), &json!("refreshed"))
    );
    assert_eq!(values.iter().filter_map(Value::as_u64).sum::<u64>(), 8);
    assert_eq!(values.last().unwrap(), 3, "the present minute is the last");
    let far = after(now, Duration::from_hours(72)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let reply = desk.get(&format!("/api/ops/activity?since={}&until={far}", now.format("%Y-%m-%dT%H:%M:%SZ"))).await;
    assert_problem(&reply, 422, "invalid-parameter");
}

#[tokio::test]
async fn the_audit_log_goes_page_by_page() {
    let desk = Desk::new().await;
    for minutes_ago in 1..=3 {
        let id = desk.failed(desk.connection().await, minutes_ago).await;
        desk.done(&format!("{}/discard", failed_job(id)), json!({})).await;
    }
    let first = desk.found("/api/ops/audit?limit=2").await;
    let next = first["next"].as_str().unwrap();
    let second = desk.found(&format!("/api/ops/audit?limit=2&after={next}")).await;
    let all: BTreeSet<_> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!((all.len(), &second["next"]), (3, &Value::Null));
}

#[tokio::test]
async fn a_key_that_is_bound_to_a_user_is_no_operator() {
    let desk = Desk::new().await;
    let user = desk.fixture.user("ada@example.com").await;
    let bound = desk.fixture.key_for(Scope::ALL, Some(&user)).await;
    for path in ["overview", "processes", "activity", "failed-jobs", "audit"] {
        let path = format!("/api/ops/{path}");
        let reply = desk.fixture.call(get(&path).header(AUTHORIZATION, format!("Bearer {bound}"))).await;
        assert_problem(&reply, 403, "forbidden");
    }
}
