//! Signatures of webhooks, as receivers verify them.

use chrono::Utc;
use evergrant_contract::secret::Secret;
use evergrant_contract::webhook::EndpointSecrets;
use evergrant_webhooks::signature;
use hyper::header::{HeaderMap, HeaderValue};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

/// Two secrets, an id and a payload, with zero bytes between.
pub(crate) fn signatures(data: &[u8]) {
    let (current, rest) = crate::halves(data);
    let (former, rest) = crate::halves(rest);
    let (id, payload) = crate::halves(rest);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (current, former, id, payload) = (text(current), text(former), text(id), text(payload));
    let secrets =
        EndpointSecrets { current: Secret::new(current.as_str()), former: Secret::non_empty(former.as_str()) };
    // Receivers refuse what is five minutes old: a fixed time would be.
    #[expect(clippy::disallowed_methods, reason = "the reference compares with the time of the machine")]
    let timestamp = Utc::now().timestamp();
    let signed = match signature(&secrets, &id, timestamp, &payload) {
        Ok(signed) => signed,
        Err(told) => {
            let ours = ["The endpoint's secret cannot be used: rotate it", "The message cannot be signed"];
            return assert!(ours.contains(&told.as_str()), "an error tells more: {told}");
        }
    };
    for secret in [&current, &former].into_iter().filter(|secret| !secret.is_empty()) {
        assert!(is_verified(secret, &id, timestamp, &signed, &payload) != Some(false), "a receiver refuses it");
        let other = format!("{payload} ");
        assert!(is_verified(secret, &id, timestamp, &signed, &other) != Some(true), "it signs another payload as well");
        let other = timestamp + 1;
        assert!(is_verified(secret, &id, other, &signed, &payload) != Some(true), "it signs another time as well");
    }
}

/// Whether the reference takes it; `None` where it cannot be put into headers.
fn is_verified(secret: &str, id: &str, timestamp: i64, signed: &str, payload: &str) -> Option<bool> {
    let webhook = Webhook::new(secret).ok()?;
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_WEBHOOK_ID, HeaderValue::from_str(id).ok()?);
    headers.insert(HEADER_WEBHOOK_TIMESTAMP, HeaderValue::from_str(&timestamp.to_string()).ok()?);
    headers.insert(HEADER_WEBHOOK_SIGNATURE, HeaderValue::from_str(signed).ok()?);
    // What is no text in a header the reference does not read.
    headers[HEADER_WEBHOOK_ID].to_str().ok()?;
    Some(webhook.verify(payload.as_bytes(), &headers).is_ok())
}
