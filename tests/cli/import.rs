//! Taking connections over from files of every layout.

use chrono::TimeDelta;
use evergrant::clock::SystemClock;
use evergrant_contract::ports::Clock as _;
use fernet::Fernet;
use serde_json::json;

use super::desk::{Desk, KEY, assert_shows, scenes};

/// An hour from now: no token is due while a test runs.
fn later() -> String {
    (SystemClock::start().now() + TimeDelta::hours(1)).to_rfc3339()
}

fn csv() -> String {
    let later = later();
    format!(
        "user_id,provider,access_token,refresh_token,expires_at,scopes,label,consent_at\n\
         ada,amazon-eu,Atza|1,Atzr|1,{later},profile,ada@example.com,2026-07-01T00:00:00Z\n\
         bob,,,Atzr|2,,,,\n\
         eve,nowhere,,Atzr|3,,,,\n\
         joe,,Atza|4,,{later},,,\n\
         pat,,,,,,,\n\
         zoe,,,Atzr|6,,,,next week\n\
         Atzr|7,in,the,wrong,column\n"
    )
}

#[test]
fn csv_is_imported_once_and_its_bad_rows_are_told() {
    let desk = Desk::new();
    desk.write("users.csv", &csv());
    let run = |args: &[&str]| desk.run(&[&["connections", "import", "users.csv"], args].concat());
    let dry = ("evergrant connections import users.csv --dry-run", run(&["--dry-run"]));
    let empty = ("evergrant connections list", desk.run(&["connections", "list"]).ended(0));
    let first = ("evergrant connections import users.csv", run(&[]).ended(1));
    let again = ("evergrant connections import users.csv # again", run(&[]).ended(1));
    let json = ("evergrant connections import users.csv --json", run(&["--json", "--log-level", "error"]).ended(1));
    let list = ("evergrant connections list", desk.run(&["connections", "list"]).ended(0));
    assert_shows("import_csv", &scenes([dry, empty, first, again, json, list]));
}

#[test]
fn every_layout_says_the_same() {
    let rows: Vec<_> = ["1", "2"].iter().map(|n| json!({"user_id": n, "refresh_token": format!("Atzr|{n}")})).collect();
    let lines = rows.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let array = serde_json::to_string_pretty(&rows).unwrap();
    let csv = "user_id,refresh_token\n1,Atzr|1\n2,Atzr|2\n".to_owned();
    for (name, text) in [("users.ndjson", lines), ("users.json", array), ("users.csv", csv)] {
        let desk = Desk::new();
        desk.write(name, &text);
        let from_file = desk.run(&["connections", "import", name, "--json"]).ended(0).json();
        assert_eq!(from_file["summary"]["inserted"], 2, "{name}");
        let from_pipe = desk.run_with_input(&["connections", "import", "-", "--json"], &text).ended(0).json();
        assert_eq!(
            (&from_pipe["summary"]["inserted"], &from_pipe["summary"]["kept"]),
            (&0.into(), &2.into()),
            "{name}"
        );
    }
}

#[test]
fn the_original_project_s_users_are_taken_over() {
    let fernet = Fernet::new(KEY).unwrap();
    let tokens = |user: &str| {
        json!({
            "access_token": fernet.encrypt(format!("Atza|{user}").as_bytes()),
            "refresh_token": fernet.encrypt(format!("Atzr|{user}").as_bytes()),
            "token_type": "bearer", "expires_at": later(),
        })
    };
    let foreign = Fernet::new(&Fernet::generate_key()).unwrap().encrypt(b"Atzr|lost");
    let rows = json!([
        {"id": "7f000000-ada", "email": "ada@example.com", "auth_tokens": tokens("ada")},
        {"id": "7f000000-bob", "email": "bob@example.com", "auth_tokens": tokens("bob").to_string()},
        {"id": "7f000000-eve", "email": "eve@example.com", "auth_tokens": {"refresh_token": foreign}},
        {"id": "7f000000-pat", "email": "pat@example.com", "auth_tokens": null},
    ]);
    let desk = Desk::new();
    desk.write("users.json", &serde_json::to_string_pretty(&rows).unwrap());
    let import =
        ("evergrant connections import users.json", desk.run(&["connections", "import", "users.json"]).ended(1));
    let list = ("evergrant connections list", desk.run(&["connections", "list"]).ended(0));
    assert_shows("import_original", &scenes([import, list]));
}

#[test]
fn a_file_that_is_none_is_told() {
    let desk = Desk::new();
    desk.write("notes.txt", "dear diary\nnothing happened\n");
    let none =
        ("evergrant connections import nowhere.csv", desk.run(&["connections", "import", "nowhere.csv"]).ended(5));
    let diary = ("evergrant connections import notes.txt", desk.run(&["connections", "import", "notes.txt"]).ended(1));
    assert_shows("import_nothing", &scenes([none, diary]));
}
