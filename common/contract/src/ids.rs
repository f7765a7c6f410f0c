//! The names of things.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that was expected to be an id or a name and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} expected, got `{got}`")]
pub struct InvalidName {
    /// What the text should have been.
    pub what: &'static str,
    /// The text, shortened to 80 characters.
    pub got: String,
}

impl InvalidName {
    /// An error about `got`, which should have been a `what`.
    pub fn new(what: &'static str, got: &str) -> Self {
        Self { what, got: got.chars().take(80).collect() }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts by the time it was made (UUID version 7).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a UUID, for a database column.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidName::new($what, text))
            }
        }
    };
}

uuid_id!(
    /// One user's grant at one provider account. The unit of everything.
    ConnectionId,
    "a connection id (UUID)"
);
uuid_id!(
    /// One job, through all its deliveries.
    JobId,
    "a job id (UUID)"
);
uuid_id!(
    /// One running process. New at every start: a restarted process never inherits the leases of its former self.
    ProcessId,
    "a process id (UUID)"
);

uuid_id!(
    /// One signed-in browser, through all its tokens.
    SessionId,
    "a session id (UUID)"
);
uuid_id!(
    /// One key of a service.
    ApiKeyId,
    "an API key id (UUID)"
);
uuid_id!(
    /// One line of the audit log.
    AuditId,
    "an audit id (UUID)"
);
uuid_id!(
    /// One receiver of webhooks.
    EndpointId,
    "a webhook endpoint id (UUID)"
);
uuid_id!(
    /// One message for receivers of webhooks, through all its deliveries.
    MessageId,
    "a webhook message id (UUID)"
);

/// Counts the changes of a connection's tokens: +1 at each. Jobs, events, waits and writes carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(i64);

impl Version {
    /// The version of a connection that has just been made.
    pub const FIRST: Self = Self(1);

    /// A version as a database column or a message holds it.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number, for a database column or a message.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let allowed: fn(char) -> bool = $allowed;
                let fits = !text.is_empty() && text.len() <= $max && text.chars().all(allowed);
                if fits { Ok(Self(text.into())) } else { Err(InvalidName::new($what, text)) }
            }
        }
    };
}

text_name!(
    /// The name of a provider app, such as `amazon-na`: one descriptor, one client id, one breaker.
    ProviderName,
    "a provider name (1 to 64 of a-z, 0-9 and -)",
    64,
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
);
text_name!(
    /// The user who owns a connection, in the words of the system that sent it to us.
    UserId,
    "a user id (1 to 200 bytes, no control characters)",
    200,
    |c| !c.is_control()
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_was_expected() {
        let error = "Amazon NA".parse::<ProviderName>().unwrap_err();
        assert_eq!(error.to_string(), "a provider name (1 to 64 of a-z, 0-9 and -) expected, got `Amazon NA`");
        assert!("x".repeat(201).parse::<UserId>().is_err());
        assert!("not-a-uuid".parse::<ConnectionId>().is_err());
    }

    #[test]
    fn versions_count_up() {
        assert!(Version::FIRST < Version::FIRST.next());
    }
}
