//! Who calls, and what they may do.

mod api_keys;
mod callers;
mod cookies;
mod csrf;
mod extract;
mod jwt;
mod passwords;
mod rules;
mod secret;
mod sessions;
#[cfg(test)]
mod tests;

pub use api_keys::new_api_key;
pub use callers::Callers;
pub use passwords::{PasswordError, hash_password};
pub use secret::{SecretError, SessionSecret};

pub(crate) use callers::{Presented, presented};
pub(crate) use cookies::{clear_flow_cookie, clear_session_cookie, flow_cookie, flow_of, session_of};
pub(crate) use csrf::has_custom_header;
pub(crate) use passwords::Passwords;
pub(crate) use rules::{Caller, SignedIn};
pub(crate) use secret::{challenge, state_digest};
pub(crate) use sessions::{SignedInNow, refresh_session, renew_access, session_ended, sign_in};
