//! Access JWTs: one algorithm, one type, one issuer, one audience (RFC 8725, RFC 9068).

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::{SessionId, UserId};
use evergrant_contract::people::User;
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::after;
use hmac::{Hmac, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult, new_error};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::secret::SessionSecret;

const ISSUER: &str = "evergrant";
const AUDIENCE: &str = "evergrant-api";
const TYPE: &str = "at+jwt";

/// Clocks of instances may differ by this much.
const LEEWAY: Duration = Duration::from_secs(5);

/// What an access JWT says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    /// Who.
    pub(super) sub: UserId,
    email: String,
    /// In which session.
    pub(super) sid: SessionId,
    iat: i64,
    exp: i64,
}

/// Why an access JWT is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JwtError {
    /// It is one of ours, and its time is over.
    Expired(Claims),
    /// It is none of ours.
    Invalid,
}

/// A new access JWT.
pub(super) fn issue(
    secret: &SessionSecret,
    user: &User,
    session: SessionId,
    now: Timestamp,
    lives: Duration,
) -> JwtResult<Secret> {
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: user.id.clone(),
        email: user.email.clone(),
        sid: session,
        iat: now.timestamp(),
        exp: after(now, lives).timestamp(),
    };
    let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, &claims, secret.jwt_signing()).map(Secret::new)
}

/// What an access JWT says, if it is good.
pub(super) fn verify(secret: &SessionSecret, token: &str, now: Timestamp) -> Result<Claims, JwtError> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // The library would read the system's clock. Ours is given to us, and is asked below.
    validation.validate_exp = false;
    let read = |key| decode::<Claims>(token, key, &validation).ok();
    let data = secret.jwt_verifying().find_map(read).ok_or(JwtError::Invalid)?;
    let is_ours = data.header.typ.as_deref() == Some(TYPE) && data.header.crit.is_none();
    let leeway = LEEWAY.as_secs().cast_signed();
    if !is_ours || data.claims.iat > now.timestamp().saturating_add(leeway) {
        return Err(JwtError::Invalid);
    }
    if now.timestamp() >= data.claims.exp.saturating_add(leeway) {
        return Err(JwtError::Expired(data.claims));
    }
    Ok(data.claims)
}

