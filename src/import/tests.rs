//! Golden files for every oddity, and rows that no file should hold.

use std::time::{Duration, Instant};

use evergrant_contract::Timestamp;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{Margin, after};
use evergrant_testkit::FixedChance;
use evergrant_vault::Keyring;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{AppRules, Format, ImportError, MAX_ROW, Outcome, Row, Rules, rows};

/// Of the original's rows in `original.*`; made by Python's cryptography.fernet.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

const HOUR: Duration = Duration::from_hours(1);

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn app(name: &ProviderName) -> Option<AppRules> {
    let margin = Margin { buffer: HOUR / 4, share_percent: 25 };
    matches!(name.as_str(), "amazon-na" | "amazon-eu").then_some(AppRules { margin, lifetime: HOUR })
}

/// Only one of the apps has such a rule.
fn consent_ends(app: &ProviderName, consent: Timestamp) -> Option<Timestamp> {
    (app.as_str() == "amazon-eu").then(|| after(consent, Duration::from_hours(365 * 24)))
}

fn read_with<T>(
    input: &[u8],
    format: Option<Format>,
    take: impl FnOnce(Vec<Result<Row, ImportError>>) -> T,
) -> Result<T, ImportError> {
    let keyring = Keyring::parse(&Secret::new(KEY)).unwrap();
    let rules = Rules {
        keyring: &keyring,
        default_provider: "amazon-na".parse().unwrap(),
        now: now(),
        chance: &FixedChance(0.0),
        app: &app,
        consent_ends: &consent_ends,
    };
    Ok(take(rows(input, format, &rules)?.collect()))
}

fn read(input: &[u8], format: Option<Format>) -> Vec<Row> {
    let all = read_with(input, format, |rows| rows.into_iter().collect::<Result<Vec<_>, _>>());
    all.and_then(|rows| rows).unwrap_or_else(|error| panic!("{error}"))
}

/// A row as a test may show it: tokens by their names only, and those in the files have telling ones.
fn shown(row: &Row) -> Value {
    let connection = match &row.outcome {
        Outcome::Ready(connection) => connection,
        Outcome::NoTokens => return json!({"line": row.line, "skipped": "no tokens"}),
        Outcome::Bad(reason) => return json!({"line": row.line, "bad": reason}),
    };
    let time = |at: &Option<Timestamp>| at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    json!({
        "line": row.line,
        "user": connection.user,
        "provider": connection.provider,
        "account": connection.account,
        "label": connection.label,
        "scopes": connection.scopes,
        "access_token": connection.access_token.as_ref().map(Secret::expose),
        "refresh_token": connection.refresh_token.as_ref().map(Secret::expose),
        "expires_at": time(&connection.expires_at),
        "refresh_at": time(&Some(connection.refresh_at)),
        "consent_at": time(&connection.consent_at),
        "refresh_expires_at": time(&connection.refresh_expires_at),
    })
}

/// One line for each row, so that a golden file is read row by row.
fn page(rows: &[Row]) -> String {
    rows.iter().flat_map(|row| [shown(row).to_string(), "\n".to_owned()]).collect()
}

fn users(rows: &[Row]) -> Vec<&str> {
    let ready = rows.iter().filter_map(|row| match &row.outcome {
        Outcome::Ready(connection) => Some(connection.user.as_str()),
        Outcome::NoTokens | Outcome::Bad(_) => None,
    });
    ready.collect()
}

fn bad_lines(rows: &[Row]) -> Vec<u64> {
    rows.iter().filter(|row| matches!(row.outcome, Outcome::Bad(_))).map(|row| row.line).collect()
}

#[test]
fn our_rows() {
    insta::assert_snapshot!(page(&read(include_bytes!("golden/ours.ndjson"), None)));
}

#[test]
fn our_rows_as_csv() {
    insta::assert_snapshot!(page(&read(include_bytes!("golden/ours.csv"), None)));
}

#[test]
fn rows_of_the_original() {
    insta::assert_snapshot!(page(&read(include_bytes!("golden/original.json"), None)));
}

#[test]
fn rows_of_the_original_as_csv() {
    insta::assert_snapshot!(page(&read(include_bytes!("golden/original.csv"), None)));
}

