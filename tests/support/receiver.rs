//! A receiver of webhooks that keeps what the reference implementation verifies.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::runtime::Runtime;

/// What came, as it came.
type Taken = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that listens until the runtime ends.
pub(crate) struct Receiver {
    pub(crate) url: String,
    taken: Taken,
}

impl Receiver {
    pub(crate) fn start(runtime: &Runtime) -> Self {
        let taken = Taken::default();
        let routes = Router::new().fallback(take).with_state(Arc::clone(&taken));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { url, taken }
    }

    /// What came, in its order, each signed with this secret.
    pub(crate) fn messages(&self, secret: &str) -> Vec<Value> {
        let reference = Webhook::new(secret).unwrap();
        let taken = self.taken.lock().unwrap();
        let verified = |(headers, body): &(HeaderMap, Bytes)| {
            reference.verify(body, headers).expect("the reference verifies what arrives");
            serde_json::from_slice(body).unwrap()
        };
        taken.iter().map(verified).collect()
    }

    /// Everything that came, as it came.
    pub(crate) fn text(&self) -> String {
        let taken = self.taken.lock().unwrap();
        let told = taken.iter().map(|(headers, body)| format!("{headers:?}\n{}", String::from_utf8_lossy(body)));
        told.collect::<Vec<_>>().join("\n")
    }
}

async fn take(State(taken): State<Taken>, headers: HeaderMap, body: Bytes) -> StatusCode {
    taken.lock().unwrap().push((headers, body));
    StatusCode::NO_CONTENT
}
