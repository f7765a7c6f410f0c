//! The secret that sessions and sign-ins hang on, and the keys that are made of it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evergrant_contract::ids::SessionId;
use evergrant_contract::secret::Secret;
use hmac::{Hmac, Mac as _};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::jwt;

/// What makes a secret as strong as the MAC that it keys (RFC 7518, section 3.2).
const MIN_BYTES: usize = 32;

/// Fewer different characters than this are somebody's keyboard, not chance.
const MIN_DIFFERENT: usize = 8;

/// How many bytes of a state are chance.
const STATE_BYTES: usize = 32;

/// How many bytes of a state tell the key of its verifier.
const MARK_BYTES: usize = 4;

/// How many bytes SHA-256 takes at a time.
const BLOCK_BYTES: usize = 64;

/// Words of secrets that were copied from an example; the first is the one that the original project comes with.
const PLACEHOLDERS: &[&str] = &[
    "your-jwt-secret",
    "your-secret",
    "secret-key-here",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "example",
];

/// What to do about a secret that is refused.
const ADVICE: &str = "make one with `openssl rand -base64 32`, or leave it unset in embedded mode, which makes its own";

/// Why a text cannot be the session secret. Never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none.
    #[error("the session secret is empty: {ADVICE}")]
    Empty,
    /// It is shorter than 256 bits.
    #[error("the session secret has {0} bytes and needs at least {MIN_BYTES}: {ADVICE}")]
    TooShort(usize),
    /// It is a text from an example: everybody knows it.
    #[error("the session secret is a placeholder that everybody knows: {ADVICE}")]
    Placeholder,
    /// It is long, and easily guessed all the same.
    #[error("the session secret repeats itself and is easily guessed: {ADVICE}")]
    Monotonous,
}

/// The keys of sessions and sign-ins, each for one purpose (RFC 8725, section 3.8).
///
/// It is made of one secret, or of several that are separated by commas: the first signs and all verify, so that a secret
/// can be replaced without signing anybody out. It cannot be printed.
#[derive(Clone)]
pub struct SessionSecret(Arc<Ring>);

struct Ring {
    first: Keys,
    /// The first too.
    all: Vec<Keys>,
}

#[derive(Clone)]
struct Keys {
    sign_jwt: EncodingKey,
    verify_jwt: DecodingKey,
    session: Key,
    pkce: Key,
    /// Tells this `pkce` key from others.
    mark: [u8; MARK_BYTES],
}

type Key = Zeroizing<[u8; 32]>;

impl SessionSecret {
    /// Refuses what could be guessed.
    pub fn new(text: &Secret) -> Result<Self, SecretError> {
        let secrets = text.expose().split(',').map(str::trim).filter(|secret| !secret.is_empty());
        let all = secrets.map(|secret| check(secret).map(|()| Keys::of(secret))).collect::<Result<Vec<_>, _>>()?;
        let first = all.first().cloned().ok_or(SecretError::Empty)?;
        jwt::install();
        Ok(Self(Arc::new(Ring { first, all })))
    }

    /// The key that signs access JWTs.
    pub(super) fn jwt_signing(&self) -> &EncodingKey {
        &self.0.first.sign_jwt
    }

    /// The keys that verify access JWTs.
    pub(super) fn jwt_verifying(&self) -> impl Iterator<Item = &DecodingKey> {
        self.0.all.iter().map(|keys| &keys.verify_jwt)
    }

    /// The refresh token of a session's generation. Computed, never stored.
    pub(crate) fn session_token(&self, id: SessionId, generation: i64) -> Secret {
        let body = format!("{}.{generation}", id.uuid().as_simple());
        let mac = URL_SAFE_NO_PAD.encode(mac(&self.0.first.session, body.as_bytes()));
        Secret::new(format!("{body}.{mac}"))
    }

