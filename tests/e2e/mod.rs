//! Walkthroughs of the whole system, in both shapes, with real processes.

mod crashes;
mod disaster;
mod forced;
mod kept_alive;
mod keys;
mod malformed;
mod metrics;
mod original;
mod outages;
mod pauses;
mod replay;
mod shutdown;
mod traces;

/// A number that a test's full form is given by the environment.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
fn number(variable: &str) -> Option<usize> {
    let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number"));
    std::env::var(variable).ok().map(number)
}
mod turnover;
mod usage;
mod webhooks;
