//! Every metric, as `/metrics` describes it. docs/TELEMETRY.md has the same table and the labels; a test compares both with
//! the sources.

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// Upper bounds of buckets for how long something takes, in seconds: from a statement on a warm store to a call at its
/// time-out.
const DURATION_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Upper bounds of buckets for what is left of a token's life, in seconds: below zero it has ended already.
const LIFE_LEFT_BUCKETS: &[f64] =
    &[-60.0, -10.0, 0.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0];

const SECONDS_LEFT: &str = "evergrant_seconds_left_at_refresh";

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// Name, kind, unit and help of every metric, in the order of their names.
pub(super) const METRICS: &[(&str, Kind, Unit, &str)] = &[
    ("evergrant_amc_calls_total", Counter, Unit::Count, "Calls of the Ads and AMC API, by how they ended."),
    (
        "evergrant_amc_retries_total",
        Counter,
        Unit::Count,
        "What followed a refused token or a pause asked for: new_token and after_pause were repeated, the others were not.",
    ),
    ("evergrant_attempt_seconds", Histogram, Unit::Seconds, "How long calls of the token endpoint took."),
    ("evergrant_attempts_total", Counter, Unit::Count, "Calls of the token endpoint, by what the answer meant."),
    (
        "evergrant_breaker_trips_total",
        Counter,
        Unit::Count,
        "Times that this process saw a provider app fail from several connections in a row, and had it held.",
    ),
    ("evergrant_build_info", Gauge, Unit::Count, "Always 1; its labels say what runs here."),
    (
        "evergrant_client_secret_seconds_left",
        Gauge,
        Unit::Seconds,
        "Until the client secret of a provider app ends, where the configuration knows the day.",
    ),
    (
        "evergrant_connections",
        Gauge,
        Unit::Count,
        "Connections by where they stand, as the leading scheduler counted them last.",
    ),
    (
        "evergrant_connections_given_up_total",
        Counter,
        Unit::Count,
        "Connections that became needs_reauth: their users have to connect again, or a key has to be given back.",
    ),
    ("evergrant_consents_total", Counter, Unit::Count, "Consents that people came back from, by what became of them."),
    (
        "evergrant_counted_timestamp_seconds",
        Gauge,
        Unit::Seconds,
        "When the leading scheduler counted last, in seconds since 1970; 0 in a process that has led and leads no more.",
    ),
    (
        "evergrant_due_connections",
        Gauge,
        Unit::Count,
        "Connections whose refresh_at has passed, those paused by hand apart; counting stops at a million.",
    ),
    (
        "evergrant_due_oldest_seconds",
        Gauge,
        Unit::Seconds,
        "For how long the oldest of the due connections has been due; 0: nothing is due.",
    ),
    ("evergrant_event_streams", Gauge, Unit::Count, "Event streams open in this process."),
    (
        "evergrant_expired_connections",
        Gauge,
        Unit::Count,
        "Due connections whose access token has ended, among the 10,000 that have been due the longest.",
    ),
    (
        "evergrant_failed_jobs_open",
        Gauge,
        Unit::Count,
        "Failed jobs that nobody has dealt with; counting stops at 100,000.",
    ),
    (
        "evergrant_failed_jobs_total",
        Counter,
        Unit::Count,
        "Jobs given up on after max_attempts; their connections are failing and retried slowly.",
    ),
    (
        "evergrant_force_coalesced_total",
        Counter,
        Unit::Count,
        "Callers who joined a forced refresh that was under way in this process.",
    ),
    ("evergrant_force_flights_total", Counter, Unit::Count, "Forced refreshes begun in this process."),
    (
        "evergrant_force_jobs_total",
        Counter,
        Unit::Count,
        "Publications of forced refreshes: again, since the job may be lost; not_taken, since the queue was away.",
    ),
    ("evergrant_force_outcomes_total", Counter, Unit::Count, "What callers of forced refreshes were told."),
    ("evergrant_force_seconds", Histogram, Unit::Seconds, "How long callers waited for a forced refresh."),
    ("evergrant_force_waiting", Gauge, Unit::Count, "Callers who wait for a forced refresh now."),
    ("evergrant_http_in_flight", Gauge, Unit::Count, "Requests in hand."),
    ("evergrant_http_rate_limited_total", Counter, Unit::Count, "Requests refused by rate limits."),
    ("evergrant_http_request_seconds", Histogram, Unit::Seconds, "How long requests took until their answer began."),
    ("evergrant_http_requests_total", Counter, Unit::Count, "Requests answered; status 499: the client was gone."),
    ("evergrant_http_turned_away_total", Counter, Unit::Count, "Requests turned away because too many were in hand."),
    ("evergrant_jobs_published_total", Counter, Unit::Count, "RefreshDue jobs that this scheduler published."),
    (
        "evergrant_keys_rows_left",
        Gauge,
        Unit::Count,
        "Rows that are not under the key that encrypts, as the one process sees it that encrypts them again.",
    ),
    (
        "evergrant_keys_rows_reencrypted_total",
        Counter,
        Unit::Count,
        "Rows that this process encrypted again under the present key.",
    ),
    (
        "evergrant_keys_rows_undecryptable",
        Gauge,
        Unit::Count,
        "Of those left, rows that no key of that process opens: give their key back.",
    ),
    (
        "evergrant_lease_wait_seconds",
        Histogram,
        Unit::Seconds,
        "How long jobs waited from their delivery until they had their lease.",
    ),
    (
        "evergrant_leases_busy_total",
        Counter,
        Unit::Count,
        "Jobs that found their connection leased by another worker: duplicates, and harmless.",
    ),
    (
        "evergrant_lost_replies_total",
        Counter,
        Unit::Count,
        "Leases that lapsed without a report: a refresh token may have been spent and its reply lost.",
    ),
    ("evergrant_password_checks_total", Counter, Unit::Count, "Passwords checked when people signed in with one."),
    (
        "evergrant_paused",
        Gauge,
        Unit::Count,
        "1 while an operator has paused this queue or provider app, 0 when it was resumed; of connections, how many are \
         paused. Each worker shows all of them.",
    ),
    (
        "evergrant_provider_app_held",
        Gauge,
        Unit::Count,
        "1 while refreshes of a provider app are paused in this state; apps that were never held are absent.",
    ),
    (
        "evergrant_queue_consumers",
        Gauge,
        Unit::Count,
        "Processes that take messages from a queue, as the leading scheduler asked last.",
    ),
    (
        "evergrant_queue_depth",
        Gauge,
        Unit::Count,
        "Messages that wait in a queue, those in hand apart, as the leading scheduler asked last.",
    ),
    (
        "evergrant_races_lost_total",
        Counter,
        Unit::Count,
        "Results that found their row moved on and judged nobody: harmless, and rare.",
    ),
    (
        "evergrant_rate_limit_refused_total",
        Counter,
        Unit::Count,
        "Calls that were not made, since the provider app's rate limit or a pause left no turn in time.",
    ),
    (
        "evergrant_rate_limit_wait_seconds",
        Histogram,
        Unit::Seconds,
        "How long calls waited for their turn at the provider app's rate limit.",
    ),
    (
        "evergrant_refreshes_total",
        Counter,
        Unit::Count,
        "Refreshes by the verdict that ended them; one may take several attempts, or none if it was throttled by the rate limit.",
    ),
    (
        "evergrant_rests_total",
        Counter,
        Unit::Count,
        "Scheduled refreshes left out since nobody has used the connection for usage.rest_after_days; each resting connection is looked at once a day.",
    ),
    (
        "evergrant_results_put_off_total",
        Counter,
        Unit::Count,
        "Answers that could not be stored: spooled ones wait, encrypted, for the next start; lost ones are gone.",
    ),
    ("evergrant_scheduler_leading", Gauge, Unit::Count, "1 while this scheduler leads, 0 while it stands by."),
    (
        SECONDS_LEFT,
        Histogram,
        Unit::Seconds,
        "What was left of an access token's life when its scheduled refresh began.",
    ),
    (
        "evergrant_session_refreshes_total",
        Counter,
        Unit::Count,
        "Session tokens presented, by what they were worth; reused: the session was ended, since it may have been stolen.",
    ),
    ("evergrant_sessions_opened_total", Counter, Unit::Count, "Sessions opened by people who signed in."),
    (
        "evergrant_token_endpoint_answers_total",
        Counter,
        Unit::Count,
        "Requests to the token endpoint by the class of the answer's status; none: no answer came.",
    ),
    (
        "evergrant_tokens_expired_total",
        Counter,
        Unit::Count,
        "Access tokens that had ended before their successor came: for a while their connection had none.",
    ),
    (
        "evergrant_trace_spans_total",
        Counter,
        Unit::Count,
        "Spans for the collector; failed: it did not take them; dropped: too many waited.",
    ),
    (
        "evergrant_webhook_deliveries_total",
        Counter,
        Unit::Count,
        "Tries to deliver a webhook by what came of them; gone: the endpoint answered 410 and was disabled; lost: the result could not be stored, it is sent again.",
    ),
    (
        "evergrant_webhook_oldest_seconds",
        Gauge,
        Unit::Seconds,
        "Age of the oldest message that is still to be delivered.",
    ),
    ("evergrant_webhook_pending", Gauge, Unit::Count, "Deliveries that are pending."),
];

