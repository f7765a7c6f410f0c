//! The embedded shape: SQLite and apalis behind the ports.
