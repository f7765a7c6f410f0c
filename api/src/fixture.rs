//! An API on memory ports, for tests.
//!
//! ```text
//! let fixture = Fixture::new();                              // or Fixture::with(|settings| settings.auth_per_minute = 5)
//! let ada = fixture.user("ada@example.com").await;           // a user; fixture.admin(…) for one who may do everything
//! let connection = fixture.connection(&ada).await;           // an active connection of theirs, good for an hour
//! let (bearer, cookie) = fixture.sign_in(&ada).await;        // an access JWT and the `name=value` of the session's cookie
//! let key = fixture.key(&[Scope::TokensRead]).await;         // the text of an API key for everybody's connections
//! let answer = fixture.call(get("/api/auth/me").header(AUTHORIZATION, bearer)).await;
//! assert_eq!(answer.status, 200); answer.json["email"]; answer.problem() == "not-found"; answer.header("retry-after")
//! ```
//!
//! The clock stands still: move it with `fixture.clock.advance(…)`. Tasks of the waits and the event hub run only after
//! `fixture.run()`. Forced refreshes wait in `fixture.queue`; with `fixture.run_workers()` jobs are done at
//! `fixture.provider` as its script says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode, header};
use evergrant_amc::{Client, ClientSettings, Target};
use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Connection, IfPresent, NewConnection, Stored};
use evergrant_contract::consent::{CodeCall, ConsentRequest, Identity, IdentityError};
use evergrant_contract::ids::{ConnectionId, ProcessId, ProviderName, UserId};
use evergrant_contract::people::{Scope, User};
use evergrant_contract::ports::{
    ApiKeys as _, Chance, Clock, Connections as _, Consents, EventBus, JobQueue, Provider, Store, Users as _,
};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{BackOff, after};
use evergrant_contract::usage::Present;
use evergrant_contract::verdict::{Answer, AnswerTrace, Tokens, Verdict};
use evergrant_testkit::{
    FixedChance, ManualClock, MemoryEvents, MemoryQueue, MemorySpool, MemoryStore, ScriptedProvider,
};
use evergrant_webhooks::{Hooks, Rules, Sender, SystemLookup};
use evergrant_workers::{WorkerSettings, Workers};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::auth::{self, Callers, SessionSecret, new_api_key};
use crate::hub::Hub;
use crate::probes::Probes;
use crate::reads::Reads;
use crate::settings::{ApiSettings, AuthSettings, ForceSettings};
use crate::state::{Api, ProviderApp};
use crate::waits::{LocalTokens, Waits};

/// The one provider app.
pub(crate) const PROVIDER: &str = "amazon-na";
/// The code of a consent that is good: that of the account `amzn1.account.newcomer`.
pub(crate) const GOOD_CODE: &str = "a-good-code";
/// What sessions are signed with.
pub(crate) const SESSION_SECRET: &str = "q7Zt0m4Xv2Lw9Kc5Rb8Np1Hs6Gd3Jf-Y_aEoUiTqWzX";

/// An API on memory ports.
pub(crate) struct Fixture {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) events: Arc<MemoryEvents>,
    pub(crate) provider: Arc<ScriptedProvider>,
    pub(crate) api: Arc<Api>,
    /// The whole router, edges and all. One for all calls: rate limits count.
    pub(crate) router: Router,
    stop: CancellationToken,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// `Null` if the body is no JSON.
    pub(crate) json: serde_json::Value,
}

