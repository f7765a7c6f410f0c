//! Where in the front end a browser goes: an open redirect is a sign-in page for phishers.

use url::Url;

use crate::problem::{Problem, ProblemKind};
use crate::settings::ApiSettings;

/// No place is longer, in bytes.
const LONGEST: usize = 2048;

/// What a caller wants to come back to: a path of the front end, or a page of an allowed origin. Empty: nothing was asked for.
///
/// What is returned went through the parser that browsers use, so that it means to them what it meant here.
pub(super) fn return_to(settings: &ApiSettings, wanted: &str) -> Result<String, Problem> {
    if wanted.is_empty() {
        return Ok(String::new());
    }
    place(settings, wanted).ok_or_else(|| {
        let detail =
            "`redirect_uri` must be a path of the front end, such as /dashboard, or a page of an allowed origin.";
        Problem::new(ProblemKind::InvalidParameter, detail)
    })
}

fn place(settings: &ApiSettings, wanted: &str) -> Option<String> {
    // Browsers drop tabs and line ends, and take a backslash for a slash: neither has any business here.
    let is_odd = |c: char| c == '\\' || c.is_control() || c.is_whitespace();
    if wanted.len() > LONGEST || wanted.contains(is_odd) {
        return None;
    }
    let front = &settings.frontend_url;
    if wanted.starts_with('/') {
        let there = front.join(wanted).ok()?;
        return (there.origin() == front.origin()).then(|| path(&there)).filter(|path| is_plain(path));
    }
    let there = Url::parse(wanted).ok()?;
    let is_web =
        matches!(there.scheme(), "http" | "https") && there.username().is_empty() && there.password().is_none();
    if !is_web || !is_plain(there.path()) {
        return None;
    }
    if there.origin() == front.origin() {
        return Some(path(&there));
    }
    let origin = there.origin().ascii_serialization();
    settings.allowed_origins.iter().any(|allowed| allowed.trim_end_matches('/') == origin).then(|| there.into())
}

fn path(url: &Url) -> String {
    url[url::Position::BeforePath..].to_owned()
}

/// A path that begins with two slashes is another host to whoever reads it as a reference, also after one more decoding.
fn is_plain(path: &str) -> bool {
    let second = path.get(1..).unwrap_or_default().to_ascii_lowercase();
    !["/", "%2f", "%5c", "%09", "%0a", "%0d"].iter().any(|slash| second.starts_with(slash))
}

/// A page of the front end with a query, everything in it encoded.
pub(super) fn page(settings: &ApiSettings, path: &str, query: &[(&str, &str)]) -> String {
    let mut url = settings.frontend_url.clone();
    url.set_fragment(None);
    url.set_query(None);
    url.set_path(&format!("{}{path}", settings.frontend_url.path().trim_end_matches('/')));
    for (name, value) in query {
        url.query_pairs_mut().append_pair(name, value);
    }
    // A plus sign is a space in forms only; a literal one is %2B by now.
    let query = url.query().map(|query| query.replace('+', "%20"));
    url.set_query(query.as_deref());
    url.into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    fn asked(wanted: &str) -> Option<String> {
        let settings = ApiSettings { allowed_origins: vec!["https://console.example.org".to_owned()], ..settings() };
        assert_eq!(settings.frontend_url.as_str(), "https://app.example.com/");
        return_to(&settings, wanted).ok()
    }

    #[test]
    fn paths_of_the_front_end_and_pages_of_allowed_origins_are_taken() {
        for (wanted, expected) in [
            ("", ""),
            ("/", "/"),
            ("/instances/7?tab=a%20b#top", "/instances/7?tab=a%20b#top"),
            ("/a/../b", "/b"),
            ("/a?next=//evil.example", "/a?next=//evil.example"),
            ("https://app.example.com/x?y", "/x?y"),
            ("https://app.example.com:443", "/"),
            ("https://console.example.org/x", "https://console.example.org/x"),
        ] {
            assert_eq!(asked(wanted).as_deref(), Some(expected), "{wanted}");
        }
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        let long = format!("/{}", "x".repeat(LONGEST));
        for wanted in [
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " //evil.example",
            "/.//evil.example",
            "/x/..//evil.example",
            "/%2fevil.example",
            "/%2F%2Fevil.example",
            "/%5Cevil.example",
            "/%09/evil.example",
            "https://evil.example",
            "https:evil.example",
            "https:/evil.example",
            "http://app.example.com/",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://user@app.example.com/",
            "https://app.example.com:8443/",
            "https://app.example.com//evil.example",
            "https://console.example.org.evil.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "dashboard",
            "?x",
            "#x",
            long.as_str(),
        ] {
            assert_eq!(asked(wanted), None, "{wanted}");
        }
    }

    #[test]
    fn pages_of_the_front_end_are_encoded() {
        let mut settings = settings();
        let message = [("message", "Authentication failed"), ("redirect", "/a?b=c&d=+ é")];
        assert_eq!(
            page(&settings, "/auth/error", &message),
            "https://app.example.com/auth/error?message=Authentication%20failed&redirect=%2Fa%3Fb%3Dc%26d%3D%2B%20%C3%A9"
        );
        settings.frontend_url = "https://example.com/app/".parse().unwrap();
        assert_eq!(page(&settings, "/profile", &[]), "https://example.com/app/profile");
    }
}
