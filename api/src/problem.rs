//! Problem details (RFC 9457): the closed list of what can be wrong, and how it is told.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::StoreError;
use evergrant_contract::state::Reason;
use serde::Serialize;

use crate::edges::trace::TraceContext;

/// Where the types live; the last part is the word that clients switch on.
const BASE: &str = "https://evergrant.dev/problems/";

macro_rules! problems {
    ($($(#[$doc:meta])* $kind:ident => $slug:literal, $status:ident, $title:literal;)+) => {
        /// What is wrong. Clients switch on this, never on the text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$doc])* $kind,)+ }

        impl ProblemKind {
            /// Every kind, in order.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The last part of its type URI.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug),+ }
            }

            /// Its type URI.
            pub fn uri(self) -> String {
                format!("{BASE}{}", self.slug())
            }

            /// The status that it is sent with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),+ }
            }

            /// The same words for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }
        }
    };
}

problems! {
    /// No credentials came with the request, or they are none of ours.
    Unauthenticated => "unauthenticated", UNAUTHORIZED, "Not signed in";
    /// The access JWT has expired: refresh the session.
    SessionExpired => "session-expired", UNAUTHORIZED, "The session token has expired";
    /// The session has ended for good: sign in again.
    SessionEnded => "session-ended", UNAUTHORIZED, "The session has ended";
    /// E-mail address or password is wrong.
    WrongPassword => "wrong-password", UNAUTHORIZED, "Wrong e-mail address or password";
    /// A cookie alone is not enough: the header against forged requests is missing.
    CsrfHeaderMissing => "csrf-header-missing", FORBIDDEN, "A header is missing";
    /// The user may not do this.
    Forbidden => "forbidden", FORBIDDEN, "Not allowed";
    /// The API key lacks a scope.
    InsufficientScope => "insufficient-scope", FORBIDDEN, "The API key lacks a scope";
    /// There is no such thing, or not for this caller.
    NotFound => "not-found", NOT_FOUND, "Not found";
    /// The path knows other methods only.
    MethodNotAllowed => "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// The request cannot be understood.
    InvalidRequest => "invalid-request", BAD_REQUEST, "The request cannot be understood";
    /// A parameter is missing or wrong.
    InvalidParameter => "invalid-parameter", UNPROCESSABLE_ENTITY, "A parameter is missing or wrong";
    /// The body is too long.
    BodyTooLarge => "body-too-large", PAYLOAD_TOO_LARGE, "The body is too long";
    /// The body is not JSON.
    UnsupportedMediaType => "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body has an unknown type";
    /// The answer of the provider's consent page belongs to no sign-in that was begun here.
    InvalidState => "invalid-state", BAD_REQUEST, "Invalid state parameter";
    /// The person did not consent.
    ConsentDenied => "consent-denied", FORBIDDEN, "Consent was not given";
    /// The code that the consent page gave is worth nothing, or its tokens are.
    ConsentFailed => "consent-failed", BAD_REQUEST, "Failed to exchange code for tokens";
    /// Who this is at the provider is known, and may not sign in here.
    SignInRefused => "sign-in-refused", FORBIDDEN, "This account may not sign in";
    /// The consent was given with another account than the connection's.
    OtherAccount => "other-account", CONFLICT, "This is another account";
    /// The grant has ended: the user has to connect again. Refreshing the session does not help.
    ProviderReauthRequired => "provider-reauth-required", CONFLICT, "The grant has ended";
    /// The provider refuses a token that was just issued.
    ProviderRejected => "provider-rejected", CONFLICT, "The provider refuses a fresh token";
    /// The provider does not answer, or asks for a pause.
    ProviderUnavailable => "provider-unavailable", SERVICE_UNAVAILABLE, "The provider is not available";
    /// The provider refuses our own credentials: an operator has to act.
    AppCredentialsInvalid => "app-credentials-invalid", SERVICE_UNAVAILABLE, "The provider refuses this app";
    /// An operator has paused refreshes: of the connection, of its provider app, or all that are forced.
    RefreshPaused => "refresh-paused", SERVICE_UNAVAILABLE, "Refreshes are paused";
    /// The refresh goes on and did not end in time.
    RefreshTimeout => "refresh-timeout", SERVICE_UNAVAILABLE, "The refresh did not end in time";
    /// Nothing is configured to do this with.
    NotConfigured => "not-configured", SERVICE_UNAVAILABLE, "Not configured";
    /// Too many requests of one caller.
    RateLimited => "rate-limited", TOO_MANY_REQUESTS, "Too many requests";
    /// Too many requests of all callers together.
    Overloaded => "overloaded", SERVICE_UNAVAILABLE, "Too busy";
    /// The store or the broker is away.
    Unavailable => "unavailable", SERVICE_UNAVAILABLE, "Not available for now";
    /// The request took too long.
    Timeout => "timeout", SERVICE_UNAVAILABLE, "The request took too long";
    /// The API beyond us did not answer.
    BadGateway => "bad-gateway", BAD_GATEWAY, "The API beyond did not answer";
    /// A defect of ours.
    Internal => "internal", INTERNAL_SERVER_ERROR, "Something went wrong here";
}

/// What goes over the wire.
#[derive(Debug, Serialize)]
struct Body {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<ConnectionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// An answer that says what is wrong and what to do.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Which of the closed list.
    pub kind: ProblemKind,
    /// What is wrong here and what to do; no secret, nothing internal.
    pub detail: String,
    /// When to ask again.
    pub retry_after: Option<Duration>,
    /// The connection that it is about.
    pub connection: Option<ConnectionId>,
    /// Why the connection is not `active`.
    pub reason: Option<Reason>,
}

impl Problem {
    /// A problem with what is to be told of it.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None, connection: None, reason: None }
    }

    /// Says when to ask again: also as a header, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Says which connection it is about.
    #[must_use]
    pub fn about(mut self, connection: ConnectionId) -> Self {
        self.connection = Some(connection);
        self
    }

    /// Says why the connection is not `active`.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// There is no such thing, or not for this caller.
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("There is no such {what}."))
    }
}

impl From<StoreError> for Problem {
    /// The cause goes to the log; the caller learns whether to try again.
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "A request found the store away");
            let detail = "The store is away for the moment. Nothing was done; try again.";
            return Self::new(ProblemKind::Unavailable, detail).retry_after(Duration::from_secs(2));
        }
        tracing::error!(%error, "A request failed in the store");
        Self::new(ProblemKind::Internal, "Something went wrong here. The log says what, under the request id.")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { kind, detail, retry_after, connection, reason } = self;
        let retry_after = retry_after.map(|wait| wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        let body = Body {
            r#type: kind.uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail,
            retry_after,
            connection_id: connection,
            reason,
            request_id: TraceContext::request_id(),
        };
        let mut response = (kind.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if kind.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
