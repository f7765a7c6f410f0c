//! Carries spans that have ended to the collector, in batches.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Spans that wait at most: a few megabytes. More are dropped.
pub(crate) const WAITING_MAX: usize = 4096;
/// Spans in a request at most.
const BATCH_MAX: usize = 512;
/// How long a batch is gathered.
const GATHER: Duration = Duration::from_secs(1);

/// Takes spans as they end. Never waits.
#[derive(Debug)]
pub(crate) struct Entrance(pub(crate) Sender<SpanData>);

impl SpanProcessor for Entrance {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        span.span_kind = kind(&span.name);
        if failed(&span) {
            span.status = Status::error("");
        }
        if self.0.try_send(span).is_err() {
            count("dropped", 1);
        }
    }

    /// Nobody waits for spans but [`crate::Traces::finish`].
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What a span is to its neighbours, which collectors draw maps of services from.
fn kind(name: &str) -> SpanKind {
    match name {
        "api.request" => SpanKind::Server,
        "job.run" => SpanKind::Consumer,
        "provider.call" => SpanKind::Client,
        _ => SpanKind::Internal,
    }
}

/// A request that we failed to answer. What a provider answers is a verdict, and no failure of ours.
fn failed(span: &SpanData) -> bool {
    let status = span.attributes.iter().find(|attribute| attribute.key.as_str() == "status");
    let number = status.and_then(|status| status.value.as_str().parse::<u16>().ok());
    span.name == "api.request" && number.is_some_and(|status| status >= 500)
}

/// Sends what comes, until `end`; then what is left.
pub(crate) async fn deliver(mut spans: Receiver<SpanData>, exporter: impl SpanExporter, end: CancellationToken) {
    let mut is_away = false;
    loop {
        let mut batch = gather(&mut spans, &end).await;
        if batch.is_empty() {
            break;
        }
        while !batch.is_empty() {
            let rest = batch.split_off(batch.len().min(BATCH_MAX));
            send(&exporter, batch, &mut is_away).await;
            batch = rest;
        }
    }
}

/// The spans of a moment, the first of which is waited for. None: it is the end, and nothing is left.
async fn gather(spans: &mut Receiver<SpanData>, end: &CancellationToken) -> Vec<SpanData> {
    let mut batch = Vec::new();
    if end.run_until_cancelled(spans.recv_many(&mut batch, BATCH_MAX)).await.is_some() && !batch.is_empty() {
        let moment = tokio::time::sleep(GATHER);
        tokio::pin!(moment);
        while batch.len() < BATCH_MAX {
            tokio::select! {
                () = end.cancelled() => break,
                () = &mut moment => break,
                span = spans.recv() => match span {
                    Some(span) => batch.push(span),
                    None => break,
                },
            }
        }
    }
    if end.is_cancelled() {
        batch.extend(std::iter::from_fn(|| spans.try_recv().ok()));
    }
    batch
}

async fn send(exporter: &impl SpanExporter, batch: Vec<SpanData>, is_away: &mut bool) {
    let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
    match exporter.export(batch).await {
        Ok(()) => {
            count("sent", spans);
            if std::mem::take(is_away) {
                info!("The collector takes traces again");
            }
        }
        Err(error) => {
            count("failed", spans);
            if !std::mem::replace(is_away, true) {
                warn!(%error, "Traces cannot be sent to the collector; they are dropped until it takes them");
            }
        }
    }
}

fn count(outcome: &'static str, spans: u64) {
    metrics::counter!("evergrant_trace_spans_total", "outcome" => outcome).increment(spans);
}
