//! What handlers take out of a request: axum's extractors, whose refusals are problems. They name the place and never the
//! content, which may be a secret.

use axum::body::Bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, ProblemKind};

/// A body of JSON, out of a request or into a response. `Option<Json<T>>` takes an empty body, whatever its type, for none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<T>(pub(crate) T);

/// The parameters behind the `?`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<T>(pub(crate) T);

/// The parameters within the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let body = whole(request, state).await?;
        from_json(&body).map(Self)
    }
}

impl<T, S> OptionalFromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let is_json = is_json(request.headers());
        let body = whole(request, state).await?;
        if body.is_empty() {
            return Ok(None);
        }
        if !is_json {
            return Err(not_json());
        }
        from_json(&body).map(|value| Some(Self(value)))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| {
            let detail = refusal("query parameter", &error.path().to_string(), &error.inner().to_string());
            Problem::new(ProblemKind::InvalidParameter, detail)
        })
    }
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(path_problem(rejection)),
        }
    }
}

fn path_problem(rejection: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        return defect("a route has no path parameters");
    };
    let detail = match error.into_kind() {
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            format!("The path parameter `{key}` is wrong: {expected_type} expected.")
        }
        ErrorKind::DeserializeError { key, message, .. } => refusal("path parameter", &key, &message),
        ErrorKind::InvalidUtf8InPathParam { key } => format!("The path parameter `{key}` is not UTF-8."),
        ErrorKind::ParseErrorAtIndex { index, expected_type, .. } => {
            format!("Path parameter number {} is wrong: {expected_type} expected.", index + 1)
        }
        ErrorKind::ParseError { expected_type, .. } => {
            format!("The path parameter is wrong: {expected_type} expected.")
        }
        ErrorKind::Message(message) => refusal("path parameter", ".", &message),
        _ => return defect("a route and its handler disagree about the path parameters"),
    };
    Problem::new(ProblemKind::InvalidParameter, detail)
}

fn defect(what: &'static str) -> Problem {
    tracing::error!(error = what, "A route is wired wrongly");
    Problem::new(ProblemKind::Internal, "Something went wrong here. The log says what, under the request id.")
}

/// The whole body, up to the limit that the edges set.
async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Problem::new(ProblemKind::BodyTooLarge, "The body is longer than this route takes.");
        }
        Problem::new(ProblemKind::InvalidRequest, "The body broke off. Send it again.")
    })
}

/// Whether the body says that it is `application/json`, or some `application/…+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

fn not_json() -> Problem {
    Problem::new(ProblemKind::UnsupportedMediaType, "Send the body with `Content-Type: application/json`.")
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        if inner.is_data() {
            let detail = refusal("field", &path, &inner.to_string());
            return Problem::new(ProblemKind::InvalidParameter, detail);
        }
        bad_json(inner)
    })?;
    json.end().map(|()| value).map_err(|error| bad_json(&error))
}

fn bad_json(error: &serde_json::Error) -> Problem {
    let detail = format!("The body is not JSON: it goes wrong at line {} column {}.", error.line(), error.column());
    Problem::new(ProblemKind::InvalidRequest, detail)
}

/// Says what is wrong with a parameter in words that are ours: of serde's message only what the type expected is kept.
fn refusal(what: &str, path: &str, message: &str) -> String {
    let between = |start: &str| message.strip_prefix(start).and_then(|rest| rest.split('`').next());
    if let Some(name) = between("missing field `") {
        return format!("The {what} `{}` is missing.", within(path, name));
    }
    if let Some(name) = between("duplicate field `") {
        return format!("The {what} `{}` is there more than once.", within(path, name));
    }
    let place = if is_root(path) { format!("A {what}") } else { format!("The {what} `{path}`") };
    match expectation(message) {
        Some(expected) => format!("{place} is wrong: {expected} expected."),
        None => format!("{place} is wrong."),
    }
}

/// What the type wanted to see, if the message has one of the shapes whose last part cannot be the client's text.
fn expectation(message: &str) -> Option<&str> {
    if let Some((ours, _)) = message.split_once(" expected, got `") {
        return Some(ours);
    }
    let shapes = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"];
    shapes.iter().any(|shape| message.starts_with(shape)).then_some(())?;
    let (_, expected) = message.rsplit_once(", expected ")?;
    Some(expected.split(" at line ").next().unwrap_or(expected))
}

fn is_root(path: &str) -> bool {
    matches!(path, "." | "" | "?")
}

