//! Who calls: access JWTs and API keys, looked up in the store at most once a second each.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, header};
use evergrant_contract::Timestamp;
use evergrant_contract::ids::{ApiKeyId, SessionId};
use evergrant_contract::people::{ApiKey, Session, User, UserKey};
use evergrant_contract::ports::{Clock, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::until;
use moka::future::Cache;
use tokio_util::task::TaskTracker;

use super::jwt::{self, JwtError};
use super::rules::{Caller, SignedIn};
use super::secret::SessionSecret;
use super::sessions::session_ended;
use super::{Passwords, api_keys};
use crate::problem::{Problem, ProblemKind};

/// What the store said is believed for this long: a sign-out reaches every instance within it.
const BELIEVED: Duration = Duration::from_secs(1);

/// How many sessions, and how many keys, are remembered at once.
const REMEMBERED: u64 = 10_000;

/// The use of a key is noted to the minute.
const NOTED_EVERY: Duration = Duration::from_mins(1);

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request shows to say who calls.
pub(crate) enum Presented {
    /// An access JWT, or what claims to be one.
    Jwt(Secret),
    /// An API key, or what claims to be one.
    Key(Secret),
}

/// Tells who calls.
pub struct Callers {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    secret: SessionSecret,
    sessions: Cache<SessionId, Seen<Option<Arc<Known>>>>,
    keys: Cache<ApiKeyId, Seen<Option<Arc<KnownKey>>>>,
    passwords: Passwords,
    notes: TaskTracker,
}

/// A session and its user, as they stood in the store.
struct Known {
    session: Session,
    user: User,
}

/// A key as it stood in the store.
struct KnownKey {
    key: ApiKey,
    /// Not, if it is bound to a user who has been made inactive.
    is_user_active: bool,
    /// Its use is to be noted; whoever uses it first takes this down.
    to_note: AtomicBool,
}

/// What the store said, and when it was asked, by the monotonic clock.
#[derive(Clone)]
struct Seen<T> {
    asked_at: Duration,
    found: T,
}

impl Callers {
    /// Asks this store, and believes JWTs that this secret signed.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, secret: SessionSecret) -> Self {
        Self {
            store,
            clock,
            secret,
            sessions: remembering(),
            keys: remembering(),
            passwords: Passwords::new(),
            notes: TaskTracker::new(),
        }
    }

    /// Returns when every use of a key is noted. For the end of the process.
    pub async fn drain(&self) {
        self.notes.close();
        self.notes.wait().await;
    }

    /// The keys of sessions and sign-ins.
    pub(crate) fn secret(&self) -> &SessionSecret {
        &self.secret
    }

    /// Verifies passwords.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Who sent these headers.
    pub(crate) async fn resolve(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        match presented(headers)? {
            Some(Presented::Jwt(token)) => self.signed_in(&token).await.map(Caller::User),
            Some(Presented::Key(key)) => self.key(&key).await.map(Caller::Key),
            None => Err(unauthenticated("No credentials came with the request. Sign in, or send an API key.")),
        }
    }

    /// The session that an access JWT was issued in, however long ago. It may have ended.
    pub(crate) fn session_of_jwt(&self, token: &Secret) -> Option<SessionId> {
        match jwt::verify(&self.secret, token.expose(), self.clock.now()) {
            Ok(claims) | Err(JwtError::Expired(claims)) => Some(claims.sid),
            Err(JwtError::Invalid) => None,
        }
    }

    /// Asks the store about this session when it is next used, instead of believing what it said.
    pub(crate) async fn forget(&self, session: SessionId) {
        self.sessions.invalidate(&session).await;
    }

    async fn signed_in(&self, token: &Secret) -> Result<SignedIn, Problem> {
        let now = self.clock.now();
        let claims = jwt::verify(&self.secret, token.expose(), now).map_err(|error| match error {
            JwtError::Expired(_) => {
                let detail = "The session token has expired. Refresh the session and repeat the request.";
                Problem::new(ProblemKind::SessionExpired, detail)
            }
            JwtError::Invalid => unauthenticated("The session token is none of ours. Sign in again."),
        })?;
        let known = self.look(&self.sessions, claims.sid, self.load_session(claims.sid)).await?;
        let good = known.filter(|known| known.is_good(now) && known.user.id == claims.sub).ok_or_else(session_ended)?;
        Ok(SignedIn { user: good.user.clone(), session: claims.sid })
    }

    async fn key(&self, text: &Secret) -> Result<ApiKey, Problem> {
        let unknown = || unauthenticated("The API key is unknown. Check that it was copied whole.");
        let id = api_keys::id_of(text.expose()).ok_or_else(unknown)?;
        let known = self.look(&self.keys, id, self.load_key(id)).await?;
        let known = known.filter(|known| api_keys::is_key(text.expose(), &known.key)).ok_or_else(unknown)?;
        if !known.key.is_good(self.clock.now()) || !known.is_user_active {
            return Err(unauthenticated("The API key was revoked or has expired. Use another one."));
        }
        if known.to_note.swap(false, Ordering::Relaxed) {
            self.note_use(id);
        }
        Ok(known.key.clone())
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<Arc<Known>>, Problem> {
        let Some(session) = self.store.session(id).await? else { return Ok(None) };
        let user = self.store.user(UserKey::Id(&session.user)).await?;
        Ok(user.map(|user| Arc::new(Known { session, user })))
    }

    async fn load_key(&self, id: ApiKeyId) -> Result<Option<Arc<KnownKey>>, Problem> {
        let Some(key) = self.store.api_key(id).await? else { return Ok(None) };
        let user = match &key.user {
            Some(user) => self.store.user(UserKey::Id(user)).await?,
            None => None,
        };
        // A key may be bound to a user of another system, whom we do not know.
        let is_user_active = user.is_none_or(|user| user.is_active);
        let now = self.clock.now();
        let to_note = AtomicBool::new(key.used_at.is_none_or(|at| until(at, now) >= NOTED_EVERY));
        Ok(Some(Arc::new(KnownKey { key, is_user_active, to_note })))
    }

    /// In the background: nobody waits for it, and the next use makes up for a note that was lost.
    fn note_use(&self, id: ApiKeyId) {
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        self.notes.spawn(async move {
            if let Err(error) = store.api_key_used(id, now).await {
                tracing::debug!(%error, key = %id, "The use of an API key could not be noted");
            }
        });
    }

    /// What the store said lately, or says now. A failure is told to all who wait for it and remembered for nobody.
    async fn look<K, V>(
        &self,
        cache: &Cache<K, Seen<V>>,
        key: K,
        load: impl Future<Output = Result<V, Problem>>,
    ) -> Result<V, Problem>
    where
        K: Hash + Eq + Copy + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        if let Some(seen) = cache.get(&key).await {
            if self.clock.monotonic().saturating_sub(seen.asked_at) < BELIEVED {
                return Ok(seen.found);
            }
            cache.invalidate(&key).await;
        }
        let ask = async {
            // Before the question: what changes while it is on its way is then not believed for longer than it should.
            let asked_at = self.clock.monotonic();
            load.await.map(|found| Seen { asked_at, found })
        };
        let seen = cache.try_get_with(key, ask).await;
        seen.map(|seen| seen.found).map_err(Arc::unwrap_or_clone)
    }
}

impl Known {
    fn is_good(&self, now: Timestamp) -> bool {
        self.session.is_open(now) && self.user.is_active
    }
}

impl Presented {
    fn bearer(token: &str) -> Self {
        let secret = Secret::new(token);
        if token.starts_with(api_keys::PREFIX) { Self::Key(secret) } else { Self::Jwt(secret) }
    }
}

/// What these headers show, if anything. `Authorization` goes before `X-API-Key`.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Option<Presented>, Problem> {
    let wrong = || unauthenticated("The header Authorization must read `Bearer <token>`.");
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok().and_then(|value| value.trim().split_once(' ')).ok_or_else(wrong)?;
        let token = token.trim();
        let is_bearer = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
        return if is_bearer { Ok(Some(Presented::bearer(token))) } else { Err(wrong()) };
    }
    let key = headers.get(API_KEY).map(|value| value.to_str().unwrap_or_default().trim());
    Ok(key.map(|key| Presented::Key(Secret::new(key))))
}

fn remembering<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V> {
    Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build()
}

fn unauthenticated(detail: &str) -> Problem {
    Problem::new(ProblemKind::Unauthenticated, detail)
}
