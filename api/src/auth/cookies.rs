//! The two cookies. The prefix `__Host-` makes browsers insist on `Secure`, `Path=/` and no `Domain`, so that no other
//! host, not even a neighbour under the same domain, can plant them.

use std::time::Duration;

use axum::http::HeaderMap;
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use evergrant_contract::secret::Secret;

const SESSION: &str = "__Host-evergrant-session";
const FLOW: &str = "__Host-evergrant-flow";

/// Holds a session's refresh token. Strict: it goes along only with what our own pages do.
pub(super) fn session_cookie(token: &Secret, lives: Duration) -> Cookie<'static> {
    cookie(SESSION, token.expose().to_owned(), SameSite::Strict, lives)
}

/// Takes the session's cookie away.
pub(crate) fn clear_session_cookie() -> Cookie<'static> {
    cookie(SESSION, String::new(), SameSite::Strict, Duration::ZERO)
}

/// The session refresh token that came with a request.
pub(crate) fn session_of(headers: &HeaderMap) -> Option<Secret> {
    value(headers, SESSION)
}

/// Ties a consent under way to the browser that began it. Lax: it has to come back from the provider's page with a link.
pub(crate) fn flow_cookie(state: &Secret, lives: Duration) -> Cookie<'static> {
    cookie(FLOW, state.expose().to_owned(), SameSite::Lax, lives)
}

/// Takes the consent's cookie away.
pub(crate) fn clear_flow_cookie() -> Cookie<'static> {
    cookie(FLOW, String::new(), SameSite::Lax, Duration::ZERO)
}

/// The state of the consent that this browser began.
pub(crate) fn flow_of(headers: &HeaderMap) -> Option<Secret> {
    value(headers, FLOW)
}

fn value(headers: &HeaderMap, name: &str) -> Option<Secret> {
    CookieJar::from_headers(headers).get(name).and_then(|cookie| Secret::non_empty(cookie.value()))
}

fn cookie(name: &'static str, value: String, same_site: SameSite, lives: Duration) -> Cookie<'static> {
    // Whole seconds: a browser forgets it a moment early rather than late.
    let seconds = Duration::from_secs(lives.as_secs()).try_into().unwrap_or_default();
    let cookie = Cookie::build((name, value)).path("/").http_only(true).secure(true);
    cookie.same_site(same_site).max_age(seconds).build()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    #[test]
    fn no_script_and_no_other_site_gets_at_a_session() {
        let set = session_cookie(&Secret::new("a.1.b"), Duration::from_millis(90_999)).to_string();
        let want = "__Host-evergrant-session=a.1.b; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=90";
        assert_eq!(set, want);
        let flow = flow_cookie(&Secret::new("s"), Duration::from_mins(10)).to_string();
        assert_eq!(flow, "__Host-evergrant-flow=s; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600");
    }

    #[test]
    fn a_cleared_cookie_has_the_same_attributes_or_the_browser_would_keep_the_old_one() {
        let clear = clear_session_cookie().to_string();
        assert_eq!(clear, "__Host-evergrant-session=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0");
        assert!(clear_flow_cookie().to_string().ends_with("SameSite=Lax; Secure; Path=/; Max-Age=0"));
    }

    #[test]
    fn cookies_read_back_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; __Host-evergrant-session=x.1.y"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-evergrant-flow=z"));
        assert_eq!(session_of(&headers).unwrap().expose(), "x.1.y");
        assert_eq!(flow_of(&headers).unwrap().expose(), "z");
        assert!(session_of(&HeaderMap::new()).is_none());
    }
}
