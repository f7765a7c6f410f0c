//! Traces, as a collector gets them.

use std::net::TcpListener;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::Method;
use serde_json::json;

use crate::support::wait::eventually;
use crate::support::{Caller, Collector, Found, Plan, Shape, World, hex};

const KEY: &str = "a-collector-key-that-nobody-may-see";

#[test]
fn a_forced_refresh_is_one_trace_embedded() {
    one_trace(Shape::Embedded, "traces_embedded");
}

#[test]
fn a_forced_refresh_is_one_trace_cluster() {
    one_trace(Shape::Cluster, "traces_cluster");
}

/// From the request through the queue to the provider: one trace, each span below the one that caused it.
fn one_trace(shape: Shape, name: &'static str) {
    let Some(mut world) = world(shape, name) else { return };
    let collector = Collector::start(&world.runtime);
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    world.set("OTEL_EXPORTER_OTLP_HEADERS", &format!("authorization=Bearer%20{KEY}"));
    world.set("OTEL_SERVICE_NAME", "grants");
    world.keep_secret(KEY);
    world.start();
    let [trace, _] = force(&mut world);

    let spans = eventually("the spans of the trace", || {
        let spans = collector.trace(&trace);
        (spans.len() >= 3).then_some(spans)
    });
    let the = |name: &str| spans.iter().find(|found| found.span.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (request, job, call) = (the("api.request"), the("job.run"), the("provider.call"));
    assert_eq!(spans.len(), 3, "{spans:#?}");
    assert_eq!(hex(&request.span.parent_span_id), "", "the trace begins with the request");
    assert_eq!(job.span.parent_span_id, request.span.span_id);
    assert_eq!(call.span.parent_span_id, job.span.span_id);
    let kinds = [request, job, call].map(|found| found.span.kind);
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Consumer, SpanKind::Client].map(|kind| kind as i32));
    let told = |found: &Found, keys: &[&str]| keys.iter().map(|key| found.attribute(key).unwrap_or_default()).collect();
    let told: [Vec<String>; 3] = [
        told(request, &["method", "route", "status", "caller"]),
        told(job, &["job.kind"]),
        told(call, &["provider", "verdict", "status"]),
    ];
    assert_eq!(told[0], ["POST", "/api/connections/{id}/force-refresh", "200", "key"]);
    assert_eq!((told[1].concat(), told[2].concat()), ("force_refresh".into(), "amazon-narefreshed200".into()));
    let roles: Vec<_> = [request, job].map(|found| (found.service.as_str(), found.role.as_str())).into();
    let (api, worker) = if shape == Shape::Embedded { ("serve", "serve") } else { ("api", "worker") };
    assert_eq!(roles, [("grants", api), ("grants", worker)]);
    assert!(collector.authorizations().iter().all(|sent| *sent == format!("Bearer {KEY}")));

    world.keep_with_logs("spans.txt", &collector.text());
    world.end();
}

/// A caller's own trace goes on here; one that its caller does not sample is not made.
#[test]
fn a_callers_decision_is_kept_to() {
    let Some(mut world) = world(Shape::Embedded, "traces_parents") else { return };
    let collector = Collector::start(&world.runtime);
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    world.start();
    let caller = Caller::new(&world.addresses("serve")[0]);
    for (trace, flags) in [("4bf92f3577b34da6a3ce929d0e0e4736", "00"), ("4bf92f3577b34da6a3ce929d0e0e4737", "01")] {
        let traceparent = format!("00-{trace}-00f067aa0ba902b7-{flags}");
        world.runtime.block_on(caller.clone().with_header("traceparent", &traceparent).get("/api/auth/me"));
    }
    let spans = eventually("the sampled trace", || {
        let spans = collector.trace("4bf92f3577b34da6a3ce929d0e0e4737");
        (!spans.is_empty()).then_some(spans)
    });
    assert_eq!(hex(&spans[0].span.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(collector.trace("4bf92f3577b34da6a3ce929d0e0e4736"), []);
    world.end();
}

/// Nobody is there to take the spans: nothing waits for that, and nothing fails.
#[test]
fn a_collector_that_is_away_costs_nothing() {
    let Some(mut world) = world(Shape::Embedded, "traces_away") else { return };
    // One that takes connections and never answers is worse than none.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", silent.local_addr().unwrap()));
    world.start();
    let began = std::time::Instant::now();
    let _ = force(&mut world);
    assert!(began.elapsed() < Duration::from_secs(5), "the refresh waited for the collector");
    drop(silent);
    eventually("the spans to be counted", || {
        let metrics = world.processes[0].metrics()?;
        metrics.contains("evergrant_trace_spans_total{outcome=\"failed\"}").then_some(())
    });
    let said = "Traces cannot be sent to the collector";
    assert_eq!(world.processes[0].lines(said).len(), 1, "it is said once");
    world.end();
}

fn world(shape: Shape, name: &'static str) -> Option<World> {
    World::new(&Plan { token_lifetime: Duration::from_hours(1), ..Plan::new(shape, name) })
}

/// Forces a refresh: the ids of the trace and of the request's span.
fn force(world: &mut World) -> [String; 2] {
    world.import(1);
    let connection = world.rows().into_values().next().expect("the connection").id;
    let key = world.api_key("traced", &["tokens:refresh"], None);
    let role = if world.shape == Shape::Embedded { "serve" } else { "api" };
    let caller = Caller::new(&world.addresses(role)[0]).with_bearer(&key);
    let path = format!("/api/connections/{connection}/force-refresh");
    let refused = json!({ "observed_version": 1 });
    let reply = world.runtime.block_on(caller.ask(Method::POST, &path, Some(&refused))).expect(200);
    let traceparent = reply.headers["traceparent"].to_str().unwrap();
    let [_, trace, span, flags] = traceparent.split('-').collect::<Vec<_>>().try_into().expect("four parts");
    assert_eq!(flags, "01", "it is sampled");
    [trace.to_owned(), span.to_owned()]
}
