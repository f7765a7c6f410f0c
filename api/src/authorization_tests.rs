//! Who may do what: every operation of the API, asked by every kind of caller.
//!
//! | column | who asks |
//! | --- | --- |
//! | `nobody` | somebody without credentials |
//! | `owner` | the signed-in user whose connection it is |
//! | `other` | another signed-in user |
//! | `admin` | a signed-in admin |
//! | `key` | an API key with just this scope (`-`: with all), for everybody's connections |
//! | `weak` | an API key with all scopes but this one (`-`: with none), for everybody's connections |
//! | `bound` | an API key with all scopes, for the connections of the other user |
//! | `revoked` | an API key with all scopes that was revoked |
//! | `expired` | the owner, after the access JWT has expired |
//! | `ended` | the owner, with an access JWT of a session that was signed out |
//! | `cookie` | a page of another site: the owner's browser sends the session cookie, and no header of ours |
//!
//! A number is a success, and `*` behind it says that the answer tells of the owner: by id, e-mail address or connection.
//! Words are refusals, see [`REFUSALS`]. A refusal leaves the connection as it was, and everything that is answered is in
//! `docs/openapi.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::request::Builder;
use axum::http::{HeaderMap, HeaderName, Request, StatusCode};
use evergrant_contract::app::{AppState, Hold};
use evergrant_contract::failed_job::{FailedJob, FailedJobState};
use evergrant_contract::ids::{ApiKeyId, ConnectionId, ProcessId};
use evergrant_contract::job::{Job, Payload};
use evergrant_contract::people::{Scope, User};
use evergrant_contract::ports::{
    ApiKeys as _, Apps as _, Clock as _, FailedJobs as _, Offices as _, Peer, Users as _, Webhooks as _,
};
use evergrant_contract::secret::Secret;
use evergrant_contract::webhook::{DeliveryFilter, Endpoint, EndpointState};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::auth::hash_password;
use crate::fixture::{Fixture, GOOD_CODE, get, post};

