//! The pipeline of a process: which spans, which share of them, to whom.

use std::collections::HashMap;
use std::time::Duration;

use evergrant_contract::secret::Secret;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracerProvider, SpanExporter as _};
use reqwest::{Client, redirect};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::courier::{Entrance, WAITING_MAX, deliver};

/// How long a request to the collector may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Rounds of the scheduler are many and mean nothing to a trace: the jobs that they publish have traces of their own.
const NOT_TRACED: &str = "scheduler.tick";

/// Which traces are made. "Parent-based": whoever began the trace elsewhere has decided already.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// The share of traces that are made, 0 to 1.
    pub share: f64,
    /// Whether the decision of whoever began a trace is kept to.
    pub is_parent_based: bool,
}

/// To whom, and as whom.
pub struct TracesOptions {
    /// The collector; `/v1/traces` is put behind it.
    pub endpoint: Url,
    /// Headers of every request, such as a key of the collector.
    pub headers: Vec<(String, Secret)>,
    /// The name of the service.
    pub service_name: String,
    /// The version of this program.
    pub version: &'static str,
    /// What this process runs, such as `worker`.
    pub role: &'static str,
    /// Which traces are made.
    pub sampler: Sampler,
}

/// Why no traces can be made.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The HTTP client could not be made.
    #[error("the HTTP client for traces cannot be set up: {0}. Are the system's root certificates installed?")]
    Client(reqwest::Error),
    /// The collector's address cannot be used.
    #[error("traces cannot be set up: {0}")]
    Exporter(opentelemetry_otlp::ExporterBuildError),
}

/// The traces of a process: give [`Traces::layer`] to its subscriber, and [`Traces::finish`] it at the end.
pub struct Traces {
    provider: SdkTracerProvider,
    courier: JoinHandle<()>,
    end: CancellationToken,
}

impl Traces {
    /// Starts to carry spans to the collector. Must be called within a runtime; the collector need not be there.
    pub fn start(options: &TracesOptions) -> Result<Self, TracesError> {
        let resource = Resource::builder()
            .with_service_name(options.service_name.clone())
            .with_attributes([
                KeyValue::new("service.version", options.version),
                KeyValue::new("evergrant.role", options.role),
            ])
            .build();
        let mut exporter = exporter(options)?;
        exporter.set_resource(&resource);
        let (entrance, spans) = mpsc::channel(WAITING_MAX);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Entrance(entrance))
            .with_sampler(options.sampler.sdk())
            .with_resource(resource)
            .build();
        let end = CancellationToken::new();
        let courier = tokio::spawn(deliver(spans, exporter, end.clone()));
        Ok(Self { provider, courier, end })
    }

    /// Makes traces of this program's spans.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.provider.tracer("evergrant");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
        layer.with_filter(filter_fn(is_traced))
    }

    /// Sends what is left, for no longer than this.
    pub async fn finish(self, within: Duration) {
        self.end.cancel();
        let abort = self.courier.abort_handle();
        if tokio::time::timeout(within, self.courier).await.is_err() {
            abort.abort();
            warn!("The last traces could not be sent in time");
        }
    }
}

/// Our own spans. Those of libraries may hold anything, and so may log lines.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let is_ours = metadata.target().starts_with("evergrant");
    metadata.is_span() && is_ours && *metadata.level() <= Level::INFO && metadata.name() != NOT_TRACED
}

fn exporter(options: &TracesOptions) -> Result<SpanExporter, TracesError> {
    // The binary installs ring first of all; a library or a test that did not gets it here instead of a panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .timeout(REQUEST_TIMEOUT)
        // A redirect would carry the headers to wherever it points.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(TracesError::Client)?;
    let headers: HashMap<String, String> =
        options.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let endpoint = format!("{}/v1/traces", options.endpoint.as_str().trim_end_matches('/'));
    SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_headers(headers)
        .with_timeout(REQUEST_TIMEOUT)
        .build()
        .map_err(TracesError::Exporter)
}

impl Sampler {
    fn sdk(self) -> SdkSampler {
        let sampler = if self.share >= 1.0 {
            SdkSampler::AlwaysOn
        } else if self.share <= 0.0 {
            SdkSampler::AlwaysOff
        } else {
            SdkSampler::TraceIdRatioBased(self.share)
        };
        if self.is_parent_based { SdkSampler::ParentBased(Box::new(sampler)) } else { sampler }
    }
}