impl Reply {
    /// The slug of the problem that it tells; empty if it is none.
    pub(crate) fn problem(&self) -> &str {
        let is_problem = self.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
        let slug = self.json["type"].as_str().and_then(|uri| uri.rsplit('/').next()).unwrap_or_default();
        if is_problem { slug } else { "" }
    }

    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A `GET`, to be given to [`Fixture::call`].
pub(crate) fn get(path: &str) -> Builder {
    Request::get(path)
}

/// A `POST` without a body, to be given to [`Fixture::call`].
pub(crate) fn post(path: &str) -> Builder {
    Request::post(path)
}

/// Some hours of everything, and room for everybody.
pub(crate) fn settings() -> ApiSettings {
    ApiSettings {
        public_url: "https://evergrant.example/".parse().unwrap(),
        frontend_url: "https://app.example/".parse().unwrap(),
        allowed_origins: Vec::new(),
        trusted_proxies: 0,
        request_timeout: Duration::from_secs(30),
        header_timeout: Duration::from_secs(10),
        body_max: 64 * 1024,
        amc_body_max: 1024 * 1024,
        in_flight_max: 1000,
        streams_max: 10,
        auth_per_minute: 10_000,
        auth_per_minute_user: 10_000,
        auth: AuthSettings {
            access_token: Duration::from_mins(15),
            session_idle: Duration::from_hours(24 * 7),
            session_max: Duration::from_hours(24 * 30),
            rotation_grace: Duration::from_secs(30),
            flow: Duration::from_mins(10),
            sign_in_provider: PROVIDER.parse().unwrap(),
            open_sign_up: true,
            redirect_uri: "https://evergrant.example/api/auth/amazon/callback".parse().unwrap(),
        },
        force: ForceSettings {
            deadline: Duration::from_secs(10),
            waiters_max: 1000,
            cool_down: Duration::from_secs(5),
            fresh: Duration::from_mins(1),
        },
        refresh_buffer: Duration::from_mins(15),
        refresh_interval: Duration::from_mins(10),
        usage: Present { buffer: Duration::from_mins(15), rest_after: None },
    }
}

impl Fixture {
    /// With the settings of [`settings`].
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With settings that differ. The AMC calls go to an address that nobody answers.
    pub(crate) fn with(change: impl FnOnce(&mut ApiSettings)) -> Self {
        Self::at("http://127.0.0.1:9/", change)
    }

    /// With the provider's API at this address.
    pub(crate) fn at(api_url: &str, change: impl FnOnce(&mut ApiSettings)) -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut settings = settings();
        change(&mut settings);
        let clock = ManualClock::new();
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let (store, queue) = (MemoryStore::new(Arc::clone(&time)), MemoryQueue::new(Arc::clone(&time)));
        let (events, provider) = (MemoryEvents::new(), ScriptedProvider::amazon(Arc::clone(&time)));
        let target = Target {
            provider: PROVIDER.parse().unwrap(),
            api_url: api_url.parse().unwrap(),
            client_id: "amzn1.application-oa2-client.test".to_owned(),
        };
        let app = ProviderApp {
            consents: Arc::new(OneConsent(Arc::clone(&time))),
            provider: Arc::clone(&provider) as Arc<dyn Provider>,
            target: Some(target),
            client_secret_ends_at: None,
        };
        let stop = CancellationToken::new();
        let api = assemble(settings, &time, &store, &queue, &events, app, &stop);
        let router = crate::routes(Arc::clone(&api));
        Self { clock, store, queue, events, provider, api, router, stop }
    }

    /// Starts what the process would run beside the listener: the waits' ears and the event hub.
    pub(crate) fn run(&self) {
        tokio::spawn(Arc::clone(&self.api.waits).run(self.stop.clone()));
        tokio::spawn(Arc::clone(&self.api.hub).run(self.stop.clone()));
    }

    /// Starts workers that do the queue's jobs at `self.provider`.
    pub(crate) fn run_workers(&self) {
        let workers = Workers {
            process: ProcessId::generate(),
            settings: WORKERS,
            store: Arc::clone(&self.store) as _,
            queue: Arc::clone(&self.queue) as _,
            events: Arc::clone(&self.events) as _,
            spool: MemorySpool::new(),
            providers: vec![Arc::clone(&self.provider) as _],
            clock: Arc::clone(&self.clock) as _,
            chance: Arc::new(FixedChance(0.5)),
            meter: Arc::default(),
            stop: self.stop.clone(),
            abort: self.stop.clone(),
        };
        let handler = workers.handler().unwrap();
        tokio::spawn(async move { workers.run(handler).await });
    }

