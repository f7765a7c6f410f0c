//! Login with Amazon: the token info and the profile.

use axum::{extract::Query, response::Response};
use serde::Deserialize;
use serde_json::json;

use crate::{
    api_call::{Api, ApiCall, ApiError},
    lock::read,
    now::now_ms,
};

#[derive(Deserialize)]
pub(crate) struct TokenQuery {
    access_token: Option<String>,
}

/// `GET /auth/o2/tokeninfo?access_token=`. `exp` is what is left, in seconds; not a time.
pub(crate) async fn token_info(Query(query): Query<TokenQuery>, call: ApiCall) -> Response {
    let token = query.access_token.unwrap_or_default();
    call.answer(Api::Login, &token, |call, caller| {
        let left_secs = (caller.claims.expires_at_ms - now_ms()) / 1000;
        Ok(json!({
            "iss": "https://www.amazon.com",
            "user_id": &*caller.user,
            "aud": read(&call.world.app).client_id,
            "app_id": "amzn1.application.simulated",
            "exp": left_secs,
            "iat": (caller.claims.expires_at_ms - call.world.lifetime_ms()) / 1000,
        }))
    })
    .await
}

/// `GET /user/profile`, with the token in any of the three places that Amazon looks at.
pub(crate) async fn profile(Query(query): Query<TokenQuery>, call: ApiCall) -> Response {
    let places = [call.bearer(), call.header("x-amz-access-token").to_owned(), query.access_token.unwrap_or_default()];
    let token = places.into_iter().find(|token| !token.is_empty()).unwrap_or_default();
    call.answer(Api::Login, &token, |_, caller| {
        if !caller.scope.split_whitespace().any(|scope| scope == "profile" || scope == "profile:user_id") {
            return Err(ApiError::new(403, "The access token provided does not have access to the required scope"));
        }
        let name = caller.user.rsplit('.').next().unwrap_or_default();
        Ok(json!({"user_id": &*caller.user, "name": name, "email": format!("{name}@example.com")}))
    })
    .await
}