/// Gives the library the one algorithm that we use; its own set of them would bring RSA along, with an open advisory.
/// Calling it again does nothing.
pub(super) fn install() {
    static HS256_ONLY: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| {
            only_hs256(*algorithm, key.family())?;
            Ok(Box::new(Hs256::new(key.as_bytes())?))
        },
        verifier_factory: |algorithm, key| {
            only_hs256(*algorithm, key.family())?;
            Ok(Box::new(Hs256::new(key.try_get_as_bytes()?)?))
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    // Refused if one is installed: then it is this one, since nobody else in the process makes JWTs.
    let _ = HS256_ONLY.install_default();
}

fn only_hs256(algorithm: Algorithm, family: AlgorithmFamily) -> JwtResult<()> {
    let fits = algorithm == Algorithm::HS256 && family == AlgorithmFamily::Hmac;
    if fits { Ok(()) } else { Err(new_error(ErrorKind::UnsupportedAlgorithm)) }
}

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(key: &[u8]) -> JwtResult<Self> {
        Hmac::new_from_slice(key).map(Self).map_err(|_| new_error(ErrorKind::InvalidKeyFormat))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut mac = self.0.clone();
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], mac: &Vec<u8>) -> Result<(), signature::Error> {
        let mut computed = self.0.clone();
        computed.update(message);
        // In constant time; a shortened MAC is refused too.
        computed.verify_slice(mac).map_err(signature::Error::from_source)
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::SESSION_SECRET;

    const LIVES: Duration = Duration::from_mins(15);

    fn secret() -> SessionSecret {
        SessionSecret::new(&Secret::new(SESSION_SECRET)).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn ada() -> User {
        User {
            id: "ada".parse().unwrap(),
            email: "ada@example.com".into(),
            name: "Ada".into(),
            account: String::new(),
            is_admin: false,
            is_active: true,
            profile_ids: Vec::new(),
            marketplace_ids: Vec::new(),
            created_at: now(),
        }
    }

    fn token() -> String {
        issue(&secret(), &ada(), SessionId::from(uuid::Uuid::from_u128(7)), now(), LIVES).unwrap().expose().to_owned()
    }

    fn part(json: &Value) -> String {
        URL_SAFE_NO_PAD.encode(json.to_string())
    }

    fn claims() -> Value {
        let sid = uuid::Uuid::from_u128(7);
        let (iat, exp) = (now().timestamp(), now().timestamp() + 900);
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "email": "", "sid": sid, "iat": iat, "exp": exp })
    }

    fn header() -> Value {
        json!({ "typ": TYPE, "alg": "HS256" })
    }

    /// A token with a good MAC, whatever it says.
    fn signed(header: &Value, claims: &Value) -> String {
        let body = format!("{}.{}", part(header), part(claims));
        let mac = Hs256::new(secret().jwt_signing().as_bytes()).unwrap().try_sign(body.as_bytes()).unwrap();
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    fn with(mut object: Value, name: &str, value: Value) -> Value {
        object[name] = value;
        object
    }

    #[test]
    fn a_token_says_who_and_in_which_session() {
        let read = verify(&secret(), &token(), now()).unwrap();
        assert_eq!((read.sub.as_str(), read.sid.uuid().as_u128()), ("ada", 7));
        assert_eq!(read.exp - read.iat, 900);
        assert!(verify(&secret(), &signed(&header(), &claims()), now()).is_ok(), "or the refusals below prove nothing");
    }

    #[test]
    fn an_expired_token_is_told_from_one_that_is_none_of_ours() {
        let at = |seconds| after(now(), Duration::from_secs(seconds));
        assert!(verify(&secret(), &token(), at(904)).is_ok(), "clocks differ a little");
        let Err(JwtError::Expired(claims)) = verify(&secret(), &token(), at(905)) else { panic!("it is over") };
        assert_eq!(claims.sid.uuid().as_u128(), 7);
        assert_eq!(verify(&secret(), "garbage", at(905)), Err(JwtError::Invalid));
    }

    #[test]
    fn only_our_algorithm_type_issuer_and_audience_are_good() {
        let future = json!(now().timestamp() + 6);
        let bad = [
            ("none", signed(&with(header(), "alg", json!("none")), &claims())),
            ("no MAC", format!("{}.{}.", part(&with(header(), "alg", json!("none"))), part(&claims()))),
            ("RS256", signed(&with(header(), "alg", json!("RS256")), &claims())),
            ("HS384", signed(&with(header(), "alg", json!("HS384")), &claims())),
            ("type", signed(&with(header(), "typ", json!("JWT")), &claims())),
            ("no type", signed(&json!({ "alg": "HS256" }), &claims())),
            ("critical", signed(&with(header(), "crit", json!(["x"])), &claims())),
            ("issuer", signed(&header(), &with(claims(), "iss", json!("somebody")))),
            ("audience", signed(&header(), &with(claims(), "aud", json!("another-api")))),
            ("audiences", signed(&header(), &with(claims(), "aud", json!([AUDIENCE, "another-api"])))),
            ("future", signed(&header(), &with(claims(), "iat", future))),
            ("no end", signed(&header(), &with(claims(), "exp", Value::Null))),
            ("end in words", signed(&header(), &with(claims(), "exp", json!("tomorrow")))),
            ("no user", signed(&header(), &with(claims(), "sub", json!("")))),
            ("no session", signed(&header(), &with(claims(), "sid", json!("7")))),
        ];
        for (what, token) in bad {
            assert_eq!(verify(&secret(), &token, now()), Err(JwtError::Invalid), "{what}");
        }
    }

    #[test]
    fn the_token_of_another_secret_is_refused_and_that_of_the_former_one_is_not() {
        let other = "hT3vYq8RkZ5nB1xWc7Lm0Pd4Jf9Gs2Ua6Ei-_oXyVbNw";
        let parsed = |text: &str| SessionSecret::new(&Secret::new(text)).unwrap();
        assert_eq!(verify(&parsed(other), &token(), now()), Err(JwtError::Invalid));
        assert!(verify(&parsed(&format!("{other},{SESSION_SECRET}")), &token(), now()).is_ok());
    }

    #[test]
    fn no_other_algorithm_can_be_had() {
        install();
        let secret = secret();
        let header = Header { typ: Some(TYPE.into()), ..Header::new(Algorithm::HS512) };
        assert!(encode(&header, &claims(), secret.jwt_signing()).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_token_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.=-]") {
            let token = token();
            let at = at.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != token);
            prop_assert_eq!(verify(&secret(), &changed, now()), Err(JwtError::Invalid));
        }

        #[test]
        fn a_shortened_or_lengthened_token_is_refused(cut in 1_usize..60, tail in "[A-Za-z0-9_.=-]{1,9}") {
            let token = token();
            prop_assert_eq!(verify(&secret(), &token[..token.len() - cut], now()), Err(JwtError::Invalid));
            prop_assert_eq!(verify(&secret(), &format!("{token}{tail}"), now()), Err(JwtError::Invalid));
        }

        #[test]
        fn garbage_is_refused(text in ".{0,200}") {
            prop_assert_eq!(verify(&secret(), &text, now()), Err(JwtError::Invalid));
        }
    }
}