/// An exporter whose histograms have buckets that suit them.
pub(super) fn builder() -> Result<PrometheusBuilder, BuildError> {
    let seconds_left = Matcher::Full(SECONDS_LEFT.to_owned());
    PrometheusBuilder::new().set_buckets(DURATION_BUCKETS)?.set_buckets_for_metric(seconds_left, LIFE_LEFT_BUCKETS)
}

/// Tells the recorder in use what each metric means.
pub(super) fn describe() {
    for &(name, kind, unit, help) in METRICS {
        match kind {
            Counter => metrics::describe_counter!(name, unit, help),
            Gauge => metrics::describe_gauge!(name, unit, help),
            Histogram => metrics::describe_histogram!(name, unit, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    /// What ends by its own time-out is told from what ends just before, and from what is slower than anything may be.
    #[test]
    fn every_time_out_of_the_defaults_lies_within_the_buckets() {
        let config = Config::defaults().unwrap();
        let longest = Duration::from_secs_f64(*DURATION_BUCKETS.last().unwrap());
        let (worker, force) = (&config.worker, &config.force);
        for (what, limit) in [
            ("a call", worker.call_timeout),
            ("a wait for the rate limit", worker.admit_patience),
            ("a wait for a forced refresh", force.wait),
        ] {
            assert!(limit <= longest, "{what} may take {limit:?}: there is no bucket for it");
            let above = DURATION_BUCKETS.iter().filter(|bound| **bound > limit.as_secs_f64() / 4.0).count();
            assert!(above >= 2, "{what}: a quarter of {limit:?} and the whole of it are in one bucket");
        }
    }

    /// A refresh in time, one that is late, and one that is too late are in buckets of their own.
    #[test]
    fn what_is_left_of_a_token_is_cut_where_it_matters() {
        let config = Config::defaults().unwrap();
        let buffer = config.scheduler.refresh_buffer.as_secs_f64();
        for bound in [0.0, buffer] {
            let is_bound = LIFE_LEFT_BUCKETS.iter().any(|known| (known - bound).abs() < f64::EPSILON);
            assert!(is_bound, "{bound} s is no bound");
        }
        let between = LIFE_LEFT_BUCKETS.iter().filter(|bound| **bound > 0.0 && **bound < buffer).count();
        assert!(between >= 3, "it is not told how late a refresh is");
    }

    #[test]
    fn buckets_rise() {
        for buckets in [DURATION_BUCKETS, LIFE_LEFT_BUCKETS] {
            assert!(buckets.is_sorted_by(|one, next| one < next));
        }
    }
}
