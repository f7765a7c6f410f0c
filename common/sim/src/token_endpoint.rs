//! `POST /auth/o2/token`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, Delivery, Papers, send},
    fault::{Endpoint, FaultKind},
    grant::Terms,
    now::now_ms,
    plan::{Call, Strike},
    receipt::{Receipt, Visit},
    token::RefreshClaims,
    token_request::{GrantType, TokenError, TokenRequest},
    wire::{Cut, Line},
    world::World,
};

/// A pair to be sent, and what became of the refresh token that was spent for it.
struct Granted {
    access_token: String,
    refresh_token: String,
    expires_in_secs: i64,
    receipt: Option<Receipt>,
}

pub(crate) async fn token(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let arrived = Instant::now();
    let request = TokenRequest::read(&headers, &body);
    let claims = request.refresh_token.as_deref().and_then(|token| world.mint.read_refresh(token));
    let (strike, visit) = receive(&world, &request, claims);

    // A call takes effect half-way: a client that gives up early has changed nothing, one that gives up late has.
    let half = strike.latency / 2;
    world.pause(half).await;
    let (outcome, answer, delivery, receipt) = match strike.fault.as_ref().and_then(without_effect) {
        Some((outcome, answer, delivery)) => {
            if let Some(FaultKind::Hang { ms }) = strike.fault {
                world.pause(Duration::from_millis(ms)).await;
            }
            (outcome, answer, delivery, None)
        }
        None => carry_out(&world, &request, claims, strike.fault.as_ref()),
    };
    world.pause(half).await;
    world.counters.token_call(outcome, arrived.elapsed());
    send(&world, line, answer, delivery, Papers { visit, receipt })
}

/// Notes the call and decides what happens to it.
fn receive(world: &Arc<World>, request: &TokenRequest, claims: Option<RefreshClaims>) -> (Strike, Option<Visit>) {
    let code = request.grant_type() == Some(GrantType::AuthorizationCode);
    let endpoint = if code { Endpoint::Code } else { Endpoint::Refresh };
    let begun = claims.and_then(|claims| {
        let (visit, number) = Visit::begin(&world.grants, claims.grant)?;
        Some((visit, number, world.grants.with(claims.grant, |grant| Arc::clone(&grant.user))?))
    });
    match begun {
        Some((visit, number, user)) => (world.strike(Call { endpoint, user: Some(&user), number }), Some(visit)),
        None => (world.strike(Call { endpoint, user: None, number: world.stranger() }), None),
    }
}

/// The faults that come in place of the call's effect.
fn without_effect(fault: &FaultKind) -> Option<(&'static str, Answer, Delivery)> {
    let (answer, delivery) = match *fault {
        FaultKind::Status { status, body } => (Answer::broken(status, body), Delivery::Whole),
        FaultKind::Throttle { retry_after_secs, as_date } => {
            (Answer::throttled(retry_after_secs, as_date), Delivery::Whole)
        }
        FaultKind::Hang { .. } => (Answer::none(), Delivery::Never(Cut::Close)),
        FaultKind::Reset {} => (Answer::none(), Delivery::Never(Cut::Reset)),
        FaultKind::NoAccessToken {} => {
            let body = json!({"token_type": "bearer", "expires_in": 3600});
            (Answer::json(StatusCode::OK, &body), Delivery::Whole)
        }
        FaultKind::HtmlOk {} => (Answer::maintenance(StatusCode::OK), Delivery::Whole),
        FaultKind::InvalidGrant {} => (TokenError::InvalidRefreshToken.answer(), Delivery::Whole),
        FaultKind::InvalidClient {} => (TokenError::InvalidClient.answer(), Delivery::Whole),
        _ => return None,
    };
    Some((fault.name(), answer, delivery))
}