    /// What a session refresh token says, if it is one of ours.
    pub(crate) fn read_session_token(&self, token: &str) -> Option<(SessionId, i64)> {
        let (body, mac) = token.rsplit_once('.')?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        let fits = |keys: &Keys| keyed(&keys.session, body.as_bytes()).verify_slice(&mac).is_ok();
        if !self.0.all.iter().any(fits) {
            return None;
        }
        let (id, generation) = body.split_once('.')?;
        Some((Uuid::try_parse(id).ok()?.into(), generation.parse().ok()?))
    }

    /// A new `state` for the way to the provider and back: 256 bits of chance, and which key its verifier is made with.
    pub(crate) fn new_state(&self) -> Secret {
        let mut state = Zeroizing::new(Vec::with_capacity(STATE_BYTES + MARK_BYTES));
        state.extend(rand::random::<[u8; STATE_BYTES]>());
        state.extend(self.0.first.mark);
        Secret::new(URL_SAFE_NO_PAD.encode(&*state))
    }

    /// The PKCE verifier that belongs to a state: nobody has to keep it (RFC 7636).
    pub(crate) fn verifier(&self, state: &str) -> Secret {
        let bytes = URL_SAFE_NO_PAD.decode(state).unwrap_or_default();
        let made_it = |keys: &&Keys| bytes.get(STATE_BYTES..) == Some(&keys.mark);
        let keys = self.0.all.iter().find(made_it).unwrap_or(&self.0.first);
        Secret::new(URL_SAFE_NO_PAD.encode(mac(&keys.pkce, state.as_bytes())))
    }
}

impl Keys {
    fn of(secret: &str) -> Self {
        let root: Key = Zeroizing::new(Sha256::digest(secret).into());
        let key = |purpose: &str| mac(&root, purpose.as_bytes());
        let jwt = key("evergrant/jwt");
        let pkce = key("evergrant/pkce");
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&mac(&pkce, b"evergrant/mark")[..MARK_BYTES]);
        Self {
            sign_jwt: EncodingKey::from_secret(&jwt[..]),
            verify_jwt: DecodingKey::from_secret(&jwt[..]),
            session: key("evergrant/session"),
            pkce,
            mark,
        }
    }
}

/// The PKCE challenge of a verifier, S256.
pub(crate) fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

/// What the store keeps of a state.
pub(crate) fn state_digest(state: &str) -> [u8; 32] {
    Sha256::digest(state).into()
}

/// A MAC of this message. A key shorter than a block is filled up with zeros, as HMAC itself would.
fn keyed(key: &Key, message: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; BLOCK_BYTES]);
    block[..key.len()].copy_from_slice(&key[..]);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(message);
    mac
}

fn mac(key: &Key, message: &[u8]) -> Key {
    Zeroizing::new(keyed(key, message).finalize().into_bytes().into())
}

