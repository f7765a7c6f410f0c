//! One call of AMC: JSON there, JSON back, and Amazon's errors.

use std::sync::Arc;

use bytes::Bytes;
use evergrant_contract::ids::ConnectionId;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded;

use super::{Fields, Page};
use crate::answer::Answer;
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::retry_after;

/// Where Amazon puts its id of a request, beside the body.
const REQUEST_ID: &str = "x-amzn-requestid";
/// The most that is told of Amazon's words for an error.
const DETAILS_MAX: usize = 500;

/// Calls that have a connection and some headers in common.
#[derive(Clone)]
pub(crate) struct Endpoint {
    client: Client,
    connection: ConnectionId,
    headers: Arc<[(&'static str, String)]>,
}

impl Endpoint {
    pub(crate) fn new(client: Client, connection: ConnectionId) -> Self {
        Self { client, connection, headers: Arc::default() }
    }

    /// The same with one more header.
    pub(crate) fn with(&self, name: &'static str, value: String) -> Self {
        let headers = self.headers.iter().cloned().chain([(name, value)]).collect();
        Self { headers, ..self.clone() }
    }

    /// The same with these headers only.
    pub(crate) fn with_only(&self, headers: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { headers: headers.into_iter().collect(), ..self.clone() }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, Error> {
        read(&self.ask(Call::get(path)).await?)
    }

    /// Sends a body of this media type.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        media_type: &'static str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::BadRequest(error.to_string()))?;
        read(&self.ask(Call::new(method, path).with_body(media_type, body)).await?)
    }

    pub(crate) async fn delete(&self, path: String) -> Result<(), Error> {
        self.ask(Call::new(Method::DELETE, path)).await.map(drop)
    }

    /// A page of a list, whose items are under `key`.
    pub(crate) async fn page<T: DeserializeOwned>(&self, path: String, key: &str) -> Result<Page<T>, Error> {
        page(self.get(path).await?, key)
    }

    /// A page of a list that Amazon gives out to a POST.
    pub(crate) async fn posted_page<T: DeserializeOwned>(&self, path: String, key: &str) -> Result<Page<T>, Error> {
        page(read(&self.ask(Call::new(Method::POST, path)).await?)?, key)
    }

    /// The body of a success.
    async fn ask(&self, mut call: Call) -> Result<Bytes, Error> {
        call = call.with_header("accept", "application/json, application/*+json")?;
        for (name, value) in &*self.headers {
            call = call.with_header(name, value)?;
        }
        let answer = self.client.send(self.connection, call).await?;
        let settings = self.client.settings();
        let Answer { status, headers, body, .. } = answer;
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Error::Throttled { retry_after: retry_after::read(&headers, settings.clock.now()) });
        }
        let body = body.bytes(settings.body_max).await?;
        if status.is_success() { Ok(body) } else { Err(refused(status, &headers, &body)) }
    }
}

/// `path` with the parameters that have a value.
pub(crate) fn with_query(path: String, parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path,
        query => format!("{path}?{query}"),
    }
}

/// The object under `key`, if Amazon wrapped it; the whole object if not.
pub(crate) fn unwrapped<T: DeserializeOwned>(mut whole: Fields, key: &str) -> Result<T, Error> {
    let value = match whole.remove(key) {
        Some(inner @ Value::Object(_)) => inner,
        other => {
            whole.extend(other.map(|other| (key.to_owned(), other)));
            Value::Object(whole)
        }
    };
    serde_json::from_value(value).map_err(unreadable)
}

fn page<T: DeserializeOwned>(mut whole: Fields, key: &str) -> Result<Page<T>, Error> {
    let items = match whole.remove(key) {
        None | Some(Value::Null) => Vec::new(),
        Some(items) => serde_json::from_value(items).map_err(unreadable)?,
    };
    let next_token =
        whole.get("nextToken").and_then(Value::as_str).filter(|token| !token.is_empty()).map(str::to_owned);
    Ok(Page { items, next_token })
}

/// A success without a body is an object without fields.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(unreadable)
}

/// Says where, and not what: serde repeats values.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: serde_json::Error) -> Error {
    let what = if error.is_data() { "a field has another type than documented" } else { "it is not JSON" };
    Error::Unreadable(format!("{what} (line {}, column {})", error.line(), error.column()))
}

/// An error in one of Amazon's shapes, or in none.
fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let fields: Fields = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.chars().take(DETAILS_MAX).collect()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let header = || headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Error::Api {
        status: status.as_u16(),
        code: text("code"),
        details: text("details").or_else(|| text("message")),
        request_id: text("requestId").or_else(header),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_read_in_every_shape_amazon_has() {
        let id = HeaderMap::from_iter([(HeaderName::from_static(REQUEST_ID), HeaderValue::from_static("from-header"))]);
        let told = |body: &str| match refused(StatusCode::BAD_REQUEST, &id, body.as_bytes()) {
            Error::Api { status: 400, code, details, request_id } => (code, details, request_id),
            other => panic!("{other:?}"),
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told(r#"{"code":"400","details":"entityId provided is null","requestId":"r1"}"#),
            (some("400"), some("entityId provided is null"), some("r1"))
        );
        assert_eq!(told(r#"{"code":400,"message":"No"}"#), (some("400"), some("No"), some("from-header")));
        assert_eq!(told("<html>"), (None, None, some("from-header")));
        assert_eq!(told(r#"["x"]"#), (None, None, some("from-header")));
    }

    #[test]
    fn a_page_has_items_and_perhaps_a_next() {
        let read = |whole: Value| page::<String>(serde_json::from_value(whole).unwrap(), "workflows").unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read(json!({"workflows": ["a"], "nextToken": "n"})),
            Page { items: vec!["a".to_owned()], next_token: some("n") }
        );
        for last in
            [json!({}), json!({"workflows": null, "nextToken": null}), json!({"workflows": [], "nextToken": ""})]
        {
            assert_eq!(read(last), Page { items: Vec::new(), next_token: None });
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        for body in [r#"{"a":"s3cret"#, r#"{"a":"s3cret"}"#, "s3cret"] {
            let error = read::<std::collections::BTreeMap<String, u8>>(body.as_bytes()).unwrap_err();
            assert!(matches!(&error, Error::Unreadable(_)) && !error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn parameters_are_encoded() {
        let path = with_query("/x".to_owned(), &[("nextToken", Some("a/b+c=&d")), ("limit", None)]);
        assert_eq!(path, "/x?nextToken=a%2Fb%2Bc%3D%26d");
        assert_eq!(with_query("/x".to_owned(), &[("limit", None)]), "/x");
    }

    #[test]
    fn an_object_is_found_wrapped_or_not() {
        let read = |whole: Value| unwrapped::<Fields>(serde_json::from_value(whole).unwrap(), "instance").unwrap();
        assert_eq!(read(json!({"instance": {"a": 1}})), read(json!({"a": 1})));
        assert_eq!(read(json!({"instance": "a"}))["instance"], "a");
    }
}
