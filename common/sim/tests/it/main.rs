//! The simulator, seen through the HTTP client that the product uses.

// The attribute says nothing new to the compiler; it tells clippy that helpers here may unwrap, as tests may.
#[cfg(test)]
mod api;
#[cfg(test)]
mod client;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod rotation;
