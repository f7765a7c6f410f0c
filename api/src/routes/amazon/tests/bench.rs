//! An API over memory, and browsers that keep their cookies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use evergrant_amc::{Client, ClientSettings, Target};
use evergrant_contract::connection::{
    Connection, ConnectionFilter, IfPresent, LeaseRequest, Leased, NewConnection, Settlement,
};
use evergrant_contract::ids::{ConnectionId, ProcessId, ProviderName, UserId};
use evergrant_contract::people::User;
use evergrant_contract::ports::{Clock, Connections as _, Consents, Leases as _, Provider, Users as _};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::timing::after;
use evergrant_contract::transition::{Change, Standing};
use evergrant_testkit::{FixedChance, ManualClock, MemoryEvents, MemoryQueue, MemoryStore, ScriptedProvider};
use evergrant_webhooks::{Hooks, Rules, Sender, SystemLookup};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use url::Url;

use super::consents::ScriptedConsents;
use crate::auth::{Callers, SessionSecret, sign_in};
use crate::fixture::SESSION_SECRET;
use crate::hub::Hub;
use crate::probes::Probes;
use crate::reads::Reads;
use crate::settings::ApiSettings;
use crate::state::{Api, ProviderApp};
use crate::waits::{LocalTokens, Waits};

/// Those of all tests, with addresses that show where a path ends.
pub(in super::super) fn settings() -> ApiSettings {
    let mut settings = crate::fixture::settings();
    settings.frontend_url = "https://app.example.com/".parse().unwrap();
    settings.auth.redirect_uri = "https://api.example.com/api/auth/amazon/callback".parse().unwrap();
    settings
}

/// The ports below an API. Several APIs over the same ports are several instances.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) events: Arc<MemoryEvents>,
    pub(super) consents: Arc<ScriptedConsents>,
    pub(super) settings: ApiSettings,
}

impl Bench {
    pub(super) fn new() -> Self {
        let clock = ManualClock::new();
        Self {
            store: MemoryStore::new(clock.clone()),
            queue: MemoryQueue::new(clock.clone()),
            events: MemoryEvents::new(),
            consents: ScriptedConsents::new(clock.clone()),
            settings: settings(),
            clock,
        }
    }

