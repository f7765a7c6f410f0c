//! A call to be made, and the headers that leave with it.

use bytes::Bytes;
use evergrant_contract::secret::Secret;
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;
use crate::tokens::Held;

const CLIENT_ID: HeaderName = HeaderName::from_static("amazon-advertising-api-clientid");
const UNIFIED_CLIENT_ID: HeaderName = HeaderName::from_static("amazon-ads-clientid");

/// Headers of a caller that are not the API's business: they would speak for somebody else, or are about the caller's own
/// connection. `accept-encoding` too: an error that is compressed could not be read here.
const DROPPED: [&str; 18] = [
    "accept-encoding",
    "amazon-ads-clientid",
    "amazon-advertising-api-clientid",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amz-access-token",
];

/// A request, without the token. It is kept whole, since it may have to be sent again.
#[derive(Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path at the API, with the query: `/amc/instances?nextToken=…`.
    pub path_and_query: String,
    /// Headers, such as `Amazon-Advertising-API-Scope`. Token and client id are added.
    pub headers: HeaderMap,
    /// The body; may be empty.
    pub body: Bytes,
}

/// How an API wants to be told the client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Versions 2 and 3, and AMC: `Amazon-Advertising-API-ClientId`.
    Classic,
    /// The unified API, `/adsApi/v1/…`: `Amazon-Ads-ClientId`.
    Unified,
}

impl Family {
    /// The family that a path belongs to.
    pub fn of(path_and_query: &str) -> Self {
        let first = path_and_query.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("adsApi") { Self::Unified } else { Self::Classic }
    }

    fn header(self) -> HeaderName {
        match self {
            Self::Classic => CLIENT_ID,
            Self::Unified => UNIFIED_CLIENT_ID,
        }
    }
}

impl Call {
    /// A call without a body.
    pub fn new(method: Method, path_and_query: impl Into<String>) -> Self {
        Self { method, path_and_query: path_and_query.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A `GET`.
    pub fn get(path_and_query: impl Into<String>) -> Self {
        Self::new(Method::GET, path_and_query)
    }

    /// The same call with a body and its type.
    #[must_use]
    pub fn with_body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    /// The same call with one more header; one of the same name is replaced.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::BadRequest(format!("the value of {name} holds characters that a header cannot")))?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::BadRequest(format!("{name} is no name of a header")))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// The headers that leave: the caller's, less those that are dropped, and with the token and the client id.
    pub(crate) fn outgoing(&self, held: &Held) -> Result<HeaderMap, Error> {
        let mut headers = passing(&self.headers);
        let client_id = HeaderValue::from_str(&held.target.client_id)
            .map_err(|_| Error::BadRequest("the client id holds characters that a header cannot".to_owned()))?;
        headers.insert(Family::of(&self.path_and_query).header(), client_id);
        headers.insert(header::AUTHORIZATION, bearer(&held.token)?);
        Ok(headers)
    }
}

/// `Bearer …`, marked so that nobody below prints it or keeps it in a compression table.
pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| Error::BadRequest("the token holds characters that a header cannot".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What of a caller's headers may leave. A header that `Connection` names is about that connection only.
fn passing(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let passes =
        |name: &HeaderName| !DROPPED.contains(&name.as_str()) && !named.iter().any(|named| named == name.as_str());
    headers.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use evergrant_contract::Timestamp;
    use evergrant_contract::ids::Version;

    use super::*;
    use crate::tokens::Target;

    fn held() -> Held {
        Held {
            token: Secret::new("Atza|good"),
            version: Version::FIRST,
            expires_at: Timestamp::MAX_UTC,
            target: Target {
                provider: "amazon-na".parse().unwrap(),
                api_url: "https://advertising-api.amazon.com".parse().unwrap(),
                client_id: "amzn1.client".to_owned(),
            },
        }
    }

    fn leaving(path: &str, headers: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut call = Call::get(path);
        for (name, value) in headers {
            call.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let headers = call.outgoing(&held()).unwrap();
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn each_family_gets_the_client_id_in_its_own_header() {
        for path in ["/v2/profiles", "/amc/accounts?x=/adsApi", "/sp/campaigns/list", "/v3/adsApi"] {
            assert_eq!(
                leaving(path, &[]),
                ["amazon-advertising-api-clientid: amzn1.client", "authorization: Bearer Atza|good"]
            );
        }
        for path in ["/adsApi/v1/query/campaigns", "/adsapi/v1", "/adsApi?x"] {
            assert_eq!(leaving(path, &[]), ["amazon-ads-clientid: amzn1.client", "authorization: Bearer Atza|good"]);
        }
    }

    #[test]
    fn a_callers_headers_stay_unless_they_speak_for_somebody_else() {
        let left = leaving(
            "/amc/instances",
            &[
                ("amazon-advertising-api-scope", "1"),
                ("amazon-advertising-api-advertiserid", "ENTITY1"),
                ("amazon-advertising-api-marketplaceid", "ATVPDKIKX0DER"),
                ("accept", "application/vnd.x+json"),
                ("accept", "text/csv"),
                ("authorization", "Bearer other"),
                ("x-amz-access-token", "other"),
                ("cookie", "a=b"),
                ("host", "evil.example.com"),
                ("content-length", "7"),
                ("transfer-encoding", "chunked"),
                ("accept-encoding", "gzip"),
                ("connection", "close, X-Mine"),
                ("x-mine", "1"),
                ("amazon-ads-clientid", "other"),
                ("amazon-advertising-api-clientid", "other"),
            ],
        );
        assert_eq!(
            left,
            [
                "accept: application/vnd.x+json",
                "accept: text/csv",
                "amazon-advertising-api-advertiserid: ENTITY1",
                "amazon-advertising-api-clientid: amzn1.client",
                "amazon-advertising-api-marketplaceid: ATVPDKIKX0DER",
                "amazon-advertising-api-scope: 1",
                "authorization: Bearer Atza|good",
            ]
        );
    }

    #[test]
    fn the_token_is_marked_and_a_broken_one_is_not_repeated() {
        let headers = Call::get("/").outgoing(&held()).unwrap();
        assert!(!format!("{headers:?}").contains("Atza"), "{headers:?}");
        let broken = Held { token: Secret::new("Atza|a\nb"), ..held() };
        let error = Call::get("/").outgoing(&broken).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Atza"), "{error}");
    }
}
