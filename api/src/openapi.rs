//! The API as a document: what the routes say of themselves, and what holds for all of them.

use axum::http::StatusCode;
use serde_json::json;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder, Responses};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, Content, Info, License, ObjectBuilder, OpenApi, Ref, RefOr, Schema, ServerBuilder, Type,
    tag::TagBuilder,
};

use crate::problem::ProblemKind;

const PROBLEM: &str = "Problem";
const PROBLEM_JSON: &str = "application/problem+json";
const ANYTHING: &str = "*/*";
const ABOUT: &str = "\
Evergrant keeps OAuth grants alive: whoever asks finds an access token that works.

**Who calls.** People sign in and send an access JWT as `Authorization: Bearer …`; it lives for minutes, and \
`POST /api/auth/refresh` gives the next one for the session's cookie. Services send an API key, `egk_…`, in the same header \
or as `X-API-Key`.

**What can be wrong.** Every error is a problem (RFC 9457). Switch on the last part of its `type`, never on its text: the \
list is closed. An expired *session* is a 401, and refreshing the session helps; an ended *grant* is a 409 \
`provider-reauth-required`, and only connecting again helps.

**When to come back.** A 429, a 503 and a 202 say so in `Retry-After`, in seconds.";
const TAGS: [(&str, &str); 7] = [
    ("session", "Who is signed in, and for how long."),
    ("amazon", "Connecting Amazon accounts, in the shapes that the front end knows."),
    ("connections", "Connections, their access tokens and forced refreshes, for services and operators."),
    ("amc", "Calls of the Amazon Ads and AMC API with the right token."),
    ("events", "What happens, as it happens."),
    ("operations", "What operators look at and what they do: for admins, and for keys with the scope `ops`."),
    ("docs", "This description."),
];

/// When an operation can give one of the answers that many can give.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// It asks who calls.
    Authenticated,
    /// It has parameters in its path.
    PathParameters,
    /// It takes a body.
    Body,
    /// It has parameters or takes a body.
    Input,
}

/// The answers that the edges and the extractors give, for all routes in the same way.
const COMMON: &[(When, &[ProblemKind])] = &[
    (When::Always, &[ProblemKind::InvalidRequest]),
    (When::Authenticated, &[ProblemKind::Unauthenticated, ProblemKind::SessionExpired, ProblemKind::SessionEnded]),
    (When::Always, &[ProblemKind::Forbidden, ProblemKind::InsufficientScope, ProblemKind::CsrfHeaderMissing]),
    (When::PathParameters, &[ProblemKind::NotFound]),
    (When::Body, &[ProblemKind::BodyTooLarge]),
    (When::Body, &[ProblemKind::UnsupportedMediaType]),
    (When::Input, &[ProblemKind::InvalidParameter]),
    (When::Always, &[ProblemKind::RateLimited]),
    (When::Always, &[ProblemKind::Internal]),
    (When::Always, &[ProblemKind::Overloaded, ProblemKind::Unavailable, ProblemKind::Timeout]),
];

/// The document that describes every route.
pub fn document() -> OpenApi {
    let (_, mut document) = crate::routes::documented().split_for_parts();
    document.info = info();
    document.servers = Some(vec![ServerBuilder::new().url("/").description(Some("This Evergrant.")).build()]);
    document.tags = Some(
        TAGS.iter().map(|(name, about)| TagBuilder::new().name(*name).description(Some(*about)).build()).collect(),
    );
    // One of them is enough.
    document.security = Some(["session", "api_key"].map(requirement).into());
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(PROBLEM.to_owned(), RefOr::T(problem_schema()));
    for (name, scheme) in schemes() {
        components.add_security_scheme(name, scheme);
    }
    document.paths.paths.values_mut().flat_map(operations).for_each(complete);
    document
}

fn info() -> Info {
    let mut info = Info::new("Evergrant", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    info
}

fn requirement(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, [""; 0])
}

fn schemes() -> [(&'static str, SecurityScheme); 4] {
    let bearer = |format: &str, about: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(format).description(Some(about));
        SecurityScheme::Http(scheme.build())
    };
    let header = ApiKeyValue::with_description("X-API-Key", "An API key, for clients that cannot set `Authorization`.");
    let cookie = ApiKeyValue::with_description(
        "__Host-evergrant-session",
        "The session's cookie, set at sign-in. With it goes the header `X-Requested-With`, whatever its value.",
    );
    [
        ("session", bearer("JWT", "The access JWT of somebody who is signed in.")),
        ("api_key", bearer("egk_…", "The API key of a service.")),
        ("api_key_header", SecurityScheme::ApiKey(ApiKey::Header(header))),
        ("session_cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
    ]
}

/// The closed list of what can be wrong.
fn problem_schema() -> Schema {
    let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    let number = |about: &str| ObjectBuilder::new().schema_type(Type::Integer).description(Some(about));
    let kinds = ProblemKind::ALL.iter().map(|kind| kind.uri());
    let example = ProblemKind::ProviderReauthRequired;
    ObjectBuilder::new()
        .description(Some("What is wrong and what to do (RFC 9457)."))
        .property("type", text("What is wrong. Switch on this.").enum_values(Some(kinds)))
        .required("type")
        .property("title", text("The same words for every occurrence."))
        .required("title")
        .property("status", number("The HTTP status."))
        .required("status")
        .property("detail", text("What is wrong here and what to do, for people."))
        .required("detail")
        .property("retry_after", number("When to ask again, in seconds; as in the header `Retry-After`."))
        .property("connection_id", text("The connection that it is about."))
        .property("reason", text("Why the connection is not `active`."))
        .property("request_id", text("What the log knows this request by."))
        .examples([json!({
            "type": example.uri(), "title": example.title(), "status": example.status().as_u16(),
            "detail": "Amazon has ended the grant. Connect the account again.", "reason": "provider_revoked",
        })])
        .into()
}

/// Every operation of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

/// Adds the answers that many can give, where the operation does not say more itself.
fn complete(operation: &mut Operation) {
    let parameters = operation.parameters.iter().flatten();
    let in_path = parameters
        .clone()
        .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path));
    let has_body = operation.request_body.is_some();
    let is_open = operation
        .security
        .as_ref()
        .is_some_and(|needs| needs.iter().all(|need| *need == SecurityRequirement::default()));
    let has_input = has_body || parameters.count() > 0;
    for (when, kinds) in COMMON {
        let applies = match when {
            When::Always => true,
            When::Authenticated => !is_open,
            When::PathParameters => in_path,
            When::Body => has_body,
            When::Input => has_input,
        };
        if applies {
            add(&mut operation.responses, kinds);
        }
    }
    let is_passed_on = operation.responses.responses.contains_key("default");
    for (status, response) in &mut operation.responses.responses {
        let is_error = status.starts_with(['4', '5']);
        if let RefOr::T(response) = response
            && is_error
            && response.content.is_empty()
        {
            response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(problem_content()));
            if is_passed_on {
                // The status may be that of the API beyond, whose body is its own.
                response.content.insert(ANYTHING.to_owned(), RefOr::T(Content::default()));
            }
        }
    }
}