const MATRIX: &str = "\
operation                                scope            nobody owner other admin key   weak  bound revoked expired ended cookie
POST /api/auth/login                     -                200*   200*  200*  200*  200*  200*  200*  200*    200*    200*  200*
POST /api/auth/logout                    -                200    200   200   200   200   200   200   200     200     200   csrf
POST /api/auth/refresh                   -                who?   200*  200   200   never never never who?    expired ended csrf
GET /api/auth/token-status               -                who?   200*  200   200   never never never who?    expired ended who?
GET /api/auth/me                         -                who?   200*  200   200   never never never who?    expired ended who?
GET /api/profile                         -                who?   200*  200   200   never never never who?    expired ended who?
GET /api/auth/amazon/callback            -                303    303   303   303   303   303   303   303     303     303   303
POST /api/auth/amazon/disconnect         -                who?   200*  none  none  never never never who?    expired ended who?
GET /api/auth/amazon/login               -                200    200   200   200   never never never who?    expired ended 200
POST /api/auth/amazon/reauth             -                who?   200   none  none  never never never who?    expired ended who?
POST /api/auth/amazon/refresh            -                who?   200*  none  none  never never never who?    expired ended who?
GET /api/auth/amazon/refresh-status      -                who?   200   200   200   never never never who?    expired ended who?
GET /api/auth/amazon/status              -                who?   200*  200   200   never never never who?    expired ended who?
GET /api/auth/callback                   -                307    307   307   307   307   307   307   307     307     307   307
GET /api/connections                     connections:read who?   200*  200   200*  200*  scope 200   who?    expired ended who?
GET /api/connections/{id}                connections:read who?   200*  none  200*  200*  scope none  who?    expired ended who?
GET /api/connections/{id}/attempts       connections:read who?   200   none  200   200   scope none  who?    expired ended who?
POST /api/connections/{id}/disconnect    ops              who?   200*  none  200*  200*  scope none  who?    expired ended who?
POST /api/connections/{id}/force-refresh tokens:refresh   who?   200*  none  200*  200*  scope none  who?    expired ended who?
POST /api/connections/{id}/reconnect     -                who?   200   none  none  never never never who?    expired ended who?
GET /api/connections/{id}/token          tokens:read      who?   never never never 200*  scope none  who?    expired ended who?
DELETE /api/amc/{connection}/{path}      amc:call         who?   200   none  200   200   scope none  who?    expired ended who?
GET /api/amc/{connection}/{path}         amc:call         who?   200   none  200   200   scope none  who?    expired ended who?
PATCH /api/amc/{connection}/{path}       amc:call         who?   200   none  200   200   scope none  who?    expired ended who?
POST /api/amc/{connection}/{path}        amc:call         who?   200   none  200   200   scope none  who?    expired ended who?
PUT /api/amc/{connection}/{path}         amc:call         who?   200   none  200   200   scope none  who?    expired ended who?
GET /api/events                          connections:read who?   200   200   200   200   scope 200   who?    expired ended who?
GET /api/ops/activity                    ops              who?   never never 200   200   scope never who?    expired ended who?
GET /api/ops/audit                       ops              who?   never never 200   200   scope never who?    expired ended who?
GET /api/ops/connections/{id}            ops              who?   never never 200*  200*  scope never who?    expired ended who?
GET /api/ops/failed-jobs                 ops              who?   never never 200*  200*  scope never who?    expired ended who?
GET /api/ops/failed-jobs/{id}            ops              who?   never never 200*  200*  scope never who?    expired ended who?
GET /api/ops/keys                        ops              who?   never never 200   200   scope never who?    expired ended who?
GET /api/ops/overview                    ops              who?   never never 200   200   scope never who?    expired ended who?
GET /api/ops/pauses                      ops              who?   never never 200   200   scope never who?    expired ended who?
GET /api/ops/processes                   ops              who?   never never 200   200   scope never who?    expired ended who?
GET /api/ops/usage                       ops              who?   never never 200   200   scope never who?    expired ended who?
DELETE /api/ops/pauses/{kind}/{name}     ops              who?   never never 200   200   scope never who?    expired ended who?
DELETE /api/ops/processes/{id}/drain     ops              who?   never never 200   200   scope never who?    expired ended who?
POST /api/ops/pauses                     ops              who?   never never 200*  200*  scope never who?    expired ended who?
POST /api/ops/processes/{id}/drain       ops              who?   never never 200   200   scope never who?    expired ended who?
POST /api/ops/connections/refresh        ops              who?   never never 200   200   scope never who?    expired ended who?
POST /api/ops/failed-jobs/discard        ops              who?   never never 200   200   scope never who?    expired ended who?
POST /api/ops/failed-jobs/replay         ops              who?   never never 200   200   scope never who?    expired ended who?
POST /api/ops/failed-jobs/{id}/discard   ops              who?   never never 200*  200*  scope never who?    expired ended who?
POST /api/ops/failed-jobs/{id}/replay    ops              who?   never never 200*  200*  scope never who?    expired ended who?
DELETE /api/ops/webhooks/{id}                    ops              who?   never never 204   204   scope never who?    expired ended who?
GET /api/ops/webhooks                            ops              who?   never never 200*  200*  scope never who?    expired ended who?
GET /api/ops/webhooks/{id}                       ops              who?   never never 200*  200*  scope never who?    expired ended who?
GET /api/ops/webhooks/{id}/deliveries            ops              who?   never never 200   200   scope never who?    expired ended who?
PATCH /api/ops/webhooks/{id}                     ops              who?   never never 200*  200*  scope never who?    expired ended who?
POST /api/ops/webhooks                           ops              who?   never never 201   201   scope never who?    expired ended who?
POST /api/ops/webhooks/{id}/deliveries/{message}/replay ops              who?   never never 200   200   scope never who?    expired ended who?
POST /api/ops/webhooks/{id}/replay               ops              who?   never never 200   200   scope never who?    expired ended who?
POST /api/ops/webhooks/{id}/rotate-secret        ops              who?   never never 200*  200*  scope never who?    expired ended who?
POST /api/ops/webhooks/{id}/test                 ops              who?   never never 200   200   scope never who?    expired ended who?
GET /api/docs                            -                200    200   200   200   200   200   200   200     200     200   200
GET /api/docs.css                        -                200    200   200   200   200   200   200   200     200     200   200
GET /api/health                          -                200    200   200   200   200   200   200   200     200     200   200
GET /api/openapi.json                    -                200    200   200   200   200   200   200   200     200     200   200";

