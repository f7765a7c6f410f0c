//! Pauses and drains.

use evergrant_contract::ports::Controls as _;

use super::*;

const PAUSES: &str = "/api/ops/pauses";

impl Desk {
    async fn delete(&self, path: &str) -> Reply {
        let request = axum::http::Request::delete(path).header(AUTHORIZATION, &self.credential);
        self.fixture.call(request).await
    }

    async fn ended(&self, path: &str) -> Value {
        let reply = self.delete(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.body);
        reply.json
    }
}

#[tokio::test]
async fn a_pause_is_told_wherever_state_is_told_and_ends_as_it_began() {
    let desk = Desk::new().await;
    let connection = desk.connection().await;
    let targets =
        [("queue", "force_refresh".to_owned()), ("app", PROVIDER.to_owned()), ("connection", connection.to_string())];
    for (kind, name) in &targets {
        let wish = json!({ "kind": kind, "name": name, "why": "a release" });
        let first = desk.done(PAUSES, wish.clone()).await;
        let told = (&first["kind"], &first["name"], &first["why"], &first["was_paused"]);
        assert_eq!(told, (&json!(kind), &json!(name), &json!("a release"), &json!(false)));
        assert_eq!(first["by"], "user ops@example.com");
        let mut again = wish;
        again["why"] = json!("another one");
        let again = desk.done(PAUSES, again).await;
        assert_eq!((&again["why"], &again["was_paused"]), (&json!("a release"), &json!(true)), "it was left as it was");
    }
    let all = desk.found(PAUSES).await;
    let kinds: Vec<_> = all["items"].as_array().unwrap().iter().map(|it| it["kind"].clone()).collect();
    assert_eq!(kinds.len(), 2, "{all}");
    assert_eq!((&all["connections"][0]["name"], &all["connections_total"]), (&json!(connection), &json!(1)));
    let overview = desk.found("/api/ops/overview").await;
    let app = overview["provider_apps"].as_array().unwrap().iter().find(|it| it["provider"] == PROVIDER).unwrap();
    assert_eq!((&app["state"], &app["paused"]["why"]), (&json!("open"), &json!("a release")));
    let queues = overview["queues"].as_array().unwrap();
    let paused: Vec<_> = queues.iter().filter(|it| !it["paused"].is_null()).map(|it| it["kind"].clone()).collect();
    assert_eq!(paused, ["force_refresh"]);
    assert_eq!(overview["connections"]["paused"], 1);
    let row = desk.found(&format!("/api/connections/{connection}")).await;
    assert_eq!((&row["state"], &row["paused"]["by"]), (&json!("active"), &json!("user ops@example.com")));

    for (kind, name) in &targets {
        let path = format!("{PAUSES}/{kind}/{name}");
        let ended = desk.ended(&path).await;
        assert_eq!((&ended["was_paused"], &ended["pause"]["why"]), (&json!(true), &json!("a release")));
        assert_eq!(desk.ended(&path).await, json!({ "was_paused": false, "pause": null }));
    }
    let all = desk.found(PAUSES).await;
    assert_eq!((&all["items"], &all["connections"]), (&json!([]), &json!([])));
    let log = desk.found(&format!("/api/ops/audit?subject={connection}")).await;
    let actions: Vec<_> = log["items"].as_array().unwrap().iter().map(|line| line["action"].clone()).collect();
    assert_eq!(actions, ["resume", "pause"], "what changed nothing is not in the log");
}

#[tokio::test]
async fn what_is_not_there_and_what_nobody_explains_is_not_paused() {
    let desk = Desk::new().await;
    let unknown = ConnectionId::generate().to_string();
    let wishes = [
        ("connection", unknown.as_str(), "a release", 404, "not-found"),
        ("app", "amazon-mars", "a release", 404, "not-found"),
        ("app", PROVIDER, " ", 422, "invalid-parameter"),
        ("queue", "bulk", "a release", 422, "invalid-parameter"),
        ("connection", "first", "a release", 422, "invalid-parameter"),
        ("everything", "now", "a release", 422, "invalid-parameter"),
    ];
    for (kind, name, why, status, problem) in wishes {
        let reply = desk.post(PAUSES, json!({ "kind": kind, "name": name, "why": why })).await;
        assert_problem(&reply, status, problem);
    }
    assert_eq!(desk.found("/api/ops/audit").await["items"], json!([]));
    assert_problem(&desk.delete(&format!("{PAUSES}/queue/bulk")).await, 422, "invalid-parameter");
}

