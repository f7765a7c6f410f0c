//! One request and its answer over the network, whatever it means.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use url::Url;
use zeroize::Zeroizing;

use crate::http::{ProviderError, Timeouts};
use crate::question::Question;

/// The longest answer that is read. Those of token endpoints have a few thousand bytes.
const BODY_MAX: usize = 64 * 1024;
/// Room for one that does not say how long it is.
const BODY_USUAL: usize = 8 * 1024;
/// Where providers put their id of a request.
const REQUEST_ID_HEADERS: [&str; 5] =
    ["x-amzn-requestid", "x-amz-rid", "x-request-id", "x-ms-request-id", "x-github-request-id"];

/// A complete answer.
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// There is no complete answer.
pub(crate) struct Broken {
    /// The status, if that much came.
    pub(crate) status: Option<u16>,
    /// What happened, in words for people.
    pub(crate) problem: String,
    /// The request may have left.
    pub(crate) ambiguous: bool,
}

/// The one client of a provider app, with its pool of connections.
pub(crate) fn client(timeouts: Timeouts) -> Result<Client, ProviderError> {
    // The binary installs ring first of all; a library or a test that did not gets it here instead of a panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Client::builder()
        .user_agent(concat!("evergrant/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.call)
        // A redirect would carry the refresh token to wherever it points.
        .redirect(redirect::Policy::none())
        // A refresh token is spent when the request leaves: nobody below may send it twice.
        .retry(retry::never())
        .referer(false)
        .build()
        .map_err(|error| ProviderError::Client(root_cause(&error)))
}

/// Sends the question and reads the whole answer within `patience`.
pub(crate) async fn exchange(
    client: &Client,
    url: &Url,
    question: Question,
    patience: Duration,
) -> Result<Received, Broken> {
    answer_to(client.post(url.clone()).headers(question.headers).body(question.body), patience).await
}

/// Sends a request and reads the whole answer within `patience`.
pub(crate) async fn answer_to(request: RequestBuilder, patience: Duration) -> Result<Received, Broken> {
    let response = request.timeout(patience).send().await.map_err(|error| broken(None, error))?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let retry_after = header(RETRY_AFTER.as_str());
    let request_id = REQUEST_ID_HEADERS.into_iter().find_map(header);
    let body = read_body(response).await?;
    Ok(Received { status, retry_after, request_id, body })
}

async fn read_body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let status = response.status().as_u16();
    // Allocated once, since a growing buffer would leave copies of tokens behind.
    let announced = response.content_length().and_then(|bytes| usize::try_from(bytes).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(BODY_USUAL).min(BODY_MAX)));
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(Some(status), error))? {
        if body.len() + chunk.len() > BODY_MAX {
            let problem = format!("the answer has more than {BODY_MAX} bytes");
            return Err(Broken { status: Some(status), problem, ambiguous: true });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(status: Option<u16>, error: reqwest::Error) -> Broken {
    // A URL can have a token in it.
    let error = error.without_url();
    let problem = if error.is_connect() {
        format!("no connection to the provider: {}", root_cause(&error))
    } else if error.is_timeout() {
        "the provider did not answer in time".to_owned()
    } else {
        format!("the connection broke before the answer was complete: {}", root_cause(&error))
    };
    Broken { status, problem, ambiguous: !error.is_connect() && !error.is_builder() }
}

/// The innermost error: the outer ones say only "error sending request".
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