fn check(secret: &str) -> Result<(), SecretError> {
    let lower = secret.to_ascii_lowercase();
    if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        return Err(SecretError::Placeholder);
    }
    if secret.len() < MIN_BYTES {
        return Err(SecretError::TooShort(secret.len()));
    }
    let mut different = secret.chars().collect::<Vec<_>>();
    different.sort_unstable();
    different.dedup();
    let bytes = secret.as_bytes();
    let repeats = (1..=bytes.len() / 2).any(|period| bytes[period..] == bytes[..bytes.len() - period]);
    if different.len() < MIN_DIFFERENT || repeats {
        return Err(SecretError::Monotonous);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::SESSION_SECRET as SECRET;

    const OTHER_SECRET: &str = "hT3vYq8RkZ5nB1xWc7Lm0Pd4Jf9Gs2Ua6Ei-_oXyVbNw";

    fn secret(text: &str) -> SessionSecret {
        SessionSecret::new(&Secret::new(text)).unwrap()
    }

    fn refusal(text: &str) -> SecretError {
        SessionSecret::new(&Secret::new(text)).err().unwrap()
    }

    #[test]
    fn the_secret_of_the_original_project_and_other_examples_are_refused() {
        assert_eq!(refusal("your-jwt-secret-key-here"), SecretError::Placeholder);
        assert_eq!(refusal("Your-JWT-Secret-Key-Here-and-some-more-text"), SecretError::Placeholder);
        assert_eq!(refusal("CHANGEME-changeme-0123456789-abcdefgh"), SecretError::Placeholder);
        assert_eq!(refusal(&"x".repeat(64)), SecretError::Monotonous);
        assert_eq!(refusal(&"abcdefghij".repeat(7)), SecretError::Monotonous);
        assert_eq!(refusal("abababababcbcbcbcbcacacaabababababcbcbc"), SecretError::Monotonous);
        assert_eq!(refusal(&SECRET[..31]), SecretError::TooShort(31));
        for empty in ["", " ", ",", " , "] {
            assert_eq!(refusal(empty), SecretError::Empty);
        }
        assert_eq!(refusal(&format!("{SECRET},your-jwt-secret-key-here")), SecretError::Placeholder, "in any place");
    }

    #[test]
    fn a_refusal_says_what_to_do_and_not_what_was_given() {
        let text = "short-and-telling";
        let error = refusal(text).to_string();
        assert!(error.contains("openssl rand -base64 32") && !error.contains(text), "{error}");
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let keys = Keys::of(SECRET);
        assert_ne!(keys.sign_jwt.as_bytes(), &keys.session[..]);
        assert_ne!(keys.session[..], keys.pkce[..]);
        assert_ne!(keys.sign_jwt.as_bytes(), &keys.pkce[..]);
    }

    #[test]
    fn a_session_token_reads_back_under_its_own_secret_only() {
        let id = SessionId::generate();
        let token = secret(SECRET).session_token(id, 7);
        assert_eq!(secret(SECRET).read_session_token(token.expose()), Some((id, 7)));
        assert_eq!(secret(OTHER_SECRET).read_session_token(token.expose()), None);
        assert!(secret(SECRET).session_token(id, 7).same_as(&token), "every instance computes the same");
        assert!(!secret(SECRET).session_token(id, 8).same_as(&token));
    }

    #[test]
    fn a_secret_is_replaced_without_signing_anybody_out() {
        let (old, new) = (secret(SECRET), secret(&format!("{OTHER_SECRET}, {SECRET}")));
        let id = SessionId::generate();
        let token = old.session_token(id, 1);
        assert_eq!(new.read_session_token(token.expose()), Some((id, 1)));
        let next = new.session_token(id, 2);
        assert_eq!(old.read_session_token(next.expose()), None, "the first secret signs");
        let state = old.new_state();
        let (before, after) = (old.verifier(state.expose()), new.verifier(state.expose()));
        assert!(before.same_as(&after), "a consent that was begun under the old secret can be ended under the new");
        let state = new.new_state();
        assert!(new.verifier(state.expose()).same_as(&secret(OTHER_SECRET).verifier(state.expose())));
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_state_is_new_every_time_and_its_verifier_is_long_enough() {
        let secret = secret(SECRET);
        let (one, two) = (secret.new_state(), secret.new_state());
        assert!(!one.same_as(&two));
        assert_ne!(state_digest(one.expose()), state_digest(two.expose()));
        assert_eq!(secret.verifier(one.expose()).expose().len(), 43, "43 to 128 characters");
        assert!(!secret.verifier(one.expose()).same_as(&secret.verifier(two.expose())));
    }

    proptest! {
        #[test]
        fn a_changed_session_token_is_none(at in 0..78_usize, to in "[A-Za-z0-9_.=+ -]") {
            let secret = secret(SECRET);
            let token = secret.session_token(SessionId::from(Uuid::from_u128(0x1234)), 42);
            let mut changed = token.expose().to_owned();
            let at = at.min(changed.len() - 1);
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != token.expose());
            prop_assert_eq!(secret.read_session_token(&changed), None);
        }

        #[test]
        fn garbage_is_no_session_token(text in ".{0,120}") {
            prop_assert_eq!(secret(SECRET).read_session_token(&text), None);
        }
    }
}
