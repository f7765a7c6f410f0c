//! `/sim`: the strings behind the puppet.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    fault::Fault,
    ledger::LedgerEntry,
    stats::Stats,
    world::{DEFAULT_SCOPE, World},
};

/// Grants made by one request.
const MAX_GRANTS: u64 = 1_000_000;
/// Lines that are made at once, before the connection is served again.
const LINES_AT_ONCE: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrants {
    count: u64,
    #[serde(default = "default_prefix")]
    prefix: String,
    /// The number of the first user.
    #[serde(default)]
    start: u64,
    scope: Option<String>,
}

fn default_prefix() -> String {
    "user-".to_owned()
}

/// `POST /sim/grants`: one line of JSON for each new grant, made while they are being read.
pub(crate) async fn add_grants(State(world): State<Arc<World>>, Json(wanted): Json<NewGrants>) -> Response {
    if wanted.count > MAX_GRANTS {
        return complain(&format!("count is {}: at most {MAX_GRANTS} grants can be made at once", wanted.count));
    }
    let scope: Arc<str> = wanted.scope.as_deref().unwrap_or(DEFAULT_SCOPE).into();
    let end = wanted.start.saturating_add(wanted.count);
    let chunks = (wanted.start..end).step_by(LINES_AT_ONCE).map(move |first| {
        let last = end.min(first.saturating_add(LINES_AT_ONCE as u64));
        let mut lines = Vec::new();
        for number in first..last {
            push_line(&mut lines, &world.grant(&format!("{}{number}", wanted.prefix), &scope));
        }
        Ok::<_, Infallible>(Bytes::from(lines))
    });
    ndjson(Body::from_stream(stream::iter(chunks)))
}

/// A fault or a list of faults.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// `GET /sim/faults`.
pub(crate) async fn faults(State(world): State<Arc<World>>) -> Json<Vec<Fault>> {
    Json(world.faults.current())
}

/// `PUT /sim/faults`: replaces the faults for everybody.
pub(crate) async fn set_faults(State(world): State<Arc<World>>, body: Bytes) -> Response {
    match read_faults(&body) {
        Ok(faults) => {
            world.faults.set(faults);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => complain(&error),
    }
}

/// `DELETE /sim/faults`: removes every fault, also those of single users.
pub(crate) async fn clear_faults(State(world): State<Arc<World>>) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

/// `GET /sim/faults/{user}`.
pub(crate) async fn user_faults(State(world): State<Arc<World>>, Path(user): Path<String>) -> Json<Vec<Fault>> {
    Json(world.faults.current_for(&user))
}

/// `PUT /sim/faults/{user}`: replaces the faults of one user.
pub(crate) async fn set_user_faults(
    State(world): State<Arc<World>>,
    Path(user): Path<String>,
    body: Bytes,
) -> Response {
    match read_faults(&body) {
        Ok(faults) => {
            world.set_faults_for(&user, faults);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => complain(&error),
    }
}

/// `DELETE /sim/faults/{user}`.
pub(crate) async fn clear_user_faults(State(world): State<Arc<World>>, Path(user): Path<String>) -> StatusCode {
    world.faults.set_for(&user, Vec::new());
    StatusCode::NO_CONTENT
}

/// By hand, as an untagged enum would hide what is wrong with a fault.
fn read_faults(body: &[u8]) -> Result<Vec<Fault>, String> {
    let many = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let read = if many { serde_json::from_slice(body) } else { serde_json::from_slice(body).map(|one| vec![one]) };
    read.map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApp {
    client_id: Option<String>,
    client_secret: Option<OneOrMany<String>>,
}

/// `PUT /sim/app`: the credentials that are accepted from now on. Several secrets while one is being rotated.
pub(crate) async fn set_app(State(world): State<Arc<World>>, Json(app): Json<NewApp>) -> StatusCode {
    world.set_app(app.client_id, app.client_secret.map(OneOrMany::into_vec));
    StatusCode::NO_CONTENT
}

/// `POST /sim/revoke/{user}`: what a user does in their Amazon account.
pub(crate) async fn revoke(State(world): State<Arc<World>>, Path(user): Path<String>) -> Response {
    match world.revoke(&user) {
        0 => (StatusCode::NOT_FOUND, Json(json!({"error": "this user has no grant"}))).into_response(),
        grants => Json(json!({"grants": grants})).into_response(),
    }
}

/// `GET /sim/stats` and `/stats`.
pub(crate) async fn stats(State(world): State<Arc<World>>) -> Json<Stats> {
    Json(world.counters.stats(&world.grants))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LedgerQuery {
    #[serde(default)]
    only: Only,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Only {
    #[default]
    All,
    Suspicious,
}

/// `GET /sim/ledger`: one line of JSON for each grant.
pub(crate) async fn ledger(State(world): State<Arc<World>>, Query(query): Query<LedgerQuery>) -> Response {
    let mut lines = Vec::new();
    for entry in read_ledger(&world, query.only) {
        push_line(&mut lines, &entry);
    }
    ndjson(Body::from(lines))
}

pub(crate) fn read_ledger(world: &World, only: Only) -> Vec<LedgerEntry> {
    let mut entries = Vec::new();
    world.grants.for_each(|no, grant| {
        if only == Only::All || grant.counts().is_suspicious() {
            entries.push(grant.ledger_entry(no));
        }
    });
    entries
}

fn push_line(lines: &mut Vec<u8>, value: &impl Serialize) {
    if serde_json::to_writer(&mut *lines, value).is_ok() {
        lines.push(b'\n');
    }
}

fn ndjson(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn complain(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response()
}
