//! Which provider apps and connections these routes are about.

use evergrant_contract::connection::{Connection, ConnectionFilter};
use evergrant_contract::ids::{ConnectionId, ProviderName, UserId};

use crate::problem::{Problem, ProblemKind};
use crate::state::{Api, ProviderApp};

/// Connections read at a time.
const PAGE: u32 = 500;

/// A configured provider app.
pub(super) fn app<'a>(api: &'a Api, name: &ProviderName) -> Result<&'a ProviderApp, Problem> {
    api.providers.get(name).ok_or_else(|| {
        let detail =
            format!("The provider app `{name}` is not configured: an operator has to set its client id and secret.");
        Problem::new(ProblemKind::NotConfigured, detail)
    })
}

/// Whether people may sign in with this app: the configured one, or the same client in another region. Only there does an
/// account's id mean the same person; elsewhere it could be anybody who happens to have the same one.
pub(super) fn is_sign_in_app(api: &Api, name: &ProviderName) -> bool {
    let client = |name| Some(&api.providers.get(name)?.target.as_ref()?.client_id);
    let chosen = &api.settings.auth.sign_in_provider;
    name == chosen || client(name).is_some_and(|id| client(chosen) == Some(id))
}

/// Whether a connection is one of those that the routes under `/api/auth/amazon` speak of: all regions together.
fn is_amazon(api: &Api, name: &ProviderName) -> bool {
    family(name) == family(&api.settings.auth.sign_in_provider)
}

/// `amazon` of `amazon-eu`.
fn family(name: &ProviderName) -> &str {
    let name = name.as_str();
    name.split_once('-').map_or(name, |(family, _)| family)
}

/// A connection of this user. Somebody else's does not exist.
pub(super) async fn own(api: &Api, user: &UserId, id: ConnectionId) -> Result<Connection, Problem> {
    let row = api.store.find(id).await?;
    row.filter(|row| row.user == *user).ok_or_else(|| Problem::not_found("connection"))
}

/// A user's connections at Amazon, in the order of their ids.
pub(in crate::routes) async fn own_amazon(api: &Api, user: &UserId) -> Result<Vec<Connection>, Problem> {
    let filter = ConnectionFilter { user: Some(user.clone()), ..ConnectionFilter::default() };
    let mut rows: Vec<Connection> = Vec::new();
    let mut after = None;
    loop {
        let page = api.store.list(&filter, after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|row| row.id);
        rows.extend(page.into_iter().filter(|row| is_amazon(api, &row.provider)));
        if is_last {
            return Ok(rows);
        }
    }
}
