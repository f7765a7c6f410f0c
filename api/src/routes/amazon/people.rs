//! Who signs in: the user who has this account, or a new one.

use evergrant_contract::consent::Identity;
use evergrant_contract::ids::UserId;
use evergrant_contract::people::{Flow, Saved, User, UserKey};
use uuid::Uuid;

use super::consent::{Granted, connections, of_same_account};
use crate::problem::{Problem, ProblemKind};
use crate::state::{Api, ProviderApp};

/// The user who signs in with these tokens. Somebody new is stored.
///
/// An account alone says who somebody is. An e-mail address does not, since whoever can get hold of one could take a
/// user over with it: it only points to a user whose stored grant may prove to be of this very account.
pub(super) async fn signing_in(api: &Api, app: &ProviderApp, flow: &Flow, granted: &Granted) -> Result<User, Problem> {
    let identity = &granted.identity;
    if identity.account.is_empty() {
        let detail = "The provider does not say who signs in, so it cannot be used to sign in with.";
        return Err(Problem::new(ProblemKind::NotConfigured, detail));
    }
    if let Some(user) = api.store.user(UserKey::Account(&identity.account)).await? {
        return active(user);
    }
    if let Some(user) = api.store.user(UserKey::Email(&identity.email)).await? {
        return adopted(api, app, flow, identity, user).await;
    }
    if !api.settings.auth.open_sign_up {
        tracing::info!(provider = %flow.provider, "Somebody who is not a user tried to sign in, and sign-up is closed");
        return Err(refused("This account is not known here, and new ones are not taken. Ask an operator for access."));
    }
    signed_up(api, flow, identity).await
}

/// Somebody who is active, or the reason to send them away.
pub(super) fn active(user: User) -> Result<User, Problem> {
    if user.is_active {
        return Ok(user);
    }
    tracing::info!(user = %user.id, "A user who is not active was sent away");
    Err(refused("This user has been deactivated. Ask an operator for access."))
}

fn refused(detail: &str) -> Problem {
    Problem::new(ProblemKind::SignInRefused, detail)
}

/// The user of this e-mail address, if a grant that they have here is of the account that signs in.
async fn adopted(api: &Api, app: &ProviderApp, flow: &Flow, identity: &Identity, user: User) -> Result<User, Problem> {
    let user = active(user)?;
    let theirs = connections(api, flow, &user.id).await?;
    let is_theirs = user.account.is_empty()
        && (theirs.iter().any(|row| row.account == identity.account)
            || of_same_account(api, app, &theirs, identity).await.is_some());
    if !is_theirs {
        tracing::warn!(user = %user.id, "Somebody signed in with another account and this user's e-mail address; refused");
        return Err(refused(
            "A user with this e-mail address exists and does not sign in with this account. Sign in as you did \
             before, or ask an operator.",
        ));
    }
    let user = User { account: identity.account.clone(), ..user };
    match api.store.save_user(&user).await? {
        Saved::Done => Ok(user),
        Saved::AccountTaken | Saved::EmailTaken => the_other(api, identity).await,
    }
}

async fn signed_up(api: &Api, flow: &Flow, identity: &Identity) -> Result<User, Problem> {
    let id: UserId = Uuid::new_v4().to_string().parse().map_err(|_| the_end())?;
    let user = User {
        id,
        email: identity.email.clone(),
        name: identity.name.clone(),
        account: identity.account.clone(),
        is_admin: false,
        is_active: true,
        profile_ids: Vec::new(),
        marketplace_ids: Vec::new(),
        created_at: api.clock.now(),
    };
    match api.store.save_user(&user).await? {
        Saved::Done => {
            tracing::info!(user = %user.id, provider = %flow.provider, "A new user signed up");
            Ok(user)
        }
        // The same person was quicker in another tab.
        Saved::AccountTaken | Saved::EmailTaken => the_other(api, identity).await,
    }
}

/// The user who got this account a moment before us.
async fn the_other(api: &Api, identity: &Identity) -> Result<User, Problem> {
    match api.store.user(UserKey::Account(&identity.account)).await? {
        Some(user) => active(user),
        None => Err(refused("A user with this e-mail address exists and does not sign in with this account.")),
    }
}

fn the_end() -> Problem {
    Problem::new(ProblemKind::Internal, "Something went wrong here. Try again.")
}
