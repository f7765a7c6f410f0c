//! The rule against forged requests.

use axum::http::{HeaderMap, HeaderName, header};

/// The header that pages send to show that they are ours. Any value will do.
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Whether a request carries a header that no foreign page can make a browser send.
///
/// A browser adds cookies to any request to us, whoever caused it; a header of one's own it lets pages of other sites send
/// only after asking us. An expired bearer token shows as much: it is not believed, it is only a header.
pub(crate) fn has_custom_header(headers: &HeaderMap) -> bool {
    headers.contains_key(REQUESTED_WITH) || headers.contains_key(header::AUTHORIZATION)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_foreign_page_can_send_cookies_and_simple_headers_only() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("__Host-evergrant-session=x"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert!(!has_custom_header(&headers));
        for name in ["x-requested-with", "authorization"] {
            let mut headers = headers.clone();
            headers.insert(name, HeaderValue::from_static("x"));
            assert!(has_custom_header(&headers), "{name}");
        }
    }
}
