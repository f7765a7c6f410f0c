//! URLs that secrets are sent to.

use url::{Host, Url};

/// What is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("is not a URL: {0}")]
    Invalid(String),
    /// It is not one that a token endpoint, consent page or API host can have.
    #[error("has to be `https://host/path`, without a user name and without a fragment")]
    Shape,
    /// It would send secrets over the network in the clear.
    #[error(
        "is plain http on another host: refresh tokens and the client secret would cross the network readable; \
         use https, or set `allow_plain_http = true` for a test network"
    )]
    PlainHttp,
}

/// Reads a URL. Plain http is for this machine only, unless allowed.
pub(crate) fn parse(text: &str, allow_plain_http: bool) -> Result<Url, EndpointError> {
    let url = Url::parse(text).map_err(|error| EndpointError::Invalid(error.to_string()))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !bare || url.host().is_none() {
        return Err(EndpointError::Shape);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_plain_http || is_loopback(&url) => Ok(url),
        "http" => Err(EndpointError::PlainHttp),
        _ => Err(EndpointError::Shape),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for url in ["http://127.0.0.1:9/t", "http://[::1]/t", "http://localhost:8080", "http://sim.localhost/"] {
            assert!(parse(url, false).is_ok(), "{url}");
        }
        for url in ["http://api.amazon.com/auth/o2/token", "http://127.0.0.1.example.com/", "http://10.0.0.1/"] {
            assert_eq!(parse(url, false), Err(EndpointError::PlainHttp), "{url}");
            assert!(parse(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for url in
            ["ftp://example.com/", "https://user@example.com/", "https://example.com/#x", "data:,x", "file:///etc"]
        {
            assert_eq!(parse(url, true), Err(EndpointError::Shape), "{url}");
        }
        assert!(matches!(parse("example.com", false), Err(EndpointError::Invalid(_))));
    }
}
