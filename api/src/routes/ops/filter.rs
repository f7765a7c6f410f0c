//! Which failed jobs are meant: as query parameters, and as a field of a body.

use chrono::{DateTime, Utc};
use evergrant_contract::failed_job::{FailedJobFilter, FailedJobState};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::verdict::VerdictKind;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use uuid::Uuid;

use crate::problem::Problem;
use crate::routes::connections::parsed;
use crate::routes::connections::view::words;

/// Which failed jobs to list. Everything that is named has to hold.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only in these states, separated by commas: `open`, `replayed`, `discarded`.
    #[param(example = "open")]
    state: Option<String>,
    /// Only of this kind.
    #[param(example = "refresh_due")]
    kind: Option<String>,
    /// Only of this provider app.
    #[param(example = "amazon-na")]
    provider: Option<String>,
    /// Only those whose last attempt had this verdict.
    #[param(example = "transient")]
    verdict: Option<String>,
    /// Only those whose last attempt had this error code.
    #[param(example = "server_error")]
    code: Option<String>,
    /// Only of connections of this user.
    user: Option<String>,
    /// Only of this connection.
    connection: Option<Uuid>,
    /// Only those given up on at this time or later.
    since: Option<DateTime<Utc>>,
    /// Only those given up on before this time.
    until: Option<DateTime<Utc>>,
    /// Only those with this text in their error, whatever the case of its letters.
    text: Option<String>,
    /// How many, at most.
    #[serde(default = "page")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub(super) limit: u32,
    /// The `next` of the page before.
    pub(super) after: Option<String>,
}

const fn page() -> u32 {
    50
}

impl Which {
    pub(super) fn filter(&self) -> Result<FailedJobFilter, Problem> {
        let words = self.state.as_deref().map(|states| states.split(',')).into_iter().flatten();
        Ok(FailedJobFilter {
            states: words.map(|word| parsed("state", word.trim())).collect::<Result<_, _>>()?,
            kind: self.kind.clone(),
            provider: self.provider.as_deref().map(|name| parsed("provider", name)).transpose()?,
            verdict: self.verdict.as_deref().map(|word| parsed("verdict", word)).transpose()?,
            code: self.code.clone(),
            user: self.user.as_deref().map(|id| parsed("user", id)).transpose()?,
            connection: self.connection.map(ConnectionId::from),
            since: self.since,
            until: self.until,
            text: self.text.clone(),
        })
    }
}

/// The schema of [`FailedJobFilter`], for bodies.
pub(super) fn filter_schema() -> Object {
    let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    let of_words = |all: &[&'static str], about: &str| {
        words(all.iter().copied()).schema_type(Type::String).description(Some(about)).build()
    };
    let format = |format| Some(SchemaFormat::KnownFormat(format));
    let time = |about: &str| text(about).format(format(KnownFormat::DateTime));
    let states: Vec<_> = FailedJobState::ALL.iter().map(|state| state.as_str()).collect();
    let verdicts: Vec<_> = VerdictKind::ALL.iter().map(|verdict| verdict.as_str()).collect();
    let states =
        ArrayBuilder::new().items(of_words(&states, "")).description(Some("In one of these states; none: any."));
    ObjectBuilder::new()
        .description(Some(
            "Which failed jobs. Everything that is named has to hold; an empty one names all that are open.",
        ))
        .property("states", states)
        .property("kind", text("Of this kind."))
        .property("provider", text("Of this provider app."))
        .property("verdict", of_words(&verdicts, "Whose last attempt had this verdict."))
        .property("code", text("Whose last attempt had this error code."))
        .property("user", text("Of a connection of this user."))
        .property("connection", text("Of this connection.").format(format(KnownFormat::Uuid)))
        .property("since", time("Given up on at this time or later."))
        .property("until", time("Given up on before this time."))
        .property("text", text("With this text in its error, whatever the case of its letters."))
        .additional_properties(Some(
            utoipa::openapi::schema::AdditionalProperties::<utoipa::openapi::Schema>::FreeForm(false),
        ))
        .build()
}
