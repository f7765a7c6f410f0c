//! Where a request belongs: its id, and the W3C trace that it is part of.

use evergrant_contract::trace::TraceParent;
use uuid::Uuid;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A W3C trace context with the id of the request that it came with.
///
/// It follows the request through the handler, from there with the job through the queue to the worker's span, and with
/// the event back to whoever waits. Tasks that a handler spawns do not inherit it: take [`TraceContext::current`] along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    here: TraceParent,
    request: String,
}

impl TraceContext {
    /// The `traceparent` of the request that this task answers; `None` outside of requests.
    pub(crate) fn current() -> Option<String> {
        CURRENT.try_with(TraceContext::traceparent).ok()
    }

    /// The id of the request that this task answers.
    pub(crate) fn request_id() -> Option<String> {
        CURRENT.try_with(|context| context.request.clone()).ok()
    }

    /// The context of a request, below which hangs what follows from it: the span that stands for it where traces are
    /// made, and otherwise a name of its own in its caller's trace, or in a new one.
    pub(crate) fn of(caller: Option<TraceParent>, span: Option<TraceParent>, request: String) -> Self {
        let here = span.unwrap_or_else(|| {
            let (random, span) = (Uuid::new_v4().as_u128(), Uuid::new_v4().as_u64_pair().1);
            let (trace, flags) = caller.map_or((random, 1), |caller| (caller.trace, caller.flags));
            TraceParent { trace, span, flags }
        });
        Self { here, request }
    }

    /// The trace id, as logs show it.
    pub(crate) fn trace_id(&self) -> String {
        self.here.trace_id()
    }

    /// What others are told to hang their spans below.
    pub(crate) fn traceparent(&self) -> String {
        self.here.to_string()
    }

    /// Runs a future within this context.
    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLERS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(caller: Option<&str>) -> TraceContext {
        TraceContext::of(caller.map(|caller| caller.parse().unwrap()), None, "r".to_owned())
    }

    #[test]
    fn a_request_continues_its_callers_trace_with_a_span_of_its_own() {
        let context = of(Some(CALLERS));
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let ours = context.traceparent();
        assert!(ours.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && ours.ends_with("-01"), "{ours}");
        assert!(!ours.contains("00f067aa0ba902b7"), "{ours}");
        assert!(ours.parse::<TraceParent>().is_ok(), "{ours}");
    }

    #[test]
    fn without_a_caller_a_new_trace_begins() {
        let (one, other) = (of(None), of(None));
        assert_ne!(one.trace_id(), other.trace_id());
        assert!(one.traceparent().parse::<TraceParent>().is_ok());
    }

    #[test]
    fn where_traces_are_made_the_span_of_the_request_is_told() {
        let span = TraceParent { trace: 7, span: 8, flags: 0 };
        let context = TraceContext::of(Some(CALLERS.parse().unwrap()), Some(span), "r".to_owned());
        assert_eq!(context.traceparent(), span.to_string());
    }

    #[tokio::test]
    async fn the_context_is_current_within_its_scope_only() {
        let context = TraceContext::of(Some(CALLERS.parse().unwrap()), None, "r-1".to_owned());
        let text = context.traceparent();
        let seen = context.scope(async { (TraceContext::current(), TraceContext::request_id()) }).await;
        assert_eq!(seen, (Some(text), Some("r-1".to_owned())));
        assert_eq!(TraceContext::current(), None);
    }
}
