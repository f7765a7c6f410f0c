//! Where a request belongs: its id, and the W3C trace that it is part of.

use std::fmt;

use uuid::Uuid;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A W3C trace context (`traceparent`, version 00), with the id of the request that it came with.
///
/// It follows the request through the handler, from there with the job through the queue to the worker's span, and with
/// the event back to whoever waits. Tasks that a handler spawns do not inherit it: take [`TraceContext::current`] along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    trace: u128,
    parent: u64,
    flags: u8,
    request: String,
}

impl TraceContext {
    /// The `traceparent` of the request that this task answers; `None` outside of requests.
    pub(crate) fn current() -> Option<String> {
        CURRENT.try_with(ToString::to_string).ok()
    }

    /// The id of the request that this task answers.
    pub(crate) fn request_id() -> Option<String> {
        CURRENT.try_with(|context| context.request.clone()).ok()
    }

    /// The context of a request: that of its caller if it sent a proper one, else the beginning of a new trace. Either way
    /// with a span of our own, so that what follows hangs below this request.
    pub(crate) fn of(traceparent: Option<&str>, request: String) -> Self {
        let (random, span) = (Uuid::new_v4().as_u128(), Uuid::new_v4().as_u64_pair().1);
        let (trace, flags) = traceparent.and_then(parse).map_or((random, 1), |(trace, _, flags)| (trace, flags));
        Self { trace, parent: span, flags, request }
    }

    /// The trace id, as logs show it.
    pub(crate) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// Runs a future within this context.
    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

/// Reads version 00 strictly: lower-case hexadecimal digits, neither id zero.
fn parse(text: &str) -> Option<(u128, u64, u8)> {
    let [version, trace, parent, flags] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if version != "00" || !is_hex(trace, 32) || !is_hex(parent, 16) || !is_hex(flags, 2) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
    Some((trace, parent, u8::from_str_radix(flags, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CALLERS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_request_continues_its_callers_trace_with_a_span_of_its_own() {
        let context = TraceContext::of(Some(CALLERS), "r".to_owned());
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let ours = context.to_string();
        assert!(ours.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && ours.ends_with("-01"), "{ours}");
        assert!(!ours.contains("00f067aa0ba902b7"), "{ours}");
        assert!(parse(&ours).is_some(), "{ours}");
    }

    #[test]
    fn whatever_is_not_a_proper_version_00_begins_a_new_trace() {
        let wrong = [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        for text in wrong {
            assert_eq!(parse(text), None, "{text}");
            let context = TraceContext::of(Some(text), "r".to_owned());
            assert_ne!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736", "{text}");
            assert!(parse(&context.to_string()).is_some(), "{context}");
        }
    }

    #[tokio::test]
    async fn the_context_is_current_within_its_scope_only() {
        let context = TraceContext::of(Some(CALLERS), "r-1".to_owned());
        let text = context.to_string();
        let seen = context.scope(async { (TraceContext::current(), TraceContext::request_id()) }).await;
        assert_eq!(seen, (Some(text), Some("r-1".to_owned())));
        assert_eq!(TraceContext::current(), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_reads_back(trace in 1_u128.., parent in 1_u64.., flags: u8) {
            let context = TraceContext { trace, parent, flags, request: String::new() };
            prop_assert_eq!(parse(&context.to_string()), Some((trace, parent, flags)));
        }
    }
}