/// Does what was asked for, and spoils the answer as the fault says.
fn carry_out(
    world: &Arc<World>,
    request: &TokenRequest,
    claims: Option<RefreshClaims>,
    fault: Option<&FaultKind>,
) -> (&'static str, Answer, Delivery, Option<Receipt>) {
    let keep = matches!(fault, Some(FaultKind::EmptyRefreshToken {} | FaultKind::NoRefreshToken {}));
    let (outcome, answer, receipt) = match exchange(world, request, claims, keep) {
        Ok(granted) => {
            let outcome = if granted.receipt.is_some() { "refreshed" } else { "code_exchanged" };
            (outcome, Answer::json(StatusCode::OK, &token_body(&granted, fault)), granted.receipt)
        }
        Err(error) => (error.code(), error.answer(), None),
    };
    let delivery = match fault {
        Some(FaultKind::LostReply {}) => Delivery::Never(Cut::Close),
        Some(FaultKind::SlowBody { ms }) => Delivery::Slow(Duration::from_millis(*ms)),
        Some(FaultKind::TruncatedBody {}) => Delivery::Truncated,
        _ => Delivery::Whole,
    };
    (outcome, answer, delivery, receipt)
}

fn exchange(
    world: &Arc<World>,
    request: &TokenRequest,
    claims: Option<RefreshClaims>,
    keep_refresh_token: bool,
) -> Result<Granted, TokenError> {
    let grant_type = request.grant_type().ok_or(TokenError::UnsupportedGrantType)?;
    let client_id = request.client_id.as_deref().ok_or(TokenError::MissingParameter("client_id"))?;
    if !world.knows_client(client_id, request.client_secret.as_deref().unwrap_or_default()) {
        return Err(TokenError::InvalidClient);
    }
    match grant_type {
        GrantType::RefreshToken => {
            request.refresh_token.as_deref().ok_or(TokenError::MissingParameter("refresh_token"))?;
            refresh(world, claims.ok_or(TokenError::InvalidRefreshToken)?, keep_refresh_token)
        }
        GrantType::AuthorizationCode => collect(world, request),
    }
}

fn refresh(world: &Arc<World>, claims: RefreshClaims, keep_refresh_token: bool) -> Result<Granted, TokenError> {
    let now_ms = now_ms();
    let terms =
        Terms { rotation: world.options.rotation, now_ms, lifetime_ms: world.lifetime_ms(), keep_refresh_token };
    let issue = world
        .grants
        .with(claims.grant, |grant| grant.spend(claims.generation, terms))
        .and_then(Result::ok)
        .ok_or(TokenError::InvalidRefreshToken)?;
    let (access_token, refresh_token) = world.pair(claims.grant, issue);
    let expires_in_secs = (issue.expires_at_ms - now_ms) / 1000;
    let receipt = Some(Receipt::new(&world.grants, claims.grant, claims.generation));
    Ok(Granted { access_token, refresh_token, expires_in_secs, receipt })
}

/// Exchanges a code. Whatever is wrong with it, Amazon says the same.
fn collect(world: &Arc<World>, request: &TokenRequest) -> Result<Granted, TokenError> {
    let code = request.code.as_deref().ok_or(TokenError::MissingParameter("code"))?;
    let redirect_uri = request.redirect_uri.as_deref().ok_or(TokenError::MissingParameter("redirect_uri"))?;
    let consent = world.codes.take(code).ok_or(TokenError::InvalidCode)?;
    let verifier = request.code_verifier.as_deref().unwrap_or_default();
    let proven = consent.challenge.as_ref().is_none_or(|challenge| challenge.accepts(verifier));
    if consent.redirect_uri != redirect_uri || !proven {
        return Err(TokenError::InvalidCode);
    }
    let issued = world.grant(&consent.user, &consent.scope);
    Ok(Granted {
        access_token: issued.access_token,
        refresh_token: issued.refresh_token,
        expires_in_secs: world.lifetime_ms() / 1000,
        receipt: None,
    })
}

fn token_body(granted: &Granted, fault: Option<&FaultKind>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("access_token".to_owned(), granted.access_token.as_str().into());
    match fault {
        Some(FaultKind::NoRefreshToken {}) => None,
        Some(FaultKind::EmptyRefreshToken {}) => body.insert("refresh_token".to_owned(), "".into()),
        _ => body.insert("refresh_token".to_owned(), granted.refresh_token.as_str().into()),
    };
    body.insert("token_type".to_owned(), "bearer".into());
    match fault {
        Some(FaultKind::ExpiresIn { value: None }) => None,
        Some(FaultKind::ExpiresIn { value: Some(odd) }) => body.insert("expires_in".to_owned(), odd.clone()),
        _ => body.insert("expires_in".to_owned(), granted.expires_in_secs.into()),
    };
    body
}
