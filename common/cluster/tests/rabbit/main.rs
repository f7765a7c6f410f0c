//! The RabbitMQ half against a real broker, named by `EVERGRANT_TEST_AMQP_URL`.

mod cuts;
mod deletions;
mod events;
mod failures;
mod support;
mod topology;
mod work;
