//! What a row is, and what is common to both kinds.

use evergrant_contract::Timestamp;
use evergrant_contract::connection::NewConnection;
use evergrant_contract::ids::{ProviderName, UserId};
use evergrant_contract::people::User;
use evergrant_contract::timing::until;
use serde_json::Value;

use super::records::Fields;
use super::tokens::Pair;
use super::{Outcome, Rules, original, ours};

/// The longest account or list of scopes, in bytes.
const MAX_TEXT: usize = 4096;

/// The longest name for people, in characters.
const MAX_LABEL: usize = 200;

/// What a row says of a connection.
pub(super) struct Told {
    pub(super) user: UserId,
    /// Who that is, if the row says so.
    pub(super) person: Option<Box<User>>,
    pub(super) provider: ProviderName,
    pub(super) account: String,
    pub(super) label: String,
    pub(super) scopes: String,
    pub(super) tokens: Pair,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) consent_at: Option<Timestamp>,
}

pub(super) fn read(fields: Fields, rules: &Rules<'_>) -> (Outcome, Option<Box<User>>) {
    let told = if original::is_such(&fields) { original::read(fields, rules) } else { ours::read(fields, rules) };
    let read = told.and_then(|mut told| {
        let person = told.person.take();
        Ok((connection(told, rules)?, person))
    });
    match read {
        Ok((Some(connection), person)) => (Outcome::Ready(Box::new(connection)), person),
        Ok((None, person)) => (Outcome::NoTokens, person),
        Err(reason) => (Outcome::Bad(reason), None),
    }
}

fn connection(told: Told, rules: &Rules<'_>) -> Result<Option<NewConnection>, String> {
    if told.tokens.access.is_none() && told.tokens.refresh.is_none() {
        return Ok(None);
    }
    let app = (rules.app)(&told.provider).ok_or("`provider` is the name of no provider app that is known here")?;
    // Without an access token there is nothing that could end later.
    let expires_at = told.expires_at.filter(|_| told.tokens.access.is_some());
    let refresh_at = expires_at.map_or(rules.now, |at| {
        let lifetime = app.lifetime.max(until(rules.now, at));
        app.margin.refresh_at(at, lifetime, rules.chance.roll()).max(rules.now)
    });
    let refresh_expires_at = told.consent_at.and_then(|at| (rules.consent_ends)(&told.provider, at));
    Ok(Some(NewConnection {
        user: told.user,
        provider: told.provider,
        account: told.account,
        label: told.label,
        scopes: told.scopes,
        access_token: told.tokens.access,
        refresh_token: told.tokens.refresh,
        expires_at,
        refresh_at,
        consent_at: told.consent_at,
        refresh_expires_at,
    }))
}

/// A text, or a number where a text is meant; `None` if there is none.
pub(super) fn text(fields: &Fields, key: &str) -> Result<Option<String>, String> {
    let text = match fields.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(format!("`{key}` is not a text")),
    };
    if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        return Err(format!("`{key}` is longer than {MAX_TEXT} bytes or has control characters"));
    }
    Ok((!text.is_empty()).then_some(text))
}

/// A user id under one of these keys.
pub(super) fn user(fields: &Fields, keys: &[&str]) -> Result<UserId, String> {
    for key in keys {
        if let Some(text) = text(fields, key)? {
            return text.parse().map_err(|_| format!("`{key}` is no user id (1 to 200 bytes)"));
        }
    }
    Err(format!("there is no `{}`", keys.join("` and no `")))
}

/// A name for people. It decides nothing, so what does not fit is smoothed over, not refused.
pub(super) fn label(fields: &Fields, keys: &[&str]) -> String {
    let texts = keys.iter().filter_map(|key| fields.get(*key)?.as_str());
    let first = texts.map(str::trim).find(|text| !text.is_empty()).unwrap_or_default();
    first.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LABEL).collect()
}
