//! Connections and attempts as they are shown: everything that is stored of them but their secrets and their key.

use chrono::{DateTime, Utc};
use evergrant_contract::connection::Connection;
use evergrant_contract::state::{Reason, State};
use evergrant_contract::verdict::{Attempt, VerdictKind};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use uuid::Uuid;

use crate::routes::ops::pauses::OrderView;

/// A connection: everything but its tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = Connection)]
pub(in crate::routes) struct ConnectionView {
    /// Its id.
    id: Uuid,
    /// Its owner.
    user: String,
    /// Its provider app.
    #[schema(example = "amazon-na")]
    provider: String,
    /// The account at the provider; empty if unknown.
    account: String,
    /// A name for people, such as an e-mail address; empty if unknown.
    label: String,
    /// Where it stands. `active`, `failing` and `suspect` have tokens.
    #[schema(schema_with = states)]
    state: State,
    /// Why it is not `active`.
    #[schema(schema_with = reasons)]
    reason: Option<Reason>,
    /// The number of its tokens: +1 whenever they change.
    version: i64,
    /// When it is looked at next.
    refresh_at: Option<DateTime<Utc>>,
    /// When its access token ends.
    expires_at: Option<DateTime<Utc>>,
    /// When it was last refreshed.
    refreshed_at: Option<DateTime<Utc>>,
    /// When the user consented.
    consent_at: Option<DateTime<Utc>>,
    /// When the consent ends, if it does.
    refresh_expires_at: Option<DateTime<Utc>>,
    /// Space-separated scopes; empty if unknown.
    scopes: String,
    /// Jobs in a row that ended without an answer about the grant.
    failures: u32,
    /// One sentence for people about the last failure.
    last_error: Option<String>,
    /// Until when a worker holds its lease.
    leased_until: Option<DateTime<Utc>>,
    /// Why it is not refreshed, if an operator has paused it: its state says nothing of that. Null: it is not paused.
    paused: Option<OrderView>,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<Connection> for ConnectionView {
    fn from(row: Connection) -> Self {
        Self {
            id: row.id.uuid(),
            user: row.user.to_string(),
            provider: row.provider.to_string(),
            account: row.account,
            label: row.label,
            state: row.state,
            reason: row.reason,
            version: row.version.number(),
            refresh_at: row.refresh_at,
            expires_at: row.expires_at,
            refreshed_at: row.refreshed_at,
            consent_at: row.consent_at,
            refresh_expires_at: row.refresh_expires_at,
            scopes: row.scopes,
            failures: row.failures,
            last_error: row.last_error,
            leased_until: row.leased_until,
            paused: row.paused.map(OrderView::from),
            created_at: row.created_at,
        }
    }
}

/// One call of the provider's token endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(in crate::routes) struct AttemptView {
    /// When the request was sent.
    at: DateTime<Utc>,
    /// What the answer meant.
    #[schema(schema_with = verdicts)]
    verdict: VerdictKind,
    /// HTTP status, if an answer came.
    status: Option<u16>,
    /// The provider's error code, such as `invalid_grant`.
    code: Option<String>,
    /// One sentence for people.
    message: String,
    /// The provider's own id of the request, for its support.
    request_id: Option<String>,
    /// From sending to the last byte.
    duration_ms: u64,
    /// The request left and no answer came back.
    ambiguous: bool,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let Attempt { at, verdict, trace } = attempt;
        Self {
            at,
            verdict,
            status: trace.status,
            code: trace.code,
            message: trace.message,
            request_id: trace.request_id,
            duration_ms: trace.duration_ms,
            ambiguous: trace.ambiguous,
        }
    }
}

fn states() -> ObjectBuilder {
    words(State::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}

fn verdicts() -> ObjectBuilder {
    words(VerdictKind::ALL.iter().map(|word| word.as_str())).schema_type(Type::String)
}

fn reasons() -> ObjectBuilder {
    let words = Reason::ALL.iter().map(|reason| Some(reason.as_str())).chain([None]);
    ObjectBuilder::new().enum_values(Some(words)).schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

pub(in crate::routes) fn words(words: impl Iterator<Item = &'static str>) -> ObjectBuilder {
    ObjectBuilder::new().enum_values(Some(words))
}