#[test]
fn no_reason_shows_what_a_row_holds() {
    const HUSH: &str = "Atzr|hush";
    let cells = [
        json!(HUSH),
        json!([HUSH]),
        json!({ "a": HUSH }),
        json!(format!("gAAAAA{HUSH}")),
        json!(format!("{HUSH}\u{1}")),
    ];
    let keys = [
        "user_id",
        "provider",
        "account",
        "scopes",
        "refresh_token",
        "access_token",
        "consent_at",
        "auth_tokens",
        "id",
    ];
    let mut told = 0;
    for key in keys {
        for cell in &cells {
            let mut row = json!({"user_id": "1", "access_token": "a"});
            row[key] = cell.clone();
            for row in read(format!("{row}\n{{\"{HUSH}\n").as_bytes(), None) {
                if let Outcome::Bad(reason) = row.outcome {
                    assert!(!reason.contains("hush"), "{key}: {reason}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 50, "{told} reasons were looked at");
}

#[test]
fn an_array_is_read_whatever_its_layout() {
    let row = |id: u32| json!({"user_id": id, "refresh_token": "r", "label": "a \"]},{[ b\\"});
    let pretty = serde_json::to_string_pretty(&json!([row(1), row(2)])).unwrap();
    let layouts = [
        format!("[{},{}]", row(1), row(2)),
        format!("\u{feff} \n [\n{}\n,\n{}\n]\n", row(1), row(2)),
        format!("[{}]\n[{}]", row(1), row(2)),
        pretty,
    ];
    for layout in layouts {
        assert_eq!(users(&read(layout.as_bytes(), None)), ["1", "2"], "{layout}");
    }
}

#[test]
fn a_broken_element_takes_no_other_with_it() {
    let row = |id: u32| json!({"user_id": id, "refresh_token": "r"}).to_string();
    let broken = [
        "{\"user_id\": 9, {\"x\"",
        "{\"user_id\": \"9",
        "nonsense",
        "{\"a\": [1}",
        "7",
        "\"text\"",
        "[{}]",
        "{}}",
        "{'a':1}",
    ];
    for broken in broken {
        let text = format!("[{},\n {broken},\n {}]", row(1), row(2));
        let rows = read(text.as_bytes(), None);
        assert_eq!(users(&rows), ["1", "2"], "{broken}");
        assert!(bad_lines(&rows).contains(&2), "{broken}");
    }
}

#[test]
fn a_stray_quote_in_csv_takes_no_other_row_with_it() {
    let text = "user_id,label,refresh_token\n1,a,r\n9,\"open,r\n2,b,r\n3,\"two\nlines, and \"\"quotes\"\"\",r\n9,\"open,r\n4,c,r\n5,5\" nail,r\n6,d,r\n";
    let rows = read(text.as_bytes(), None);
    assert_eq!(users(&rows), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(bad_lines(&rows), [3, 7]);
    assert_eq!(shown(&rows[3])["label"], "two lines, and \"quotes\"");
}

#[test]
fn csv_speaks_semicolon_and_tab() {
    for separator in [",", ";", "\t"] {
        let text = "user_id,refresh_token,account\n1,r,\\N\n\n2,r,NULL\n".replace(',', separator);
        let rows = read(text.as_bytes(), Some(Format::Csv));
        assert_eq!(users(&rows), ["1", "2"]);
        assert!(rows.iter().all(|row| shown(row)["account"] == ""));
    }
    assert!(matches!(read_with(b"name,mail\n1,2\n", None, drop), Err(ImportError::Header)));
    assert!(read(b"", None).is_empty());
}

#[test]
fn a_row_without_end_is_bad_and_takes_no_memory() {
    let long = "x".repeat(MAX_ROW);
    let row = |id: u32| json!({"user_id": id, "refresh_token": "r"}).to_string();
    let lines = read(format!("{}\n{{\"{long}\"}}\n{}", row(1), row(2)).as_bytes(), None);
    assert_eq!((users(&lines), bad_lines(&lines)), (vec!["1", "2"], vec![2]));
    let array = read(format!("[{},\n{{\"{long}\":1}},\n{}]", row(1), row(2)).as_bytes(), None);
    assert_eq!((users(&array), bad_lines(&array)), (vec!["1", "2"], vec![2]));
    let table = read(format!("user_id,refresh_token\n1,r\n9,\"{long}\"\n2,r\n").as_bytes(), None);
    assert_eq!((users(&table), bad_lines(&table)), (vec!["1", "2"], vec![3]));
}

#[test]
fn names_of_files_tell_their_layout_if_they_can() {
    let of = |name: &str| Format::of_path(std::path::Path::new(name));
    assert_eq!((of("users.CSV"), of("a.jsonl")), (Some(Format::Csv), Some(Format::Ndjson)));
    assert_eq!((of("users.json"), of("-")), (None, None), "the first byte decides");
}

#[test]
fn time_grows_in_proportion_to_rows() {
    let text = |rows: usize| -> Vec<u8> {
        let token = "t".repeat(400);
        let row = |id| format!("{{\"user_id\":{id},\"access_token\":\"{token}\",\"refresh_token\":\"{token}\"}}\n");
        (0..rows).flat_map(|id| row(id).into_bytes()).collect()
    };
    let time = |rows: usize| {
        let text = text(rows);
        let start = Instant::now();
        assert_eq!(read(&text, None).len(), rows);
        start.elapsed()
    };
    let (small, large) = (time(5_000).max(Duration::from_millis(5)), time(50_000));
    assert!(large < small * 60, "ten times the rows took {large:?} after {small:?}");
}

#[test]
fn the_people_of_the_original() {
    let row = |extra: &str| {
        let text = format!(
            r#"{{"id": "7f", "email": " Ada@example.com ", "name": "Ada", "amazon_customer_id": "amzn1.account.A"{extra}}}"#
        );
        read(text.as_bytes(), None).remove(0)
    };
    let full = r#", "is_active": "f", "is_admin": true, "profile_ids": ["11", 22, null], "marketplace_ids": "[\"ATVPDKIKX0DER\"]",
        "created_at": "2025-01-02T03:04:05.678901""#.replace('\n', "");
    let row_of_ada = row(&full);
    assert!(matches!(row_of_ada.outcome, Outcome::NoTokens), "people without tokens are people too");
    let expected = json!({
        "id": "7f", "email": "Ada@example.com", "name": "Ada", "account": "amzn1.account.A", "is_admin": true,
        "is_active": false, "profile_ids": ["11", "22"], "marketplace_ids": ["ATVPDKIKX0DER"],
        "created_at": "2025-01-02T03:04:05.678Z",
    });
    assert_eq!(serde_json::to_value(row_of_ada.user.unwrap()).unwrap(), expected);

    let plain = row("").user.unwrap();
    assert_eq!((plain.is_admin, plain.is_active, plain.created_at), (false, true, now()));
    for odd in [r#", "is_admin": "perhaps""#, r#", "is_active": 2"#, r#", "is_admin": [true]"#] {
        let odd_row = row(odd);
        assert!(
            matches!(&odd_row.outcome, Outcome::Bad(reason) if reason.ends_with("is neither true nor false")),
            "{odd}"
        );
        assert!(odd_row.user.is_none());
    }
    let ours = read(br#"{"user_id": "1", "refresh_token": "r"}"#, None).remove(0);
    assert!(ours.user.is_none(), "rows of our own are about connections");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, format in prop_oneof![
        Just(None), Just(Some(Format::Ndjson)), Just(Some(Format::Json)), Just(Some(Format::Csv)),
    ]) {
        let _ = read_with(&bytes, format, |rows| rows.len());
    }

    #[test]
    fn arbitrary_text_under_a_header_never_panics(text in "[\"',;{}\\[\\]\\\\a\n\r\t ]{0,200}") {
        let table = format!("user_id,refresh_token\n{text}");
        let array = format!("[{text}");
        prop_assert!(read_with(table.as_bytes(), None, |rows| rows.len()).is_ok());
        prop_assert!(read_with(array.as_bytes(), None, |rows| rows.len()).is_ok());
    }

    #[test]
    fn arbitrary_values_are_a_row_or_a_reason(
        key in prop::sample::select(vec!["user_id", "id", "email", "auth_tokens", "access_token", "refresh_token", "expires_at",
            "consent_at", "scopes", "provider", "account", "label"]),
        value in prop_oneof![any::<f64>().prop_map(Value::from), any::<i64>().prop_map(Value::from), ".*".prop_map(Value::from),
            "[0-9TZ:. +-]{0,30}".prop_map(Value::from), Just(Value::Null), Just(json!([1])), Just(json!({"expires_at": 1e300}))],
    ) {
        let mut row = json!({"user_id": "1", "refresh_token": "r", "access_token": "a"});
        row[key] = value;
        let rows = read(row.to_string().as_bytes(), Some(Format::Ndjson));
        prop_assert_eq!(rows.len(), 1);
        if let Outcome::Ready(connection) = &rows[0].outcome {
            prop_assert!(connection.refresh_at >= now());
            prop_assert!(connection.access_token.is_some() || connection.refresh_token.is_some());
        }
    }

    #[test]
    fn good_rows_around_bad_ones_survive(
        bad in prop::collection::vec("[^\n\r]{0,40}", 0..8), good in 1_usize..5,
    ) {
        let mut lines = Vec::new();
        for id in 0..good {
            lines.extend(bad.iter().cloned());
            lines.push(json!({"user_id": format!("good-{id}"), "refresh_token": "r"}).to_string());
        }
        let rows = read(lines.join("\n").as_bytes(), Some(Format::Ndjson));
        let survivors = users(&rows).iter().filter(|user| user.starts_with("good-")).count();
        prop_assert_eq!(survivors, good);
    }

    #[test]
    fn good_csv_rows_around_bad_ones_survive(
        bad in prop::collection::vec("[^\n\r\"]{0,20}\"?[^\n\r\"]{0,20}", 0..6), good in 1_usize..5,
    ) {
        let mut lines = vec!["user_id,refresh_token,account,label".to_owned()];
        for id in 0..good {
            lines.extend(bad.iter().cloned());
            lines.push(format!("good-{id},r,a,\"quoted, \"\"label\"\"\""));
        }
        let rows = read(lines.join("\n").as_bytes(), Some(Format::Csv));
        let survivors = users(&rows).iter().filter(|user| user.starts_with("good-")).count();
        prop_assert_eq!(survivors, good);
    }
}
