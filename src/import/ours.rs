//! Our own rows: `user_id, provider, account, label, access_token, refresh_token, expires_at, scopes, consent_at`.

use serde_json::Value;

use super::records::Fields;
use super::row::{Told, label, text, user};
use super::{Rules, times, tokens};

pub(super) fn read(mut fields: Fields, rules: &Rules<'_>) -> Result<Told, String> {
    let tokens = tokens::take(&mut fields, rules.keyring)?;
    let provider = match text(&fields, "provider")? {
        None => rules.default_provider.clone(),
        Some(name) => {
            name.parse().map_err(|_| "`provider` is not a provider name (1 to 64 of a-z, 0-9 and -)".to_owned())?
        }
    };
    Ok(Told {
        user: user(&fields, &["user_id"])?,
        person: None,
        provider,
        account: text(&fields, "account")?.unwrap_or_default(),
        label: label(&fields, &["label"]),
        scopes: scopes(&fields)?,
        tokens,
        expires_at: times::expiry(fields.get("expires_at"), rules.now),
        consent_at: consent_at(&fields)?,
    })
}

/// A text with spaces between, or a list.
fn scopes(fields: &Fields) -> Result<String, String> {
    let Some(Value::Array(list)) = fields.get("scopes") else {
        return Ok(text(fields, "scopes")?.unwrap_or_default());
    };
    let scopes: Option<Vec<_>> = list.iter().map(Value::as_str).collect();
    let joined = scopes.ok_or("`scopes` is a list with something else than texts in it")?.join(" ");
    text(&Fields::from_iter([("scopes".to_owned(), Value::from(joined))]), "scopes").map(Option::unwrap_or_default)
}

/// Unlike the end of an access token, which the next refresh corrects, this is told once and counts for a year.
fn consent_at(fields: &Fields) -> Result<Option<evergrant_contract::Timestamp>, String> {
    match fields.get("consent_at") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(value) => times::parse(value)
            .map(Some)
            .ok_or_else(|| "`consent_at` is not a time such as 2026-06-30T12:00:00Z".to_owned()),
    }
}
