//! How a span here hangs below a span of another process.

use evergrant_contract::trace::TraceParent;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Hangs a new span below one of another process, and says by which name others can hang theirs below it. `None`: this
/// process makes no traces.
pub fn follow(span: &Span, parent: Option<TraceParent>) -> Option<TraceParent> {
    if let Some(TraceParent { trace, span: id, flags }) = parent {
        let (trace, id) = (TraceId::from(trace), SpanId::from(id));
        let remote = SpanContext::new(trace, id, TraceFlags::new(flags), true, TraceState::NONE);
        // Refused where no traces are made: then there is nothing to hang.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
    let context = span.context();
    let here = context.span().span_context().clone();
    here.is_valid().then(|| TraceParent {
        trace: u128::from_be_bytes(here.trace_id().to_bytes()),
        span: u64::from_be_bytes(here.span_id().to_bytes()),
        flags: here.trace_flags().to_u8(),
    })
}
