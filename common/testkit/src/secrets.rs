//! Finds token-like things in text, and tells the place but not the secret.
//!
//! For logs, messages, metrics, errors and rows: whatever a process wrote while it worked is scanned, and a test fails if a
//! secret is in it. The failure itself must not be the next leak, so it names the line, the column and the kind only.

use std::fmt;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `Atza|` and something behind it.
    AccessToken,
    /// `Atzr|` and something behind it.
    RefreshToken,
    /// A Fernet ciphertext: harmless without the key, and still no business of a log.
    FernetToken,
    /// An API key of ours.
    ApiKey,
    /// A signed token, such as a session's access token.
    Jwt,
    /// A secret that the test named, by its place in the list.
    Named(usize),
}

/// Where something was found; both count from one, columns in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The byte of the line at which it begins.
    pub column: usize,
    /// What it is.
    pub kind: Kind,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {:?}", self.line, self.column, self.kind)
    }
}

/// The beginnings of token-like things, each as it stands and as a URL spells it.
const MARKS: [(&str, Kind); 9] = [
    ("Atza|", Kind::AccessToken),
    ("Atza%7C", Kind::AccessToken),
    ("Atza%7c", Kind::AccessToken),
    ("Atzr|", Kind::RefreshToken),
    ("Atzr%7C", Kind::RefreshToken),
    ("Atzr%7c", Kind::RefreshToken),
    // Version 0x80 and the upper half of a time stamp before the year 2106, in base64.
    ("gAAAAA", Kind::FernetToken),
    ("egk_", Kind::ApiKey),
    // A JSON object that begins with a key, in base64.
    ("eyJ", Kind::Jwt),
];

/// The shortest Fernet token: version, time, one block of IV, one of ciphertext and the MAC, in base64.
const SHORTEST_FERNET_TOKEN: usize = 100;
/// An API key without its mark: hexadecimal digits, `_` and characters of base64.
const API_KEY: (usize, usize) = (32, 43);

/// Every token-like thing in the text, and every occurrence of the secrets named, such as client secrets and keys.
///
/// A mark with nothing behind it is a word, not a token: documentation may say `Atza|…`.
pub fn find(text: &str, named: &[&str]) -> Vec<Place> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = |at: usize, kind| Place { line: number + 1, column: at + 1, kind };
        for (mark, kind) in MARKS {
            let tokens = line.match_indices(mark).filter(|(at, _)| is_token(&line[*at..], mark, kind));
            found.extend(tokens.map(|(at, _)| place(at, kind)));
        }
        for (which, secret) in named.iter().enumerate().filter(|(_, secret)| !secret.is_empty()) {
            found.extend(line.match_indices(secret).map(|(at, _)| place(at, Kind::Named(which))));
        }
    }
    found.sort_by_key(|place| (place.line, place.column));
    found
}

fn is_token(from_mark: &str, mark: &str, kind: Kind) -> bool {
    let is_token_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=' | '+' | '/' | '.');
    let behind = from_mark[mark.len()..].find(|c| !is_token_char(c)).unwrap_or(from_mark.len() - mark.len());
    match kind {
        Kind::FernetToken => mark.len() + behind >= SHORTEST_FERNET_TOKEN,
        // Long ciphertexts hold every short word somewhere: only the shape of a key tells it from them.
        Kind::ApiKey => {
            let (id, secret) = API_KEY;
            let key = &from_mark[mark.len()..mark.len() + behind];
            key.get(..id).is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
                && key.get(id..).and_then(|rest| rest.strip_prefix('_')).is_some_and(|rest| rest.len() >= secret)
        }
        // Header and claims are objects both.
        Kind::Jwt => from_mark[..mark.len() + behind].contains(".eyJ"),
        _ => behind > 0,
    }
}

/// Fails the test if there is a secret in the text. `what` names the text, such as "the log of the worker".
#[track_caller]
pub fn assert_none(what: &str, text: &str, named: &[&str]) {
    let found = find(text, named);
    let places: Vec<String> = found.iter().take(10).map(ToString::to_string).collect();
    assert!(found.is_empty(), "{what} holds {} secrets, first at {}", found.len(), places.join("; "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        find(text, &["hush-hush", "", "s3cret"]).into_iter().map(|place| place.kind).collect()
    }

    #[test]
    fn finds_tokens_however_they_are_spelled() {
        assert_eq!(kinds(r#"{"access_token":"Atza|IwEBI"}"#), [Kind::AccessToken]);
        assert_eq!(kinds("refresh_token=Atzr%7CIwEBI&x=1 Atzr|a"), [Kind::RefreshToken, Kind::RefreshToken]);
        assert_eq!(kinds("a s3cret and a hush-hush"), [Kind::Named(2), Kind::Named(0)]);
        assert_eq!(kinds(&format!("key=egk_{}_{}", "0a".repeat(16), "x".repeat(43))), [Kind::ApiKey]);
        assert_eq!(kinds("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln")[0], Kind::Jwt);
        let fernet = format!("gAAAAABl{}==", "x".repeat(90));
        assert_eq!(kinds(&fernet), [Kind::FernetToken]);
    }

    #[test]
    fn words_are_no_tokens() {
        for text in [
            "",
            "access tokens begin with Atza|",
            "`Atzr|…`",
            "gAAAAABl is how they begin",
            "Atza",
            "egk_… is a key",
            "zAAAAABegk_RmCxIZ4bHl0dGxlIHNlY3JldCBpcyBzYWZlIGluc2lkZSBvZiBhIGNpcGhlcnRleHQgdGhhdCBpcyBsb25n",
            "eyJ.x",
        ] {
            assert_eq!(kinds(text), [], "{text}");
        }
    }

    #[test]
    fn a_failure_tells_the_place_and_not_the_secret() {
        let text = "all is well\nnot here: Atza|verysecret";
        let failure = std::panic::catch_unwind(|| assert_none("the log", text, &[])).unwrap_err();
        let message = failure.downcast_ref::<String>().unwrap();
        assert_eq!(message, "the log holds 1 secrets, first at line 2, column 11: AccessToken");
    }
}
