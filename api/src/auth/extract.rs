//! Callers as axum hands them to handlers.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;

use super::callers::presented;
use super::rules::{Caller, SignedIn};
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        api.callers.resolve(&parts.headers).await
    }
}

impl FromRequestParts<Arc<Api>> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, api).await? {
            Caller::User(signed_in) => Ok(signed_in),
            Caller::Key(_) => {
                Err(Problem::new(ProblemKind::Forbidden, "This is for people who signed in, not for API keys."))
            }
        }
    }
}

/// `None`: the request shows nothing. What it shows and is not good is refused all the same.
impl OptionalFromRequestParts<Arc<Api>> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Option<Self>, Problem> {
        if presented(&parts.headers)?.is_none() {
            return Ok(None);
        }
        <Self as FromRequestParts<_>>::from_request_parts(parts, api).await.map(Some)
    }
}
