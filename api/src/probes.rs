//! Liveness, readiness and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::future::join_all;
use serde::Serialize;

/// A dependency that takes longer than this to answer is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that the process cannot work without.
#[async_trait]
pub trait Check: Send + Sync {
    /// What it is, such as `store`.
    fn name(&self) -> &'static str;
    /// `Err` is one sentence for people, without secrets.
    async fn check(&self) -> Result<(), String>;
}

/// What the probe routes need.
pub struct Probes {
    /// Everything that must answer before the process is ready.
    pub checks: Vec<Arc<dyn Check>>,
    /// Renders the metrics as Prometheus text.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// The version of this release.
    pub version: &'static str,
}

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    service: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Readiness {
    status: &'static str,
    checks: BTreeMap<&'static str, String>,
}

impl Probes {
    /// The routes.
    pub fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn healthz(State(probes): State<Arc<Probes>>) -> Json<Health> {
    Json(Health { status: "healthy", service: "evergrant", version: probes.version })
}

async fn readyz(State(probes): State<Arc<Probes>>) -> Response {
    let answers = join_all(probes.checks.iter().map(|check| ask(check.as_ref()))).await;
    let is_ready = answers.iter().all(|(_, answer)| answer.is_ok());
    let checks = answers.into_iter().map(|(name, answer)| (name, answer.err().unwrap_or_else(|| "ok".to_owned())));
    let (status, word) =
        if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (status, Json(Readiness { status: word, checks: checks.collect() })).into_response()
}

async fn ask(check: &dyn Check) -> (&'static str, Result<(), String>) {
    let answer = tokio::time::timeout(PATIENCE, check.check()).await;
    (check.name(), answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))))
}

async fn metrics(State(probes): State<Arc<Probes>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (probes.metrics)())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    struct Dependency(Result<(), String>);

    #[async_trait]
    impl Check for Dependency {
        fn name(&self) -> &'static str {
            "store"
        }

        async fn check(&self) -> Result<(), String> {
            self.0.clone()
        }
    }

    async fn fetch(answer: Result<(), String>, path: &str) -> (StatusCode, String) {
        let probes = Arc::new(Probes {
            checks: vec![Arc::new(Dependency(answer))],
            metrics: Box::new(|| "evergrant_up 1\n".to_owned()),
            version: "1.2.3",
        });
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = probes.routes().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_is_ready_when_all_it_needs_answers() {
        let (status, body) = fetch(Ok(()), "/readyz").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"status":"ready","checks":{"store":"ok"}}"#));
    }

    #[tokio::test]
    async fn it_is_not_ready_and_says_why_when_something_is_away() {
        let (status, body) = fetch(Err("connection refused".to_owned()), "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, r#"{"status":"not ready","checks":{"store":"connection refused"}}"#);
    }

    #[tokio::test]
    async fn liveness_asks_nobody() {
        let (status, body) = fetch(Err("away".to_owned()), "/healthz").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains(r#""status":"healthy""#), "{body}");
    }

    #[tokio::test]
    async fn metrics_are_prometheus_text() {
        assert_eq!(fetch(Ok(()), "/metrics").await, (StatusCode::OK, "evergrant_up 1\n".to_owned()));
    }
}