    /// A user with this e-mail address, active and no admin.
    pub(crate) async fn user(&self, email: &str) -> User {
        self.save(email, false).await
    }

    /// An admin.
    pub(crate) async fn admin(&self, email: &str) -> User {
        self.save(email, true).await
    }

    async fn save(&self, email: &str, is_admin: bool) -> User {
        let id: UserId = uuid::Uuid::now_v7().to_string().parse().unwrap();
        let user = User {
            id,
            email: email.to_owned(),
            name: email.split('@').next().unwrap().to_owned(),
            account: String::new(),
            is_admin,
            is_active: true,
            profile_ids: Vec::new(),
            marketplace_ids: Vec::new(),
            created_at: self.clock.now(),
        };
        self.store.save_user(&user).await.unwrap();
        user
    }

    /// A key for everybody's connections.
    pub(crate) async fn key(&self, scopes: &[Scope]) -> String {
        self.key_for(scopes, None).await
    }

    /// A key for one user's connections, or everybody's.
    pub(crate) async fn key_for(&self, scopes: &[Scope], user: Option<&User>) -> String {
        let name = uuid::Uuid::now_v7().to_string();
        let (kept, text) = new_api_key(&name, scopes.to_vec(), user.map(|user| user.id.clone()), self.clock.now());
        assert!(self.store.keep_api_key(&kept).await.unwrap());
        text.expose().to_owned()
    }

    /// An active connection of this user, with tokens `Atza|…` and `Atzr|…` that are good for an hour.
    pub(crate) async fn connection(&self, user: &User) -> ConnectionId {
        self.connection_until(user, after(self.clock.now(), Duration::from_hours(1))).await
    }

    /// An active connection of this user whose access token ends then.
    pub(crate) async fn connection_until(&self, user: &User, expires_at: Timestamp) -> ConnectionId {
        let account = format!("amzn1.account.{}", uuid::Uuid::now_v7().simple());
        let new = NewConnection {
            user: user.id.clone(),
            provider: PROVIDER.parse().unwrap(),
            label: user.email.clone(),
            scopes: "advertising::campaign_management".to_owned(),
            access_token: Some(Secret::new(format!("Atza|{account}"))),
            refresh_token: Some(Secret::new(format!("Atzr|{account}"))),
            expires_at: Some(expires_at),
            refresh_at: expires_at,
            consent_at: Some(self.clock.now()),
            refresh_expires_at: None,
            account,
        };
        match self.store.put(vec![new], IfPresent::Keep).await.unwrap()[..] {
            [Stored::Inserted(id)] => id,
            ref other => panic!("one new connection expected, got {other:?}"),
        }
    }

    /// The row as it stands.
    pub(crate) async fn row(&self, id: ConnectionId) -> Connection {
        self.store.find(id).await.unwrap().unwrap()
    }

    /// `Bearer …` of a new session of this user.
    pub(crate) async fn bearer(&self, user: &User) -> String {
        self.sign_in(user).await.0
    }

    /// A new session: `Bearer …`, and the `name=value` of its cookie.
    pub(crate) async fn sign_in(&self, user: &User) -> (String, String) {
        let now = auth::sign_in(&self.api, user).await.ok().unwrap();
        let (name, value) = now.cookie.name_value();
        (format!("Bearer {}", now.access_token.expose()), format!("{name}={value}"))
    }