/// A worker that is drained, and taken back in.
static WORKER: LazyLock<ProcessId> = LazyLock::new(ProcessId::generate);

/// What the words of the matrix stand for.
const REFUSALS: [(&str, &str); 7] = [
    ("who?", "401 unauthenticated"),
    ("expired", "401 session-expired"),
    ("ended", "401 session-ended"),
    ("csrf", "403 csrf-header-missing"),
    ("never", "403 forbidden"),
    ("scope", "403 insufficient-scope"),
    ("none", "404 not-found"),
];

const PASSWORD: &str = "correct horse battery staple";
/// Hashing takes a while, on purpose.
static HASH: LazyLock<Secret> = LazyLock::new(|| hash_password(&Secret::new(PASSWORD)).unwrap());

/// A row of the matrix.
struct Row<'a> {
    /// Method and path.
    operation: &'a str,
    /// What a key needs.
    scope: Option<Scope>,
    /// By caller.
    cells: BTreeMap<&'a str, &'a str>,
}

fn matrix() -> (Vec<&'static str>, Vec<Row<'static>>) {
    let mut lines = MATRIX.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let callers = lines.next().unwrap().split_off(2);
    let row = |words: Vec<&'static str>| {
        let [method, path, scope, cells @ ..] = &words[..] else { panic!("{words:?} is no row") };
        let at = MATRIX.find(&format!("{method} {path} ")).unwrap();
        Row {
            operation: &MATRIX[at..at + method.len() + 1 + path.len()],
            scope: (*scope != "-").then(|| scope.parse().unwrap()),
            cells: callers.iter().copied().zip(cells.iter().copied()).collect(),
        }
    };
    let rows = lines.map(row).collect();
    (callers, rows)
}

#[tokio::test]
async fn every_operation_gives_every_kind_of_caller_what_the_matrix_says() {
    let (callers, rows) = matrix();
    let document = serde_json::to_value(crate::openapi::document()).unwrap();
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for row in &rows {
        let bench = Bench::new().await;
        let mut cells = Vec::new();
        for caller in &callers {
            let cell = bench.ask(row, caller, &document).await;
            let expected = row.cells.get(caller).copied().unwrap_or("nothing");
            if cell != expected {
                wrong.push(format!("{}, asked by {caller}: {expected} expected, {cell} found", row.operation));
            }
            cells.push(cell);
        }
        found.push((row, cells));
    }
    assert!(wrong.is_empty(), "{}\n\nAs it is:\n{}", wrong.join("\n"), written(&callers, &found));
}

#[test]
fn every_operation_of_the_document_is_in_the_matrix_and_no_other_is() {
    let document = serde_json::to_value(crate::openapi::document()).unwrap();
    let documented: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method, path)))
        .map(|(method, path)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let (_, rows) = matrix();
    let known: BTreeSet<_> = rows.iter().map(|row| row.operation.to_owned()).collect();
    let (missing, gone): (Vec<_>, Vec<_>) =
        (documented.difference(&known).collect(), known.difference(&documented).collect());
    assert!(missing.is_empty() && gone.is_empty(), "not in the matrix: {missing:#?}\nnot in the API: {gone:#?}");
    assert_eq!(rows.len(), known.len(), "an operation has two rows");
}

