//! The shape of tokens, and how they are told apart without keeping them.

use std::hash::{BuildHasher, RandomState};

/// The number of a grant: the shard it lives in and its place there (see `grants.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GrantNo(pub(crate) u64);

/// What a refresh token stands for: the nth of its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefreshClaims {
    pub(crate) grant: GrantNo,
    pub(crate) generation: u32,
}

/// What an access token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessClaims {
    pub(crate) grant: GrantNo,
    /// Tells apart two tokens of a grant that expire at the same millisecond.
    pub(crate) serial: u32,
    pub(crate) expires_at_ms: i64,
}

/// Makes and reads tokens.
///
/// A token carries its claims and a tag that only this mint can make, so that a hundred thousand grants cost no table of
/// tokens: reading one is making it again and comparing. The tag is a keyed hash, new at every start; nobody attacks a
/// simulator, and a fast one can be put in front of a benchmark.
pub(crate) struct Mint {
    key: RandomState,
}

const ACCESS_PREFIX: &str = "Atza|IwEBI";
const REFRESH_PREFIX: &str = "Atzr|IwEBI";
/// Amazon's access tokens have at least 350 characters; so have these, to catch columns and buffers that are too short.
const ACCESS_HEX_WORDS: usize = 22;
const REFRESH_HEX_WORDS: usize = 20;
/// Hex digits of one word.
const WORD: usize = 16;

impl Mint {
    pub(crate) fn new() -> Self {
        Self { key: RandomState::new() }
    }

    pub(crate) fn access(&self, claims: AccessClaims) -> String {
        let words = [claims.grant.0, u64::from(claims.serial), claims.expires_at_ms.cast_unsigned()];
        self.write(ACCESS_PREFIX, &words, ACCESS_HEX_WORDS)
    }

    pub(crate) fn refresh(&self, claims: RefreshClaims) -> String {
        self.write(REFRESH_PREFIX, &[claims.grant.0, u64::from(claims.generation)], REFRESH_HEX_WORDS)
    }

    pub(crate) fn read_access(&self, token: &str) -> Option<AccessClaims> {
        let hex = token.strip_prefix(ACCESS_PREFIX)?;
        let claims = AccessClaims {
            grant: GrantNo(word(hex, 0)?),
            serial: u32::try_from(word(hex, 1)?).ok()?,
            expires_at_ms: word(hex, 2)?.cast_signed(),
        };
        (self.access(claims) == token).then_some(claims)
    }

    pub(crate) fn read_refresh(&self, token: &str) -> Option<RefreshClaims> {
        let hex = token.strip_prefix(REFRESH_PREFIX)?;
        let claims = RefreshClaims { grant: GrantNo(word(hex, 0)?), generation: u32::try_from(word(hex, 1)?).ok()? };
        (self.refresh(claims) == token).then_some(claims)
    }

    fn write(&self, prefix: &str, claims: &[u64], words: usize) -> String {
        let mut token = String::with_capacity(prefix.len() + words * WORD);
        token.push_str(prefix);
        for claim in claims {
            push_hex(&mut token, *claim);
        }
        let mut tag = self.key.hash_one((prefix, claims));
        for _ in claims.len()..words {
            push_hex(&mut token, tag);
            tag = scatter(tag);
        }
        token
    }
}

/// The nth word of the hex part.
fn word(hex: &str, index: usize) -> Option<u64> {
    u64::from_str_radix(hex.get(index * WORD..(index + 1) * WORD)?, 16).ok()
}

fn push_hex(text: &mut String, word: u64) {
    for shift in (0..u64::BITS).step_by(4).rev() {
        let digit = u8::try_from(word >> shift & 0xf).unwrap_or_default();
        text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
    }
}

/// One step of a bijective mixer (an odd multiplier and a shift): spreads a number over all its bits.
pub(crate) fn scatter(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: AccessClaims = AccessClaims { grant: GrantNo(7), serial: 3, expires_at_ms: 1_795_000_000_123 };
    const REFRESH: RefreshClaims = RefreshClaims { grant: GrantNo(u64::MAX), generation: 41 };

    #[test]
    fn tokens_look_like_amazons() {
        let mint = Mint::new();
        let access = mint.access(ACCESS);
        assert!(access.starts_with("Atza|") && access.len() >= 350 && access.len() <= 2048, "{}", access.len());
        assert!(mint.refresh(REFRESH).starts_with("Atzr|"));
    }

    #[test]
    fn a_token_is_read_by_its_own_mint_only() {
        let mint = Mint::new();
        assert_eq!(mint.read_access(&mint.access(ACCESS)), Some(ACCESS));
        assert_eq!(mint.read_refresh(&mint.refresh(REFRESH)), Some(REFRESH));
        assert_eq!(Mint::new().read_access(&mint.access(ACCESS)), None);
        assert_eq!(mint.read_access(&mint.refresh(REFRESH)), None);
    }

    #[test]
    fn a_changed_token_is_nobodys() {
        let mint = Mint::new();
        let token = mint.refresh(REFRESH);
        let (head, last) = token.split_at(token.len() - 1);
        let changed = format!("{head}{}", if last == "0" { "1" } else { "0" });
        assert_eq!(mint.read_refresh(&changed), None);
        assert_eq!(mint.read_refresh(head), None);
        assert_eq!(mint.read_refresh(""), None);
        assert_eq!(mint.read_refresh("Atzr|IwEBIé"), None);
    }
}
