//! Events as they go over the wire.

use axum::response::sse::Event as Frame;
use chrono::{DateTime, Utc};
use evergrant_contract::app::AppState;
use evergrant_contract::connection::Connection;
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::state::{Reason, State};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::hub::Told;
use crate::problem::Problem;

/// The `data` of an event; which, is told by its name.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum EventData {
    /// Of `connection`.
    Connection(ConnectionEvent),
    /// Of `app`.
    App(AppEvent),
    /// Of `gap`.
    Gap(GapEvent),
    /// Of `end`.
    End(EndEvent),
}

/// Something happened to a connection; this is how it stands.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectionEvent {
    connection_id: Uuid,
    /// The number of its tokens.
    version: i64,
    /// What happened.
    #[schema(value_type = String, example = "refreshed")]
    outcome: Outcome,
    /// Why it is not `active`.
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
    /// When the next attempt is due, after one that did not succeed.
    retry_at: Option<DateTime<Utc>>,
    /// Where it stands.
    #[schema(value_type = String, example = "active")]
    state: State,
    /// When its access token ends.
    expires_at: Option<DateTime<Utc>>,
    /// When it is looked at next.
    refresh_at: Option<DateTime<Utc>>,
}

/// A provider app was held or opened.
#[derive(Serialize, ToSchema)]
pub(super) struct AppEvent {
    #[schema(example = "amazon-na")]
    provider: String,
    /// From now on.
    #[schema(value_type = String, example = "open")]
    state: AppState,
}

/// Events may have been missed.
#[derive(Serialize, ToSchema)]
pub(super) struct GapEvent {
    /// What to do.
    message: &'static str,
}

/// The stream ends here.
#[derive(Serialize, ToSchema)]
pub(super) struct EndEvent {
    /// The last part of a problem's type, such as `session-expired`.
    problem: &'static str,
    /// What is wrong and what to do.
    detail: String,
}

/// What a stream is told, written down.
pub(super) fn of(told: Told) -> Frame {
    match told {
        Told::Connection(Event::Connection { outcome, reason, retry_at, .. }, row) => {
            connection(outcome, reason, retry_at, &row)
        }
        Told::App(Event::App { provider, state }) => {
            named("app", &EventData::App(AppEvent { provider: provider.to_string(), state }))
        }
        // Nothing else is put together.
        Told::Connection(..) | Told::App(_) | Told::Gap => gap(),
    }
}

/// Events may have been missed.
pub(super) fn gap() -> Frame {
    let message = "Events may have been missed: read the list of connections again.";
    named("gap", &EventData::Gap(GapEvent { message }))
}

/// The stream ends here, because of this.
pub(super) fn end(problem: Problem) -> Frame {
    named("end", &EventData::End(EndEvent { problem: problem.kind.slug(), detail: problem.detail }))
}

fn connection(outcome: Outcome, reason: Option<Reason>, retry_at: Option<DateTime<Utc>>, row: &Connection) -> Frame {
    let event = ConnectionEvent {
        connection_id: row.id.uuid(),
        version: row.version.number(),
        outcome,
        reason: row.reason.or(reason),
        retry_at,
        state: row.state,
        expires_at: row.expires_at,
        refresh_at: row.refresh_at,
    };
    named("connection", &EventData::Connection(event))
}

fn named(name: &'static str, data: &EventData) -> Frame {
    // Plain structs with string keys: serialization cannot fail, and JSON has no line breaks in it.
    Frame::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}
