//! The thin axum API.
