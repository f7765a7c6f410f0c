//! What may be shown of a provider's words.

/// The longest text that is kept, in characters.
const LONGEST: usize = 300;
/// A run of token characters of this length that mixes letters and digits is taken for a token.
const TOKEN_LIKE: usize = 16;
/// A shorter piece of a known secret than this tells nothing; a piece from this length on is taken out.
const TELLING_PIECE: usize = 8;
/// How the tokens of well-known providers begin.
const TOKEN_BEGINNINGS: [&str; 14] = [
    "Atza|",
    "Atzr|",
    "Atza%7C",
    "Atzr%7C",
    "amzn1.oa2",
    "ghu_",
    "ghr_",
    "gho_",
    "ghs_",
    "xoxb-",
    "xoxe",
    "xoxp-",
    "ya29.",
    "eyJ",
];
const REMOVED: &str = "[removed]";

/// The secrets of one call, sent and received, to be kept out of everything that is shown.
pub(crate) struct Redactor<'a> {
    known: Vec<&'a str>,
}

impl<'a> Redactor<'a> {
    /// Knows these secrets.
    pub(crate) fn new(known: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<_> = known.into_iter().filter(|secret| !secret.trim().is_empty()).collect();
        // The longest first: one secret may be a part of another.
        known.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { known }
    }

    /// The text on one line, without anything that is or looks like a token, shortened.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.known {
            // Looking for a long secret in a short sentence costs more than all else that is done with an answer.
            if secret.len() <= text.len() {
                text = text.replace(secret, REMOVED);
            }
        }
        let mut clean = String::with_capacity(text.len().min(4 * LONGEST));
        for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
            if !clean.is_empty() {
                clean.push(' ');
            }
            self.push_word(&mut clean, word);
        }
        shorten(&clean)
    }

    /// A code or an id of the provider's, if it fits an alphabet without room for prose and is no secret.
    pub(crate) fn label(&self, text: &str, longest: usize) -> Option<String> {
        let fits = (1..=longest).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        (fits && !self.tells_secret(text) && !begins_like_token(text)).then(|| text.to_owned())
    }

    fn push_word(&self, clean: &mut String, word: &str) {
        for piece in word.split_inclusive(|c: char| !is_token_char(c)) {
            let run = piece.trim_end_matches(|c: char| !is_token_char(c));
            if looks_like_token(run) || self.tells_secret(run) {
                clean.push_str(REMOVED);
                clean.push_str(&piece[run.len()..]);
            } else {
                clean.push_str(piece);
            }
        }
    }

    /// Whether the text is a telling piece of a secret, or has a whole one in it.
    fn tells_secret(&self, text: &str) -> bool {
        self.known.iter().any(|secret| text.contains(secret) || (text.len() >= TELLING_PIECE && secret.contains(text)))
    }
}

const fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '=' | '|' | '%')
}

fn begins_like_token(run: &str) -> bool {
    TOKEN_BEGINNINGS.iter().any(|beginning| run.contains(beginning))
}

fn looks_like_token(run: &str) -> bool {
    let has = |test: fn(&u8) -> bool| run.as_bytes().iter().any(test);
    let mixed = has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit)
        || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    begins_like_token(run) || (run.len() >= TOKEN_LIKE && mixed)
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        // One character less, to make room for the mark.
        Some(_) => text.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prose_stays_and_tokens_go() {
        let redactor = Redactor::new(["s3cret-of-the-app", "Atzr|IwEBIHh2"]);
        let cases = [
            (
                "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission.",
                "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission.",
            ),
            ("token=Atzr|IwEBIHh2 is dead", "token=[removed] is dead"),
            ("\"Atza|IQEBLjAs\", he said", "\"[removed]\", he said"),
            ("secret s3cret-of-the-app\nrefused", "secret [removed] refused"),
            ("AADSTS700082: The refresh token has expired", "AADSTS700082: The refresh token has expired"),
            ("jwt eyJhbGciOi", "jwt [removed]"),
            ("id 8f14e45fceea167a5a36dedd4bea2543.", "id [removed]"),
            ("begins with s3cret-of-the", "begins with [removed]"),
        ];
        for (text, shown) in cases {
            assert_eq!(redactor.clean(text), shown);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let clean = Redactor::new([]).clean(&"word ".repeat(1000));
        assert_eq!(clean.chars().count(), LONGEST);
        assert!(clean.ends_with('…'));
    }

    #[test]
    fn labels_have_no_room_for_prose_or_secrets() {
        let redactor = Redactor::new(["abcdefghijkl"]);
        assert_eq!(redactor.label("invalid_grant", 64).as_deref(), Some("invalid_grant"));
        for text in ["", "two words", "Atzr|x", "abcdefghijkl", "cdefghij", "xabcdefghijklx", "ghr_x", &"a".repeat(65)]
        {
            assert_eq!(redactor.label(text, 64), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_known_secret_survives(secret in "[!-~]{8,80}", before in ".{0,40}", after in ".{0,40}") {
            let redactor = Redactor::new([secret.as_str()]);
            for text in [format!("{before}{secret}{after}"), format!("{before} '{secret}' {after}")] {
                prop_assert!(!redactor.clean(&text).contains(&secret));
            }
            prop_assert_eq!(redactor.label(&secret, 64), None);
        }
    }
}
