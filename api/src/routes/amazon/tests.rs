//! Every way through a consent, over memory ports.

mod bench;
mod connect;
mod consents;
mod refused;
mod sign_in;
mod status;

pub(super) use bench::settings;