    /// Sends a request without a body and reads the answer.
    pub(crate) async fn call(&self, request: Builder) -> Reply {
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Sends a request with a body of JSON and reads the answer.
    pub(crate) async fn call_json(&self, request: Builder, body: &serde_json::Value) -> Reply {
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        Reply { status: parts.status, headers: parts.headers, body, json }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn assemble(
    settings: ApiSettings,
    clock: &Arc<dyn Clock>,
    store: &Arc<MemoryStore>,
    queue: &Arc<MemoryQueue>,
    events: &Arc<MemoryEvents>,
    app: ProviderApp,
    stop: &CancellationToken,
) -> Arc<Api> {
    let (process, name) = (ProcessId::generate(), app.provider.policy().name.clone());
    let clock = || Arc::clone(clock);
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let (queue, events): (Arc<dyn JobQueue>, Arc<dyn EventBus>) = (Arc::clone(queue) as _, Arc::clone(events) as _);
    let waits = Waits::new(Arc::clone(&store), Arc::clone(&queue), Arc::clone(&events), clock(), settings.force);
    let targets: BTreeMap<ProviderName, Target> =
        app.target.clone().map(|target| (name.clone(), target)).into_iter().collect();
    let reads = Arc::new(Reads::new(&store));
    let tokens = Arc::new(LocalTokens::new(Arc::clone(&reads), Arc::clone(&waits), targets, clock(), Arc::default()));
    let secret = SessionSecret::new(&Secret::new(SESSION_SECRET)).unwrap();
    let probes = Probes { checks: Vec::new(), metrics: Box::new(|| "evergrant_up 1\n".to_owned()), version: "1.2.3" };
    let rules = Rules { allow_http: true, allow_networks: vec!["127.0.0.0/8".parse().unwrap()] };
    let sender = Sender::new(rules, Duration::from_secs(5), Arc::new(SystemLookup), clock()).unwrap();
    Arc::new(Api {
        hooks: Arc::new(Hooks::new(Arc::clone(&store), Arc::new(sender), clock())),
        process,
        hub: Hub::new(process, Arc::clone(&store), Arc::clone(&events), clock(), settings.streams_max),
        providers: BTreeMap::from([(name, app)]),
        callers: Callers::new(Arc::clone(&store), clock(), secret),
        amc: Client::new(Arc::clone(&tokens) as _, ClientSettings::new(clock())).unwrap(),
        probes: Arc::new(probes),
        clock: clock(),
        chance: Arc::new(FixedChance(0.5)) as Arc<dyn Chance>,
        stop: stop.clone(),
        settings,
        store,
        reads,
        queue,
        events,
        waits,
        tokens,
    })
}

const WORKERS: WorkerSettings = WorkerSettings {
    concurrency_due: 8,
    concurrency_force: 8,
    lease: Duration::from_secs(45),
    takeover_grace: Duration::from_secs(10),
    tries: 2,
    commit_budget: Duration::from_secs(5),
    admit_patience: Duration::from_secs(1),
    rest_after: None,
    buffer: Duration::from_mins(15),
    back_off: BackOff { first: Duration::from_secs(15), cap: Duration::from_mins(30) },
    max_attempts: 3,
    outage_probe_every: Duration::from_secs(5),
    fault_probe_every: Duration::from_mins(1),
};

/// A consent page with one good code; the tests of consents script their own.
struct OneConsent(Arc<dyn Clock>);

#[async_trait]
impl Consents for OneConsent {
    fn consent_url(&self, request: &ConsentRequest<'_>) -> String {
        format!("https://provider.example/consent?state={}", request.state)
    }

    fn scopes(&self) -> &[String] {
        &[]
    }

    fn consent_ends(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }

    async fn exchange(&self, call: CodeCall<'_>) -> Answer {
        let is_good = call.code.expose() == GOOD_CODE;
        let tokens = || Tokens {
            access_token: Secret::new("Atza|newcomer"),
            refresh_token: Some(Secret::new("Atzr|newcomer")),
            lifetime: Duration::from_hours(1),
            refresh_expires_at: None,
            scopes: None,
        };
        let verdict = if is_good { Verdict::Refreshed(tokens()) } else { Verdict::GrantInvalid };
        let message = if is_good { "" } else { "no other code is good here" }.to_owned();
        let trace =
            AnswerTrace { status: None, code: None, message, request_id: None, duration_ms: 1, ambiguous: false };
        Answer { verdict, sent_at: self.0.now(), trace }
    }

    async fn identify(&self, _: &Secret) -> Result<Identity, IdentityError> {
        let (account, email) = ("amzn1.account.newcomer".to_owned(), "newcomer@example.com".to_owned());
        Ok(Identity { account, email, name: "newcomer".to_owned() })
    }
}
