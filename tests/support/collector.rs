//! A collector of OpenTelemetry, as far as a test needs one: it takes what it is sent, and decodes it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::runtime::Runtime;

/// What has come so far.
#[derive(Default)]
struct Taken {
    requests: Vec<ExportTraceServiceRequest>,
    authorizations: Vec<String>,
    /// Every body as it came.
    bytes: Vec<u8>,
}

/// A collector that listens until the runtime ends.
pub(crate) struct Collector {
    pub(crate) url: String,
    taken: Arc<Mutex<Taken>>,
}

/// A span with the process that it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) service: String,
    pub(crate) role: String,
    pub(crate) span: Span,
}

impl Collector {
    pub(crate) fn start(runtime: &Runtime) -> Self {
        let taken = Arc::<Mutex<Taken>>::default();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&taken));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { url, taken }
    }

    /// The spans of a trace.
    pub(crate) fn trace(&self, trace_id: &str) -> Vec<Found> {
        let taken = self.taken.lock().unwrap();
        let mut found = Vec::new();
        for spans in taken.requests.iter().flat_map(|request| &request.resource_spans) {
            let of = |key| {
                let resource = spans.resource.as_ref().unwrap();
                text_of(&resource.attributes, key).unwrap_or_default()
            };
            for span in spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
                if hex(&span.trace_id) == trace_id {
                    found.push(Found { service: of("service.name"), role: of("evergrant.role"), span: span.clone() });
                }
            }
        }
        found
    }

    /// What every request was authorized with.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.taken.lock().unwrap().authorizations.clone()
    }

    /// Everything that came, as text: what is readable in it is readable here.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.taken.lock().unwrap().bytes).into_owned()
    }
}

async fn take(State(taken): State<Arc<Mutex<Taken>>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body.clone()).expect("a request of OTLP");
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let mut taken = taken.lock().unwrap();
    taken.requests.push(request);
    taken.authorizations.push(authorization.unwrap_or_default());
    taken.bytes.extend_from_slice(&body);
    (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
}

impl Found {
    /// An attribute as text.
    pub(crate) fn attribute(&self, key: &str) -> Option<String> {
        text_of(&self.span.attributes, key)
    }
}

fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// Bytes of an id as `traceparent` writes them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
