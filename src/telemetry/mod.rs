//! Logs on standard error, metrics for `/metrics`, traces for a collector.

#[cfg(test)]
mod contract;
mod metrics;
mod traces;

use std::io::{self, IsTerminal};

use evergrant_traces::{Traces, TracesError};
use metrics_exporter_prometheus::{BuildError, PrometheusHandle};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::ChronoUtc;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{Log, LogFormat, Telemetry};

/// To the millisecond: enough to order the lines of one process, short enough to read.
const HUMAN_TIME: &str = "%H:%M:%S%.3f";
const JSON_TIME: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log level is not one.
    #[error("log.level is not a level or a list of directives such as info,evergrant_workers=debug: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// It was set up before.
    #[error("telemetry was set up before: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// Traces are wanted and cannot be made.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The metrics recorder refused.
    #[error("the metrics recorder cannot be set up: {0}")]
    Metrics(#[from] BuildError),
}

/// Sends the logs of this process to standard error from now on. Once in the life of a process.
pub fn log_to_stderr(log: &Log) -> Result<(), TelemetryError> {
    let colours = io::stderr().is_terminal();
    Ok(subscriber(log, io::stderr, colours)?.try_init()?)
}

/// The same, and makes traces of its spans if there is a collector: give them to [`Traces::finish`] at the end.
pub fn log_and_trace(
    log: &Log,
    telemetry: Option<&Telemetry>,
    role: &'static str,
) -> Result<Option<Traces>, TelemetryError> {
    let traces = telemetry.map(|telemetry| traces::start(telemetry, role)).transpose()?.flatten();
    let colours = io::stderr().is_terminal();
    let layer = traces.as_ref().map(Traces::layer);
    subscriber(log, io::stderr, colours)?.with(layer).try_init()?;
    Ok(traces)
}

/// Collects the metrics of this process from now on; the handle renders them as text for `/metrics`, and wants its
/// `run_upkeep` called every few seconds. A process that starts anew within itself goes on with the same numbers.
pub fn record_metrics() -> Result<PrometheusHandle, TelemetryError> {
    static RECORDER: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = metrics::builder()?.install_recorder()?;
    metrics::describe();
    Ok(RECORDER.get_or_init(|| handle).clone())
}

fn subscriber<W>(
    log: &Log,
    to: W,
    colours: bool,
) -> Result<impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&log.level)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(to);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Human => layer
            .compact()
            .with_ansi(colours)
            .with_target(false)
            .with_timer(ChronoUtc::new(HUMAN_TIME.to_owned()))
            .boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_timer(ChronoUtc::new(JSON_TIME.to_owned()))
            .boxed(),
    };
    Ok(Registry::default().with(layer.with_filter(filter)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: &str) -> String {
        let page = Page::default();
        let to = page.clone();
        let log = Log { format, level: level.to_owned() };
        tracing::subscriber::with_default(subscriber(&log, move || to.clone(), false).unwrap(), || {
            let span = tracing::info_span!("job.run", connection = "c1");
            let _inside = span.enter();
            tracing::info!(seconds = 90, "Token expires soon, refreshing...");
            tracing::debug!("too fine");
        });
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn people_get_one_readable_line() {
        let text = written(LogFormat::Human, "info");
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!(time.len(), "12:00:00.000".len());
        assert_eq!(rest.trim(), "INFO job.run: Token expires soon, refreshing... seconds=90 connection=\"c1\"");
    }

    #[test]
    fn machines_get_stable_names() {
        let line: serde_json::Value = serde_json::from_str(&written(LogFormat::Json, "info")).unwrap();
        let names: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["level", "message", "seconds", "span", "target", "timestamp"]);
        assert_eq!((&line["level"], &line["seconds"]), (&"INFO".into(), &90.into()));
        assert_eq!(line["span"], serde_json::json!({"name": "job.run", "connection": "c1"}));
    }

    #[test]
    fn levels_are_kept_to_and_nonsense_is_refused() {
        assert!(written(LogFormat::Human, "debug").contains("too fine"));
        assert_eq!(written(LogFormat::Human, "warn"), "");
        let log = Log { format: LogFormat::Human, level: "evergrant=loud".to_owned() };
        assert!(matches!(subscriber(&log, io::sink, false), Err(TelemetryError::Level(_))));
    }

    #[test]
    fn metrics_render_as_prometheus_text() {
        let recorder = metrics::builder().unwrap().build_recorder();
        ::metrics::with_local_recorder(&recorder, || {
            metrics::describe();
            ::metrics::counter!("evergrant_failed_jobs_total", "provider" => "amazon-na").increment(2);
            ::metrics::histogram!("evergrant_attempt_seconds").record(0.2);
            ::metrics::histogram!("evergrant_seconds_left_at_refresh").record(-3.0);
        });
        let text = recorder.handle().render();
        for line in [
            "# HELP evergrant_failed_jobs_total Jobs given up on after max_attempts",
            "evergrant_failed_jobs_total{provider=\"amazon-na\"} 2",
            "evergrant_attempt_seconds_bucket{le=\"0.1\"} 0",
            "evergrant_attempt_seconds_bucket{le=\"0.25\"} 1",
            "evergrant_seconds_left_at_refresh_bucket{le=\"-10\"} 0",
            "evergrant_seconds_left_at_refresh_bucket{le=\"0\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}