    /// An instance with the apps `amazon-na`, `amazon-eu` (the same client) and `other`, all of which consent as scripted.
    pub(super) fn api(&self) -> Arc<Api> {
        self.api_with(
            ["amazon-na", "amazon-eu", "other"].map(|name| (name, self.consents.clone() as Arc<dyn Consents>)),
            &self.clock(),
        )
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(super) fn api_with<const N: usize>(
        &self,
        apps: [(&str, Arc<dyn Consents>); N],
        clock: &Arc<dyn Clock>,
    ) -> Arc<Api> {
        let provider: Arc<dyn Provider> = ScriptedProvider::amazon(clock.clone());
        let target = |name: &str| Target {
            provider: name.parse().unwrap(),
            api_url: "https://advertising-api.test/".parse().unwrap(),
            client_id: if name == "other" { "another client".to_owned() } else { "client".to_owned() },
        };
        let providers: BTreeMap<ProviderName, ProviderApp> = apps
            .into_iter()
            .map(|(name, consents)| {
                let app = ProviderApp {
                    consents,
                    provider: provider.clone(),
                    target: Some(target(name)),
                    client_secret_ends_at: None,
                };
                (name.parse().unwrap(), app)
            })
            .collect();
        let waits =
            Waits::new(self.store.clone(), self.queue.clone(), self.events.clone(), clock.clone(), self.settings.force);
        let reads = Arc::new(Reads::new(&(self.store.clone() as _)));
        let tokens =
            Arc::new(LocalTokens::new(reads.clone(), waits.clone(), BTreeMap::new(), clock.clone(), Arc::default()));
        let secret = SessionSecret::new(&Secret::new(SESSION_SECRET)).unwrap();
        let (process, stop) = (ProcessId::generate(), CancellationToken::new());
        let sender = Sender::new(Rules::default(), Duration::from_secs(5), Arc::new(SystemLookup), clock.clone());
        Arc::new(Api {
            hooks: Arc::new(Hooks::new(self.store.clone(), Arc::new(sender.unwrap()), clock.clone())),
            process,
            settings: self.settings.clone(),
            store: self.store.clone(),
            reads,
            queue: self.queue.clone(),
            events: self.events.clone(),
            hub: Hub::new(process, self.store.clone(), self.events.clone(), clock.clone(), 100),
            providers,
            callers: Callers::new(self.store.clone(), clock.clone(), secret),
            waits,
            amc: Client::new(tokens.clone(), ClientSettings::new(clock.clone())).unwrap(),
            tokens,
            probes: Arc::new(Probes { checks: Vec::new(), metrics: Box::new(String::new), version: "test" }),
            clock: clock.clone(),
            chance: Arc::new(FixedChance(0.0)),
            stop,
        })
    }

    pub(super) fn browser(&self) -> Browser {
        Browser::of(self.api())
    }

    /// A browser whose user has signed in before.
    pub(super) async fn browser_of(&self, user: &User) -> Browser {
        let (api, bearer) = self.signed_in(user).await;
        Browser { bearer: Some(bearer), ..Browser::of(api) }
    }

    /// An instance, and an access JWT of this user.
    pub(super) async fn signed_in(&self, user: &User) -> (Arc<Api>, String) {
        let api = self.api();
        let now = sign_in(&api, user).await.unwrap_or_else(|problem| panic!("{}", problem.detail));
        (api, now.access_token.expose().to_owned())
    }

    /// A user whose account is `amzn1.account.<name>`, unless it is changed before it is saved.
    pub(super) async fn user(&self, name: &str, change: impl FnOnce(&mut User)) -> User {
        let mut user = User {
            id: format!("user-{name}").parse().unwrap(),
            email: format!("{name}@example.com"),
            name: name.to_owned(),
            account: format!("amzn1.account.{name}"),
            is_admin: false,
            is_active: true,
            profile_ids: vec!["p1".to_owned()],
            marketplace_ids: vec!["ATVPDKIKX0DER".to_owned()],
            created_at: self.clock.now(),
        };
        change(&mut user);
        self.store.save_user(&user).await.unwrap();
        user
    }

    pub(super) async fn users(&self) -> Vec<User> {
        self.store.users(None, 100).await.unwrap()
    }

    /// A connection at `amazon-na` with the tokens `Atza|<name>` and `Atzr|<name>` for an hour.
    pub(super) async fn connection(&self, user: &UserId, account: &str, name: &str) -> ConnectionId {
        let expires_at = after(self.clock.now(), Duration::from_hours(1));
        let new = NewConnection {
            user: user.clone(),
            provider: "amazon-na".parse().unwrap(),
            account: account.to_owned(),
            label: name.to_owned(),
            scopes: "advertising::campaign_management profile".to_owned(),
            access_token: Some(Secret::new(format!("Atza|{name}"))),
            refresh_token: Some(Secret::new(format!("Atzr|{name}"))),
            expires_at: Some(expires_at),
            refresh_at: expires_at,
            consent_at: None,
            refresh_expires_at: None,
        };
        self.store.put(vec![new], IfPresent::Keep).await.unwrap();
        let rows = self.connections().await;
        rows.iter().find(|row| row.user == *user && row.account == account).unwrap().id
    }

    /// Ends a grant, as a worker would that was told so by the provider.
    pub(super) async fn end(&self, id: ConnectionId, reason: Reason) {
        let row = self.store.find(id).await.unwrap().unwrap();
        let request = LeaseRequest {
            connection: id,
            version: row.version,
            seen_refresh_at: None,
            owner: ProcessId::generate(),
            ttl: Duration::from_mins(1),
            takeover_grace: Duration::from_mins(1),
            is_awaited: false,
        };
        let Leased::Held(grant) = self.store.acquire(request).await.unwrap() else { panic!("no lease") };
        let standing = Standing { state: State::NeedsReauth, failures: 0, suspicions: 0 };
        let settlement = Settlement {
            lease: grant.lease,
            change: Some(Change { standing, reason: Some(reason), refresh_at: None, gives_up: false }),
            tokens: None,
            unread_answer: None,
            attempts: Vec::new(),
            last_error: None,
            failed_job: None,
            decided_at: self.clock.now(),
        };
        self.store.settle(settlement).await.unwrap();
    }

    pub(super) async fn connections(&self) -> Vec<Connection> {
        self.store.list(&ConnectionFilter::default(), None, 100).await.unwrap()
    }
}

/// A browser: it keeps cookies, and the page in it may hold an access JWT.
pub(super) struct Browser {
    pub(super) router: Router,
    pub(super) cookies: BTreeMap<String, String>,
    pub(super) bearer: Option<String>,
}

pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) text: String,
}

impl Answered {
    pub(super) fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map(|place| place.to_str().unwrap()).unwrap_or_default()
    }
}

impl Browser {
    pub(super) fn of(api: Arc<Api>) -> Self {
        let (router, _) = super::super::routes().merge(crate::routes::profile::routes()).split_for_parts();
        Self { router: router.with_state(api), cookies: BTreeMap::new(), bearer: None }
    }

    pub(super) async fn get(&mut self, path: &str) -> Answered {
        self.send(Method::GET, path, None, true).await
    }

    pub(super) async fn post(&mut self, path: &str, body: Option<Value>) -> Answered {
        self.send(Method::POST, path, body, true).await
    }

    /// Follows a link from another site: no script runs, so no bearer token goes along.
    pub(super) async fn follow(&mut self, path: &str) -> Answered {
        self.send(Method::GET, path, None, false).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<Value>, with_bearer: bool) -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(bearer) = self.bearer.as_ref().filter(|_| with_bearer) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in headers.get_all(header::SET_COOKIE) {
            let (pair, rest) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answered { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    /// Goes to the consent page. What is in its address.
    pub(super) async fn begin(&mut self, query: &str) -> BTreeMap<String, String> {
        let answered = self.get(&format!("/api/auth/amazon/login{query}")).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        asked(answered.body["auth_url"].as_str().unwrap())
    }

    /// Comes back with a code.
    pub(super) async fn come_back(&mut self, asked: &BTreeMap<String, String>, code: &str) -> Answered {
        self.follow(&callback(&[("code", code), ("state", &asked["state"])])).await
    }
}

/// What is in the address of a consent page.
pub(super) fn asked(auth_url: &str) -> BTreeMap<String, String> {
    Url::parse(auth_url).unwrap().query_pairs().into_owned().collect()
}

pub(super) fn callback(query: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("/api/auth/amazon/callback?{query}")
}

pub(super) fn which(id: ConnectionId) -> Value {
    json!({ "connection_id": id })
}
