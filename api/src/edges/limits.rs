//! How often one address, and one user, may ask for what costs us or lets somebody guess.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use evergrant_contract::ids::UserId;
use evergrant_contract::ports::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use metrics::counter;

use super::address;
use crate::auth::{SignedIn, session_of};
use crate::problem::{Problem, ProblemKind};
use crate::settings::ApiSettings;
use crate::state::Api;

/// So many keys are told apart; a flood of more shares [`CROWDS`] buckets, so that memory has an end.
const KEYS_MAX: usize = 100_000;
const CROWDS: u64 = 4_096;

/// Buckets that have filled up again are forgotten this often.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// Everything below is limited by address, but for what front ends ask again and again.
const AUTH: &str = "/api/auth/";
pub(super) const POLLED: [&str; 4] =
    ["/api/auth/me", "/api/auth/token-status", "/api/auth/amazon/status", "/api/auth/amazon/refresh-status"];

/// What a user may not ask for as often as they like. Keys may: what they cause is one call for however many ask, and a
/// service with a thousand connections has a thousand reasons.
const REFRESHING: [&str; 3] = ["/api/auth/refresh", "/api/auth/amazon/refresh", "/api/connections/{id}/force-refresh"];

/// Who asked how often within the last minute.
pub(super) struct Limits {
    addresses: Buckets<IpAddr>,
    users: Buckets<UserId>,
    proxies: u32,
}

impl Limits {
    /// Nobody has asked yet.
    pub(super) fn new(settings: &ApiSettings, clock: &Arc<dyn Clock>) -> Self {
        Self {
            addresses: Buckets::new(settings.auth_per_minute, clock),
            users: Buckets::new(settings.auth_per_minute_user, clock),
            proxies: settings.trusted_proxies,
        }
    }

    fn address(&self, request: &Request) -> Result<(), Problem> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let address = address::client(peer, request.headers(), self.proxies);
        self.addresses.take(address).map_err(|wait| too_many("address", "from this address", wait))
    }

    fn user(&self, user: UserId) -> Result<(), Problem> {
        self.users.take(user).map_err(|wait| too_many("user", "of this user", wait))
    }
}

fn too_many(by: &'static str, whose: &str, wait: Duration) -> Problem {
    counter!("evergrant_http_rate_limited_total", "by" => by).increment(1);
    Problem::new(ProblemKind::RateLimited, format!("Too many requests {whose}. Wait before the next."))
        .retry_after(wait)
}

/// Keeps everybody to the limits.
pub(super) async fn keep(
    State((api, limits)): State<(Arc<Api>, Arc<Limits>)>,
    request: Request,
    next: Next,
) -> Response {
    match check(&api, &limits, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn check(api: &Arc<Api>, limits: &Limits, request: Request) -> Result<Request, Problem> {
    let Some(route) = request.extensions().get::<MatchedPath>().cloned() else { return Ok(request) };
    let route = route.as_str();
    let is_polled = request.method() != Method::POST && POLLED.contains(&route);
    if route.starts_with(AUTH) && !is_polled {
        limits.address(&request)?;
    }
    if !REFRESHING.contains(&route) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    // Who cannot be told is refused further in, and costs nothing.
    if let Ok(signed_in) = <SignedIn as FromRequestParts<_>>::from_request_parts(&mut parts, api).await {
        limits.user(signed_in.user.id)?;
    } else if let Some(user) = user_of_cookie(api, &parts.headers).await {
        limits.user(user)?;
    }
    Ok(Request::from_parts(parts, body))
}

/// Whose session the cookie is of, whatever that session is worth by now.
async fn user_of_cookie(api: &Api, headers: &HeaderMap) -> Option<UserId> {
    let token = session_of(headers)?;
    let (session, _) = api.callers.secret().read_session_token(token.expose())?;
    api.store.session(session).await.ok()?.map(|session| session.user)
}

/// One bucket for each key; a full one holds a minute's worth.
struct Buckets<K: Hash + Eq + Clone> {
    limiter: RateLimiter<Key<K>, DashMapStateStore<Key<K>>, Hands, NoOpMiddleware<Nanos>>,
    hands: Hands,
    crowd: RandomState,
    keys_max: usize,
    tidied_at: AtomicU64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key<K> {
    One(K),
    Crowd(u64),
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(per_minute: u32, clock: &Arc<dyn Clock>) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        let hands = Hands(Arc::clone(clock));
        let limiter = RateLimiter::new(quota, DashMapStateStore::default(), hands.clone());
        Self { limiter, hands, crowd: RandomState::new(), keys_max: KEYS_MAX, tidied_at: AtomicU64::new(0) }
    }

    /// Takes one from the bucket of this key. `Err` is how long until there is one.
    fn take(&self, key: K) -> Result<(), Duration> {
        self.tidy();
        let key = if self.limiter.len() < self.keys_max {
            Key::One(key)
        } else {
            Key::Crowd(self.crowd.hash_one(key) % CROWDS)
        };
        let now = governor::clock::Clock::now(&self.hands);
        self.limiter.check_key(&key).map_err(|until| until.wait_time_from(now))
    }

    fn tidy(&self) {
        let now = self.hands.0.monotonic().as_secs();
        let before = self.tidied_at.load(Ordering::Relaxed);
        let is_time = now.saturating_sub(before) >= TIDY_EVERY.as_secs();
        let is_mine = || self.tidied_at.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_time && is_mine() {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

/// The clock that never jumps, as governor reads it.
#[derive(Clone)]
struct Hands(Arc<dyn Clock>);

impl governor::clock::Clock for Hands {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.monotonic())
    }
}

#[cfg(test)]
mod tests {
    use evergrant_testkit::ManualClock;

    use super::*;

    #[tokio::test]
    async fn buckets_that_are_full_again_are_forgotten() {
        let clock = ManualClock::new();
        let buckets = Buckets::new(10, &(Arc::clone(&clock) as Arc<dyn Clock>));
        assert!((0..5_000).all(|key| buckets.take(key).is_ok()));
        assert_eq!(buckets.limiter.len(), 5_000);
        clock.advance(TIDY_EVERY).await;
        assert!(buckets.take(0).is_ok());
        assert!(buckets.limiter.len() <= 1, "{} are kept", buckets.limiter.len());
    }

    #[test]
    fn a_flood_of_keys_shares_a_bounded_number_of_buckets_and_is_limited_all_the_same() {
        let clock: Arc<dyn Clock> = ManualClock::new();
        let buckets = Buckets { keys_max: 10, ..Buckets::new(1, &clock) };
        let let_in = (0..50_000).filter(|key| buckets.take(*key).is_ok()).count();
        let most = 10 + usize::try_from(CROWDS).unwrap();
        assert!(let_in <= most && buckets.limiter.len() <= most, "{let_in} of 50000, {} kept", buckets.limiter.len());
    }
}
