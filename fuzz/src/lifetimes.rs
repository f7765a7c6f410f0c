//! `expires_in`, whatever it is.

use evergrant_contract::verdict::Verdict;
use evergrant_provider::reading::Reply;
use evergrant_provider::{Descriptor, ExpiryUnit, Grant};

use crate::replies::{LONGEST, REGISTRY, ask};

/// The input is the value of `expires_in`, and of that of the refresh token, as it stands in the body.
pub(crate) fn lifetimes(data: &[u8]) {
    let Some(descriptor) = REGISTRY.iter().next() else { panic!("there is no descriptor") };
    for unit in [ExpiryUnit::Seconds, ExpiryUnit::Milliseconds, ExpiryUnit::UnixSeconds] {
        let mut descriptor = descriptor.clone();
        descriptor.answer.expiry_unit = unit;
        read(&descriptor, data);
    }
}

fn read(descriptor: &Descriptor, data: &[u8]) {
    let (access, refresh) = ("expires_in", "refresh_token_expires_in");
    let mut body = format!(r#"{{"access_token":"Atza|a","{access}":"#).into_bytes();
    body.extend_from_slice(data);
    body.extend_from_slice(format!(r#","{refresh}":"#).as_bytes());
    body.extend_from_slice(data);
    body.push(b'}');
    let reply = Reply { status: 200, retry_after: None, request_id: None, body: &body };
    let verdict = ask(descriptor, Grant::RefreshToken, &reply).verdict;
    // The oracle reads the value by itself: a number or a number as text is a lifetime, everything else the default.
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    let Verdict::Refreshed(tokens) = verdict else { panic!("a token was issued, whatever its lifetime says") };
    assert!(tokens.lifetime <= LONGEST.max(descriptor.default_lifetime), "{:?}", tokens.lifetime);
    let seconds = value.as_u64().filter(|_| descriptor.answer.expiry_unit == ExpiryUnit::Seconds);
    if let Some(seconds) = seconds.filter(|seconds| *seconds <= LONGEST.as_secs()) {
        assert_eq!(tokens.lifetime.as_secs(), seconds, "a plain number of seconds is what it says");
    }
    if !value.is_number() && !value.is_string() {
        assert_eq!(tokens.lifetime, descriptor.default_lifetime, "what is no number is the default");
    }
}
