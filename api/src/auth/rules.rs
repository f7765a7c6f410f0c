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

    /// Who calls, as the audit log tells it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::User(SignedIn { user, .. }) if user.email.is_empty() => format!("user {}", user.id),
            Self::User(SignedIn { user, .. }) => format!("user {}", user.email),
            Self::Key(key) => format!("key {}", key.name),
        }
    }

    /// A connection, if the caller may do this and the connection is theirs. Somebody else's is not told from one that does
    /// not exist.
    pub(crate) async fn connection(&self, api: &Api, id: ConnectionId, scope: Scope) -> Result<Connection, Problem> {
        self.may(scope)?;
        let found = api.reads.connection(id).await?;
        found.filter(|connection| self.owns(&connection.user)).ok_or_else(|| Problem::not_found("connection").about(id))
    }

    /// Whether connections of this user are within the caller's reach.
    pub(crate) fn owns(&self, user: &UserId) -> bool {
        self.user_filter().is_none_or(|mine| mine == *user)
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

#[cfg(test)]
mod tests {
    use evergrant_contract::Timestamp;

    use super::*;
    use crate::auth::new_api_key;

    fn user(id: &str, is_admin: bool) -> Caller {
        let user = User {
            id: id.parse().unwrap(),
            email: String::new(),
            name: String::new(),
            account: String::new(),
            is_admin,
            is_active: true,
            profile_ids: Vec::new(),
            marketplace_ids: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
        };
        Caller::User(SignedIn { user, session: SessionId::generate() })
    }

    fn key(scopes: &[Scope], user: Option<&str>) -> Caller {
        let user = user.map(|user| user.parse().unwrap());
        Caller::Key(new_api_key("billing", scopes.to_vec(), user, Timestamp::UNIX_EPOCH).0)
    }

    #[test]
    fn the_authorization_matrix() {
        use ProblemKind::{Forbidden, InsufficientScope};
        use Scope::{AmcCall, ConnectionsRead, Ops, TokensRead, TokensRefresh};
        // Who: connections:read, tokens:read, tokens:refresh, amc:call, ops; then whether ada's and bob's are in reach.
        let no = Some(InsufficientScope);
        let matrix = [
            ("ada", user("ada", false), [None, None, None, None, Some(Forbidden)], [true, false]),
            ("admin", user("root", true), [None; 5], [true, true]),
            ("key without scopes", key(&[], None), [no; 5], [true, true]),
            ("key that lists", key(&[ConnectionsRead], None), [None, no, no, no, no], [true, true]),
            ("key that takes", key(&[TokensRead], None), [no, None, no, no, no], [true, true]),
            ("key that forces", key(&[TokensRefresh], None), [no, no, None, no, no], [true, true]),
            ("key that calls", key(&[AmcCall], None), [no, no, no, None, no], [true, true]),
            ("key that operates", key(&[Ops], None), [no, no, no, no, None], [true, true]),
            ("key with all", key(Scope::ALL, None), [None; 5], [true, true]),
            ("ada's key", key(&[TokensRead], Some("ada")), [no, None, no, no, no], [true, false]),
            ("bob's key with all", key(Scope::ALL, Some("bob")), [None; 5], [false, true]),
        ];
        for (who, caller, may, owns) in matrix {
            let answers = Scope::ALL.iter().map(|scope| caller.may(*scope).err().map(|problem| problem.kind));
            assert_eq!(answers.collect::<Vec<_>>(), may, "{who}");
            let reach = ["ada", "bob"].map(|user| caller.owns(&user.parse().unwrap()));
            assert_eq!(reach, owns, "{who}");
            assert_eq!(caller.user_filter().is_none(), reach == [true, true], "{who}");
        }
    }

    #[test]
    fn a_refusal_names_the_key_and_the_scope_that_it_lacks() {
        let problem = key(&[], None).may(Scope::TokensRead).unwrap_err();
        assert!(problem.detail.contains("`billing`") && problem.detail.contains("`tokens:read`"), "{}", problem.detail);
    }
}
