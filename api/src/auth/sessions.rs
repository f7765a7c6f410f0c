//! Sessions: opened by a sign-in, carried on by refreshes, ended by whoever signs out and by stolen tokens.

use std::time::Duration;

use axum_extra::extract::cookie::Cookie;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::SessionId;
use evergrant_contract::people::{FIRST_GENERATION, Session, SessionEnd, SessionVerdict, User, UserKey};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::{after, until};
use metrics::counter;
use tracing::{info, warn};

use super::rules::SignedIn;
use super::{cookies, jwt};
use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// A lost race for the next generation shows the winner's when looked at again, so that a second look is enough. The third
/// is for a session that was advanced once more in between.
const LOOKS: usize = 3;

/// What a browser gets that is signed in.
pub(crate) struct SignedInNow {
    /// Who.
    pub(crate) user: User,
    /// Holds the session refresh token.
    pub(crate) cookie: Cookie<'static>,
    /// An access JWT.
    pub(crate) access_token: Secret,
    /// How long that is good, in seconds.
    pub(crate) expires_in: u64,
}

/// Opens a session for somebody who has shown who they are.
pub(crate) async fn sign_in(api: &Api, user: &User) -> Result<SignedInNow, Problem> {
    if !user.is_active {
        return Err(Problem::new(ProblemKind::Forbidden, "This user is not active. Ask an operator."));
    }
    let (now, settings) = (api.clock.now(), &api.settings.auth);
    let ends_at = after(now, settings.session_max);
    let session = Session {
        id: SessionId::generate(),
        user: user.id.clone(),
        generation: FIRST_GENERATION,
        rotated_at: now,
        created_at: now,
        idle_until: after(now, settings.session_idle).min(ends_at),
        ends_at,
        ended_at: None,
        end_reason: None,
    };
    api.store.open_session(&session).await?;
    counter!("evergrant_sessions_opened_total").increment(1);
    info!(user = %user.id, session = %session.id, "A session was opened");
    give_out(api, user.clone(), &session, now)
}

/// Carries a session on: what its refresh token is worth is decided by [`Session::judge`], and who of many that ask at once
/// makes the next generation, by the store.
pub(crate) async fn refresh_session(api: &Api, token: &Secret) -> Result<SignedInNow, Problem> {
    let garbage = || Problem::new(ProblemKind::Unauthenticated, "The session cookie is none of ours. Sign in.");
    let (id, generation) = api.callers.secret().read_session_token(token.expose()).ok_or_else(garbage)?;
    for _ in 0..LOOKS {
        let session = api.store.session(id).await?.ok_or_else(session_ended)?;
        let now = api.clock.now();
        match session.judge(generation, now, api.settings.auth.rotation_grace) {
            SessionVerdict::Over => {
                count_refresh("over");
                return Err(session_ended());
            }
            SessionVerdict::Reused => return Err(end_reused(api, &session, generation, now).await?),
            SessionVerdict::Keep => {
                let user = active_user(api, &session).await?;
                count_refresh("kept");
                return give_out(api, user, &session, now);
            }
            SessionVerdict::Advance => {
                let user = active_user(api, &session).await?;
                if let Some(session) = advance(api, session, now).await? {
                    count_refresh("advanced");
                    return give_out(api, user, &session, now);
                }
            }
        }
    }
    let detail = "The session is being refreshed by many at once. Try again.";
    Err(Problem::new(ProblemKind::Unavailable, detail).retry_after(Duration::from_secs(1)))
}

/// A new access JWT for somebody whose present one is still good. The session stays as it is: it becomes no younger, and
/// the token in the browser's cookie stays the one that counts.
pub(crate) async fn renew_access(api: &Api, signed_in: SignedIn) -> Result<SignedInNow, Problem> {
    let session = api.store.session(signed_in.session).await?.ok_or_else(session_ended)?;
    let now = api.clock.now();
    if !session.is_open(now) {
        return Err(session_ended());
    }
    give_out(api, signed_in.user, &session, now)
}

/// The session is no more.
pub(crate) fn session_ended() -> Problem {
    Problem::new(ProblemKind::SessionEnded, "The session has ended. Sign in again.")
}

/// The session at its next generation; `None`: somebody else was faster.
async fn advance(api: &Api, session: Session, now: Timestamp) -> Result<Option<Session>, Problem> {
    let idle_until = after(now, api.settings.auth.session_idle).min(session.ends_at);
    if !api.store.advance_session(session.id, session.generation, now, idle_until).await? {
        return Ok(None);
    }
    api.callers.forget(session.id).await;
    Ok(Some(Session { generation: session.generation + 1, rotated_at: now, idle_until, ..session }))
}

/// A token that was spent a while ago is a stolen one, or the one that is left to its owner while a thief has the next.
/// Nobody can tell which, so both are out.
async fn end_reused(api: &Api, session: &Session, generation: i64, now: Timestamp) -> Result<Problem, Problem> {
    api.store.end_session(session.id, SessionEnd::TokenReused, now).await?;
    api.callers.forget(session.id).await;
    count_refresh("reused");
    let Session { id, user, generation: present, .. } = session;
    warn!(session = %id, %user, generation, present, "A spent session token was presented: the session is ended");
    Ok(session_ended())
}

async fn active_user(api: &Api, session: &Session) -> Result<User, Problem> {
    let user = api.store.user(UserKey::Id(&session.user)).await?;
    user.filter(|user| user.is_active).ok_or_else(session_ended)
}

fn give_out(api: &Api, user: User, session: &Session, now: Timestamp) -> Result<SignedInNow, Problem> {
    let secret = api.callers.secret();
    let left = until(now, session.idle_until.min(session.ends_at));
    let lives = api.settings.auth.access_token.min(left);
    let access_token = jwt::issue(secret, &user, session.id, now, lives).map_err(|error| {
        tracing::error!(%error, "An access JWT could not be issued");
        Problem::new(ProblemKind::Internal, "Something went wrong here. The log says what, under the request id.")
    })?;
    let cookie = cookies::session_cookie(&secret.session_token(session.id, session.generation), left);
    Ok(SignedInNow { user, cookie, access_token, expires_in: lives.as_secs() })
}

fn count_refresh(outcome: &'static str) {
    counter!("evergrant_session_refreshes_total", "outcome" => outcome).increment(1);
}
