//! Rows of the original project's `users` table: `id, email, name, amazon_customer_id, auth_tokens, is_active, is_admin`.
//!
//! `auth_tokens` is an object, the text of one, or nothing; each token in it is encrypted by itself, or not at all; times
//! are in UTC and do not say so.

use evergrant_contract::secret::Secret;
use serde_json::Value;

use super::records::Fields;
use super::row::{Told, label, text, user};
use super::{Rules, people, times, tokens};

/// A text inside a text inside a text is as deep as exports of exports get.
const MAX_WRAPPINGS: usize = 3;

/// Whether a row is one of these. A row whose `auth_tokens` are NULL may lack the column altogether.
pub(super) fn is_such(fields: &Fields) -> bool {
    fields.contains_key("auth_tokens") || (!fields.contains_key("user_id") && fields.contains_key("email"))
}

pub(super) fn read(mut fields: Fields, rules: &Rules<'_>) -> Result<Told, String> {
    let mut tokens = unwrapped(fields.remove("auth_tokens").unwrap_or_default())?;
    let pair = tokens::take(&mut tokens, rules.keyring)?;
    let user = user(&fields, &["id", "email"])?;
    let account = text(&fields, "amazon_customer_id")?.unwrap_or_default();
    let person = people::read(&fields, user.clone(), account.clone(), rules)?;
    Ok(Told {
        user,
        person: Some(Box::new(person)),
        provider: rules.default_provider.clone(),
        account,
        label: label(&fields, &["email", "name"]),
        scopes: text(&tokens, "scope")?.unwrap_or_default(),
        tokens: pair,
        expires_at: times::expiry(tokens.get("expires_at"), rules.now),
        consent_at: None,
    })
}

fn unwrapped(mut value: Value) -> Result<Fields, String> {
    const NO_OBJECT: &str = "`auth_tokens` is neither an object nor the text of one";
    for _ in 0..=MAX_WRAPPINGS {
        value = match value {
            Value::Null => return Ok(Fields::new()),
            Value::Object(fields) => return Ok(fields),
            Value::String(text) if text.trim().is_empty() => return Ok(Fields::new()),
            // Overwritten when it has been read: it holds tokens in the clear if the original's key was bad.
            Value::String(text) => serde_json::from_str(Secret::new(text).expose()).map_err(|_| NO_OBJECT)?,
            _ => break,
        };
    }
    Err(NO_OBJECT.to_owned())
}
