//! A server that answers as it is told and remembers what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// A request as it arrived.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Inner {
    answers: Mutex<VecDeque<Response>>,
    asked: Mutex<Vec<Asked>>,
}

pub(crate) struct Server {
    pub(crate) url: Url,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Answers with these, in order, and 418 after them.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Response>) -> Self {
        let inner = Arc::new(Inner { answers: Mutex::new(answers.into_iter().collect()), ..Inner::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, serving }
    }

    /// What it was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.inner.asked.lock().unwrap())
    }

    /// What it was asked, as `METHOD path`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let asked = Asked { method: parts.method, path: parts.uri.to_string(), headers: parts.headers, body };
    inner.asked.lock().unwrap().push(asked);
    let answer = inner.answers.lock().unwrap().pop_front();
    answer.unwrap_or_else(|| StatusCode::IM_A_TEAPOT.into_response())
}

/// JSON with this status.
pub(crate) fn json(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// A 401 in Amazon's words.
pub(crate) fn refusal() -> Response {
    json(401, &serde_json::json!({"code": "401", "details": "Authentication failed", "requestId": "r"}))
}

/// 429, with this `Retry-After`.
pub(crate) fn throttle(retry_after: &str) -> Response {
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, retry_after)], "slower").into_response()
}

/// A body in these pieces, which goes on for ever after them if it is `endless`.
pub(crate) fn pieces(pieces: impl IntoIterator<Item = &'static str>, endless: bool) -> Response {
    use futures::StreamExt as _;
    let pieces: Vec<_> = pieces.into_iter().map(Ok::<_, Infallible>).collect();
    let pieces = stream::iter(pieces);
    Response::new(if endless { Body::from_stream(pieces.chain(stream::pending())) } else { Body::from_stream(pieces) })
}
