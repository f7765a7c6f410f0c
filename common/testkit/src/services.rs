//! Where PostgreSQL and RabbitMQ are, if they are.

use std::io::Write as _;

/// URL of a PostgreSQL superuser: each test makes and drops a database of its own. `None`: there is no server, which was
/// said loudly; a panic where services are required.
pub fn database_url() -> Option<String> {
    or_skip(service("PostgreSQL", "EVERGRANT_TEST_DATABASE_URL", env))
}

/// URL of a RabbitMQ broker. `None`: there is none, which was said loudly; a panic where services are required.
pub fn amqp_url() -> Option<String> {
    or_skip(service("RabbitMQ", "EVERGRANT_TEST_AMQP_URL", env))
}

/// The URL, or why there is none. Panics where services are required.
fn service(name: &str, variable: &str, env: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let missing = || format!("it needs {name}, and {variable} is not set");
    let url = env(variable).filter(|url| !url.is_empty()).ok_or_else(missing);
    let required = env("EVERGRANT_REQUIRE_SERVICES").as_deref() == Some("1");
    assert!(
        url.is_ok() || !required,
        "this test needs {name}: set {variable} (EVERGRANT_REQUIRE_SERVICES=1 forbids to skip it)"
    );
    url
}

fn or_skip(url: Result<String, String>) -> Option<String> {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Straight to the stream: the test harness would swallow a print of a test that passes.
    url.map_err(|why| writeln!(std::io::stderr(), "SKIPPED {test}: {why}")).ok()
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
fn env(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_service_is_skipped_unless_it_is_required() {
        let url = |variable: &str| (variable == "URL").then(|| "amqp://localhost".to_owned());
        assert_eq!(service("a broker", "URL", url).as_deref(), Ok("amqp://localhost"));
        let missing = service("a broker", "OTHER", url).unwrap_err();
        assert_eq!(missing, "it needs a broker, and OTHER is not set");
        assert!(service("a broker", "EMPTY", |_| Some(String::new())).is_err());
    }

    #[test]
    #[should_panic(expected = "needs a broker: set URL")]
    fn a_required_service_is_not_skipped() {
        let _ =
            service("a broker", "URL", |variable| (variable == "EVERGRANT_REQUIRE_SERVICES").then(|| "1".to_owned()));
    }
}
