//! What all calls with an access token have in common.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, StatusCode, request::Parts},
    response::Response,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    answer::{Answer, Delivery, Papers, send},
    fault::{Endpoint, FaultKind},
    grant::Refused,
    now::now_ms,
    plan::Call,
    token::{AccessClaims, GrantNo},
    wire::{Cut, Line},
    world::World,
};

/// A call to the API, before anybody has looked at its token.
pub(crate) struct ApiCall {
    pub(crate) world: Arc<World>,
    line: Line,
    pub(crate) headers: HeaderMap,
}

/// Who calls, with a good token.
pub(crate) struct Caller {
    pub(crate) user: Arc<str>,
    pub(crate) scope: Arc<str>,
    pub(crate) claims: AccessClaims,
}

/// An error of the API. How it is written depends on which API it is.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) details: String,
}

/// The families of endpoints, each with its own way to write an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// `/v2` and AMC: `{"code":"401","details":"…","requestId":"…"}`. They ask for the client id in a header.
    Ads,
    /// The token info and the profile: OAuth errors.
    Login,
}

type Reply = Result<Value, ApiError>;

impl FromRequestParts<Arc<World>> for ApiCall {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, world: &Arc<World>) -> Result<Self, Infallible> {
        let line = match ConnectInfo::<Line>::from_request_parts(parts, world).await {
            Ok(ConnectInfo(line)) => line,
            Err(_) => Line::default(),
        };
        Ok(Self { world: Arc::clone(world), line, headers: parts.headers.clone() })
    }
}

impl ApiCall {
    /// A header's text; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The bearer token.
    pub(crate) fn bearer(&self) -> String {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default().trim().to_owned()
    }

    /// Answers a call that presents this token; `reply` is asked only if the token is good and no fault strikes.
    pub(crate) async fn answer(self, api: Api, token: &str, reply: impl FnOnce(&Self, &Caller) -> Reply) -> Response {
        let claims = self.world.mint.read_access(token);
        let begun = claims.and_then(|claims| {
            self.world.grants.with(claims.grant, |grant| {
                let caller = Caller { user: Arc::clone(&grant.user), scope: Arc::clone(&grant.scope), claims };
                (caller, grant.begin_api_call())
            })
        });
        let (user, number) = match &begun {
            Some((caller, number)) => (Some(&*caller.user), *number),
            None => (None, self.world.stranger()),
        };
        let strike = self.world.strike(Call { endpoint: Endpoint::Api, user, number });
        self.world.pause(strike.latency).await;
        if let Some(FaultKind::Hang { ms }) = strike.fault {
            self.world.pause(Duration::from_millis(ms)).await;
        }
        let answer = match strike.fault.as_ref().and_then(|fault| in_place_of_reply(fault, api)) {
            Some(answer) => answer,
            None => match self.admit(api, begun.map(|(caller, _)| caller)).and_then(|caller| reply(&self, &caller)) {
                Ok(body) => Answer::json(StatusCode::OK, &body),
                Err(error) => error.answer(api),
            },
        };
        self.world.counters.api_call(outcome(answer.status));
        send(&self.world, self.line, answer, delivery(strike.fault.as_ref()), Papers::default())
    }

    fn admit(&self, api: Api, caller: Option<Caller>) -> Result<Caller, ApiError> {
        let known = caller.ok_or_else(|| ApiError::unauthorized(api))?;
        self.check_token(known.claims.grant, known.claims.expires_at_ms).map_err(|_| ApiError::unauthorized(api))?;
        if api == Api::Ads && !self.world.knows_client_id(self.header("amazon-advertising-api-clientid")) {
            return Err(ApiError::new(401, "Amazon-Advertising-API-ClientId is missing or unknown"));
        }
        Ok(known)
    }

    fn check_token(&self, grant: GrantNo, expires_at_ms: i64) -> Result<(), Refused> {
        let used = self.world.grants.with(grant, |grant| grant.use_access(expires_at_ms, now_ms()));
        used.unwrap_or(Err(Refused::Ended))
    }
}

impl ApiError {
    pub(crate) fn new(status: u16, details: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, details: details.into() }
    }

    /// A token that is missing, expired, revoked or invented: Amazon does not say which.
    fn unauthorized(api: Api) -> Self {
        match api {
            Api::Ads => Self::new(401, "Authentication failed"),
            Api::Login => Self::new(400, "The request has an invalid parameter : access_token"),
        }
    }

    fn answer(self, api: Api) -> Answer {
        match api {
            Api::Ads => {
                let code = self.status.as_str();
                let body = json!({"code": code, "details": self.details, "requestId": Uuid::new_v4()});
                Answer::json(self.status, &body)
            }
            Api::Login => {
                let insufficient = self.status == StatusCode::FORBIDDEN;
                let error = if insufficient { "insufficient_scope" } else { "invalid_token" };
                Answer::oauth_error(self.status, error, &self.details)
            }
        }
    }
}

/// What the Ads API says to a path that it does not know.
pub(crate) async fn unknown_path() -> Response {
    ApiError::new(404, "Not Found").answer(Api::Ads).plain()
}

/// What it says to a path that it knows with other methods.
pub(crate) async fn unknown_method() -> Response {
    ApiError::new(405, "Method Not Allowed").answer(Api::Ads).plain()
}

fn in_place_of_reply(fault: &FaultKind, api: Api) -> Option<Answer> {
    Some(match fault {
        FaultKind::Status { status, body } => Answer::broken(*status, *body),
        FaultKind::Throttle { retry_after_secs, as_date } => Answer::throttled(*retry_after_secs, *as_date),
        FaultKind::HtmlOk {} => Answer::maintenance(StatusCode::OK),
        FaultKind::ApiError { status, details } => ApiError::new(*status, details).answer(api),
        FaultKind::Hang { .. } | FaultKind::Reset {} => Answer::none(),
        _ => return None,
    })
}

fn delivery(fault: Option<&FaultKind>) -> Delivery {
    match fault {
        Some(FaultKind::Hang { .. } | FaultKind::LostReply {}) => Delivery::Never(Cut::Close),
        Some(FaultKind::Reset {}) => Delivery::Never(Cut::Reset),
        Some(FaultKind::SlowBody { ms }) => Delivery::Slow(Duration::from_millis(*ms)),
        Some(FaultKind::TruncatedBody {}) => Delivery::Truncated,
        _ => Delivery::Whole,
    }
}

fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..300 => "ok",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        429 => "429",
        500..600 => "5xx",
        _ => "other",
    }
}
