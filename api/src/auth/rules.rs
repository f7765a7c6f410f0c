//! What a caller may do: the whole authorization of the API.

use evergrant_contract::connection::Connection;
use evergrant_contract::ids::{ConnectionId, SessionId, UserId};
use evergrant_contract::people::{ApiKey, Scope, User};

use crate::problem::{Problem, ProblemKind};
use crate::state::Api;

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A person.
    User(SignedIn),
    /// A service.
    Key(ApiKey),
}

/// A person with an open session.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn {
    /// Who.
    pub(crate) user: User,
    /// In which session.
    pub(crate) session: SessionId,
}

impl Caller {
    /// Whether the caller may do this at all. People may do everything to what is theirs, and only admins what operators
    /// do; a service may do what its key names and nothing else: no scope contains another.
    pub(crate) fn may(&self, scope: Scope) -> Result<(), Problem> {
        match self {
            Self::User(SignedIn { user, .. }) if user.is_admin || scope != Scope::Ops => Ok(()),
            Self::User(_) => Err(Problem::new(ProblemKind::Forbidden, "This is for operators. Ask one of them.")),
            Self::Key(key) if key.scopes.contains(&scope) => Ok(()),
            Self::Key(key) => {
                let detail = format!("The API key `{}` lacks the scope `{scope}`. Make one that has it.", key.name);
                Err(Problem::new(ProblemKind::InsufficientScope, detail))
            }
        }
    }

    /// A connection, if the caller may do this and the connection is theirs. Somebody else's is not told from one that does
    /// not exist.
    pub(crate) async fn connection(&self, api: &Api, id: ConnectionId, scope: Scope) -> Result<Connection, Problem> {
        self.may(scope)?;
        let found = api.store.find(id).await?;
        found.filter(|connection| self.owns(&connection.user)).ok_or_else(|| Problem::not_found("connection").about(id))
    }

    /// Whether connections of this user are within the caller's reach.
    pub(crate) fn owns(&self, user: &UserId) -> bool {
        self.user_filter().is_none_or(|mine| mine == *user)
    }

    /// Whether connections of all users are within the caller's reach.
    pub(crate) fn sees_all(&self) -> bool {
        self.user_filter().is_none()
    }

    /// Whose connections are within the caller's reach; `None`: everybody's. A key that is bound to a user stays within
    /// that, whatever its scopes.
    pub(crate) fn user_filter(&self) -> Option<UserId> {
        match self {
            Self::User(SignedIn { user, .. }) => (!user.is_admin).then(|| user.id.clone()),
            Self::Key(key) => key.user.clone(),
        }
    }
}
