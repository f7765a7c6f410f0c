//! Who calls and how sessions go, on memory ports.

mod callers;
mod sessions;