fn add(responses: &mut Responses, kinds: &[ProblemKind]) {
    let status = kinds.first().map_or(StatusCode::INTERNAL_SERVER_ERROR, |kind| kind.status());
    let said = kinds.iter().map(|kind| format!("`{}`: {}.", kind.slug(), kind.title())).collect::<Vec<_>>().join(" ");
    let known = responses.responses.entry(status.as_u16().to_string());
    match known.or_insert_with(|| RefOr::T(Response::new(""))) {
        RefOr::T(response) if response.description.is_empty() => {
            *response = ResponseBuilder::new().description(said).build();
        }
        // The handler has a reason of its own for this status: both are told.
        RefOr::T(response) if !kinds.iter().all(|kind| response.description.contains(kind.slug())) => {
            response.description = format!("{} {said}", response.description);
        }
        _ => {}
    }
}

fn problem_content() -> Content {
    Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name(PROBLEM))))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    const COMMAND: &str = "UPDATE_GENERATED=1 cargo test -p evergrant-api openapi";

    fn written() -> Value {
        serde_json::to_value(document()).unwrap()
    }

    fn each_operation(document: &Value, mut look: impl FnMut(&str, &Value)) {
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                look(&format!("{method} {path}"), operation);
            }
        }
    }

    #[test]
    fn the_committed_openapi_document_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let expected = format!("{}\n", serde_json::to_string_pretty(&written()).unwrap());
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&path, expected).unwrap();
            return;
        }
        let current = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(current == expected, "docs/openapi.json is not what the routes say; run: {COMMAND}");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_a_tag_that_is_explained_and_the_answers_that_all_can_give() {
        let document = written();
        assert_eq!(document["openapi"], "3.1.0");
        let tags: BTreeSet<_> = TAGS.iter().map(|(name, _)| *name).collect();
        let mut names = BTreeMap::new();
        each_operation(&document, |name, operation| {
            let id = operation["operationId"].as_str().unwrap();
            assert!(names.insert(id.to_owned(), name.to_owned()).is_none(), "{id} is used twice");
            assert!(operation["summary"].is_string(), "{name} has no summary");
            assert!(operation["tags"].as_array().is_some_and(|own| own.len() == 1), "{name} has one tag");
            assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{name}: unknown tag");
            for status in ["400", "429", "500", "503"] {
                assert!(operation["responses"][status].is_object(), "{name} cannot answer {status}");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(!answer["description"].as_str().unwrap().is_empty(), "{name} {status}");
                if status.starts_with(['4', '5']) {
                    let schema = &answer["content"][PROBLEM_JSON]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
                }
            }
        });
        assert!(names.len() > 20, "{names:?}");
    }

    #[test]
    fn every_parameter_of_a_path_is_described_and_no_other_is() {
        each_operation(&written(), |name, operation| {
            let inside: BTreeSet<_> =
                name.split('{').skip(1).filter_map(|rest| rest.split('}').next()).map(str::to_owned).collect();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let described = parameters.iter().filter(|parameter| parameter["in"] == "path");
            let described: BTreeSet<_> =
                described.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
            assert_eq!(inside, described, "{name}");
        });
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(to)) = fields.get("$ref") {
                        assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to} leads nowhere");
                    }
                    fields.values().for_each(|field| check(field, document));
                }
                Value::Array(items) => items.iter().for_each(|item| check(item, document)),
                _ => {}
            }
        }
        let document = written();
        check(&document, &document);
    }

    #[test]
    fn the_problem_schema_is_the_closed_list() {
        let document = written();
        let kinds =
            document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].as_array().unwrap().clone();
        assert_eq!(kinds.len(), ProblemKind::ALL.len());
        assert!(kinds.iter().all(|kind| kind.as_str().unwrap().starts_with("https://evergrant.dev/problems/")));
    }

    #[test]
    fn only_what_asks_who_calls_can_find_nobody() {
        let document = written();
        assert!(document["paths"]["/api/auth/me"]["get"]["responses"]["401"].is_object());
        assert!(!document["paths"]["/api/health"]["get"]["responses"]["401"].is_object());
    }
}
