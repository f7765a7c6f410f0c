//! What a consent brings: a code, turned into tokens that are known to be somebody's, turned into a connection.

use std::collections::BTreeSet;

use evergrant_contract::Timestamp;
use evergrant_contract::connection::{Connection, ConnectionFilter, IfPresent, NewConnection, Reconnected, Stored};
use evergrant_contract::consent::{CodeCall, Identity, IdentityError};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::{ConnectionId, UserId};
use evergrant_contract::people::Flow;
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{Margin, after, to_millis};
use evergrant_contract::verdict::{Answer, Tokens, Verdict};

use crate::edges::trace::TraceContext;
use crate::problem::{Problem, ProblemKind};
use crate::state::{Api, ProviderApp};

/// The most connections of one user that are looked through.
const LOOK: u32 = 1000;

/// Tokens, and whose they are.
pub(super) struct Granted {
    pub(super) identity: Identity,
    pub(super) scopes: String,
    tokens: Tokens,
    refresh_token: Secret,
    sent_at: Timestamp,
}

/// What became of the connection.
pub(super) struct Connected {
    /// Scopes that were asked for or granted before, and are not granted now.
    pub(super) missing: Vec<String>,
}

/// Exchanges the code and asks whose tokens these are. Nothing is stored.
///
/// `told_scopes` is what the consent page said that was granted; the token endpoint's word comes before it.
pub(super) async fn granted(
    app: &ProviderApp,
    flow: &Flow,
    code: &Secret,
    verifier: &Secret,
    told_scopes: &str,
) -> Result<Granted, Problem> {
    let call = CodeCall { code, redirect_uri: &flow.redirect_uri, code_verifier: verifier };
    let answer = app.consents.exchange(call).await;
    let sent_at = to_millis(answer.sent_at);
    let tokens = match answer.verdict {
        Verdict::Refreshed(ref tokens) => tokens.clone(),
        _ => return Err(not_exchanged(flow, &answer)),
    };
    // Without one the connection could not be kept alive, and one that can would be overwritten.
    let refresh_token = tokens.refresh_token.clone().ok_or_else(|| {
        tracing::warn!(provider = %flow.provider, "A consent brought no refresh token, so nothing was stored");
        Problem::new(ProblemKind::ConsentFailed, "The provider issued no refresh token: nothing was stored.")
    })?;
    let identity = match app.consents.identify(&tokens.access_token).await {
        Ok(identity) => identity,
        Err(IdentityError::Unsupported) => Identity::default(),
        Err(error) => return Err(unidentified(flow, &error)),
    };
    // RFC 6749, section 5.1: an answer that names no scopes grants what was asked for.
    let named = tokens.scopes.as_deref().filter(|scopes| !scopes.trim().is_empty());
    let told = Some(told_scopes).filter(|scopes| !scopes.trim().is_empty());
    let scopes = named.or(told).map_or_else(|| app.consents.scopes().join(" "), str::to_owned);
    Ok(Granted { identity, scopes, tokens, refresh_token, sent_at })
}

fn not_exchanged(flow: &Flow, answer: &Answer) -> Problem {
    let verdict = answer.verdict.kind();
    let (status, code, error) = (answer.trace.status, answer.trace.code.as_deref(), answer.trace.message.as_str());
    tracing::warn!(provider = %flow.provider, %verdict, status, code, error, "A code was not exchanged for tokens");
    match &answer.verdict {
        Verdict::Throttled(wait) => {
            let problem =
                Problem::new(ProblemKind::ProviderUnavailable, "The provider asks for a pause. Try again later.");
            wait.iter().fold(problem, |problem, wait| problem.retry_after(*wait))
        }
        Verdict::Transient => {
            Problem::new(ProblemKind::ProviderUnavailable, "The provider does not answer. Try again in a minute.")
        }
        Verdict::AppFault => Problem::new(
            ProblemKind::AppCredentialsInvalid,
            "The provider refuses this app's own credentials: an operator has to see to it.",
        ),
        Verdict::GrantInvalid | Verdict::Unusable(_) | Verdict::Refreshed(_) => {
            Problem::new(ProblemKind::ConsentFailed, "Failed to exchange code for tokens")
        }
    }
}

fn unidentified(flow: &Flow, error: &IdentityError) -> Problem {
    if matches!(error, IdentityError::ForeignToken) {
        tracing::error!(provider = %flow.provider, "A code was exchanged for a token of another app; it was thrown away");
        return Problem::new(ProblemKind::ConsentFailed, "The token was issued to another app: nothing was stored.");
    }
    tracing::warn!(provider = %flow.provider, %error, "A consent was not stored, since it is not known whose it is");
    Problem::new(ProblemKind::ProviderUnavailable, "The provider does not say who this is. Try again in a minute.")
}

/// Puts a consent into a user's connections: into the one of the same account if there is one, else into a new one.
pub(super) async fn connect(
    api: &Api,
    app: &ProviderApp,
    flow: &Flow,
    user: &UserId,
    granted: Granted,
) -> Result<Connected, Problem> {
    let theirs = connections(api, flow, user).await?;
    let same = theirs.iter().find(|row| !row.account.is_empty() && row.account == granted.identity.account);
    if let Some(row) = same {
        return put(api, app, flow, user, granted, &row.scopes).await;
    }
    if let Some(row) = of_same_account(api, app, &theirs, &granted.identity).await {
        return reconnect(api, app, flow, (user, row.id), granted).await;
    }
    put(api, app, flow, user, granted, "").await
}

