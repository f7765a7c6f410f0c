//! The RabbitMQ half against a real broker, named by `EVERGRANT_TEST_AMQP_URL`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this crate is test code: a broken expectation must end the test"
)]

mod conformance;
mod cuts;
mod deletions;
mod events;
mod failures;
mod support;
mod topology;
mod work;
