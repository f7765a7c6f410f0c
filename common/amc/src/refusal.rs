//! A refusal by the API, and whether a newer token can help.

use reqwest::StatusCode;
use serde_json::Value;

/// What Amazon says with a 401 that is about permissions: the token is good, and every other one would be refused too.
const ABOUT_PERMISSIONS: [&str; 2] = ["not authorized to access scope", "no matching advertiser found for scope"];

/// Whether an answer can mean that the token has ended, so that a newer one may be accepted.
///
/// A 403 never does. Nor does a 401 that says that the user may not see a profile. Every other 401 may, also one that
/// nobody can read: Amazon has several ways to write it, and none of them is promised.
pub fn is_about_the_token(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::UNAUTHORIZED
        && !serde_json::from_slice(body).is_ok_and(|body: Value| is_about_permissions(&body))
}

fn is_about_permissions(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let text = text.to_lowercase();
            ABOUT_PERMISSIONS.iter().any(|words| text.contains(words))
        }
        Value::Array(values) => values.iter().any(is_about_permissions),
        Value::Object(fields) => fields.values().any(is_about_permissions),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_401_is_about_the_token_unless_it_says_otherwise() {
        let about_the_token = [
            r#"{"code":"401","details":"Authentication failed","requestId":"1"}"#,
            r#"{"code":"UNAUTHORIZED","details":"HTTP 401 Unauthorized"}"#,
            r#"{"message":"Not authorized"}"#,
            "<html>Unauthorized</html>",
            // Cut off, so nobody can tell.
            r#"{"code":"401","details":"Not authorized to access scope 1"#,
            "",
        ];
        for body in about_the_token {
            assert!(is_about_the_token(StatusCode::UNAUTHORIZED, body.as_bytes()), "{body}");
        }
        let about_permissions = [
            r#"{"code":"401","details":"Not authorized to access scope 3141592653589"}"#,
            r#"{"code":"UNAUTHORIZED","details":"No matching advertiser found for scope: 1"}"#,
            r#"{"code":"401","message":"NOT AUTHORIZED TO ACCESS SCOPE 1"}"#,
            r#"{"errors":[{"message":"No matching advertiser found for scope"}]}"#,
        ];
        for body in about_permissions {
            assert!(!is_about_the_token(StatusCode::UNAUTHORIZED, body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn no_other_status_is_about_the_token() {
        let body = br#"{"code":"401","details":"Authentication failed"}"#;
        for status in (100..600).filter(|status| *status != 401) {
            assert!(!is_about_the_token(StatusCode::from_u16(status).unwrap(), body), "{status}");
        }
    }
}
