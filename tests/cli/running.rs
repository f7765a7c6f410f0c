//! Processes that run until they are told to stop.

use std::net::TcpListener;
use std::time::Duration;

use super::desk::{Desk, assert_shows, scenes};
use crate::support::process::Process;

const START_LIMIT: Duration = Duration::from_secs(40);

/// `serve`, ready, and its address.
fn serve(desk: &Desk) -> (Process, String) {
    let mut env = desk.env.clone();
    env.insert("EVERGRANT_LOG_FORMAT".to_owned(), "json".to_owned());
    let mut process = Process::spawn("serve", "serve", desk.path(), &env, desk.path().join("serve.log"));
    process.until_ready();
    let address = process.until_it_says("API listening", START_LIMIT)["address"].as_str().unwrap().to_owned();
    (process, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_runs_until_it_is_told_to_stop() {
    let (desk, _sim) = Desk::at_a_simulated_amazon().await;
    let (mut process, address) = serve(&desk);
    let ready = ("evergrant healthcheck", desk.run(&["healthcheck", "--address", &address]).ended(0));
    let json = ("evergrant healthcheck --json", desk.run(&["healthcheck", "--address", &address, "--json"]).ended(0));
    let taken = Desk { folder: tempfile::tempdir().unwrap(), env: desk.env.clone() };
    let taken = ("evergrant serve # another one", taken.run(&["serve", "--listen", &address]).ended(1));
    let metrics = process.metrics().unwrap();
    assert!(metrics.contains(r#"role="serve",mode="embedded"} 1"#), "{metrics}");
    assert!(metrics.contains("# HELP evergrant_scheduler_leading 1 while this scheduler leads"), "{metrics}");

    process.terminate();
    assert_eq!(process.until_ended().code(), Some(0));
    let gone = ("evergrant healthcheck # after the end", desk.run(&["healthcheck", "--address", &address]).ended(4));
    assert_shows("healthcheck", &scenes([ready, json, taken, gone]));
    assert!(!process.lines("Token refresh service started").is_empty());
    assert!(!process.lines("Workers stopped: nothing is in hand").is_empty());
}

#[test]
fn serve_says_that_it_has_no_provider() {
    let desk = Desk::new();
    let (process, _) = serve(&desk);
    let line = process.until_it_says("No provider app is configured", START_LIMIT);
    assert_eq!(line["level"], "WARN");
}

#[test]
fn a_process_does_not_start_beside_one_with_another_key() {
    let desk = Desk::new();
    let (process, _) = serve(&desk);
    let stranger = Desk { env: desk.env.clone(), folder: desk.folder }
        .with("FERNET_KEY", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=");
    let said = stranger.run(&["serve"]).ended(1);
    assert!(said.err.contains("Give every process the same FERNET_KEY"), "{}", said.err);
    drop(process);
}

#[test]
fn nobody_answers_where_nobody_listens() {
    // Taken and given back: nobody else has it just now.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let said = Desk::new().run(&["healthcheck", "--address", &address]).ended(4);
    assert!(said.err.contains("nobody listens on"), "{}", said.err);
}

#[test]
fn the_demo_ends_with_a_summary() {
    let said = Desk::new().run(&["demo", "--for", "20s", "--connections", "8", "--json"]).ended(0);
    let lines: Vec<serde_json::Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let (summary, events) = lines.split_last().unwrap();
    let summary = &summary["summary"];
    assert_eq!((&summary["connections"], &summary["expired_unrefreshed"]), (&8.into(), &0.into()), "{summary}");
    let refreshed = events.iter().filter(|event| event["outcome"] == "refreshed").count();
    assert!(refreshed > 0 && summary["refreshed"] == refreshed, "{summary}");
}
