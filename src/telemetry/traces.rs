//! Traces as the configuration wants them.

use evergrant_traces::{Sampler, Traces, TracesError, TracesOptions};

use crate::config::{Telemetry, TracesSampler, headers_of};

/// Starts what carries spans to the collector, if there is one. Within a runtime.
pub(super) fn start(settings: &Telemetry, role: &'static str) -> Result<Option<Traces>, TracesError> {
    let Some(endpoint) = settings.otlp_endpoint.clone() else { return Ok(None) };
    let headers = settings.otlp_headers.as_ref().and_then(|headers| headers_of(headers.expose()));
    let options = TracesOptions {
        endpoint,
        headers: headers.unwrap_or_default(),
        service_name: settings.service_name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        role,
        sampler: sampler(settings.traces_sampler, settings.traces_sampler_arg),
    };
    Traces::start(&options).map(Some)
}

fn sampler(named: TracesSampler, arg: f64) -> Sampler {
    let (share, is_parent_based) = match named {
        TracesSampler::AlwaysOn => (1.0, false),
        TracesSampler::AlwaysOff => (0.0, false),
        TracesSampler::TraceIdRatio => (arg, false),
        TracesSampler::ParentBasedAlwaysOn => (1.0, true),
        TracesSampler::ParentBasedAlwaysOff => (0.0, true),
        TracesSampler::ParentBasedTraceIdRatio => (arg, true),
    };
    Sampler { share, is_parent_based }
}
