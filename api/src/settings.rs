//! What the API is told, out of the configuration.

use std::time::Duration;

use evergrant_contract::ids::ProviderName;
use evergrant_contract::usage::Present;
use url::Url;

/// How forced refreshes are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForceSettings {
    /// The longest wait for an outcome.
    pub deadline: Duration,
    /// The most requests that wait at once in this process.
    pub waiters_max: usize,
    /// After an attempt that did not succeed, callers are told so for this long instead of causing the next one.
    pub cool_down: Duration,
    /// A token that was issued so recently and is refused is not refreshed again: another would be refused too.
    pub fresh: Duration,
}

/// Sessions and sign-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    /// How long an access JWT lives.
    pub access_token: Duration,
    /// A session that is not used for so long ends.
    pub session_idle: Duration,
    /// A session ends after this in any case.
    pub session_max: Duration,
    /// How long the former session token is tolerated, and the present one not replaced.
    pub rotation_grace: Duration,
    /// How long a person may take at the provider's consent page.
    pub flow: Duration,
    /// The provider app to sign in with.
    pub sign_in_provider: ProviderName,
    /// Whether somebody who is not known yet may sign in with the provider, and becomes a user.
    pub open_sign_up: bool,
    /// Where the provider sends people back to.
    pub redirect_uri: Url,
}

/// Everything that the API is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// The address that browsers know us by.
    pub public_url: Url,
    /// Where the front end is, for the way back from a sign-in.
    pub frontend_url: Url,
    /// Origins of other sites whose pages may call the API with cookies.
    pub allowed_origins: Vec<String>,
    /// How many proxies in front of us append to `X-Forwarded-For`; 0: the peer's address is the client's.
    pub trusted_proxies: u32,
    /// The longest request, streams and calls of the AMC proxy apart.
    pub request_timeout: Duration,
    /// How long the headers of a request may take to come.
    pub header_timeout: Duration,
    /// The longest body, calls of the AMC proxy apart.
    pub body_max: usize,
    /// The longest body of a call of the AMC proxy, which is kept for the repetition.
    pub amc_body_max: usize,
    /// Requests in hand at once; more are turned away.
    pub in_flight_max: usize,
    /// Event streams at once, apart from these.
    pub streams_max: usize,
    /// Requests of the authentication routes in a minute, by address.
    pub auth_per_minute: u32,
    /// Requests of the authentication routes in a minute, by user.
    pub auth_per_minute_user: u32,
    /// Sessions and sign-ins.
    pub auth: AuthSettings,
    /// Forced refreshes.
    pub force: ForceSettings,
    /// How early a token is refreshed, for the first refresh of a new consent: the scheduler's `refresh_buffer`.
    pub refresh_buffer: Duration,
    /// The scheduler's `refresh_interval`, to be shown.
    pub refresh_interval: Duration,
    /// What suggestions are measured against.
    pub usage: Present,
}