#[test]
fn the_document_asks_for_the_credentials_that_the_matrix_lets_in() {
    let document = serde_json::to_value(crate::openapi::document()).unwrap();
    let (_, rows) = matrix();
    for row in rows {
        let own = &operation_in(&document, row.operation)["security"];
        let ways = if own.is_null() { &document["security"] } else { own }.as_array().unwrap();
        let is_for_everybody = ways.iter().any(|way| way == &json!({}));
        // What operators do is for some sessions only: those of admins.
        for (callers, scheme) in [(&["nobody"][..], ""), (&["owner", "admin"], "session"), (&["key"], "api_key")] {
            let is_named = ways.iter().any(|way| way.get(scheme).is_some());
            let is_let_in = callers.iter().any(|who| row.cells[who].starts_with(|first: char| first.is_ascii_digit()));
            let is_told = is_named || is_for_everybody;
            // A route for everybody may still refuse credentials that it has no use for.
            assert!(is_told == is_let_in || (is_told && !is_named), "{}: {callers:?}", row.operation);
        }
    }
}

/// The matrix as it would be written down.
fn written(callers: &[&str], rows: &[(&Row<'_>, Vec<String>)]) -> String {
    let mut table =
        vec![["operation", "scope"].into_iter().chain(callers.iter().copied()).map(str::to_owned).collect()];
    for (row, cells) in rows {
        let scope = row.scope.map_or_else(|| "-".to_owned(), |scope| scope.to_string());
        table.push([row.operation.to_owned(), scope].into_iter().chain(cells.iter().cloned()).collect::<Vec<_>>());
    }
    let widths: Vec<_> = (0..table[0].len()).map(|at| table.iter().map(|line| line[at].len()).max().unwrap()).collect();
    let line = |cells: &Vec<String>| {
        let cells: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join(" ").trim_end().to_owned()
    };
    table.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// An API with workers, a provider whose consents are good and whose API answers everything.
struct Bench {
    fixture: Fixture,
    /// The URL of something that answers everything.
    receiver: String,
}

/// Those whom a cell of the matrix is about. Each has its own, so that nothing that one asks for changes another's answer.
struct Cast {
    owner: User,
    other: User,
    connection: ConnectionId,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// Empty for a stream that does not end.
    body: String,
}

impl Bench {
    async fn new() -> Self {
        let beyond = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", beyond.local_addr().unwrap());
        let router = Router::new().fallback(async || axum::Json(json!([])));
        tokio::spawn(async move { axum::serve(beyond, router).await.unwrap() });
        let fixture = Fixture::at(&url, |_| {});
        fixture.run();
        fixture.run_workers();
        let peer = Peer {
            process: *WORKER,
            role: "worker".to_owned(),
            primary_key: String::new(),
            keys: Vec::new(),
            seen_at: fixture.clock.now(),
            drain: None,
        };
        fixture.store.announce(&peer).await.unwrap();
        Self { fixture, receiver: url }
    }

    /// What the cell is.
    async fn ask(&self, row: &Row<'_>, caller: &str, document: &Value) -> String {
        let cast = self.cast().await;
        let shown = self.shown_by(caller, row, &cast).await;
        let request = self.request(row.operation, &cast).await;
        let request = shown.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let body = body_of(row.operation, &cast);
        let before = self.fixture.row(cast.connection).await;
        let answer = self.send(request, body).await;

        let context = format!("{}, asked by {caller}: {} {}", row.operation, answer.status, answer.body);
        let responses = &operation_in(document, row.operation)["responses"];
        let is_documented = [answer.status.as_str(), "default"].iter().any(|status| responses[status].is_object());
        if !is_documented {
            return format!("undocumented-{}", answer.status.as_u16());
        }
        if answer.status.is_client_error() {
            assert_eq!(self.fixture.row(cast.connection).await, before, "a refusal changed something: {context}");
            return refusal(&answer);
        }
        assert!(answer.status.is_success() || answer.status.is_redirection(), "neither done nor refused: {context}");
        let place = answer.headers.get(LOCATION).map_or("", |place| place.to_str().unwrap());
        assert!(!place.contains("error"), "it leads to {place}: {context}");
        let names = [cast.owner.id.to_string(), cast.owner.email, cast.connection.to_string()];
        let tells = names.iter().any(|name| answer.body.contains(name));
        format!("{}{}", answer.status.as_u16(), if tells { "*" } else { "" })
    }

    async fn cast(&self) -> Cast {
        let email = |who: &str| format!("{who}.{}@example.com", uuid::Uuid::now_v7().simple());
        let (owner, other) = (self.fixture.user(&email("owner")).await, self.fixture.user(&email("other")).await);
        let connection = self.fixture.connection(&owner).await;
        self.fail(connection).await;
        self.tell(connection).await;
        Cast { owner, other, connection }
    }

    /// A failed job of this connection, with the same id.
    async fn fail(&self, connection: ConnectionId) {
        let row = self.fixture.row(connection).await;
        let refresh_at = row.refresh_at.unwrap();
        let job = Job::new(Payload::RefreshDue { connection, version: row.version, refresh_at });
        let failed = FailedJob {
            id: connection.uuid().into(),
            kind: job.payload.kind().to_string(),
            connection: Some(connection),
            provider: Some(row.provider),
            payload: String::from_utf8(job.encode()).unwrap(),
            attempts: Vec::new(),
            error: "given up on".to_owned(),
            traceparent: None,
            failed_at: self.fixture.clock.now(),
            state: FailedJobState::Open,
        };
        self.fixture.store.record(failed).await.unwrap();
    }

    /// A receiver of webhooks with the same id, and something that it is told.
    async fn tell(&self, connection: ConnectionId) {
        let (store, now) = (&self.fixture.store, self.fixture.clock.now());
        let endpoint = Endpoint {
            id: connection.uuid().into(),
            url: self.receiver.clone(),
            description: String::new(),
            events: Vec::new(),
            state: EndpointState::Enabled,
            disabled_reason: None,
            failing_since: None,
            former_secret_until: None,
            created_at: now,
        };
        store.add_endpoint(&endpoint, &evergrant_webhooks::new_secret()).await.unwrap();
        // An app that nobody else is about.
        let app = format!("app-{}", connection.uuid().simple()).parse().unwrap();
        let hold = Hold { state: AppState::Fault, probe_at: now, code: None, message: "refused".to_owned() };
        assert!(store.hold(&app, hold, now).await.unwrap());
    }

    /// The request, in which nobody has said who asks.
    async fn request(&self, operation: &str, cast: &Cast) -> Builder {
        let (method, path) = operation.split_once(' ').unwrap();
        let id = cast.connection.to_string();
        let path = path.replace("processes/{id}", &format!("processes/{}", *WORKER));
        let path = path.replace("{kind}", "connection").replace("{name}", &id);
        let all = DeliveryFilter::default();
        let told = self.fixture.store.deliveries(cast.connection.uuid().into(), &all, None, 1).await;
        let message = told.unwrap().first().map(|row| row.message.to_string()).unwrap_or_default();
        let path = path
            .replace("{message}", &message)
            .replace("{id}", &id)
            .replace("{connection}", &id)
            .replace("{path}", "v2/profiles");
        match operation {
            "POST /api/auth/login" => {
                self.fixture.store.set_password(&cast.owner.id, Some(&HASH)).await.unwrap();
                post(&path)
            }
            "GET /api/auth/amazon/callback" => {
                let begun = self.send(get("/api/auth/amazon/login"), None).await;
                let cookie = begun.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
                let begun: Value = serde_json::from_str(&begun.body).unwrap();
                let state = begun["state"].as_str().unwrap();
                get(&format!("{path}?code={GOOD_CODE}&state={state}")).header(COOKIE, cookie)
            }
            _ => Request::builder().method(method).uri(path),
        }
    }

    /// The header by which this caller says who asks.
    async fn shown_by(&self, caller: &str, row: &Row<'_>, cast: &Cast) -> Option<(HeaderName, String)> {
        let fixture = &self.fixture;
        let credential = match caller {
            "nobody" => return None,
            "owner" => fixture.bearer(&cast.owner).await,
            "other" => fixture.bearer(&cast.other).await,
            "admin" => fixture.bearer(&fixture.admin(&format!("admin.{}", cast.other.email)).await).await,
            "key" => bearer(&fixture.key(row.scope.as_ref().map_or(Scope::ALL, std::slice::from_ref)).await),
            "weak" => {
                let others =
                    Scope::ALL.iter().copied().filter(|scope| row.scope.is_some_and(|needed| needed != *scope));
                let scopes: Vec<_> = others.collect();
                bearer(&fixture.key(&scopes).await)
            }
            "bound" => bearer(&fixture.key_for(Scope::ALL, Some(&cast.other)).await),
            "revoked" => {
                let key = fixture.key(Scope::ALL).await;
                assert!(fixture.store.revoke_api_key(id_of(&key), fixture.clock.now()).await.unwrap());
                bearer(&key)
            }
            "expired" => {
                let credential = fixture.bearer(&cast.owner).await;
                fixture.clock.advance(Duration::from_mins(16)).await;
                credential
            }
            "ended" => {
                let credential = fixture.bearer(&cast.owner).await;
                let out = fixture.call(post("/api/auth/logout").header(AUTHORIZATION, &credential)).await;
                assert_eq!(out.status, StatusCode::OK, "{}", out.body);
                credential
            }
            "cookie" => return Some((COOKIE, fixture.sign_in(&cast.owner).await.1)),
            _ => panic!("{caller} is no column"),
        };
        Some((AUTHORIZATION, credential))
    }

    async fn send(&self, request: Builder, body: Option<Value>) -> Answer {
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let (parts, body) = self.fixture.router.clone().oneshot(request.unwrap()).await.unwrap().into_parts();
        let is_endless = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let body = if is_endless { Vec::new() } else { to_bytes(body, usize::MAX).await.unwrap().to_vec() };
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body).unwrap() }
    }
}

/// What has to be said for it to be done, to the owner's connection.
fn body_of(operation: &str, cast: &Cast) -> Option<Value> {
    match operation {
        "POST /api/auth/login" => Some(json!({ "email": cast.owner.email, "password": PASSWORD })),
        "POST /api/auth/amazon/reauth" | "POST /api/auth/amazon/refresh" | "POST /api/auth/amazon/disconnect" => {
            Some(json!({ "connection_id": cast.connection }))
        }
        "POST /api/connections/{id}/force-refresh" => Some(json!({ "observed_version": 1 })),
        "POST /api/ops/failed-jobs/replay" | "POST /api/ops/failed-jobs/discard" => {
            Some(json!({ "filter": { "connection": cast.connection } }))
        }
        "POST /api/ops/pauses" => Some(json!({ "kind": "connection", "name": cast.connection, "why": "the matrix" })),
        "POST /api/ops/processes/{id}/drain" => Some(json!({ "why": "the matrix" })),
        "POST /api/ops/connections/refresh" => Some(json!({ "filter": { "text": cast.connection }, "dry_run": true })),
        "POST /api/ops/webhooks" => Some(json!({ "url": "https://receiver.example/" })),
        "POST /api/ops/webhooks/{id}/replay" => Some(json!({ "since": "2020-01-01T00:00:00Z" })),
        "PATCH /api/ops/webhooks/{id}" => Some(json!({ "description": "another" })),
        _ => None,
    }
}

fn operation_in<'a>(document: &'a Value, operation: &str) -> &'a Value {
    let (method, path) = operation.split_once(' ').unwrap();
    &document["paths"][path][method.to_lowercase()]
}

/// The word for it, or what it is if it is none of the refusals.
fn refusal(answer: &Answer) -> String {
    let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let slug = problem["type"].as_str().and_then(|uri| uri.rsplit('/').next()).unwrap_or_default();
    let said = format!("{} {slug}", answer.status.as_u16());
    REFUSALS.iter().find(|(_, refusal)| *refusal == said).map_or(said, |(word, _)| (*word).to_owned())
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// The id within the text of a key.
fn id_of(key: &str) -> ApiKeyId {
    uuid::Uuid::try_parse(key.split('_').nth(1).unwrap()).unwrap().into()
}