fn within(path: &str, name: &str) -> String {
    if is_root(path) { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::extract::DefaultBodyLimit;
    use axum::routing::{get, post};
    use evergrant_contract::ids::ConnectionId;
    use serde::Deserialize;
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Deserialize)]
    struct Wish {
        id: ConnectionId,
        count: u32,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Deserialize)]
    struct Inner {
        name: String,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Small,
        Large,
    }

    fn router() -> Router {
        let read = |wish: Wish| async move {
            let inner = wish.inner.map(|inner| (inner.name, matches!(inner.kind, Some(Kind::Large | Kind::Small))));
            format!("{} {} {inner:?}", wish.id, wish.count)
        };
        Router::new()
            .route("/json", post(move |Json(wish): Json<Wish>| read(wish)))
            .route("/maybe", post(|wish: Option<Json<Wish>>| async move { wish.is_some().to_string() }))
            .route("/query", get(move |Query(wish): Query<Wish>| read(wish)))
            .route("/path/{id}/{count}", get(move |Path(wish): Path<Wish>| read(wish)))
            .layer(DefaultBodyLimit::max(1000))
    }

    async fn ask(request: axum::http::request::Builder, body: impl Into<Body>) -> (u16, String) {
        let response = router().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        if status != 200 {
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn post_json(path: &str, body: &str) -> (u16, String) {
        ask(Request::post(path).header(header::CONTENT_TYPE, "application/json"), body.to_owned()).await
    }

    fn detail(body: &str) -> String {
        serde_json::from_str::<serde_json::Value>(body).unwrap()["detail"].as_str().unwrap().to_owned()
    }

    const ID: &str = "0197b0a0-0000-7000-8000-000000000001";

    #[tokio::test]
    async fn a_refused_body_names_the_field_and_what_was_expected_and_never_the_content() {
        let cases = [
            (format!(r#"{{"id":"{ID}"}}"#), "The field `count` is missing."),
            (format!(r#"{{"id":"{ID}","count":"s3cret"}}"#), "The field `count` is wrong: u32 expected."),
            (format!(r#"{{"id":"{ID}","count":-7}}"#), "The field `count` is wrong: u32 expected."),
            (format!(r#"{{"id":"{ID}","count":1,"inner":{{}}}}"#), "The field `inner.name` is missing."),
            (
                format!(r#"{{"id":"{ID}","count":1,"inner":{{"name":"n","kind":"s3cret"}}}}"#),
                "The field `inner.kind` is wrong: `small` or `large` expected.",
            ),
        ];
        for (body, expected) in cases {
            let (status, answer) = post_json("/json", &body).await;
            assert_eq!((status, detail(&answer).as_str()), (422, expected), "{body}");
        }
        let (status, answer) = post_json("/json", r#"{"id":"s3cret, expected s3cret","count":1}"#).await;
        assert_eq!(status, 422);
        assert!(!answer.contains("s3cret") && answer.contains("`id`"), "{answer}");
    }

    #[tokio::test]
    async fn what_is_not_json_is_refused_for_what_it_is() {
        assert_eq!(post_json("/json", "{\"s3cret").await.0, 400);
        let whole = format!(r#"{{"id":"{ID}","count":1}}"#);
        assert_eq!(post_json("/json", &whole).await.0, 200);
        let (status, answer) = post_json("/json", &format!("{whole} s3cret")).await;
        assert_eq!((status, answer.contains("s3cret")), (400, false), "{answer}");
        assert_eq!(post_json("/json", &" ".repeat(1001)).await.0, 413);
        let plain = Request::post("/json").header(header::CONTENT_TYPE, "text/plain");
        assert_eq!(ask(plain, whole.clone()).await.0, 415);
        let special = Request::post("/json").header(header::CONTENT_TYPE, "Application/vnd.x+JSON; charset=utf-8");
        assert_eq!(ask(special, whole).await.0, 200);
    }

    #[tokio::test]
    async fn an_empty_body_is_none_where_the_body_is_optional() {
        assert_eq!(ask(Request::post("/maybe"), "").await, (200, "false".to_owned()));
        assert_eq!(post_json("/maybe", "").await, (200, "false".to_owned()));
        assert_eq!(post_json("/maybe", &format!(r#"{{"id":"{ID}","count":1}}"#)).await, (200, "true".to_owned()));
        assert_eq!(post_json("/maybe", "{}").await.0, 422);
        assert_eq!(ask(Request::post("/maybe"), "a=b").await.0, 415);
    }

    #[tokio::test]
    async fn a_refused_query_names_the_parameter() {
        let cases = [
            ("/query?count=1", "The query parameter `id` is missing."),
            ("/query?count=s3cret", "The query parameter `count` is wrong."),
            ("/query?count=1&count=2", "The query parameter `count` is there more than once."),
        ];
        for (path, expected) in cases {
            let (status, answer) = ask(Request::get(path), "").await;
            assert_eq!((status, detail(&answer).as_str()), (422, expected), "{path}");
        }
        assert_eq!(ask(Request::get(format!("/query?count=1&id={ID}")), "").await.0, 200);
    }

    #[tokio::test]
    async fn a_refused_path_names_the_parameter() {
        let (status, answer) = ask(Request::get(format!("/path/{ID}/s3cret")), "").await;
        assert_eq!((status, detail(&answer).as_str()), (422, "The path parameter `count` is wrong: u32 expected."));
        let (status, answer) = ask(Request::get("/path/s3cret/1"), "").await;
        assert_eq!(status, 422);
        assert!(!answer.contains("s3cret") && answer.contains("`id`"), "{answer}");
        assert_eq!(ask(Request::get("/path/%ff/1"), "").await.0, 422);
    }
}