#[tokio::test]
async fn a_forced_refresh_of_what_is_paused_is_refused_at_once_with_the_reason() {
    let desk = Desk::new().await;
    let connection = desk.connection().await;
    let wish = json!({ "kind": "connection", "name": connection, "why": "its owner asked for it" });
    desk.done(PAUSES, wish).await;
    let path = format!("/api/connections/{connection}/force-refresh");
    let reply = desk.post(&path, json!({ "observed_version": 1 })).await;
    assert_problem(&reply, 503, "refresh-paused");
    let detail = reply.json["detail"].as_str().unwrap();
    assert_eq!(detail, "Refreshes of this connection are paused by an operator: its owner asked for it");
    assert_eq!(reply.json["retry_after"], 60);
    assert!(desk.fixture.queue.published().is_empty(), "no job is made");
}

#[tokio::test]
async fn a_failed_job_of_what_is_paused_stays_open() {
    let desk = Desk::new().await;
    let (own, of_app) = (desk.connection().await, desk.connection().await);
    let jobs = [desk.failed(own, 5).await, desk.failed(of_app, 5).await];
    desk.done(PAUSES, json!({ "kind": "connection", "name": own, "why": "a release" })).await;
    let replayed = desk.done(&format!("{}/replay", failed_job(jobs[0])), json!({})).await;
    assert_eq!((&replayed["outcome"], &replayed["is_closed"]), (&json!("paused"), &json!(false)));
    desk.done(PAUSES, json!({ "kind": "app", "name": PROVIDER, "why": "a release" })).await;
    let replayed = desk.done(&format!("{}/replay", failed_job(jobs[1])), json!({})).await;
    assert_eq!((&replayed["outcome"], &replayed["is_closed"]), (&json!("app_held"), &json!(false)));
    assert!(desk.fixture.queue.published().is_empty());
}

#[tokio::test]
async fn a_worker_is_drained_once_and_whoever_takes_no_jobs_is_not() {
    let desk = Desk::new().await;
    let fixture = &desk.fixture;
    let peer = |role: &str| Peer {
        process: ProcessId::generate(),
        role: role.to_owned(),
        primary_key: String::new(),
        keys: Vec::new(),
        seen_at: fixture.clock.now(),
        drain: None,
    };
    let (worker, scheduler) = (peer("worker"), peer("scheduler"));
    for peer in [&worker, &scheduler] {
        fixture.store.announce(peer).await.unwrap();
    }
    let drain = |id: ProcessId| format!("/api/ops/processes/{id}/drain");
    let why = json!({ "why": "a new host" });
    assert_problem(&desk.post(&drain(ProcessId::generate()), why.clone()).await, 404, "not-found");
    assert_problem(&desk.post(&drain(scheduler.process), why.clone()).await, 422, "invalid-parameter");
    assert_problem(&desk.post(&drain(worker.process), json!({ "why": "" })).await, 422, "invalid-parameter");
    assert_eq!(desk.done(&drain(worker.process), why.clone()).await["was_drained"], false);
    assert_eq!(desk.done(&drain(worker.process), why).await["was_drained"], true);
    fixture.store.drained(worker.process, fixture.clock.now()).await.unwrap();
    let shown = desk.found("/api/ops/processes").await;
    let drains: Vec<_> = shown["items"].as_array().unwrap().iter().map(|it| it["drain"].clone()).collect();
    assert_eq!(drains[0], Value::Null, "the scheduler's");
    assert_eq!((&drains[1]["why"], drains[1]["done_at"].is_string()), (&json!("a new host"), true));
    assert_eq!(desk.ended(&drain(worker.process)).await["was_drained"], true);
    assert_eq!(desk.ended(&drain(worker.process)).await["was_drained"], false);
    let log = desk.found(&format!("/api/ops/audit?subject={}", worker.process)).await;
    let actions: Vec<_> = log["items"].as_array().unwrap().iter().map(|line| line["action"].clone()).collect();
    assert_eq!(actions, ["resume_worker", "drain_worker"]);
}
