//! Authorization codes: good for one exchange within five minutes.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{lock::lock, now::now_ms};

/// As long as Amazon's.
const LIFETIME_MS: i64 = 5 * 60 * 1000;
/// Codes that are kept at one time; the oldest gives way.
const LIMIT: usize = 10_000;

/// What a user has allowed and nobody has collected yet.
pub(crate) struct Consent {
    pub(crate) user: String,
    pub(crate) scope: Arc<str>,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<Challenge>,
}

/// The client's promise that it will know the verifier (PKCE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    S256(String),
    Plain(String),
}

impl Challenge {
    pub(crate) fn accepts(&self, verifier: &str) -> bool {
        match self {
            Self::S256(challenge) => *challenge == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
            Self::Plain(challenge) => challenge == verifier,
        }
    }
}

/// All codes that can still be exchanged.
#[derive(Default)]
pub(crate) struct Codes(Mutex<Open>);

#[derive(Default)]
struct Open {
    by_code: HashMap<String, (i64, Consent)>,
    oldest_first: VecDeque<String>,
}

impl Codes {
    pub(crate) fn issue(&self, consent: Consent) -> String {
        let code = format!("AN{}", Uuid::new_v4().simple());
        let mut open = lock(&self.0);
        while open.oldest_first.len() >= LIMIT
            && let Some(oldest) = open.oldest_first.pop_front()
        {
            open.by_code.remove(&oldest);
        }
        open.oldest_first.push_back(code.clone());
        open.by_code.insert(code.clone(), (now_ms() + LIFETIME_MS, consent));
        code
    }

    /// Uses up a code, also when the exchange then fails: whoever guesses has one guess.
    pub(crate) fn take(&self, code: &str) -> Option<Consent> {
        self.take_at(code, now_ms())
    }

    fn take_at(&self, code: &str, now_ms: i64) -> Option<Consent> {
        let (expires_at_ms, consent) = lock(&self.0).by_code.remove(code)?;
        (now_ms < expires_at_ms).then_some(consent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent() -> Consent {
        Consent { user: "ann".to_owned(), scope: "profile".into(), redirect_uri: String::new(), challenge: None }
    }

    #[test]
    fn a_code_is_good_once_and_for_five_minutes() {
        let codes = Codes::default();
        let code = codes.issue(consent());
        assert!(codes.take(&code).is_some());
        assert!(codes.take(&code).is_none());
        let late = codes.issue(consent());
        assert!(codes.take_at(&late, now_ms() + LIFETIME_MS + 1).is_none());
    }

    #[test]
    fn the_oldest_code_gives_way() {
        let codes = Codes::default();
        let first = codes.issue(consent());
        (0..LIMIT).for_each(|_| drop(codes.issue(consent())));
        assert!(codes.take(&first).is_none());
        assert_eq!(lock(&codes.0).by_code.len(), LIMIT);
    }

    #[test]
    fn the_example_of_rfc_7636_is_accepted() {
        let challenge = Challenge::S256("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned());
        assert!(challenge.accepts("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.accepts("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXj"));
    }
}
