//! Refreshes that operators ask for, of one connection and of many, and what the audit log keeps of them.

use super::*;

const MANY: &str = "/api/ops/connections/refresh";

#[tokio::test]
async fn connections_are_refreshed_by_filter_page_by_page() {
    let desk = Desk::new().await;
    let mut wanted = BTreeSet::new();
    for _ in 0..5 {
        wanted.insert(desk.connection().await);
    }
    let away = desk.connection().await;
    assert!(desk.fixture.store.disconnect(away).await.unwrap());
    let body = |after: &Value, dry_run: bool| json!({ "filter": {}, "limit": 4, "after": after, "dry_run": dry_run });
    let dry = desk.done(MANY, body(&Value::Null, true)).await;
    assert_eq!((&dry["handled"], &dry["more"]), (&json!(4), &json!(true)));
    assert!(desk.fixture.queue.published().is_empty(), "a dry run does nothing");
    assert_eq!(desk.found("/api/ops/audit").await["items"], json!([]));

    let (mut after, mut asked) = (Value::Null, 0);
    loop {
        let page = desk.done(MANY, body(&after, false)).await;
        asked += page["asked"].as_u64().unwrap();
        for left in page["left_alone"].as_array().unwrap() {
            assert_eq!((&left["connection_id"], &left["outcome"]), (&json!(away), &json!("disconnected")));
        }
        after = page["next"].clone();
        if page["more"] == false {
            break;
        }
    }
    let published = desk.fixture.queue.take_waiting(JobKind::RefreshDue);
    assert_eq!((asked, published.len()), (5, 5), "nobody waits for one of many");
    assert_eq!(published.iter().map(|job| job.payload.connection()).collect::<BTreeSet<_>>(), wanted);
    let log = desk.found("/api/ops/audit").await;
    let lines = log["items"].as_array().unwrap();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line["action"] == "refresh_connection" && line["outcome"] == "published"), "{log}");
}

#[tokio::test]
async fn a_refresh_by_filter_takes_the_words_of_the_list() {
    let desk = Desk::new().await;
    let (one, other) = (desk.connection().await, desk.connection().await);
    let user = desk.fixture.row(one).await.user;
    let text = other.to_string();
    let cases = [
        (json!({ "user": user }), 1),
        (json!({ "text": text }), 1),
        (json!({ "states": ["active"] }), 2),
        (json!({ "states": ["failing"] }), 0),
        (json!({ "provider": PROVIDER }), 2),
        (json!({ "provider": "github" }), 0),
        (json!({ "reason": "grant_invalid" }), 0),
        (json!({ "expired": true }), 0),
    ];
    for (filter, expected) in cases {
        let found = desk.done(MANY, json!({ "filter": filter, "dry_run": true })).await;
        assert_eq!(found["asked"], expected, "{filter}");
    }
    for wrong in [
        json!({ "filter": { "states": ["sleeping"] } }),
        json!({ "filter": { "sate": [] } }),
        json!({ "filter": {}, "limit": 0 }),
        json!({ "filter": {}, "rate": 1001 }),
        json!({ "filter": {}, "reason": "two\nlines" }),
        json!({}),
    ] {
        assert_problem(&desk.post(MANY, wrong).await, 422, "invalid-parameter");
    }
}

#[tokio::test]
async fn a_held_app_is_left_alone_and_a_lease_too() {
    let desk = Desk::new().await;
    let id = desk.connection().await;
    let now = desk.fixture.clock.now();
    let hold = Hold {
        state: AppState::Outage,
        probe_at: after(now, Duration::from_mins(1)),
        code: None,
        message: "down".to_owned(),
    };
    assert!(desk.fixture.store.hold(&PROVIDER.parse().unwrap(), hold, now).await.unwrap());
    let done = desk.done(MANY, json!({ "filter": {}, "rate": 1 })).await;
    assert_eq!(
        (&done["outcomes"], &done["asked"], &done["wait_ms"]),
        (&json!({ "app_held": 1 }), &json!(0), &json!(1000))
    );
    assert_eq!(done["left_alone"][0]["connection_id"], json!(id));
    assert!(desk.fixture.queue.published().is_empty());
}

#[tokio::test]
async fn what_an_operator_does_to_one_connection_is_audited_and_what_its_user_does_is_not() {
    let desk = Desk::new().await;
    let user = desk.fixture.user("ada@example.com").await;
    let id = desk.fixture.connection(&user).await;
    let own = desk.fixture.bearer(&user).await;
    let force = format!("/api/connections/{id}/force-refresh");
    let wish = json!({ "wait_ms": 0, "reason": "she asked on the phone" });
    desk.fixture.call_json(post(&force).header(AUTHORIZATION, &own), &wish).await;
    assert_eq!(desk.found("/api/ops/audit").await["items"], json!([]), "it is theirs");

    desk.post(&force, wish).await;
    let observed = json!({ "observed_version": 1, "wait_ms": 0 });
    desk.post(&force, observed).await;
    let away = format!("/api/connections/{id}/disconnect");
    desk.done(&away, json!({ "reason": "she has left" })).await;
    let log = desk.found(&format!("/api/ops/audit?subject={id}")).await;
    let lines: Vec<_> =
        log["items"].as_array().unwrap().iter().map(|line| (&line["action"], &line["reason"])).collect();
    let expected = [("disconnect_connection", "she has left"), ("refresh_connection", "she asked on the phone")];
    let expected = expected.map(|(action, reason)| (json!(action), json!(reason)));
    assert_eq!(lines, expected.iter().map(|(action, reason)| (action, reason)).collect::<Vec<_>>());
}
