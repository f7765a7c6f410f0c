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
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation, decode, encode};
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
