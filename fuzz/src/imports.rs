//! Files that people bring.

use std::sync::LazyLock;
use std::time::Duration;

use evergrant::import::{AppRules, Format, Outcome, Row, Rules, rows};
use evergrant_contract::Timestamp;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{Margin, after};
use evergrant_testkit::FixedChance;
use evergrant_vault::Keyring;

/// The key of the encrypted rows in the corpus; `0123456789abcdef` twice, in base64.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// What tokens of the corpus begin with: nothing that is told of a row may hold it.
const TOKEN: &str = "Atzr|";
const HOUR: Duration = Duration::from_hours(1);

static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::parse(&Secret::new(KEY)).unwrap_or_else(|error| panic!("{error}")));

/// The first byte chooses the format, or leaves it to the first bytes of the file.
pub(crate) fn imports(data: &[u8]) {
    let [format, file @ ..] = data else { return };
    let format = match format % 4 {
        0 => None,
        1 => Some(Format::Ndjson),
        2 => Some(Format::Json),
        _ => Some(Format::Csv),
    };
    let now = Timestamp::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    let margin = Margin { buffer: HOUR / 4, share_percent: 25 };
    let app = |name: &ProviderName| (name.as_str() == "amazon-na").then_some(AppRules { margin, lifetime: HOUR });
    let rules = Rules {
        keyring: &KEYRING,
        default_provider: "amazon-na".parse().unwrap_or_else(|error| panic!("{error}")),
        now,
        chance: &FixedChance(0.5),
        app: &app,
        consent_ends: &|_, at| Some(after(at, HOUR)),
    };
    let told = match rows(file, format, &rules) {
        Ok(rows) => {
            let mut line = 0;
            for row in rows {
                match row {
                    Ok(row) => {
                        assert!(row.line >= line, "line {} follows line {line}", row.line);
                        line = row.line;
                        check(&row);
                    }
                    // A file that cannot be read any further ends there.
                    Err(error) => return quotes_nothing(&error.to_string()),
                }
            }
            return;
        }
        Err(error) => error.to_string(),
    };
    quotes_nothing(&told);
}

fn check(row: &Row) {
    match &row.outcome {
        Outcome::Ready(new) => {
            assert!(!new.user.as_str().is_empty(), "a connection of nobody");
            let tokens = [&new.access_token, &new.refresh_token];
            let is_empty = |token: &&Option<Secret>| token.as_ref().is_some_and(|token| token.expose().is_empty());
            assert!(!tokens.iter().any(is_empty), "an empty token is stored");
            assert!(tokens.iter().any(|token| token.is_some()), "a connection without any token");
        }
        Outcome::NoTokens => {}
        Outcome::Bad(reason) => {
            assert!(row.user.is_none(), "a bad row makes a user");
            quotes_nothing(reason);
        }
    }
}

fn quotes_nothing(told: &str) {
    assert!(!told.contains(TOKEN), "a token is told: {told}");
}
