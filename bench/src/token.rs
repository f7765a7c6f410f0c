//! Tokens of the bench: each says whose it is and how many came before it, so that the mock keeps no table of them.

use std::fmt::Write as _;

/// As long as Amazon's usually are.
const LENGTH: usize = 400;
const REFRESH: &str = "Atzr|";
const ACCESS: &str = "Atza|";

/// The refresh token of a grant after so many refreshes.
pub fn refresh_token(grant: u32, generation: u32) -> String {
    token(REFRESH, grant, generation)
}

/// The access token that came with it.
pub fn access_token(grant: u32, generation: u32) -> String {
    token(ACCESS, grant, generation)
}

fn token(kind: &str, grant: u32, generation: u32) -> String {
    let mut text = String::with_capacity(LENGTH);
    // Writing to a String cannot fail.
    let _ = write!(text, "{kind}{grant:010}.{generation:010}.");
    // Nothing that a compressing disk could make small, nothing that a form has to encode.
    let mut state = u64::from(grant) << 32 | u64::from(generation) | 1;
    while text.len() < LENGTH {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let _ = write!(text, "{state:016x}");
    }
    text.truncate(LENGTH);
    text
}

/// The grant and the generation of the refresh token in the body of a form.
pub fn presented(form: &[u8]) -> Option<(u32, u32)> {
    const FIELD: &[u8] = b"refresh_token=Atzr%7C";
    let start = form.windows(FIELD.len()).position(|window| window == FIELD)? + FIELD.len();
    let digits = form.get(start..start + 21)?;
    let (grant, rest) = digits.split_at(10);
    let generation = rest.strip_prefix(b".")?;
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
    Some((number(grant)?, number(generation)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_tells_whose_token_it_is() {
        let encoded: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", &refresh_token(7, 4_000_000_000))
            .append_pair("client_id", "bench")
            .finish();
        assert_eq!(presented(encoded.as_bytes()), Some((7, 4_000_000_000)));
    }

    #[test]
    fn what_is_no_token_of_ours_is_nobodys() {
        for form in
            ["", "refresh_token=Atzr%7C", "refresh_token=Atzr%7C0000000001-0000000001.", "grant_type=refresh_token"]
        {
            assert_eq!(presented(form.as_bytes()), None, "{form}");
        }
    }

    #[test]
    fn no_two_tokens_are_the_same() {
        let some = [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(grant, generation)| refresh_token(grant, generation));
        for (at, one) in some.iter().enumerate() {
            assert_eq!(one.len(), LENGTH);
            assert!(!some[..at].contains(one));
        }
        assert_ne!(refresh_token(1, 1), access_token(1, 1));
    }
}
