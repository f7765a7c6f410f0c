//! Failed jobs: found, shown, replayed, given up, printed.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use uuid::Uuid;

use super::desk::{Desk, assert_shows, scenes};

const NOBODY: &str = "018f0000-0000-7000-8000-000000000001";

/// A failed job as a worker leaves it.
struct Failed<'a> {
    connection: Option<&'a str>,
    provider: Option<&'a str>,
    payload: String,
    verdict: Option<(&'a str, &'a str)>,
    error: &'a str,
    minutes_ago: i64,
}

fn payload(connection: &str) -> String {
    json!({
        "v": 1, "id": NOBODY, "kind": "refresh_due", "connection": connection, "version": 1,
        "refresh_at": "2026-11-01T00:00:00Z",
    })
    .to_string()
}

/// Puts them into the file of the desk: their ids.
async fn keep(desk: &Desk, jobs: &[Failed<'_>]) -> Vec<String> {
    let file = desk.path().join("evergrant-data/evergrant.db");
    let mut store = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let now = crate::support::rows::now().timestamp_millis();
    let mut ids = Vec::new();
    for job in jobs {
        let id = Uuid::now_v7();
        let attempts = job.verdict.map(|(verdict, code)| {
            json!([{
                "at": "2026-11-01T00:00:00Z", "verdict": verdict, "status": 503, "code": code,
                "message": "the provider is down", "request_id": null, "duration_ms": 12, "ambiguous": false,
            }])
        });
        let connection = job.connection.map(|id| id.parse::<Uuid>().unwrap().as_bytes().to_vec());
        let insert = "INSERT INTO failed_jobs (id, kind, connection_id, provider, payload, attempts, last_verdict, \
                      last_code, error, failed_at, state) VALUES (?, 'refresh_due', ?, ?, ?, ?, ?, ?, ?, ?, 'open')";
        let insert = sqlx::query(insert).bind(id.as_bytes().to_vec()).bind(connection).bind(job.provider);
        let insert = insert.bind(&job.payload).bind(attempts.unwrap_or_else(|| json!([])).to_string());
        let insert = insert.bind(job.verdict.map(|verdict| verdict.0)).bind(job.verdict.map(|verdict| verdict.1));
        let insert = insert.bind(job.error).bind(now - job.minutes_ago * 60_000);
        insert.execute(&mut store).await.unwrap();
        ids.push(id.to_string());
    }
    store.close().await.unwrap();
    ids
}

/// Ada's and Bob's connections with a failed job each, one of nobody, and a message that is none.
async fn night(desk: &Desk, ada: &str, bob: &str) -> Vec<String> {
    let job = |connection, provider, verdict, error, minutes_ago| Failed {
        connection: Some(connection),
        provider: Some(provider),
        payload: payload(connection),
        verdict: Some(verdict),
        error,
        minutes_ago,
    };
    let poison = Failed {
        connection: None,
        provider: None,
        payload: r#"{"v":1,"kind":"refresh_dew"}"#.to_owned(),
        verdict: None,
        error: "not a job",
        minutes_ago: 90,
    };
    let jobs = [
        job(ada, "amazon-na", ("transient", "server_error"), "Gave up: the provider is down", 5),
        job(bob, "amazon-na", ("throttled", "slow_down"), "Gave up: too many calls", 30),
        job(NOBODY, "amazon-eu", ("transient", "server_error"), "Gave up: the provider is down", 60),
        poison,
    ];
    keep(desk, &jobs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_found_by_every_filter_and_shown() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    let (ada, bob) = (desk.connect(&sim, "ada"), desk.connect(&sim, "bob"));
    let jobs = night(&desk, &ada, &bob).await;
    let run = |args: &[&str]| desk.run(&[&["jobs"], args].concat());
    let listed = |args: &[&str]| {
        let page = run(&[&["list", "--json"], args].concat()).ended(0).json();
        page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let cases: [(&[&str], &[usize]); 13] = [
        (&[], &[0, 1, 2, 3]),
        (&["--verdict", "transient"], &[0, 2]),
        (&["--code", "slow_down"], &[1]),
        (&["--provider", "amazon-eu"], &[2]),
        (&["--user", "bob"], &[1]),
        (&["--connection", &ada], &[0]),
        (&["--kind", "force_refresh"], &[]),
        (&["--since", "45m"], &[0, 1]),
        (&["--until", "45m"], &[2, 3]),
        (&["--text", "TOO MANY"], &[1]),
        (&["--text", "down", "--user", "ada"], &[0]),
        (&["--state", "replayed", "--state", "discarded"], &[]),
        (&["--limit", "2"], &[0, 1]),
    ];
    for (args, expected) in cases {
        assert_eq!(listed(args), expected.iter().map(|at| jobs[*at].clone()).collect::<Vec<_>>(), "{args:?}");
    }
    let first = run(&["list", "--json", "--limit", "2"]).ended(0).json();
    assert_eq!(listed(&["--after", first["next"].as_str().expect("a next page")]), jobs[2..]);
    let shown = [
        ("evergrant jobs list", run(&["list"]).ended(0)),
        ("evergrant jobs list --kind force_refresh", run(&["list", "--kind", "force_refresh"]).ended(0)),
        ("evergrant jobs show ADAS", run(&["show", &jobs[0]]).ended(0)),
        ("evergrant jobs show POISON", run(&["show", &jobs[3]]).ended(0)),
        ("evergrant jobs show NOBODY", run(&["show", NOBODY]).ended(5)),
    ];
    assert_shows("jobs", &scenes(shown));
    let exported = run(&["export", "--verdict", "transient"]).ended(0).out;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|job| job["id"].as_str().unwrap()).collect::<Vec<_>>(), [&jobs[0], &jobs[2]]);
    assert_eq!(lines[0]["attempts"][0]["code"], "server_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_dealt_with_one_by_one_and_by_filter() {
    let (desk, sim) = Desk::at_a_simulated_amazon().await;
    let (ada, bob) = (desk.connect(&sim, "ada"), desk.connect(&sim, "bob"));
    let jobs = night(&desk, &ada, &bob).await;
    let run = |args: &[&str]| desk.run(&[&["jobs"], args].concat());
    let as_ops = ["--as", "ops"];
    desk.write("edited.json", &payload(&ada));
    let shown = [
        ("evergrant jobs replay", run(&["replay"]).ended(2)),
        ("evergrant jobs replay --all --dry-run", run(&["replay", "--all", "--dry-run"]).ended(0)),
        (
            "evergrant jobs replay ADAS",
            run(&[&["replay", &jobs[0], "--reason", "well again"], &as_ops[..]].concat()).ended(0),
        ),
        ("evergrant jobs replay ADAS # again", run(&["replay", &jobs[0]]).ended(1)),
        ("evergrant jobs replay --verdict throttled", run(&["replay", "--verdict", "throttled"]).ended(0)),
        ("evergrant jobs replay --all", run(&["replay", "--all"]).ended(1)),
        (
            "evergrant jobs replay POISON --payload edited.json",
            run(&["replay", &jobs[3], "--payload", "edited.json"]).ended(0),
        ),
        ("evergrant jobs discard --provider amazon-eu", run(&["discard", "--provider", "amazon-eu"]).ended(0)),
        ("evergrant jobs list", run(&["list"]).ended(0)),
    ];
    assert_shows("jobs_dealt_with", &scenes(shown));
    let story = run(&["show", &jobs[0], "--json"]).ended(0).json();
    let line = story["audit"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&line["actor"], &line["reason"]), (&json!("cli ops"), &json!("well again")));
    assert_eq!((&line["action"], &line["outcome"]), (&json!("replay_job"), &json!("made_due")));
    assert_eq!(sim.stats().token_calls, 0, "whoever serves refreshes them");
}
