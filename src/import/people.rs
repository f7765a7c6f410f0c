//! The people in the original project's rows: who may sign in.

use evergrant_contract::Timestamp;
use evergrant_contract::ids::UserId;
use evergrant_contract::people::User;
use serde_json::Value;

use super::records::Fields;
use super::row::{label, text};
use super::{Rules, times};

/// The longest e-mail address, in bytes (RFC 5321).
const MAX_EMAIL: usize = 320;

/// The most profiles or marketplaces of one user.
const MAX_LIST: usize = 1000;

/// The user of a row. Rights are read strictly: what cannot be read gives nobody any.
pub(super) fn read(fields: &Fields, id: UserId, account: String, rules: &Rules<'_>) -> Result<User, String> {
    let email = text(fields, "email").ok().flatten().filter(|email| email.len() <= MAX_EMAIL);
    Ok(User {
        id,
        email: email.unwrap_or_default(),
        name: label(fields, &["name"]),
        account,
        is_admin: flag(fields, "is_admin", false)?,
        is_active: flag(fields, "is_active", true)?,
        profile_ids: list(fields.get("profile_ids")),
        marketplace_ids: list(fields.get("marketplace_ids")),
        created_at: created_at(fields, rules.now),
    })
}

/// A truth value as JSON, PostgreSQL and spreadsheets write it.
fn flag(fields: &Fields, key: &str, otherwise: bool) -> Result<bool, String> {
    let wrong = || format!("`{key}` is neither true nor false");
    match fields.get(key) {
        None | Some(Value::Null) => Ok(otherwise),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            _ => Err(wrong()),
        },
        Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "" => Ok(otherwise),
            "t" | "true" | "1" => Ok(true),
            "f" | "false" | "0" => Ok(false),
            _ => Err(wrong()),
        },
        Some(_) => Err(wrong()),
    }
}

/// A list of ids, or the text of one. It only serves to be shown, so what does not fit is left out.
fn list(value: Option<&Value>) -> Vec<String> {
    let unwrapped;
    let items = match value {
        Some(Value::Array(items)) => items,
        Some(Value::String(text)) => {
            unwrapped = serde_json::from_str::<Vec<Value>>(text).unwrap_or_default();
            &unwrapped
        }
        _ => return Vec::new(),
    };
    let ids = items.iter().filter_map(|item| match item {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    });
    ids.filter(|id| !id.is_empty() && id.len() <= MAX_EMAIL && !id.chars().any(char::is_control))
        .take(MAX_LIST)
        .collect()
}

fn created_at(fields: &Fields, now: Timestamp) -> Timestamp {
    fields
        .get("created_at")
        .and_then(times::parse)
        .filter(|at| (Timestamp::UNIX_EPOCH..=now).contains(at))
        .unwrap_or(now)
}
