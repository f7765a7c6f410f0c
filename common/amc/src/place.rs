//! Where a call goes: always to the API that the token is for.

use std::fmt::Write as _;

use url::Url;

use crate::error::Error;

/// The URL of a path at the API. Whatever the path, it is on the API's own scheme, host and port, and below its address.
pub(crate) fn place(api_url: &Url, path_and_query: &str) -> Result<Url, Error> {
    let (path, query) = check(path_and_query)?;
    let mut url = api_url.clone();
    // Setting the path of a URL cannot change its host, which joining them could.
    url.set_path(&format!("{}{path}", api_url.path().trim_end_matches('/')));
    url.set_query(query);
    url.set_fragment(None);
    if url.origin() != api_url.origin() || !matches!(url.scheme(), "https" | "http") {
        return Err(Error::BadPath("it leads to another host"));
    }
    Ok(url)
}

/// Path and query, if they can lead nowhere but to the API.
pub(crate) fn check(path_and_query: &str) -> Result<(&str, Option<&str>), Error> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !path_and_query.bytes().all(is_plain) {
        return Err(Error::BadPath("it may hold visible ASCII characters only, and no fragment"));
    }
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(Error::BadPath("it has to begin with exactly one `/`"));
    }
    // Once decoded as the API will decode it: an encoded slash or dot must not climb either.
    let decoded = decode(path);
    if decoded.contains(&b'\\') {
        return Err(Error::BadPath("it must not hold a backslash"));
    }
    if decoded.split(|byte| *byte == b'/').any(|segment| segment == b"." || segment == b"..") {
        return Err(Error::BadPath("it must not hold `.` or `..` as a segment"));
    }
    Ok((path, query))
}

/// A path out of segments, each encoded so that it stays one.
pub(crate) fn path_of(segments: &[&str]) -> Result<String, Error> {
    let mut path = String::new();
    for segment in segments {
        if matches!(*segment, "" | "." | "..") {
            return Err(Error::BadPath("an id in it is empty, `.` or `..`"));
        }
        path.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    Ok(path)
}

fn decode(path: &str) -> Vec<u8> {
    let digit =
        |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, digit(tail.first()), digit(tail.get(1))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high * 16 + low);
                rest = &tail[2..];
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn api() -> Url {
        "https://advertising-api.amazon.com".parse().unwrap()
    }

    #[test]
    fn paths_stay_as_they_were_written() {
        for path in
            ["/amc/instances?nextToken=a%2Fb", "/v2/profiles", "/", "/a//b", "/x?u=https://example.com/../", "/a%2Fb?"]
        {
            assert_eq!(place(&api(), path).unwrap().as_str(), format!("https://advertising-api.amazon.com{path}"));
        }
    }

    #[test]
    fn an_address_with_a_path_keeps_it() {
        let below = "https://gateway.example.com/amazon/".parse().unwrap();
        assert_eq!(place(&below, "/v2/profiles").unwrap().as_str(), "https://gateway.example.com/amazon/v2/profiles");
    }

    #[test]
    fn nothing_leads_elsewhere() {
        for path in [
            "",
            "v2",
            "//evil.example.com/",
            "/\\evil.example.com",
            "/%5cevil",
            "https://evil.example.com/",
            "@evil.example.com/",
            "/../x",
            "/a/..",
            "/a/./b",
            "/a/%2e%2E/b",
            "/.%2e/b",
            "/a%2F..%2Fb",
            "/a#b",
            "/a b",
            "/a\tb",
            "/a\r\nHost: x",
            "/ä",
            "?x=1",
            ":80/",
        ] {
            assert!(matches!(place(&api(), path), Err(Error::BadPath(_))), "{path:?}");
        }
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(path_of(&["amc", "reporting", "a/b?c#d%e f"]).unwrap(), "/amc/reporting/a%2Fb%3Fc%23d%25e%20f");
        for id in ["", ".", ".."] {
            assert!(path_of(&["amc", id]).is_err(), "{id:?}");
        }
        let climbing = path_of(&["amc", "../../v2"]).unwrap();
        assert!(matches!(place(&api(), &climbing), Err(Error::BadPath(_))), "{climbing}");
    }

    proptest! {
        #[test]
        fn whatever_the_path_the_origin_stays(path in "[/.%@:\\\\?#a-z0-9 \\t-]{0,40}|\\PC{0,20}") {
            for base in ["https://advertising-api.amazon.com", "http://127.0.0.1:8099/below/"] {
                let base: Url = base.parse().unwrap();
                if let Ok(url) = place(&base, &path) {
                    prop_assert_eq!(url.origin(), base.origin());
                    prop_assert!(url.path().starts_with(base.path()), "{}", url);
                    prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
                    // What a client and a server make of it is the same.
                    let again: Url = url.as_str().parse().unwrap();
                    prop_assert_eq!(again, url);
                }
            }
        }

        #[test]
        fn an_encoded_id_is_read_back(id in "\\PC{1,20}") {
            prop_assume!(id != "." && id != "..");
            let path = path_of(&[&id]).unwrap();
            prop_assert_eq!(decode(&path), format!("/{id}").into_bytes());
            prop_assert!(!path[1..].contains('/'));
        }
    }
}
