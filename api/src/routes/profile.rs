//! `GET /api/profile`: who is signed in and how their Amazon accounts stand, in the original's shape.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use evergrant_contract::connection::Connection;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::amazon::{best_first, own_amazon};
use crate::auth::SignedIn;
use crate::edges::extract::Json;
use crate::problem::Problem;
use crate::state::Api;

/// The signed-in user, with their Amazon accounts.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, clippy::struct_field_names, reason = "the original's shape")]
struct Profile {
    id: String,
    email: String,
    name: String,
    is_active: bool,
    is_admin: bool,
    profile_ids: Vec<String>,
    marketplace_ids: Vec<String>,
    /// At least one account is kept alive.
    amazon_connected: bool,
    /// When the access token of the one in the best order ends; the next one is fetched before.
    token_expires_at: Option<DateTime<Utc>>,
    /// The grant has not ended, as far as Amazon has told.
    refresh_token_valid: bool,
    /// The Amazon accounts that are connected.
    accounts: Vec<AmazonAccount>,
}

/// An Amazon account.
#[derive(Serialize, ToSchema)]
struct AmazonAccount {
    /// Amazon's id of it; empty if it is not known.
    account_id: String,
    /// A name for people.
    account_name: String,
    /// Always null: a login belongs to no marketplace. The accounts of Amazon Marketing Cloud, which do, are listed by
    /// `GET /api/amc/{connection}/amc/accounts`.
    marketplace_id: Option<String>,
    /// The connection, for everything else.
    connection_id: uuid::Uuid,
}

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(profile))
}

/// Who is signed in, and their Amazon accounts.
#[utoipa::path(get, path = "/api/profile", operation_id = "profile", security(("session" = [])), tag = "session",
    summary = "The signed-in user, with their Amazon accounts",
    responses((status = 200, description = "The user.", body = Profile)))]
async fn profile(State(api): State<Arc<Api>>, signed_in: SignedIn) -> Result<Json<Profile>, Problem> {
    let user = signed_in.user;
    let rows = best_first(own_amazon(&api, &user.id).await?);
    let alive: Vec<&Connection> = rows.iter().filter(|row| row.state.is_refreshable()).collect();
    Ok(Json(Profile {
        amazon_connected: !alive.is_empty(),
        token_expires_at: alive.first().and_then(|row| row.expires_at),
        refresh_token_valid: !alive.is_empty(),
        accounts: alive.iter().map(|row| account(row)).collect(),
        id: user.id.to_string(),
        email: user.email,
        name: user.name,
        is_active: user.is_active,
        is_admin: user.is_admin,
        profile_ids: user.profile_ids,
        marketplace_ids: user.marketplace_ids,
    }))
}

fn account(row: &Connection) -> AmazonAccount {
    AmazonAccount {
        account_id: row.account.clone(),
        account_name: row.label.clone(),
        marketplace_id: None,
        connection_id: row.id.uuid(),
    }
}