async fn put(
    api: &Api,
    app: &ProviderApp,
    flow: &Flow,
    user: &UserId,
    granted: Granted,
    before: &str,
) -> Result<Connected, Problem> {
    let missing = missing(app.consents.scopes(), before, &granted.scopes);
    let consent = new_connection(api, app, flow, user, granted);
    let stored = api.store.put(vec![consent], IfPresent::Replace).await?;
    let Some(Stored::Inserted(connection) | Stored::Kept(connection) | Stored::Replaced(connection)) =
        stored.first().copied()
    else {
        tracing::error!("The store took a consent and did not say where it is");
        return Err(Problem::new(ProblemKind::Internal, "Something went wrong here. Try again."));
    };
    Ok(told(api, connection, missing).await)
}

/// Puts a consent into this connection, if it is the user's and the account is the one that it had.
pub(super) async fn reconnect(
    api: &Api,
    app: &ProviderApp,
    flow: &Flow,
    (user, connection): (&UserId, ConnectionId),
    granted: Granted,
) -> Result<Connected, Problem> {
    let before = api.store.find(connection).await?.map(|row| row.scopes).unwrap_or_default();
    let missing = missing(app.consents.scopes(), &before, &granted.scopes);
    let consent = new_connection(api, app, flow, user, granted);
    match api.store.reconnect(connection, consent).await? {
        Reconnected::Done(_) => Ok(told(api, connection, missing).await),
        Reconnected::NotFound => Err(Problem::not_found("connection")),
        Reconnected::OtherAccount => {
            let detail = "This is another account than the one that was connected. Sign in to the provider with that \
                          one, or connect this one beside it.";
            Err(Problem::new(ProblemKind::OtherAccount, detail).about(connection))
        }
    }
}

/// Tells whoever listens. The event is a hint, so a store that cannot say the version costs only latency.
async fn told(api: &Api, connection: ConnectionId, missing: Vec<String>) -> Connected {
    if let Ok(Some(row)) = api.store.find(connection).await {
        tracing::info!(%connection, user = %row.user, provider = %row.provider, "A consent was stored");
        let (version, outcome) = (row.version, Outcome::Refreshed);
        api.events
            .publish(vec![Event::Connection {
                connection,
                version,
                outcome,
                reason: None,
                retry_at: None,
                traceparent: TraceContext::current(),
            }])
            .await;
    }
    if !missing.is_empty() {
        let missing = missing.join(" ");
        tracing::warn!(%connection, missing, "A consent covers less than was asked for or granted before");
    }
    Connected { missing }
}

fn new_connection(api: &Api, app: &ProviderApp, flow: &Flow, user: &UserId, granted: Granted) -> NewConnection {
    let Granted { identity, scopes, tokens, refresh_token, sent_at } = granted;
    let expires_at = to_millis(after(sent_at, tokens.lifetime));
    let share_percent = app.provider.policy().margin_share_percent;
    let margin = Margin { buffer: api.settings.refresh_buffer, share_percent };
    NewConnection {
        user: user.clone(),
        provider: flow.provider.clone(),
        account: identity.account,
        label: if identity.email.is_empty() { identity.name } else { identity.email },
        scopes,
        access_token: Some(tokens.access_token),
        refresh_token: Some(refresh_token),
        expires_at: Some(expires_at),
        refresh_at: margin.refresh_at(expires_at, tokens.lifetime, api.chance.roll()).max(sent_at),
        consent_at: Some(sent_at),
        refresh_expires_at: tokens.refresh_expires_at.or_else(|| app.consents.consent_ends(sent_at)),
    }
}

/// A user's connections at the flow's provider app.
pub(super) async fn connections(api: &Api, flow: &Flow, user: &UserId) -> Result<Vec<Connection>, Problem> {
    let filter = ConnectionFilter {
        provider: Some(flow.provider.clone()),
        user: Some(user.clone()),
        ..ConnectionFilter::default()
    };
    Ok(api.store.list(&filter, None, LOOK).await?)
}

/// The connection of an account that nobody wrote down, as those of an import may be, whose token turns out to be of
/// this account. A proof, not a guess: the provider is asked whose the stored token is.
pub(super) async fn of_same_account<'a>(
    api: &Api,
    app: &ProviderApp,
    theirs: &'a [Connection],
    identity: &Identity,
) -> Option<&'a Connection> {
    if identity.account.is_empty() {
        return None;
    }
    // There is at most one: owner, provider and account together are unique, also if the account is empty.
    let unknown = theirs.iter().find(|row| row.account.is_empty())?;
    let held = api.store.access_token(unknown.id).await.ok().flatten()?;
    if held.expires_at <= api.clock.now() {
        return None;
    }
    let owner = app.consents.identify(&held.token).await.ok()?;
    (owner.account == identity.account).then_some(unknown)
}

/// What was asked for or granted before and is not granted now.
fn missing(asked: &[String], before: &str, granted: &str) -> Vec<String> {
    let granted: BTreeSet<_> = granted.split_whitespace().collect();
    let wanted: BTreeSet<_> = asked.iter().map(String::as_str).chain(before.split_whitespace()).collect();
    wanted.difference(&granted).map(|scope| (*scope).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_is_reduced_if_it_lacks_what_was_asked_for_or_granted_before() {
        let asked = ["a".to_owned(), "b".to_owned()];
        assert_eq!(missing(&asked, "", "b a c"), Vec::<String>::new());
        assert_eq!(missing(&asked, "", "a"), ["b"]);
        assert_eq!(missing(&asked, "x a", "a b"), ["x"]);
        assert_eq!(missing(&[], "", ""), Vec::<String>::new());
    }
}
