//! Which headers pass between a caller and the API beyond.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// What is between the caller and Evergrant: credentials, the caller's own connection, and what a browser says of itself.
/// What belongs to one connection only is dropped by the client.
const NOT_SENT: [&str; 24] = [
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "baggage",
    "cdn-loop",
    "content-length",
    "cookie",
    "dnt",
    "forwarded",
    "host",
    "last-event-id",
    "max-forwards",
    "origin",
    "priority",
    "referer",
    "traceparent",
    "tracestate",
    "upgrade-insecure-requests",
    "via",
    "x-api-key",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
];

/// Beginnings of such names.
const NOT_SENT_BEGINNINGS: [&str; 4] = ["evergrant-", "sec-", "x-forwarded-", "cf-"];

/// What the API beyond says about its own connection, its own origin and its own cookies: here it would speak for ours.
const NOT_RETURNED: [&str; 28] = [
    "alt-svc",
    "authentication-info",
    "clear-site-data",
    "connection",
    "content-security-policy",
    "content-security-policy-report-only",
    "keep-alive",
    "nel",
    "origin-agent-cluster",
    "permissions-policy",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "public-key-pins",
    "referrer-policy",
    "report-to",
    "reporting-endpoints",
    "server",
    "service-worker-allowed",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    // A browser would ask the person for a password.
    "www-authenticate",
    "x-request-id",
];

/// Beginnings of such names.
const NOT_RETURNED_BEGINNINGS: [&str; 5] = ["access-control-", "cross-origin-", "evergrant-", "x-content-", "x-frame-"];

/// The headers of a request that may go on.
pub(super) fn to_send(headers: &HeaderMap) -> HeaderMap {
    passing(headers, &NOT_SENT, &NOT_SENT_BEGINNINGS)
}

/// The headers of an answer that may go back, and ours.
pub(super) fn to_return(headers: &HeaderMap) -> HeaderMap {
    let mut headers = passing(headers, &NOT_RETURNED, &NOT_RETURNED_BEGINNINGS);
    let ours = [
        // It was asked for with credentials that caches do not know of.
        (header::CACHE_CONTROL, "no-store"),
        // A page of somebody else's has no rights on our origin.
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in ours {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

fn passing(headers: &HeaderMap, dropped: &[&str], beginnings: &[&str]) -> HeaderMap {
    // A header that `Connection` names is about that connection only.
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        !dropped.contains(&name)
            && !beginnings.iter().any(|beginning| name.starts_with(beginning))
            && !named.iter().any(|named| named == name)
    };
    headers.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: &[&'static str]) -> HeaderMap {
        names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1"))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn nothing_that_is_between_the_caller_and_us_goes_on() {
        let mut sent = map(&NOT_SENT);
        sent.extend(map(&["x-forwarded-for", "sec-fetch-site", "evergrant-retries", "x-mine"]));
        sent.insert(header::CONNECTION, HeaderValue::from_static("close, X-Mine"));
        let amazons =
            ["accept", "amazon-advertising-api-scope", "content-type", "if-none-match", "range", "user-agent"];
        sent.extend(map(&amazons));
        sent.extend(map(&["amazon-advertising-api-advertiserid", "amazon-ads-accountid"]));
        assert_eq!(
            names(&to_send(&sent)),
            [
                "accept",
                "amazon-ads-accountid",
                "amazon-advertising-api-advertiserid",
                "amazon-advertising-api-scope",
                "connection",
                "content-type",
                "if-none-match",
                "range",
                "user-agent"
            ]
        );
    }

    #[test]
    fn an_answer_speaks_for_nobody_but_itself() {
        let mut received = map(&NOT_RETURNED);
        received.extend(map(&["access-control-allow-origin", "x-frame-options", "cache-control", "evergrant-outcome"]));
        received.extend(map(&["content-type", "etag", "location", "retry-after", "x-amzn-requestid"]));
        let returned = to_return(&received);
        assert_eq!(
            names(&returned),
            [
                "cache-control",
                "content-security-policy",
                "content-type",
                "etag",
                "location",
                "retry-after",
                "x-amzn-requestid",
                "x-content-type-options"
            ]
        );
        assert_eq!(returned[header::CACHE_CONTROL], "no-store");
    }
}
