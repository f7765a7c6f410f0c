//! The cluster shape: PostgreSQL and RabbitMQ behind the ports.
